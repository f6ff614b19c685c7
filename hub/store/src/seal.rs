//! Sealing: which frames become blocks, and the blocks themselves.
//!
//! A block covers whole frames of one class and one boot without a hole, spans at most six hours and fits into
//! [`BLOCK_BYTES_MAX`]. Encoding is pure: the same frames make the same blocks, so a seal may be done again.

use std::sync::Arc;

use hub_model::{BootStamp, Class, Gap, GapCause, LogEpoch, SeqRange};

use crate::block::{self, BLOCK_BYTES_MAX, BLOCK_RECORDS_MAX, BlockPlace, RAW_BYTES_MAX};
use crate::dup::SessionMarks;
use crate::field::Malformed;
use crate::record::{Base, Definition, Record};
use crate::table::SealWrite;
use crate::table::store_info::StoreInfo;
use crate::table::time_index::IndexRow;
use crate::tail::Tail;
use crate::wal::Sealed;
use crate::wal::frame::read_records;
use crate::wal::pending::Frame;

/// The longest time between the first and the last stamp of a block.
const SPAN_MAX_MS: u64 = 6 * 3600 * 1000;

/// What the next seal takes over from the WAL.
#[derive(Debug)]
pub(crate) struct SealPlan {
    pub(crate) frames: Vec<Arc<Frame>>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) dup: Vec<(u64, Option<SessionMarks>)>,
    /// When it was made.
    pub(crate) planned_ms: u64,
    /// How far the tables reach afterwards.
    pub(crate) sealed: Sealed,
    pub(crate) info: StoreInfo,
}

/// How much of a class a seal takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing yet.
    No,
    /// As many full blocks as there are.
    Full,
    /// Everything.
    All,
}

/// Takes the due frames of one class from the tail, in order and without passing over a hole that is no gap. Returns
/// how far the class is sealed afterwards.
pub(crate) fn take_frames(
    tail: &Tail,
    class: Class,
    due: Due,
    sealed_upto: u64,
    out: &mut Vec<Arc<Frame>>,
) -> u64 {
    if due == Due::No {
        return sealed_upto;
    }
    let mut upto = skip_gaps(tail, class, sealed_upto);
    let mut block_records = 0;
    let mut full = (out.len(), upto);
    for frame in tail.frames(class) {
        if frame.range.from != upto {
            break;
        }
        if block_records + frame.range.len() > BLOCK_RECORDS_MAX as u64 {
            full = (out.len(), upto);
            block_records = 0;
        }
        block_records += frame.range.len();
        out.push(Arc::clone(frame));
        upto = skip_gaps(tail, class, frame.range.to);
    }
    if due == Due::Full {
        out.truncate(full.0);
        upto = full.1;
    }
    upto
}

fn skip_gaps(tail: &Tail, class: Class, mut at: u64) -> u64 {
    while let Some(gap) = tail.gap_at(class, at) {
        at = gap.to;
    }
    at
}

/// Encodes a plan's blocks and gathers what else the transaction writes.
/// Frames that do not decode (nothing but a fault of memory makes such) become a gap instead.
pub(crate) fn encode(epoch: LogEpoch, plan: &SealPlan) -> SealWrite {
    let mut write = SealWrite {
        info: Some(plan.info.clone()),
        gaps: plan.gaps.clone(),
        dup: plan.dup.clone(),
        sealed_upto: Class::ALL.iter().map(|c| (*c, plan.sealed.upto[c.index()])).collect(),
        ..SealWrite::default()
    };
    let mut run: Vec<&Frame> = Vec::new();
    for frame in &plan.frames {
        if run.last().is_some_and(|last| !continues(run[0], last, frame)) {
            encode_or_gap(epoch, &run, &mut write);
            run.clear();
        }
        run.push(frame);
    }
    encode_or_gap(epoch, &run, &mut write);
    write
}

fn encode_or_gap(epoch: LogEpoch, run: &[&Frame], write: &mut SealWrite) {
    let Err(error) = encode_run(epoch, run, write) else { return };
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
    let range = SeqRange::new(first.range.from, last.range.to);
    tracing::error!(class = first.class.name(), %range, %error, "frames cannot be sealed and become a gap");
    write.blocks.retain(|(class, row, _)| !(*class == first.class && range.covers(row.range)));
    let stamp = |frame: &Frame| BootStamp { boot: frame.base.boot, mono_ms: frame.base.mono_ms };
    let (since, until) = (Some(stamp(first)), stamp(last));
    write.gaps.push(Gap { class: first.class, range, cause: GapCause::Corrupted, since, until });
}

/// Whether `next` may stand in one block with the run that `first` begins and `last` ends.
fn continues(first: &Frame, last: &Frame, next: &Frame) -> bool {
    last.class == next.class
        && last.base.boot == next.base.boot
        && last.range.to == next.range.from
        && next.range.to - first.range.from <= BLOCK_RECORDS_MAX as u64
        && next.base.mono_ms.abs_diff(first.base.mono_ms) < SPAN_MAX_MS
}

fn encode_run(epoch: LogEpoch, run: &[&Frame], write: &mut SealWrite) -> Result<(), Malformed> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let raw: usize = run.iter().map(|f| f.body.len()).sum();
    if raw > RAW_BYTES_MAX / 2 && run.len() > 1 {
        return encode_halves(epoch, run, write);
    }
    let mut records = Vec::new();
    for frame in run {
        records.extend(read_records(frame.kind, frame.base, frame.range.len(), &frame.body)?);
    }
    let range = SeqRange::new(first.range.from, last.range.to);
    let mono_ms = records.iter().filter_map(mono_ms).min().unwrap_or(first.base.mono_ms);
    let place =
        BlockPlace { class: first.class, epoch, range, base: Base { boot: first.base.boot, mono_ms } };
    let bytes = block::encode(place, &records);
    if bytes.len() > BLOCK_BYTES_MAX && run.len() > 1 {
        return encode_halves(epoch, run, write);
    }
    debug_assert!(
        block::decode(&bytes).is_ok_and(|(_, decoded)| decoded == records),
        "a block reads as it was written"
    );
    write.definitions.extend(records.into_iter().filter_map(definition));
    let header = block::BlockHeader::read(&bytes).map_err(|_| Malformed("block just encoded"))?;
    let (earliest, latest) = header.span();
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let row = IndexRow { range, first: earliest, last: latest, wall: header.wall, bytes: size };
    write.blocks.push((place.class, row, bytes));
    Ok(())
}

fn encode_halves(epoch: LogEpoch, run: &[&Frame], write: &mut SealWrite) -> Result<(), Malformed> {
    let (front, back) = run.split_at(run.len() / 2);
    encode_run(epoch, front, write)?;
    encode_run(epoch, back, write)
}

fn mono_ms(record: &Record) -> Option<u64> {
    match record {
        Record::Sample(sample) => Some(sample.received.mono_ms),
        Record::Event(event) => Some(event.received.mono_ms),
        Record::Definition(_) => None,
    }
}

fn definition(record: Record) -> Option<Definition> {
    match record {
        Record::Definition(definition) => Some(definition),
        Record::Sample(_) | Record::Event(_) => None,
    }
}
