//! The order of arrival: which series each record of the block is of.
//!
//! Within a series, samples stand in the order of their numbers, so the series of each record says everything. Nearly
//! always it follows from the times: records sorted by moment (monotonic time, stated time, how often the moment already
//! was in its timeline) and, at one moment, as the directory lists the series. Then nothing is written. Else the column is:
//!
//! | bits | field |
//! |---|---|
//! | 1 | whether the series are listed |
//! | | listed: per record the place of its series in the directory, as whole numbers |
//! | | else: number of pieces of the expected order; where each begins, less where the one before ends, and their lengths, as whole numbers |

use crate::bits::{BitReader, BitWriter, number_bits};
use crate::error::{DecodeError, malformed};
use crate::ints;
use crate::timeline::{Timeline, Wall};

/// The series that share each timeline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    series: Vec<u32>,
    /// Where each timeline's members end.
    ends: Vec<usize>,
}

impl Members {
    /// `of_series` is each series' timeline, below `timelines`, in the order in which the directory lists the series.
    pub(crate) fn new(of_series: impl Iterator<Item = (u32, usize)> + Clone, timelines: usize) -> Members {
        let mut ends = vec![0; timelines + 1];
        let mut count = 0;
        for (_, timeline) in of_series.clone() {
            ends[timeline + 1] += 1;
            count += 1;
        }
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let mut series = vec![0; count];
        for (number, timeline) in of_series {
            series[ends[timeline]] = number;
            ends[timeline] += 1;
        }
        ends.truncate(timelines);
        Members { series, ends }
    }

    fn of(&self, timeline: usize) -> &[u32] {
        let begin = if timeline == 0 { 0 } else { self.ends[timeline - 1] };
        &self.series[begin..self.ends[timeline]]
    }
}

/// A moment of a timeline. Sorted, these are the expected order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    mono: u64,
    wall: Wall,
    /// How many moments of the timeline just before are the same.
    repeats: u32,
}

/// The series of each record as the times have it; `place` is where the directory lists a series.
pub(crate) fn expected(
    timelines: &[Timeline],
    members: &Members,
    records: usize,
    place: impl Fn(u32) -> u32,
) -> Vec<u32> {
    let mut order = Vec::with_capacity(records);
    if let Some(moments) = plain_moments(timelines) {
        let ties = moments.chunk_by(|a, b| a >> TIMELINE_BITS == b >> TIMELINE_BITS);
        for tie in ties {
            let timelines = tie.iter().map(|moment| (moment & TIMELINE_MASK) as usize);
            put_tie(&mut order, timelines, members, &place);
        }
        return order;
    }
    let moments = all_moments(timelines);
    for tie in moments.chunk_by(|a, b| a.0 == b.0) {
        put_tie(&mut order, tie.iter().map(|(_, timeline)| *timeline), members, &place);
    }
    order
}

/// Puts the members of timelines that share a moment.
fn put_tie(
    order: &mut Vec<u32>,
    mut timelines: impl Iterator<Item = usize>,
    members: &Members,
    place: &impl Fn(u32) -> u32,
) {
    let begin = order.len();
    let Some(first) = timelines.next() else { return };
    order.extend_from_slice(members.of(first));
    let alone = order.len();
    for timeline in timelines {
        order.extend_from_slice(members.of(timeline));
    }
    if order.len() > alone && !order[begin..].is_sorted_by_key(|series| place(*series)) {
        order[begin..].sort_unstable_by_key(|series| place(*series));
    }
}

/// Bits of a plain moment for the number of its timeline.
const TIMELINE_BITS: u32 = 20;
const TIMELINE_MASK: u64 = 0xf_ffff;

/// Moments as one number each, time above timeline: when no device stated a time, and times only rise.
fn plain_moments(timelines: &[Timeline]) -> Option<Vec<u64>> {
    if timelines.len() >> TIMELINE_BITS != 0 {
        return None;
    }
    let mut moments = Vec::with_capacity(timelines.iter().map(|t| t.mono.len()).sum());
    for (number, timeline) in (0u64..).zip(timelines) {
        let small = timeline.mono.last().is_none_or(|last| *last < 1 << (64 - TIMELINE_BITS));
        if !timeline.is_rising() || !small || !timeline.walls.is_empty() {
            return None;
        }
        moments.extend(timeline.mono.iter().map(|mono| (mono << TIMELINE_BITS) | number));
    }
    // Made of sorted runs, which the stable sort merges.
    moments.sort();
    Some(moments)
}

fn all_moments(timelines: &[Timeline]) -> Vec<(Moment, usize)> {
    let mut moments = Vec::new();
    for (number, timeline) in timelines.iter().enumerate() {
        let mut before: Option<Moment> = None;
        for (at, mono) in timeline.mono.iter().enumerate() {
            let mut moment = Moment { mono: *mono, wall: timeline.wall(at), repeats: 0 };
            if let Some(before) = before.filter(|b| (b.mono, b.wall) == (moment.mono, moment.wall)) {
                moment.repeats = before.repeats + 1;
            }
            moments.push((moment, number));
            before = Some(moment);
        }
    }
    moments.sort();
    moments
}

/// A piece of the expected order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    from: usize,
    len: usize,
}

/// How the order of arrival will be written.
#[derive(Clone, Debug)]
pub(crate) struct OrderPlan {
    pieces: Vec<Piece>,
}

impl OrderPlan {
    /// Compares the order of arrival with the expected one; `counts` are the records of each series.
    pub(crate) fn new(arrived: &[u32], expected: &[u32], counts: &[u32]) -> OrderPlan {
        if arrived == expected {
            return OrderPlan { pieces: Vec::new() };
        }
        let mut begins = Vec::with_capacity(counts.len());
        let mut begin = 0usize;
        for count in counts {
            begins.push(begin);
            begin += *count as usize;
        }
        let mut next = begins.clone();
        let mut expected_at = vec![0; expected.len()];
        for (at, series) in expected.iter().enumerate() {
            expected_at[next[*series as usize]] = at;
            next[*series as usize] += 1;
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut next = begins;
        for series in arrived {
            let from = expected_at[next[*series as usize]];
            next[*series as usize] += 1;
            match pieces.last_mut() {
                Some(piece) if piece.from + piece.len == from => piece.len += 1,
                _ => pieces.push(Piece { from, len: 1 }),
            }
        }
        OrderPlan { pieces }
    }

    /// Whether the order is the expected one.
    pub(crate) const fn is_expected(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How far it is from the expected one.
    pub(crate) const fn pieces(&self) -> usize {
        self.pieces.len()
    }
}

/// Writes the order of arrival; `places` are the places of the records' series in the directory. Writes nothing when
/// the order is the expected one.
pub(crate) fn write(
    w: &mut BitWriter,
    plan: &OrderPlan,
    places: impl Iterator<Item = u32>,
    scratch: &mut ints::Scratch,
) {
    if plan.is_expected() {
        return;
    }
    let mut end = 0usize;
    let mut jumps = Vec::with_capacity(plan.pieces.len());
    for piece in &plan.pieces {
        jumps.push(piece.from.wrapping_sub(end).cast_signed() as i64);
        end = piece.from + piece.len;
    }
    let lengths: Vec<i64> = plan.pieces.iter().map(|piece| piece.len.cast_signed() as i64).collect();
    let pieces = number_bits(jumps.len() as u64)
        + ints::fit(&jumps, scratch).bits()
        + ints::fit(&lengths, scratch).bits();
    // A few pieces take less than any list.
    let listed: Vec<i64> = if pieces > 2_000 { places.map(i64::from).collect() } else { Vec::new() };
    let list = !listed.is_empty() && ints::fit(&listed, scratch).bits() < pieces;
    w.flag(list);
    if list {
        return ints::put(w, &listed, scratch);
    }
    w.number(jumps.len() as u64);
    ints::put(w, &jumps, scratch);
    ints::put(w, &lengths, scratch);
}

const ORDER: &str = "order of arrival";

/// Reads the order of arrival. `expected` makes the expected order when it is needed; `counts` are the records of each
/// series, which the result has exactly.
pub(crate) fn read(
    column: Option<BitReader<'_>>,
    expected: impl FnOnce() -> Vec<u32>,
    counts: impl Iterator<Item = usize>,
    records: usize,
) -> Result<Vec<u32>, DecodeError> {
    let order = match column {
        None => expected(),
        Some(mut r) => {
            if r.flag() {
                read_list(r, records)?
            } else {
                read_pieces(r, &expected(), records)?
            }
        }
    };
    let mut left: Vec<usize> = counts.collect();
    for series in &order {
        let left = left.get_mut(*series as usize).ok_or(DecodeError::Malformed(ORDER))?;
        *left = left.checked_sub(1).ok_or(DecodeError::Malformed(ORDER))?;
    }
    if order.len() == records { Ok(order) } else { malformed(ORDER) }
}

fn read_list(mut r: BitReader<'_>, records: usize) -> Result<Vec<u32>, DecodeError> {
    let mut listed = vec![0; records];
    ints::read(&mut r, &mut listed, ORDER)?;
    r.finish(ORDER)?;
    listed.into_iter().map(|place| u32::try_from(place).map_err(|_| DecodeError::Malformed(ORDER))).collect()
}

fn read_pieces(mut r: BitReader<'_>, expected: &[u32], records: usize) -> Result<Vec<u32>, DecodeError> {
    let count = r.number_upto(records, ORDER)?;
    let mut jumps = vec![0; count];
    let mut lengths = vec![0; count];
    ints::read(&mut r, &mut jumps, ORDER)?;
    ints::read(&mut r, &mut lengths, ORDER)?;
    r.finish(ORDER)?;
    let mut order = Vec::with_capacity(records);
    let mut end = 0i64;
    for (jump, length) in jumps.into_iter().zip(lengths) {
        let begin = end.wrapping_add(jump);
        end = begin.wrapping_add(length);
        let piece = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
        let piece =
            piece.and_then(|(begin, end)| expected.get(begin..end)).ok_or(DecodeError::Malformed(ORDER))?;
        if order.len() + piece.len() > records {
            return malformed(ORDER);
        }
        order.extend_from_slice(piece);
    }
    Ok(order)
}
