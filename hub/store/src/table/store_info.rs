//! `store_info`: one row that says whose log this is, how far commits are folded into the tables, and what a start must
//! find: so that numbers are never given out twice, also when someone takes WAL files away.
//!
//! Value: version u16 (2), hub 16 bytes, epoch u64, secret 16 bytes, folded commit number u64; per class the number below
//! which all may have been given out, u64; count of WAL files u8, and per file its number u32, size u64 and generation
//! u64. Version 1 ends after the folded commit number.

use hub_model::{HubId, LogEpoch};

use super::Table;
use crate::field::{Malformed, Put, Reader};
use crate::wal::KnownFile;
use crate::wal::header::Secret;

pub(crate) const STORE_INFO: Table = Table::new("store_info");
pub(crate) const KEY: &[u8] = b"info";
const VERSION: u16 = 2;
/// Without reservations and files.
const VERSION_1: u16 = 1;
/// A row of a version that this program does not read.
pub(crate) const NEWER: Malformed = Malformed("store info: it is of a newer program");

/// The row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreInfo {
    pub(crate) hub: HubId,
    pub(crate) epoch: LogEpoch,
    pub(crate) secret: Secret,
    /// Marks and gaps of commits up to and including this one are in the tables.
    pub(crate) folded: u64,
    /// Per class: no commit in the WAL holds this number or a higher one.
    pub(crate) reserved: [u64; 7],
    /// Every WAL file that may hold a commit.
    pub(crate) files: Vec<KnownFile>,
}

pub(crate) fn encode_value(info: &StoreInfo) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u16(VERSION);
    out.put(&info.hub.to_bytes());
    out.put_u64(info.epoch.0);
    out.put(&info.secret);
    out.put_u64(info.folded);
    info.reserved.iter().for_each(|number| out.put_u64(*number));
    let files = info.files.get(..usize::from(u8::MAX)).unwrap_or(&info.files);
    out.put_u8(u8::try_from(files.len()).unwrap_or(u8::MAX));
    for file in files {
        out.put_u32(file.number);
        out.put_u64(file.bytes);
        out.put_u64(file.generation);
    }
    out
}

pub(crate) fn decode_value(bytes: &[u8]) -> Result<StoreInfo, Malformed> {
    const WHAT: &str = "store info row";
    let mut r = Reader::new(bytes);
    let version = r.u16(WHAT)?;
    if version != VERSION && version != VERSION_1 {
        return Err(NEWER);
    }
    let mut info = StoreInfo {
        hub: HubId::from_bytes(r.array(WHAT)?),
        epoch: LogEpoch(r.u64(WHAT)?),
        secret: r.array(WHAT)?,
        folded: r.u64(WHAT)?,
        reserved: [0; 7],
        files: Vec::new(),
    };
    if version == VERSION {
        for number in &mut info.reserved {
            *number = r.u64(WHAT)?;
        }
        for _ in 0..r.u8(WHAT)? {
            info.files.push(KnownFile {
                number: r.u32(WHAT)?,
                bytes: r.u64(WHAT)?,
                generation: r.u64(WHAT)?,
            });
        }
    }
    r.end(WHAT)?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip(
            (hub, epoch, secret) in any::<([u8; 16], u64, [u8; 16])>(),
            (folded, reserved) in any::<(u64, [u64; 7])>(),
            files: Vec<(u32, u64, u64)>,
        ) {
            let known = |(number, bytes, generation)| KnownFile { number, bytes, generation };
            let files = files.into_iter().map(known).collect();
            let (hub, epoch) = (HubId::from_bytes(hub), LogEpoch(epoch));
            let info = StoreInfo { hub, epoch, secret, folded, reserved, files };
            prop_assert_eq!(decode_value(&encode_value(&info)), Ok(info.clone()));
            let mut old = encode_value(&info)[..50].to_vec();
            old[0] = 1;
            prop_assert_eq!(decode_value(&old), Ok(StoreInfo { reserved: [0; 7], files: Vec::new(), ..info }));
        }

        #[test]
        fn any_bytes_are_a_row_or_malformed(bytes: Vec<u8>) {
            assert!(decode_value(&bytes).is_err() || bytes.len() == 50 || bytes.len() >= 107);
        }
    }
}
