//! Reads blocks of samples: header and directory first, then as many columns as are wanted.

use hub_model::{BootStamp, Quality, Sample, SeriesId, Stamp, UtcMs, Value, ValueType};

use crate::bits::BitReader;
use crate::column::{Column, Values, low_32, plain_value};
use crate::directory::{Directory, Entry};
use crate::encode::holds_samples;
use crate::error::{DecodeError, malformed};
use crate::header::BlockHeader;
use crate::limits::Limits;
use crate::order::{self, Members};
use crate::text::Budget;
use crate::timeline::{self, Timeline, Wall};

/// A block of samples whose checksum, header and directory are good. Columns are read when they are asked for.
#[derive(Clone, Debug)]
pub struct SampleBlock<'a> {
    header: BlockHeader,
    directory: Directory,
    body: &'a [u8],
    limits: Limits,
}

impl<'a> SampleBlock<'a> {
    /// Reads checksum, header and directory of a block of class telemetry or bulk.
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<SampleBlock<'a>, DecodeError> {
        let header = BlockHeader::read(bytes, limits)?;
        if !holds_samples(header.class) {
            return Err(DecodeError::Class(header.class.name()));
        }
        if header.packed || header.rows_len != 0 {
            return malformed("flags");
        }
        let (directory, body) = header.parts(bytes)?;
        let series_count = header.series_count as usize;
        let directory = Directory::read(directory, header.records(), series_count, body.len())?;
        Ok(SampleBlock { header, directory, body, limits: *limits })
    }

    /// What the block says of itself.
    pub const fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// The series inside, each with its number of samples, as the directory lists them: mostly by id.
    pub fn series(&self) -> impl ExactSizeIterator<Item = (SeriesId, usize)> {
        self.directory.series.iter().map(|entry| (entry.id, self.directory.count(entry)))
    }

    /// The samples of one series in the order of their numbers; `None` when it is not inside. Nothing else is decoded but
    /// the timeline it has. Which numbers they have lies in the interleaving with all others: see
    /// [`SampleBlock::numbered`].
    pub fn samples_of(&self, id: SeriesId) -> Result<Option<Vec<Sample>>, DecodeError> {
        let Some(entry) = self.directory.series.iter().find(|entry| entry.id == id) else { return Ok(None) };
        let timeline = timeline::read_one(self.body, &self.directory.timelines, entry.timeline)?;
        self.check(&timeline)?;
        let count = timeline.mono.len();
        let mut raws = vec![0; count];
        let column = Column::read(self.column(entry), &mut raws, &mut self.budget())?;
        let told = ToldValues { header: self.header.clone(), moments: Moments::new(&[timeline]), raws };
        let mut cursor = Cursor { series: id, moment: 0, raw: 0, values: Told::new(Some(column)) };
        Ok(Some((0..count).filter_map(|_| cursor.tell(&told, |sample| sample)).collect()))
    }

    /// All samples in the order of their numbers, which are those of the header's range.
    pub fn samples(&self) -> Result<Vec<Sample>, DecodeError> {
        let mut samples = Vec::with_capacity(self.header.records());
        let mut numbered = self.numbered(|_| true)?;
        while numbered.tell(|_, sample| samples.push(sample)).is_some() {}
        Ok(samples)
    }

    /// The samples of the series that are wanted, with their numbers and in their order. Decodes the values of these
    /// series and the times of all.
    pub fn numbered(&self, wanted: impl Fn(SeriesId) -> bool) -> Result<Numbered<'a>, DecodeError> {
        let timelines = timeline::read_all(self.body, &self.directory.timelines)?;
        timelines.iter().try_for_each(|timeline| self.check(timeline))?;
        let order = self.order(&timelines)?;
        let mut budget = self.budget();
        let mut raws = vec![0; self.header.records()];
        let moments = Moments::new(&timelines);
        let mut rest = &mut raws[..];
        let mut raw = 0;
        let mut cursors = Vec::with_capacity(self.directory.series.len());
        for entry in &self.directory.series {
            let count = self.directory.count(entry);
            let (of_series, behind) = rest.split_at_mut(count);
            rest = behind;
            let column = if wanted(entry.id) {
                Some(Column::read(self.column(entry), of_series, &mut budget)?)
            } else {
                None
            };
            let moment = moments.begins.get(entry.timeline).copied().unwrap_or(0);
            cursors.push(Cursor { series: entry.id, moment, raw, values: Told::new(column) });
            raw += count;
        }
        let told = ToldValues { header: self.header.clone(), moments, raws };
        Ok(Numbered { told, order, cursors, next: 0 })
    }

    fn order(&self, timelines: &[Timeline]) -> Result<Vec<u32>, DecodeError> {
        let Directory { order, series, .. } = &self.directory;
        let column =
            if order.is_empty() { None } else { Some(BitReader::new(self.body, order.start, order.end)) };
        let expected = || {
            let members =
                Members::new((0..).zip(series).map(|(at, entry)| (at, entry.timeline)), timelines.len());
            order::expected(timelines, &members, self.header.records(), |series| series)
        };
        let counts = series.iter().map(|entry| self.directory.count(entry));
        order::read(column, expected, counts, self.header.records())
    }

    /// Whether the moments lie within what the header says.
    fn check(&self, timeline: &Timeline) -> Result<(), DecodeError> {
        let latest = timeline.mono.iter().copied().max().unwrap_or(0);
        if latest > self.header.t_span_ms {
            return malformed("moment outside of the block's span");
        }
        if timeline.walls.is_empty() {
            return Ok(());
        }
        let latest = timeline.walls.iter().flatten().map(|(time, _)| time.cast_unsigned()).max();
        match (latest, self.header.wall) {
            (None, _) => Ok(()),
            (Some(latest), Some((min, max))) if latest <= max.0.wrapping_sub(min.0).cast_unsigned() => Ok(()),
            (Some(_), _) => malformed("stated time outside of the block's span"),
        }
    }

    fn column(&self, entry: &Entry) -> BitReader<'a> {
        BitReader::new(self.body, entry.from, entry.to)
    }

    fn budget(&self) -> Budget {
        Budget::new(u64::from(self.limits.unpacked_bytes_max))
    }
}

/// Samples with their numbers, in order; see [`SampleBlock::numbered`]. All columns were read and checked before, so
/// that this cannot fail any more.
#[derive(Debug)]
pub struct Numbered<'a> {
    told: ToldValues,
    /// The series of each record, by its place in the directory.
    order: Vec<u32>,
    cursors: Vec<Cursor<'a>>,
    next: usize,
}

/// What samples are made of.
#[derive(Debug)]
struct ToldValues {
    header: BlockHeader,
    moments: Moments,
    raws: Vec<i64>,
}

/// The moments of all timelines, one behind the other.
#[derive(Debug, Default)]
struct Moments {
    mono: Vec<u64>,
    /// As many, or none when no device stated a time.
    walls: Vec<Wall>,
    /// Where each timeline begins.
    begins: Vec<usize>,
}

impl Moments {
    fn new(timelines: &[Timeline]) -> Moments {
        let mut moments = Moments::default();
        let stated = timelines.iter().any(|timeline| !timeline.walls.is_empty());
        for timeline in timelines {
            moments.begins.push(moments.mono.len());
            moments.mono.extend_from_slice(&timeline.mono);
            if stated {
                moments.walls.extend_from_slice(&timeline.walls);
                moments.walls.resize(moments.mono.len(), None);
            }
        }
        moments
    }
}

impl Numbered<'_> {
    /// Hands the next sample with its number to `take`.
    #[inline]
    fn tell<T>(&mut self, mut take: impl FnMut(u64, Sample) -> T) -> Option<T> {
        loop {
            let series = *self.order.get(self.next)?;
            let seq = self.told.header.range.from + self.next as u64;
            self.next += 1;
            let cursor = self.cursors.get_mut(series as usize)?;
            let told = cursor.tell(&self.told, |sample| take(seq, sample));
            if told.is_some() {
                return told;
            }
        }
    }
}

impl Iterator for Numbered<'_> {
    type Item = (u64, Sample);

    #[inline]
    fn next(&mut self) -> Option<(u64, Sample)> {
        self.tell(|seq, sample| (seq, sample))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.order.len() - self.next))
    }
}

/// How far a series was told.
#[derive(Debug)]
struct Cursor<'a> {
    series: SeriesId,
    /// The place of its next moment.
    moment: usize,
    /// The place of its next raw value.
    raw: usize,
    values: Told<'a>,
}

/// How a series' values are told.
#[derive(Debug)]
enum Told<'a> {
    /// It is not wanted.
    Not,
    /// All samples are good and have a value of 64 bits: nearly every series.
    Plain(ValueType),
    Other(Box<OtherColumn<'a>>),
}

#[derive(Debug)]
struct OtherColumn<'a> {
    column: Column<'a>,
    /// Samples told.
    samples: usize,
    /// The run of states that the next one is in.
    state: usize,
    /// Values told.
    values: usize,
}

impl<'a> Told<'a> {
    fn new(column: Option<Column<'a>>) -> Told<'a> {
        match column {
            None => Told::Not,
            Some(Column { values: Values::Plain(value_type), states }) if states.is_empty() => {
                Told::Plain(value_type)
            }
            Some(column) => Told::Other(Box::new(OtherColumn { column, samples: 0, state: 0, values: 0 })),
        }
    }
}

impl Cursor<'_> {
    /// Hands the next sample to `take`; `None` when the series is not wanted. There is one: the order was checked against
    /// the counts.
    ///
    /// Each type of value makes its sample by itself: a value that is put together first is copied through memory in pieces
    /// that do not match, which takes longer than all the rest of decoding.
    #[inline]
    fn tell<T>(&mut self, told: &ToldValues, mut take: impl FnMut(Sample) -> T) -> Option<T> {
        let ToldValues { header, moments, raws } = told;
        let moment = self.moment;
        self.moment += 1;
        let mono_ms = header.t_min_ms.wrapping_add(*moments.mono.get(moment)?);
        let received = BootStamp { boot: header.boot, mono_ms };
        let stamp = match (moments.walls.get(moment), header.wall) {
            (Some(Some((time, source))), Some((min, _))) => {
                Stamp::Wall(UtcMs(min.0.wrapping_add(*time)), *source)
            }
            _ => Stamp::Boot(received),
        };
        let series = self.series;
        let sample = |value, quality| Sample { series, stamp, received, value, quality };
        let value_type = match &mut self.values {
            Told::Not => return None,
            Told::Other(other) => {
                let (value, quality) = other.next(raws.get(self.raw..)?);
                return Some(take(sample(value, quality)));
            }
            Told::Plain(value_type) => *value_type,
        };
        let raw = *raws.get(self.raw)?;
        self.raw += 1;
        let mut good = |value| take(sample(Some(value), Quality::GOOD));
        Some(match value_type {
            ValueType::F64 => good(Value::F64(f64::from_bits(raw.cast_unsigned()))),
            ValueType::F32 => good(Value::F32(f32::from_bits(low_32(raw)))),
            ValueType::I64 => good(Value::I64(raw)),
            ValueType::U64 => good(Value::U64(raw.cast_unsigned())),
            ValueType::Bool => good(Value::Bool(raw != 0)),
            ValueType::Enum => good(Value::Enum(low_32(raw))),
            ValueType::String | ValueType::Bytes => return None,
        })
    }
}

impl OtherColumn<'_> {
    fn next(&mut self, raws: &[i64]) -> (Option<Value>, Quality) {
        let states = &self.column.states;
        if states.get(self.state).is_some_and(|state| state.end <= self.samples) {
            self.state += 1;
        }
        self.samples += 1;
        let (quality, has_value) =
            states.get(self.state).map_or((Quality::GOOD, true), |state| (state.quality, state.has_value));
        if !has_value {
            return (None, quality);
        }
        let at = self.values;
        self.values += 1;
        let raw = raws.get(at).copied().unwrap_or(0);
        let value = match &self.column.values {
            Values::Nothing => None,
            Values::Plain(value_type) => plain_value(*value_type, raw),
            Values::Texts(texts) => texts.value(raw),
            Values::Mixed(values) => values.get(at).cloned(),
        };
        (value, quality)
    }
}
