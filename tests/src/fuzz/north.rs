//! What crosses the link between hub and central, and the tokens people carry.

use std::fs;
use std::path::Path;

use northbound_trust::{CheckedCsr, HubName, Validity, fingerprint, is_self_signed_authority, serial};
use northbound_wire::{AdminToken, ClaimToken, Fingerprint, FrameReader, TokenSecret, decode, encode};
use rustls_pki_types::CertificateDer;

/// A frame alone, then as part of a stream that arrives in pieces. What decodes says the same once more.
pub(super) fn frames(input: &[u8]) {
    if let Ok(message) = decode(input) {
        let again = encode(&message);
        assert_eq!(decode(&again[4..]).as_ref(), Ok(&message), "a message changes on its way");
    }
    let mut reader = FrameReader::default();
    for piece in input.chunks(1 + input.len() / 3) {
        reader.extend(piece);
        while let Ok(Some((message, taken))) = reader.read() {
            assert!(taken <= input.len(), "a frame is longer than the stream");
            drop(encode(&message));
        }
    }
}

/// Every released message with its length in front, all of them in a row, and each without its length.
pub(super) fn frame_seeds() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(golden())
        .expect("the golden bytes can be listed")
        .map(|entry| entry.expect("an entry can be read").path())
        .collect();
    paths.sort();
    let frames: Vec<Vec<u8>> = paths.iter().map(|path| bytes_of_hex(path)).collect();
    let bodies = frames.iter().map(|frame| frame[4..].to_vec());
    bodies.chain(frames.iter().cloned()).chain([frames.concat()]).collect()
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/north-v1")
}

/// The bytes of a golden file: digits, in lines.
pub(super) fn bytes_of_hex(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).expect("golden bytes can be read");
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    digits.chunks(2).map(|pair| byte(pair).expect("golden bytes are hexadecimal")).collect()
}

/// Both kinds of token: what is one is written as it was read.
pub(super) fn tokens(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(token) = text.parse::<ClaimToken>() {
        assert_eq!(token.reveal(), text.trim());
    }
    if let Ok(token) = text.parse::<AdminToken>() {
        assert_eq!(token.reveal(), text.trim());
    }
}

pub(super) fn token_seeds() -> Vec<Vec<u8>> {
    let (secret, root) = (TokenSecret([0x5a; 32]), Fingerprint([0xc3; 32]));
    let claim = ClaimToken { secret, root }.reveal();
    let admin = AdminToken { secret, root }.reveal();
    [format!(" {claim}\r\n"), claim, admin].map(String::into_bytes).to_vec()
}

/// A certificate signing request, as central takes it from whoever shows a token.
pub(super) fn signing_request(input: &[u8]) {
    let _key = CheckedCsr::from_der(input).map(|request| request.key_fingerprint());
}

/// A certificate, as each end reads it of the other.
pub(super) fn certificate(input: &[u8]) {
    let certificate = CertificateDer::from(input);
    let _name = HubName::of(&certificate);
    let _validity = Validity::of(&certificate).map(|validity| validity.renew_at());
    let _key = fingerprint(&certificate);
    let _serial = serial(&certificate);
    let _is_root = is_self_signed_authority(&certificate);
}
