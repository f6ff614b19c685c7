//! `run`: epoch u64 → the runs of the hub that have spoken to a central in this epoch, oldest first.
//!
//! Value: version u16 (1), count u16, and for each run its token u64 and per class the first number that was not given
//! out when it began, u64. A copy of the log goes on in runs of its own, which is how central tells it from the original.
//! The oldest runs beyond [`RUNS_MAX`] are forgotten.

use hub_model::LogEpoch;

use redb::ReadableTable;

use super::{Table, TableError, Tables};
use crate::field::{Malformed, Put, Reader};

pub(crate) const RUN: Table = Table::new("run");
const VERSION: u16 = 1;

/// Runs that are remembered: what a message to central holds.
pub const RUNS_MAX: usize = 256;

/// A run of the hub, from its start to its end, that has spoken to a central.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Random, not 0.
    pub token: u64,
    /// Per class: the first number that was not given out when it began.
    pub starts: [u64; 7],
}

pub(crate) fn encode_value(runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + runs.len() * 64);
    out.put_u16(VERSION);
    out.put_u16(u16::try_from(runs.len()).unwrap_or(u16::MAX));
    for run in runs {
        out.put_u64(run.token);
        run.starts.iter().for_each(|start| out.put_u64(*start));
    }
    out
}

pub(crate) fn decode_value(bytes: &[u8]) -> Result<Vec<Run>, Malformed> {
    const WHAT: &str = "run row";
    let mut r = Reader::new(bytes);
    if r.u16(WHAT)? != VERSION {
        return Err(Malformed(WHAT));
    }
    let count = r.u16(WHAT)?;
    let mut runs = Vec::new();
    for _ in 0..count {
        let mut run = Run { token: r.u64(WHAT)?, starts: [0; 7] };
        for start in &mut run.starts {
            *start = r.u64(WHAT)?;
        }
        runs.push(run);
    }
    r.end(WHAT)?;
    Ok(runs)
}

impl Tables {
    /// Adds a run, unless it is the youngest already, and gives all that are remembered; durable when this returns.
    pub(crate) fn begin_run(&self, epoch: LogEpoch, run: Run) -> Result<Vec<Run>, TableError> {
        let mut known = Vec::new();
        self.write(|txn| {
            let mut table = txn.open_table(RUN)?;
            let key = epoch.0.to_be_bytes();
            // A damaged row is no reason to be silent for ever: what central knows then is not among the runs, and a
            // person looks at it.
            known = match table.get(key.as_slice())?.map(|row| decode_value(row.value())).transpose() {
                Ok(runs) => runs.unwrap_or_default(),
                Err(error) => {
                    tracing::error!(%error, "the list of runs is damaged and begins anew");
                    Vec::new()
                }
            };
            if known.last() == Some(&run) {
                return Ok(None);
            }
            known.push(run);
            known.drain(..known.len().saturating_sub(RUNS_MAX));
            table.insert(key.as_slice(), encode_value(&known).as_slice())?;
            Ok(Some(()))
        })?;
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip_and_any_bytes_are_a_row_or_malformed(
            runs: Vec<(u64, [u64; 7])>,
            bytes: Vec<u8>,
        ) {
            let runs: Vec<Run> = runs.into_iter().map(|(token, starts)| Run { token, starts }).collect();
            prop_assert_eq!(decode_value(&encode_value(&runs)), Ok(runs));
            let _either = decode_value(&bytes);
        }
    }
}
