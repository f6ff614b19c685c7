//! zstd, where it pays.

use crate::error::{DecodeError, malformed};

const LEVEL: i32 = 1;
/// Fewer bytes are not tried: a frame has a dozen of its own.
const BYTES_MIN: usize = 32;

/// The bytes compressed, if that makes them shorter.
pub(crate) fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < BYTES_MIN {
        return None;
    }
    // An error can only come of memory running out inside zstd; bytes as they are will do.
    zstd::bulk::compress(bytes, LEVEL).ok().filter(|packed| packed.len() < bytes.len())
}

/// What was compressed, of exactly this length; the caller has checked that so much may be allocated.
pub(crate) fn unpack(packed: &[u8], len: usize, what: &'static str) -> Result<Vec<u8>, DecodeError> {
    match zstd::bulk::decompress(packed, len) {
        Ok(bytes) if bytes.len() == len => Ok(bytes),
        Ok(_) | Err(_) => malformed(what),
    }
}
