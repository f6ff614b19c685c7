//! Sealing: which frames become blocks, and the blocks themselves.
//!
//! A block holds records of one class and one boot without a hole, spans at most six hours and fits into the codec's
//! limits: records that do not fit are halved until they do. Encoding is pure: the same frames make the same blocks, so a
//! seal may be done again.

use std::sync::Arc;

use hub_model::{BootStamp, Class, Gap, GapCause, LogEpoch, SeqRange};
use thiserror::Error;

use crate::block::{self, BLOCK_RECORDS_MAX, BlockError, BlockPlace, RAW_BYTES_MAX};
use crate::dup::SessionMarks;
use crate::field::Malformed;
use crate::record::{Definition, Record};
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

/// Why frames do not become blocks: nothing but a fault of memory does that.
#[derive(Debug, Error)]
enum SealFault {
    /// A frame does not decode.
    #[error("{0}")]
    Frame(#[from] Malformed),
    /// Its records do not encode.
    #[error("{0}")]
    Encode(#[from] hub_codec::EncodeError),
    /// What was encoded does not decode.
    #[error("{0}")]
    Block(#[from] BlockError),
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

fn encode_run(epoch: LogEpoch, run: &[&Frame], write: &mut SealWrite) -> Result<(), SealFault> {
    let Some(first) = run.first() else { return Ok(()) };
    let raw: usize = run.iter().map(|f| f.body.len()).sum();
    if raw > RAW_BYTES_MAX / 2 && run.len() > 1 {
        let (front, back) = run.split_at(run.len() / 2);
        encode_run(epoch, front, write)?;
        return encode_run(epoch, back, write);
    }
    let mut records = Vec::new();
    for frame in run {
        records.extend(read_records(frame.kind, frame.base, frame.range.len(), &frame.body)?);
    }
    let place = BlockPlace { class: first.class, epoch, boot: first.base.boot, first_seq: first.range.from };
    encode_records(place, &records, write)?;
    write.definitions.extend(records.into_iter().filter_map(definition));
    Ok(())
}

fn encode_records(place: BlockPlace, records: &[Record], write: &mut SealWrite) -> Result<(), SealFault> {
    let bytes = match block::encode(place, records) {
        Ok(bytes) => bytes,
        Err(error) if error.is_too_large() && records.len() > 1 => {
            let (front, back) = records.split_at(records.len() / 2);
            encode_records(place, front, write)?;
            let first_seq = place.first_seq + front.len() as u64;
            return encode_records(BlockPlace { first_seq, ..place }, back, write);
        }
        Err(error) => return Err(error.into()),
    };
    debug_assert!(
        block::decode(&bytes).is_ok_and(|(_, decoded)| decoded == records),
        "a block reads as it was written"
    );
    let header = block::header(&bytes)?;
    let (first, last) = header.span();
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let row = IndexRow { range: header.range, first, last, wall: header.wall, bytes: size };
    write.blocks.push((place.class, row, bytes));
    Ok(())
}

fn definition(record: Record) -> Option<Definition> {
    match record {
        Record::Definition(definition) => Some(definition),
        Record::Sample(_) | Record::Event(_) => None,
    }
}
