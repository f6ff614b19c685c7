//! Encodes samples into a block.

mod gather;
mod relate;

use hub_model::{BootId, Class, LogEpoch, Sample, SeqRange, SeriesId, UtcMs};

use crate::bits::BitWriter;
use crate::column;
use crate::directory::{Directory, Entry};
use crate::error::EncodeError;
use crate::floats;
use crate::header::BlockHeader;
use crate::limits::Limits;
use crate::order::{self, Members, OrderPlan};
use crate::timeline::{self, Source};

use gather::Gathered;

/// What is the same for all records of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Class of every record.
    pub class: Class,
    /// Log epoch of the numbers and the series ids.
    pub epoch: LogEpoch,
    /// Boot of every monotonic stamp.
    pub boot: BootId,
    /// Number of the first record; the others follow without a hole.
    pub first_seq: u64,
}

impl Place {
    pub(crate) fn range(&self, records: usize) -> Result<SeqRange, EncodeError> {
        let to = self.first_seq.checked_add(records as u64).ok_or(EncodeError::Range)?;
        Ok(SeqRange::new(self.first_seq, to))
    }
}

/// Whether blocks of a class hold samples; the others hold rows.
pub(crate) const fn holds_samples(class: Class) -> bool {
    matches!(class, Class::Telemetry | Class::Bulk)
}

/// Encodes samples of class telemetry or bulk, in the order of their numbers, into one block.
///
/// The same samples make the same bytes. Every sample comes back as it is, bit for bit, whatever its stamps, quality and
/// value; the few that no [`Sample`] should be are refused: of another boot than the place's, observed at another moment
/// than received, or with a text above the model's bound.
///
/// [`EncodeError::TooLarge`] says that they do not fit `limits`: encode the two halves by themselves.
pub fn encode_samples<'a>(
    place: &Place,
    samples: impl IntoIterator<Item = &'a Sample>,
    limits: &Limits,
) -> Result<Vec<u8>, EncodeError> {
    if !holds_samples(place.class) {
        return Err(EncodeError::Class(place.class.name()));
    }
    let gathered = Gathered::new(place.boot, samples.into_iter(), limits)?;
    let range = place.range(gathered.samples.len())?;
    let mut scratch = Scratch::default();
    let (directory, body) = write_body(&gathered, &mut scratch);
    let directory = directory.write(&mut scratch.floats.ints);
    let wall = gathered.wall.map(|(min, max)| (UtcMs(min), UtcMs(max)));
    let header = BlockHeader {
        class: place.class,
        boot: place.boot,
        epoch: place.epoch,
        range,
        t_min_ms: gathered.t_min_ms,
        t_span_ms: gathered.t_span_ms,
        wall,
        series_count: bounded_u32(gathered.series.len()),
        packed: false,
        directory_len: bounded_u32(directory.len()),
        rows_len: 0,
        body_len: bounded_u32(body.len()),
    };
    within_limits(header.seal(&directory, &body), limits)
}

/// The block, unless it is too long.
pub(crate) fn within_limits(block: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, EncodeError> {
    if block.len() <= limits.block_bytes_max {
        return Ok(block);
    }
    let (found, allowed) = (block.len() as u64, limits.block_bytes_max as u64);
    Err(EncodeError::TooLarge { what: "length of the block", found, allowed })
}

/// For what the limits keep far below 32 bits; a block that is longer is refused by its length.
pub(crate) fn bounded_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[derive(Debug, Default)]
struct Scratch {
    floats: floats::Scratch,
    times: timeline::Scratch,
}

fn write_body(gathered: &Gathered<'_>, scratch: &mut Scratch) -> (Directory, Vec<u8>) {
    let listing = Listing::new(gathered);
    let mut w = BitWriter::default();
    let timelines = write_timelines(&mut w, gathered, &listing, &mut scratch.times);
    let from = w.len();
    let places = gathered.arrived.iter().map(|series| listing.place[*series as usize]);
    order::write(&mut w, &listing.order, places, &mut scratch.floats.ints);
    w.align();
    let order = from..w.len();
    let mut series = Vec::with_capacity(gathered.series.len());
    for number in &listing.series {
        let of = &gathered.series[*number as usize];
        let from = w.len();
        let raws = &gathered.raws[of.begin..of.begin + of.count as usize];
        column::put(&mut w, of.traits, raws, gathered.of_series(of), &mut scratch.floats);
        w.align();
        let timeline = listing.timeline_places[of.timeline];
        series.push(Entry { id: SeriesId(of.id), timeline, from, to: w.len() });
    }
    (Directory { timelines, order, series }, w.into_bytes())
}

fn write_timelines(
    w: &mut BitWriter,
    gathered: &Gathered<'_>,
    listing: &Listing,
    scratch: &mut timeline::Scratch,
) -> Vec<Source> {
    let relations = relate::relate(gathered, scratch);
    let mut sources = Vec::with_capacity(listing.timelines.len());
    for number in &listing.timelines {
        let timeline = &gathered.timelines[*number];
        let from = w.len();
        let follows = relations[*number].as_ref();
        let follows = follows.map(|(other, relation)| (listing.timeline_places[*other], relation));
        timeline::write(w, timeline, follows, scratch);
        w.align();
        sources.push(Source { from, to: w.len(), count: timeline.mono.len() });
    }
    sources
}

/// In which order the directory lists series and timelines.
struct Listing {
    /// Series by their places in the directory, and the other way round.
    series: Vec<u32>,
    place: Vec<u32>,
    /// Timelines as the series listed first use them, and the other way round.
    timelines: Vec<usize>,
    timeline_places: Vec<usize>,
    order: OrderPlan,
}

impl Listing {
    /// By id, which takes the least room; or as they first occurred, when that explains more of the order of arrival.
    fn new(gathered: &Gathered<'_>) -> Listing {
        let as_occurred: Vec<u32> = (0..bounded_u32(gathered.series.len())).collect();
        let mut by_id = as_occurred.clone();
        by_id.sort_unstable_by_key(|series| gathered.series[*series as usize].id);
        let listing = Listing::of(gathered, by_id);
        if listing.order.is_expected() {
            return listing;
        }
        let other = Listing::of(gathered, as_occurred);
        if other.order.pieces() < listing.order.pieces() { other } else { listing }
    }

    fn of(gathered: &Gathered<'_>, series: Vec<u32>) -> Listing {
        let mut place = vec![0; series.len()];
        let mut timelines = Vec::with_capacity(gathered.timelines.len());
        let mut timeline_places = vec![usize::MAX; gathered.timelines.len()];
        for (number, at) in series.iter().zip(0..) {
            place[*number as usize] = at;
            let timeline = gathered.series[*number as usize].timeline;
            if timeline_places[timeline] == usize::MAX {
                timeline_places[timeline] = timelines.len();
                timelines.push(timeline);
            }
        }
        let of_series = series.iter().map(|number| (*number, gathered.series[*number as usize].timeline));
        let members = Members::new(of_series, gathered.timelines.len());
        let records = gathered.samples.len();
        let expected =
            order::expected(&gathered.timelines, &members, records, |series| place[series as usize]);
        let counts: Vec<u32> = gathered.series.iter().map(|series| series.count).collect();
        let order = OrderPlan::new(&gathered.arrived, &expected, &counts);
        Listing { series, place, timelines, timeline_places, order }
    }
}
