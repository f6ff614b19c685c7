//! Reads timelines. One that follows another needs that one, and no third: no chain can be made long.

use hub_model::WallSource;

use super::{SOURCE_BITS, Timeline, Wall, times};
use crate::bits::BitReader;
use crate::error::{DecodeError, malformed};
use crate::ints;

/// Where a timeline stands in the block, and how many moments it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) count: usize,
}

const TIMELINE: &str = "timeline";

/// Reads all timelines, each once.
pub(crate) fn read_all(body: &[u8], sources: &[Source]) -> Result<Vec<Timeline>, DecodeError> {
    let mut timelines = vec![Timeline::default(); sources.len()];
    let mut following = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        match read_own(body, *source)? {
            Read::Own(timeline) => timelines[at] = timeline,
            Read::Following(reader, other) => following.push((at, reader, other)),
        }
    }
    let follows: Vec<usize> = following.iter().map(|(at, ..)| *at).collect();
    for (at, reader, other) in following {
        if follows.binary_search(&other).is_ok() {
            return malformed(TIMELINE);
        }
        let other = timelines.get(other).ok_or(DecodeError::Malformed(TIMELINE))?;
        timelines[at] = read_following(reader, other, sources[at].count)?;
    }
    Ok(timelines)
}

/// Reads one timeline, and the one it follows.
pub(crate) fn read_one(body: &[u8], sources: &[Source], at: usize) -> Result<Timeline, DecodeError> {
    let source = sources.get(at).ok_or(DecodeError::Malformed(TIMELINE))?;
    let (reader, other) = match read_own(body, *source)? {
        Read::Own(timeline) => return Ok(timeline),
        Read::Following(reader, other) => (reader, other),
    };
    let other = sources.get(other).ok_or(DecodeError::Malformed(TIMELINE))?;
    match read_own(body, *other)? {
        Read::Own(other) => read_following(reader, &other, source.count),
        Read::Following(..) => malformed(TIMELINE),
    }
}

enum Read<'a> {
    Own(Timeline),
    /// The rest of the column, and the number of the timeline it follows.
    Following(BitReader<'a>, usize),
}

fn read_own(body: &[u8], source: Source) -> Result<Read<'_>, DecodeError> {
    let mut r = BitReader::new(body, source.from, source.to);
    if r.flag() {
        let other = usize::try_from(r.number()).map_err(|_| DecodeError::Malformed(TIMELINE))?;
        return Ok(Read::Following(r, other));
    }
    let mut mono = vec![0; source.count];
    times::read(&mut r, &mut mono, TIMELINE)?;
    let walls = if r.flag() { read_walls(&mut r, &mono)? } else { Vec::new() };
    r.finish(TIMELINE)?;
    let mono = mono.into_iter().map(i64::cast_unsigned).collect();
    Ok(Read::Own(Timeline { mono, walls }))
}

fn read_walls(r: &mut BitReader<'_>, mono: &[i64]) -> Result<Vec<Wall>, DecodeError> {
    const WALLS: &str = "stated times";
    let runs = r.number_upto(mono.len(), WALLS)?;
    let mut sources = Vec::with_capacity(mono.len());
    for _ in 0..runs {
        let length = r.number_upto(mono.len() - sources.len(), WALLS)?;
        let source = match u8::try_from(r.small(SOURCE_BITS)) {
            Ok(0) => None,
            Ok(number) => Some(WallSource::from_number(number).ok_or(DecodeError::Malformed(WALLS))?),
            Err(_) => return malformed(WALLS),
        };
        if length == 0 {
            return malformed(WALLS);
        }
        sources.resize(sources.len() + length, source);
    }
    if sources.len() != mono.len() {
        return malformed(WALLS);
    }
    let mut times = vec![0; sources.iter().filter(|source| source.is_some()).count()];
    let related = !times.is_empty() && r.flag();
    if related {
        ints::read(r, &mut times, WALLS)?;
    } else if !times.is_empty() {
        times::read(r, &mut times, WALLS)?;
    }
    let mut times = times.into_iter();
    let wall = |(source, mono): (Option<WallSource>, &i64)| {
        let source = source?;
        let time: i64 = times.next()?;
        Some((if related { time.wrapping_add(*mono) } else { time }, source))
    };
    Ok(sources.into_iter().zip(mono).map(wall).collect())
}

fn read_following(mut r: BitReader<'_>, other: &Timeline, count: usize) -> Result<Timeline, DecodeError> {
    let mut numbers = vec![0; count];
    let mut timeline = Timeline::default();
    if r.flag() {
        ints::read(&mut r, &mut numbers, TIMELINE)?;
        let mut next = 0usize;
        for gap in &numbers {
            let at = usize::try_from(*gap).ok().and_then(|gap| next.checked_add(gap));
            let at = at.filter(|at| *at < other.mono.len()).ok_or(DecodeError::Malformed(TIMELINE))?;
            timeline.mono.push(other.mono[at]);
            if !other.walls.is_empty() {
                timeline.walls.push(other.wall(at));
            }
            next = at + 1;
        }
    } else if other.mono.len() == count {
        timeline.clone_from(other);
    } else {
        return malformed(TIMELINE);
    }
    if r.flag() {
        ints::read(&mut r, &mut numbers, TIMELINE)?;
        for (mono, later) in timeline.mono.iter_mut().zip(&numbers) {
            *mono = mono.wrapping_add(later.cast_unsigned());
        }
    }
    r.finish(TIMELINE)?;
    Ok(timeline)
}
