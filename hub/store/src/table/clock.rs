//! `clock`: epoch, boot, first monotonic ms → the clock record with the highest revision seen.

use hub_model::{ClockRecord, LogEpoch};

use super::Table;

pub(crate) const CLOCK: Table = Table::new("clock");

pub(crate) fn encode_key(epoch: LogEpoch, record: &ClockRecord) -> Vec<u8> {
    let mut key = epoch.0.to_be_bytes().to_vec();
    key.extend_from_slice(&record.boot.to_bytes());
    key.extend_from_slice(&record.mono_from_ms.to_be_bytes());
    key
}
