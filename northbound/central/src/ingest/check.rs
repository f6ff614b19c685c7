//! What an arrival must be by itself, whatever central has: a block that is whole and is what it is said to be.

use hub_model::SeqRange;
use hub_store::block::{self, BlockError, BlockHeader};
use northbound_sync::{Arrival, Content, Kind};
use northbound_wire::{Lane, RefusalCode, ZeroGap};

use crate::storage::{Decoded, GapRow};
use bytes::Bytes;
use hub_model::Class;

/// What a gap costs a batch, in bytes: it is some statements, and a full batch of 512 takes about as long as one of
/// blocks.
const GAP_COST: usize = 8 * 1024;

/// An arrival that may be stored.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) lane: Lane,
    pub(super) range: SeqRange,
    pub(super) content: Body,
    pub(super) zero_gaps: Vec<ZeroGap>,
}

/// What it holds.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Block(Box<BlockHeader>, Bytes),
    Gap(GapRow),
}

impl Checked {
    pub(super) fn kind(&self) -> Kind {
        match &self.content {
            Body::Block(..) => Kind::Stored,
            Body::Gap(gap) => Kind::of_gap(gap.cause),
        }
    }

    /// What it costs a batch, in bytes: what has none is statements.
    pub(super) fn cost(&self) -> usize {
        let body = match &self.content {
            Body::Block(_, bytes) => bytes.len(),
            Body::Gap(_) => GAP_COST,
        };
        body + GAP_COST * self.zero_gaps.len()
    }
}

/// Whether blocks of a class are decoded once they are stored.
pub(super) const fn decoding(class: Class) -> Decoded {
    match class {
        Class::Meta => Decoded::Waiting,
        Class::Alarm | Class::Event | Class::Audit | Class::Telemetry | Class::Bulk | Class::Rollup => {
            Decoded::Never
        }
    }
}

/// Checks an arrival; otherwise the code and the words of its refusal.
pub(super) fn check(arrival: Arrival) -> Result<Checked, (RefusalCode, String)> {
    let Arrival { lane, range, content, zero_gaps } = arrival;
    let malformed = |detail: &str| Err((RefusalCode::Malformed, detail.to_owned()));
    if range.is_empty() {
        return malformed("the range is empty");
    }
    // What a cell of the database holds. A log that counts a million records a second gets there in 292,000 years.
    if i64::try_from(range.to).is_err() {
        return malformed("the range is beyond what sequence numbers can be");
    }
    if zero_gaps.iter().any(|gap| gap.at < range.from || gap.at >= range.to) {
        return malformed("a zero-length gap lies outside of its range");
    }
    let content = match content {
        Content::Gap { cause, since, until } => Body::Gap(GapRow { cause, since, until }),
        Content::Block(bytes) => {
            let header = block::header(&bytes).map_err(|error| (code_of(&error), error.to_string()))?;
            is_as_said(&header, lane, range)?;
            Body::Block(Box::new(header), Bytes::from(bytes))
        }
    };
    Ok(Checked { lane, range, content, zero_gaps })
}

fn code_of(error: &BlockError) -> RefusalCode {
    if error.is_unknown_version() { RefusalCode::BlockVersion } else { RefusalCode::BlockDamaged }
}

fn is_as_said(header: &BlockHeader, lane: Lane, range: SeqRange) -> Result<(), (RefusalCode, String)> {
    let found = (header.epoch, header.class, header.range);
    if found == (lane.epoch, lane.class, range) {
        return Ok(());
    }
    let detail = format!(
        "the block is {} {} {}, and was sent as {} {} {}",
        header.epoch,
        header.class.name(),
        header.range,
        lane.epoch,
        lane.class.name(),
        range
    );
    Err((RefusalCode::BlockDamaged, detail))
}
