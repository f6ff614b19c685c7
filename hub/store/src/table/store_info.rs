//! `store_info`: one row that says whose log this is and how far commits are folded into the tables.
//!
//! Value: version u16 (1), hub 16 bytes, epoch u64, secret 16 bytes, folded commit number u64.

use hub_model::{HubId, LogEpoch};

use super::Table;
use crate::field::{Malformed, Put, Reader};
use crate::wal::header::Secret;

pub(crate) const STORE_INFO: Table = Table::new("store_info");
pub(crate) const KEY: &[u8] = b"info";
const VERSION: u16 = 1;
/// A row of a version that this program does not read.
pub(crate) const NEWER: Malformed = Malformed("store info: it is of a newer program");

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreInfo {
    pub(crate) hub: HubId,
    pub(crate) epoch: LogEpoch,
    pub(crate) secret: Secret,
    /// Marks and gaps of commits up to and including this one are in the tables.
    pub(crate) folded: u64,
}

pub(crate) fn encode_value(info: &StoreInfo) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u16(VERSION);
    out.put(&info.hub.to_bytes());
    out.put_u64(info.epoch.0);
    out.put(&info.secret);
    out.put_u64(info.folded);
    out
}

pub(crate) fn decode_value(bytes: &[u8]) -> Result<StoreInfo, Malformed> {
    const WHAT: &str = "store info row";
    let mut r = Reader::new(bytes);
    if r.u16(WHAT)? != VERSION {
        return Err(NEWER);
    }
    let info = StoreInfo {
        hub: HubId::from_bytes(r.array(WHAT)?),
        epoch: LogEpoch(r.u64(WHAT)?),
        secret: r.array(WHAT)?,
        folded: r.u64(WHAT)?,
    };
    r.end(WHAT)?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip(hub: [u8; 16], epoch: u64, secret: [u8; 16], folded: u64) {
            let info = StoreInfo { hub: HubId::from_bytes(hub), epoch: LogEpoch(epoch), secret, folded };
            prop_assert_eq!(decode_value(&encode_value(&info)), Ok(info));
        }

        #[test]
        fn any_bytes_are_a_row_or_malformed(bytes: Vec<u8>) {
            assert!(decode_value(&bytes).is_err() || bytes.len() == 50);
        }
    }
}
