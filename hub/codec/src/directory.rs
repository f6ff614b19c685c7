//! The directory of a block of samples: which series are inside, and where each column stands in the body.
//!
//! Number of timelines; then, each as whole numbers ([`crate::ints`]): the moments of each timeline, the length of each, in
//! bytes; the length of the order of arrival (a number, 0 when there is none); then per series, in the directory's order:
//! its id less the id before and less 1 (the first as if 0 stood before the id 0), the timeline it has less the one
//! before has, and the length of its column. The body is the timelines, the order and the columns, in this order and without
//! anything between.

use hub_model::SeriesId;

use crate::bits::{BitReader, BitWriter};
use crate::error::{DecodeError, malformed};
use crate::ints;
use crate::timeline::Source;

/// A series in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: SeriesId,
    pub(crate) timeline: usize,
    /// Its column in the body.
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// What is in a block, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) timelines: Vec<Source>,
    pub(crate) order: std::ops::Range<usize>,
    pub(crate) series: Vec<Entry>,
}

const DIRECTORY: &str = "directory";

impl Directory {
    /// Writes the directory.
    pub(crate) fn write(&self, scratch: &mut ints::Scratch) -> Vec<u8> {
        let mut w = BitWriter::default();
        let mut numbers = Vec::with_capacity(self.series.len());
        let mut column = |w: &mut BitWriter, values: &mut dyn Iterator<Item = i64>| {
            numbers.clear();
            numbers.extend(values);
            ints::put(w, &numbers, scratch);
        };
        w.number(self.timelines.len() as u64);
        column(&mut w, &mut self.timelines.iter().map(|t| signed(t.count)));
        column(&mut w, &mut self.timelines.iter().map(|t| signed(t.to - t.from)));
        w.number(self.order.len() as u64);
        let mut expected = 0i64;
        column(
            &mut w,
            &mut self.series.iter().map(|s| {
                let id = i64::from(s.id.0);
                let jump = id - expected;
                expected = id + 1;
                jump
            }),
        );
        let mut before = 0i64;
        column(
            &mut w,
            &mut self.series.iter().map(|s| {
                let timeline = signed(s.timeline);
                let jump = timeline - before;
                before = timeline;
                jump
            }),
        );
        column(&mut w, &mut self.series.iter().map(|s| signed(s.to - s.from)));
        w.into_bytes()
    }

    /// Reads the directory of a block with so many records and series, whose body is so long.
    pub(crate) fn read(
        bytes: &[u8],
        records: usize,
        series_count: usize,
        body_len: usize,
    ) -> Result<Directory, DecodeError> {
        if series_count == 0 || series_count > records {
            return malformed("number of series");
        }
        let mut r = BitReader::new(bytes, 0, bytes.len());
        let timeline_count = r.number_upto(series_count, DIRECTORY)?;
        let mut place = Place { at: 0, body_len };
        let mut counts = vec![0; timeline_count];
        ints::read(&mut r, &mut counts, DIRECTORY)?;
        let mut lengths = vec![0; timeline_count];
        ints::read(&mut r, &mut lengths, DIRECTORY)?;
        let mut timelines = Vec::with_capacity(timeline_count);
        for (count, length) in counts.iter().zip(&lengths) {
            let (from, to) = place.next(*length)?;
            let count = usize::try_from(*count).ok().filter(|count| (1..=records).contains(count));
            timelines.push(Source { from, to, count: count.ok_or(DecodeError::Malformed(DIRECTORY))? });
        }
        let order_len = r.number_upto(body_len, DIRECTORY)?;
        let order = place.next(signed(order_len))?;
        let series = read_series(&mut r, series_count, timeline_count, &mut place)?;
        r.finish(DIRECTORY)?;
        let directory = Directory { timelines, order: order.0..order.1, series };
        directory.check(records, place.at == body_len)?;
        Ok(directory)
    }

    /// Samples of a series.
    pub(crate) fn count(&self, entry: &Entry) -> usize {
        self.timelines.get(entry.timeline).map_or(0, |timeline| timeline.count)
    }

    /// The columns fill the body, the series are all different and have all records, every timeline is some series'. The
    /// last is what bounds the moments of all timelines by the records.
    fn check(&self, records: usize, fills_body: bool) -> Result<(), DecodeError> {
        if !self.series.is_sorted_by(|a, b| a.id < b.id) {
            let mut ids: Vec<SeriesId> = self.series.iter().map(|entry| entry.id).collect();
            ids.sort_unstable();
            if ids.windows(2).any(|pair| pair[0] == pair[1]) {
                return malformed("series that is listed twice");
            }
        }
        let mut used = vec![false; self.timelines.len()];
        let mut sum = 0usize;
        for entry in &self.series {
            used[entry.timeline] = true;
            sum = sum.saturating_add(self.count(entry));
        }
        if fills_body && sum == records && used.iter().all(|used| *used) {
            Ok(())
        } else {
            malformed(DIRECTORY)
        }
    }
}

fn read_series(
    r: &mut BitReader<'_>,
    series_count: usize,
    timeline_count: usize,
    place: &mut Place,
) -> Result<Vec<Entry>, DecodeError> {
    let mut columns = [vec![0; series_count], vec![0; series_count], vec![0; series_count]];
    for column in &mut columns {
        ints::read(r, column, DIRECTORY)?;
    }
    let [ids, timelines, lengths] = &columns;
    let mut series = Vec::with_capacity(series_count);
    let (mut expected, mut timeline) = (0i64, 0i64);
    for ((id, jump), length) in ids.iter().zip(timelines).zip(lengths) {
        let id = expected.wrapping_add(*id);
        expected = id.wrapping_add(1);
        timeline = timeline.wrapping_add(*jump);
        let (from, to) = place.next(*length)?;
        let id = u32::try_from(id).map_err(|_| DecodeError::Malformed("series id"))?;
        let timeline = usize::try_from(timeline).ok().filter(|timeline| *timeline < timeline_count);
        let timeline = timeline.ok_or(DecodeError::Malformed(DIRECTORY))?;
        series.push(Entry { id: SeriesId(id), timeline, from, to });
    }
    Ok(series)
}

/// Cuts the body into columns.
struct Place {
    at: usize,
    body_len: usize,
}

impl Place {
    fn next(&mut self, length: i64) -> Result<(usize, usize), DecodeError> {
        let from = self.at;
        let to = usize::try_from(length).ok().and_then(|length| from.checked_add(length));
        self.at = to.filter(|to| *to <= self.body_len).ok_or(DecodeError::Malformed("column length"))?;
        Ok((from, self.at))
    }
}

const fn signed(number: usize) -> i64 {
    number.cast_signed() as i64
}
