//! A commit: a header and the frames behind it, whole or not at all.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `RWC1` |
//! | 4 | 8 | generation of the file |
//! | 12 | 8 | number, dense over the epoch |
//! | 20 | 16 | boot of every stamp inside |
//! | 36 | 8 | monotonic millisecond the stamps are relative to |
//! | 44 | 4 | length of the frames |
//! | 48 | 4 | number of frames |
//! | 52 | 4 | crc32c over secret, position in the file, the header's bytes before and the frames |

use hub_model::BootId;

use super::header::Secret;
use crate::field::{Malformed, Put, Reader};
use crate::record::Base;

const MAGIC: u32 = u32::from_le_bytes(*b"RWC1");
pub(crate) const COMMIT_HEADER_BYTES: usize = 56;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitHeader {
    pub(crate) generation: u64,
    pub(crate) number: u64,
    pub(crate) base: Base,
    pub(crate) frames_len: u32,
    pub(crate) frames: u32,
}

impl CommitHeader {
    /// The header's bytes for these frames at this place.
    pub(crate) fn encode(&self, secret: &Secret, position: u64, frames: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(COMMIT_HEADER_BYTES);
        out.put_u32(MAGIC);
        out.put_u64(self.generation);
        out.put_u64(self.number);
        out.put(&self.base.boot.to_bytes());
        out.put_u64(self.base.mono_ms);
        out.put_u32(self.frames_len);
        out.put_u32(self.frames);
        let crc = checksum(secret, position, &out, frames);
        out.put_u32(crc);
        out
    }

    /// The commit at the front of `bytes`, which lie at `position`, and its frames; an error when it is not whole.
    pub(crate) fn decode<'a>(
        secret: &Secret,
        position: u64,
        bytes: &'a [u8],
    ) -> Result<(CommitHeader, &'a [u8]), Malformed> {
        let mut r = Reader::new(bytes);
        if r.u32("commit magic")? != MAGIC {
            return Err(Malformed("commit magic"));
        }
        let header = CommitHeader {
            generation: r.u64("generation")?,
            number: r.u64("number")?,
            base: Base { boot: BootId::from_bytes(r.array("boot")?), mono_ms: r.u64("base")? },
            frames_len: r.u32("length")?,
            frames: r.u32("count")?,
        };
        let crc = r.u32("commit checksum")?;
        let len = usize::try_from(header.frames_len).map_err(|_| Malformed("length"))?;
        let frames = r.take(len, "length")?;
        let covered = bytes.get(..COMMIT_HEADER_BYTES - 4).ok_or(Malformed("commit header"))?;
        if crc == checksum(secret, position, covered, frames) {
            Ok((header, frames))
        } else {
            Err(Malformed("commit checksum"))
        }
    }
}

fn checksum(secret: &Secret, position: u64, header: &[u8], frames: &[u8]) -> u32 {
    let crc = crc32c::crc32c(secret);
    let crc = crc32c::crc32c_append(crc, &position.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, header);
    crc32c::crc32c_append(crc, frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::BOOT;

    #[test]
    fn a_commit_counts_only_whole_in_its_place_and_with_its_secret() {
        let frames = b"some frames";
        let header = CommitHeader {
            generation: 3,
            number: 9,
            base: Base { boot: BOOT, mono_ms: 77 },
            frames_len: 11,
            frames: 1,
        };
        let mut bytes = header.encode(&[5; 16], 4096, frames);
        assert_eq!(bytes.len(), COMMIT_HEADER_BYTES);
        bytes.extend_from_slice(frames);
        assert_eq!(CommitHeader::decode(&[5; 16], 4096, &bytes), Ok((header, &frames[..])));
        assert!(CommitHeader::decode(&[5; 16], 8192, &bytes).is_err());
        assert!(CommitHeader::decode(&[6; 16], 4096, &bytes).is_err());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(CommitHeader::decode(&[5; 16], 4096, &damaged).is_err(), "byte {at}");
            assert!(CommitHeader::decode(&[5; 16], 4096, &bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
