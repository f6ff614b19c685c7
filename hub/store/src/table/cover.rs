//! What the tables have for a number: a block, a gap row, or, after damage, nothing.
//!
//! Reads trust no row: one that does not decode is passed over, and what it stood for counts as covered by nothing.

use hub_model::{BootStamp, Class, Gap, LogEpoch, SeqRange};
use redb::ReadableTable;

use super::time_index::IndexRow;
use super::{TableError, gap, index_row, place_key};

/// The class of an epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    pub(crate) epoch: LogEpoch,
    pub(crate) class: Class,
}

/// What stands for a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// A block, as its index row has it; whether its bytes are good is another question.
    Block(IndexRow),
    /// A gap row that is not empty.
    Gap(Gap),
    /// Nothing stands for these numbers.
    Nothing(Hole),
}

/// Numbers that no row covers, and the moments of the rows around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) range: SeqRange,
    pub(crate) since: Option<BootStamp>,
    pub(crate) until: Option<BootStamp>,
}

/// What covers `at`, which lies below `end`.
pub(super) fn cover_at(
    index: &impl ReadableTable<&'static [u8], &'static [u8]>,
    gaps: &impl ReadableTable<&'static [u8], &'static [u8]>,
    sequence: Sequence,
    at: u64,
    end: u64,
) -> Result<Cover, TableError> {
    let block = last_block(index, sequence, at)?;
    if let Some(row) = block.as_ref().filter(|row| row.range.to > at) {
        return Ok(Cover::Block(row.clone()));
    }
    let gap = last_gap(gaps, sequence, at)?;
    if let Some(gap) = gap.filter(|gap| gap.range.to > at) {
        return Ok(Cover::Gap(gap));
    }
    let before = [block.map(|row| (row.range.to, row.last)), gap.map(|gap| (gap.range.to, gap.until))];
    let (from, since) = before
        .into_iter()
        .flatten()
        .max_by_key(|(to, _)| *to)
        .map_or((0, None), |(to, last)| (to, Some(last)));
    let next_block = first_block(index, sequence, at)?.map(|row| (row.range.from, row.first));
    let next_gap = first_gap(gaps, sequence, at)?.map(|gap| (gap.range.from, gap.since.unwrap_or(gap.until)));
    let after = [next_block, next_gap].into_iter().flatten().filter(|(from, _)| *from < end);
    let (to, until) = after.min_by_key(|(from, _)| *from).map_or((end, None), |(to, at)| (to, Some(at)));
    Ok(Cover::Nothing(Hole { range: SeqRange::new(from, to), since, until }))
}

/// The gap rows without numbers at places within `range`.
pub(super) fn zero_gaps(
    gaps: &impl ReadableTable<&'static [u8], &'static [u8]>,
    sequence: Sequence,
    range: SeqRange,
) -> Result<Vec<Gap>, TableError> {
    let Sequence { epoch, class } = sequence;
    let first = place_key(epoch, class, range.from);
    let end = place_key(epoch, class, range.to);
    let mut found = Vec::new();
    for row in gaps.range(first.as_slice()..end.as_slice())? {
        let (key, value) = row?;
        match decode_gap(key.value(), value.value()) {
            Some(gap) if gap.range.is_empty() => found.push(gap),
            _ => {}
        }
    }
    Ok(found)
}

/// The last block that begins at or before `at`.
fn last_block(
    index: &impl ReadableTable<&'static [u8], &'static [u8]>,
    Sequence { epoch, class }: Sequence,
    at: u64,
) -> Result<Option<IndexRow>, TableError> {
    let (first, last) = (place_key(epoch, class, 0), place_key(epoch, class, at));
    for row in index.range(first.as_slice()..=last.as_slice())?.rev() {
        let (key, value) = row?;
        if let Ok(row) = index_row(key.value(), value.value()) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The first block that begins behind `at`.
fn first_block(
    index: &impl ReadableTable<&'static [u8], &'static [u8]>,
    Sequence { epoch, class }: Sequence,
    at: u64,
) -> Result<Option<IndexRow>, TableError> {
    let first = place_key(epoch, class, at.saturating_add(1));
    let last = place_key(epoch, class, u64::MAX);
    for row in index.range(first.as_slice()..=last.as_slice())? {
        let (key, value) = row?;
        if let Ok(row) = index_row(key.value(), value.value()) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The last gap with numbers that begins at or before `at`.
pub(super) fn last_gap(
    gaps: &impl ReadableTable<&'static [u8], &'static [u8]>,
    Sequence { epoch, class }: Sequence,
    at: u64,
) -> Result<Option<Gap>, TableError> {
    let first = place_key(epoch, class, 0);
    let last = gap::encode_key(epoch, class, SeqRange::new(at, u64::MAX));
    for row in gaps.range(first.as_slice()..=last.as_slice())?.rev() {
        let (key, value) = row?;
        if let Some(gap) = decode_gap(key.value(), value.value()).filter(|gap| !gap.range.is_empty()) {
            return Ok(Some(gap));
        }
    }
    Ok(None)
}

/// The first gap with numbers that begins behind `at`.
pub(super) fn first_gap(
    gaps: &impl ReadableTable<&'static [u8], &'static [u8]>,
    Sequence { epoch, class }: Sequence,
    at: u64,
) -> Result<Option<Gap>, TableError> {
    let first = place_key(epoch, class, at.saturating_add(1));
    let last = gap::encode_key(epoch, class, SeqRange::new(u64::MAX, u64::MAX));
    for row in gaps.range(first.as_slice()..=last.as_slice())? {
        let (key, value) = row?;
        if let Some(gap) = decode_gap(key.value(), value.value()).filter(|gap| !gap.range.is_empty()) {
            return Ok(Some(gap));
        }
    }
    Ok(None)
}

fn decode_gap(key: &[u8], value: &[u8]) -> Option<Gap> {
    let (class, range) = gap::decode_key(key).ok()?;
    gap::decode_value(class, range, value).ok()
}
