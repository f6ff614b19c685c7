//! PEM texts (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Characters of a line.
const LINE: usize = 64;

/// Bytes between `BEGIN` and `END` lines.
pub(crate) fn write(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(LINE) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// A certificate.
pub(crate) fn write_certificate(der: &CertificateDer<'_>) -> String {
    write("CERTIFICATE", der)
}

/// Every certificate of a text, in its order; `None` if one is damaged.
pub(crate) fn certificates(text: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let (first, second) = (CertificateDer::from(vec![7; 100]), CertificateDer::from(vec![8; 48]));
        let text = write_certificate(&first) + &write_certificate(&second);
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
        assert_eq!(certificates(text.as_bytes()), Some(vec![first, second]));
        assert_eq!(certificates(b"nothing"), Some(vec![]));
        assert_eq!(certificates(text.replace("BwcHBw", "B*cHBw").as_bytes()), None);
    }
}
