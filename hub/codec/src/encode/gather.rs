//! Gathers samples by series: the columns of a block before they are written.

use std::collections::HashMap;

use hub_model::{BootId, Sample, Stamp, TEXT_BYTES_MAX, Value};

use crate::column::{self, Traits};
use crate::error::EncodeError;
use crate::limits::Limits;
use crate::timeline::{Timeline, Wall};

/// Timelines of one hash that are compared: more are made only by someone who wants to, and are not shared.
const SAME_HASH_MAX: usize = 4;

/// Samples by series. Series are numbered as they first occur.
#[derive(Debug, Default)]
pub(super) struct Gathered<'a> {
    /// All samples, as they came.
    pub(super) samples: Vec<&'a Sample>,
    /// The series of each.
    pub(super) arrived: Vec<u32>,
    pub(super) series: Vec<Series>,
    /// Per series its samples' values as 64 bits, series behind series.
    pub(super) raws: Vec<i64>,
    /// As `raws`: the places of the samples.
    pub(super) places: Vec<u32>,
    pub(super) timelines: Vec<Timeline>,
    pub(super) t_min_ms: u64,
    pub(super) t_span_ms: u64,
    pub(super) wall: Option<(i64, i64)>,
}

/// A series in the block to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    pub(super) id: u32,
    pub(super) count: u32,
    /// Where its samples begin in [`Gathered::raws`].
    pub(super) begin: usize,
    pub(super) traits: Traits,
    pub(super) timeline: usize,
    /// A hash of its moments.
    moments: u64,
    /// The series whose sample came next the last time.
    next: u32,
}

impl<'a> Gathered<'a> {
    /// Gathers samples of one boot.
    pub(super) fn new(
        boot: BootId,
        samples: impl Iterator<Item = &'a Sample>,
        limits: &Limits,
    ) -> Result<Gathered<'a>, EncodeError> {
        let mut gathered = Gathered { t_min_ms: u64::MAX, ..Gathered::default() };
        gathered.take_all(boot, samples, limits)?;
        gathered.place();
        Ok(gathered)
    }

    fn take_all(
        &mut self,
        boot: BootId,
        samples: impl Iterator<Item = &'a Sample>,
        limits: &Limits,
    ) -> Result<(), EncodeError> {
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut before = 0u32;
        let mut t_max_ms = 0;
        let mut text_bytes = 0u64;
        for (at, sample) in samples.enumerate() {
            if at as u64 >= u64::from(limits.records_max) {
                let (found, allowed) = (at as u64 + 1, u64::from(limits.records_max));
                return Err(EncodeError::TooLarge { what: "number of records", found, allowed });
            }
            check(boot, at, sample)?;
            text_bytes += text_len(sample.value.as_ref());
            let number = self.number(sample.series.0, before, &mut numbers);
            before = number;
            let series = &mut self.series[number as usize];
            series.count += 1;
            series.traits.take(sample);
            let mono = sample.received.mono_ms;
            series.moments = mixed(series.moments, mono);
            self.t_min_ms = self.t_min_ms.min(mono);
            t_max_ms = t_max_ms.max(mono);
            if let Stamp::Wall(utc, source) = sample.stamp {
                series.moments = mixed(series.moments, utc.0.cast_unsigned() ^ source as u64);
                let wall = self.wall.get_or_insert((utc.0, utc.0));
                *wall = (wall.0.min(utc.0), wall.1.max(utc.0));
            }
            self.samples.push(sample);
            self.arrived.push(number);
        }
        if self.samples.is_empty() {
            return Err(EncodeError::Empty);
        }
        let allowed = u64::from(limits.unpacked_bytes_max);
        if text_bytes > allowed {
            return Err(EncodeError::TooLarge { what: "length of texts", found: text_bytes, allowed });
        }
        self.t_span_ms = t_max_ms - self.t_min_ms;
        Ok(())
    }

    /// The number of a series. Readings come in groups, so it is mostly the one that came behind the one before.
    #[inline]
    fn number(&mut self, id: u32, before: u32, numbers: &mut HashMap<u32, u32>) -> u32 {
        let guess = self.series.get(before as usize).map_or(0, |series| series.next);
        if self.series.get(guess as usize).is_some_and(|series| series.id == id) {
            return guess;
        }
        let number = *numbers.entry(id).or_insert_with(|| {
            let series = Series {
                id,
                count: 0,
                begin: 0,
                traits: Traits::default(),
                timeline: 0,
                moments: 0,
                next: 0,
            };
            self.series.push(series);
            // Series are at most as many as samples, which are bounded by a u32.
            (self.series.len() - 1).try_into().unwrap_or(u32::MAX)
        });
        if let Some(series) = self.series.get_mut(before as usize) {
            series.next = number;
        }
        number
    }

    /// Puts values side by side by series, and finds out which series share a timeline.
    fn place(&mut self) {
        let mut begin = 0;
        for series in &mut self.series {
            series.begin = begin;
            begin += series.count as usize;
        }
        let mut next: Vec<usize> = self.series.iter().map(|series| series.begin).collect();
        self.raws.resize(self.samples.len(), 0);
        self.places.resize(self.samples.len(), 0);
        for ((sample, number), at) in self.samples.iter().zip(&self.arrived).zip(0u32..) {
            let next = &mut next[*number as usize];
            self.raws[*next] = column::raw(sample.value.as_ref());
            self.places[*next] = at;
            *next += 1;
        }
        self.share_timelines();
    }

    fn share_timelines(&mut self) {
        let mut known: HashMap<(u64, u32), Vec<usize>> = HashMap::new();
        for at in 0..self.series.len() {
            let Series { count, begin, moments, .. } = self.series[at];
            let places = &self.places[begin..begin + count as usize];
            let same = known.entry((moments, count)).or_default();
            let mut candidates = same.iter().rev().take(SAME_HASH_MAX);
            let found = candidates.find(|timeline| self.is_of(&self.timelines[**timeline], places));
            let timeline = match found {
                Some(found) => *found,
                None => {
                    same.push(self.timelines.len());
                    let timeline = self.timeline(places);
                    self.timelines.push(timeline);
                    self.timelines.len() - 1
                }
            };
            self.series[at].timeline = timeline;
        }
    }

    fn is_of(&self, timeline: &Timeline, places: &[u32]) -> bool {
        let mono = places.iter().map(|place| self.mono(*place));
        mono.eq(timeline.mono.iter().copied())
            && (self.wall.is_none()
                || (0..).zip(places).all(|(at, place)| timeline.wall(at) == self.wall_of(*place)))
    }

    fn timeline(&self, places: &[u32]) -> Timeline {
        let mono = places.iter().map(|place| self.mono(*place)).collect();
        let mut walls: Vec<Wall> = Vec::new();
        if self.wall.is_some() {
            walls.extend(places.iter().map(|place| self.wall_of(*place)));
            if walls.iter().all(Option::is_none) {
                walls.clear();
            }
        }
        Timeline { mono, walls }
    }

    fn mono(&self, place: u32) -> u64 {
        self.samples[place as usize].received.mono_ms - self.t_min_ms
    }

    fn wall_of(&self, place: u32) -> Wall {
        match self.samples[place as usize].stamp {
            Stamp::Boot(_) => None,
            Stamp::Wall(utc, source) => Some((utc.0.wrapping_sub(self.wall.unwrap_or((0, 0)).0), source)),
        }
    }

    /// The samples of a series, in order.
    pub(super) fn of_series(&self, series: &Series) -> impl Iterator<Item = &'a Sample> + Clone {
        let places = &self.places[series.begin..series.begin + series.count as usize];
        places.iter().map(|place| self.samples[*place as usize])
    }
}

fn check(boot: BootId, at: usize, sample: &Sample) -> Result<(), EncodeError> {
    if sample.received.boot != boot {
        return Err(EncodeError::Record { at, what: "it is of another boot" });
    }
    if let Stamp::Boot(stamp) = sample.stamp
        && stamp != sample.received
    {
        return Err(EncodeError::Record { at, what: "it was observed at another moment than received" });
    }
    if text_len(sample.value.as_ref()) > TEXT_BYTES_MAX as u64 {
        return Err(EncodeError::Record { at, what: "its text is too long" });
    }
    Ok(())
}

const fn text_len(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::String(text)) => text.len() as u64,
        Some(Value::Bytes(bytes)) => bytes.len() as u64,
        _ => 0,
    }
}

/// A hash of one number more.
const fn mixed(hash: u64, number: u64) -> u64 {
    (hash.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
