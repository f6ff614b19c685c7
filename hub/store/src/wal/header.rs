//! The first page of a WAL file: whose it is, and which of its commits count.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `RELAISWL` |
//! | 8 | 2 | version, 1 |
//! | 10 | 16 | hub |
//! | 26 | 8 | log epoch |
//! | 34 | 8 | generation of this use of the file, from 1, rising over all files |
//! | 42 | 16 | secret: random per epoch, prefixed to every checksum, so that bytes a client sent can never pass for a commit |
//! | 58 | 8 | number of the last commit before this file |
//! | 66 | 4 | crc32c of the bytes before; here in every version |

use hub_model::{HubId, LogEpoch};

use crate::field::{Malformed, Put, Reader};

const MAGIC: &[u8; 8] = b"RELAISWL";
const VERSION: u16 = 1;
pub(crate) const HEADER_BYTES: usize = 70;

/// A whole header of a version that this program does not read.
pub(crate) const NEWER: Malformed = Malformed("version: it is of a newer program");

/// Random bytes of an epoch.
pub(crate) type Secret = [u8; 16];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) hub: HubId,
    pub(crate) epoch: LogEpoch,
    pub(crate) generation: u64,
    pub(crate) secret: Secret,
    pub(crate) number_before: u64,
}

impl FileHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.put(MAGIC);
        out.put_u16(VERSION);
        out.put(&self.hub.to_bytes());
        out.put_u64(self.epoch.0);
        out.put_u64(self.generation);
        out.put(&self.secret);
        out.put_u64(self.number_before);
        out.put_u32(crc32c::crc32c(&out));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<FileHeader, Malformed> {
        let mut r = Reader::new(bytes);
        if &r.array::<8>("file magic")? != MAGIC {
            return Err(Malformed("file magic"));
        }
        let version = r.u16("file version")?;
        let header = FileHeader {
            hub: HubId::from_bytes(r.array("hub")?),
            epoch: LogEpoch(r.u64("epoch")?),
            generation: r.u64("generation")?,
            secret: r.array("secret")?,
            number_before: r.u64("number")?,
        };
        let covered = bytes.get(..HEADER_BYTES - 4).ok_or(Malformed("file header"))?;
        if r.u32("file header checksum")? != crc32c::crc32c(covered) {
            return Err(Malformed("file header checksum"));
        }
        // Asked last: a version that is only a bad byte is damage, and one that is meant belongs to a newer program.
        if version == VERSION { Ok(header) } else { Err(NEWER) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_round_trips_and_every_damaged_byte_is_noticed() {
        let header = FileHeader {
            hub: HubId::from_bytes([1; 16]),
            epoch: LogEpoch(2),
            generation: 3,
            secret: [4; 16],
            number_before: 5,
        };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(FileHeader::decode(&bytes), Ok(header));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(FileHeader::decode(&damaged).is_err(), "byte {at}");
        }
        assert!(FileHeader::decode(&bytes[..69]).is_err());
    }
}
