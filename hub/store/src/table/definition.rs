//! `definition`: epoch, kind, id → a device or series, as in the meta block that first said it.

use hub_model::LogEpoch;

use super::Table;
use crate::field::{Malformed, Reader};
use crate::record::{Definition, put_definition, read_definition};

pub(crate) const DEFINITION: Table = Table::new("definition");

const DEVICE: u8 = 1;
const SERIES: u8 = 2;

/// The key; `None` for a clock record, which has a table of its own.
pub(crate) fn encode_key(epoch: LogEpoch, definition: &Definition) -> Option<Vec<u8>> {
    let mut key = epoch.0.to_be_bytes().to_vec();
    match definition {
        Definition::Device(device) => {
            key.push(DEVICE);
            key.extend_from_slice(&device.id.to_bytes());
        }
        Definition::Series(series) => {
            key.push(SERIES);
            key.extend_from_slice(&series.id.0.to_be_bytes());
        }
        Definition::Clock(_) => return None,
    }
    Some(key)
}

pub(crate) fn encode_value(definition: &Definition) -> Vec<u8> {
    let mut out = Vec::new();
    put_definition(&mut out, definition);
    out
}

pub(crate) fn decode_value(bytes: &[u8]) -> Result<Definition, Malformed> {
    let mut r = Reader::new(bytes);
    let definition = read_definition(&mut r)?;
    r.end("definition row")?;
    Ok(definition)
}
