//! The body: samples as columns, other records one behind the other.
//!
//! Samples: six columns, each behind its varint length: heads (bits 0–3 value type, 4 quality follows, 5 wall time
//! follows), series ids, stamps (zigzag difference to the one before, the first to the base), wall times (zigzag
//! difference to the one before, then the source), qualities (u16), values. Column by column, bytes of one kind stand
//! together, which is what zstd needs.

use hub_model::{BootStamp, Class, Quality, Sample, SeriesId, Stamp, UtcMs, ValueType, WallSource};

use crate::field::{Malformed, Put, Reader, unzigzag, zigzag};
use crate::record::{
    Base, Record, put_definition, put_event, put_value, read_definition, read_event, read_value,
};

const TYPE_MASK: u8 = 0x0f;
const HAS_QUALITY: u8 = 0x10;
const HAS_WALL: u8 = 0x20;
const COLUMNS: usize = 6;

pub(crate) fn encode_body(class: Class, base: Base, records: &[Record]) -> Vec<u8> {
    if matches!(class, Class::Telemetry | Class::Bulk) {
        return encode_samples(base, records);
    }
    let mut out = Vec::new();
    for record in records {
        match record {
            Record::Event(event) => put_event(&mut out, base, event),
            Record::Definition(definition) => put_definition(&mut out, definition),
            Record::Sample(_) => unreachable!("samples are of class telemetry or bulk"),
        }
    }
    out
}

pub(crate) fn decode_body(
    class: Class,
    base: Base,
    count: u64,
    raw: &[u8],
) -> Result<Vec<Record>, Malformed> {
    if matches!(class, Class::Telemetry | Class::Bulk) {
        return decode_samples(base, count, raw);
    }
    let mut r = Reader::new(raw);
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(match class {
            Class::Alarm | Class::Event => Record::Event(read_event(&mut r, base)?),
            Class::Meta => Record::Definition(read_definition(&mut r)?),
            Class::Audit | Class::Rollup | Class::Telemetry | Class::Bulk => {
                return Err(Malformed("block class"));
            }
        });
    }
    r.end("block body")?;
    Ok(records)
}

fn encode_samples(base: Base, records: &[Record]) -> Vec<u8> {
    let mut columns: [Vec<u8>; COLUMNS] = Default::default();
    let [heads, series, stamps, walls, qualities, values] = &mut columns;
    let mut mono_before = base.mono_ms;
    let mut wall_before = 0i64;
    for record in records {
        let Record::Sample(sample) = record else { unreachable!("classes telemetry and bulk hold samples") };
        let (observed, wall) = match sample.stamp {
            Stamp::Boot(at) => (at, None),
            Stamp::Wall(utc, source) => (sample.received, Some((utc, source))),
        };
        let mut head = sample.value.as_ref().map_or(0, |v| v.value_type().number());
        series.put_varint(u64::from(sample.series.0));
        stamps.put_varint(zigzag(observed.mono_ms.wrapping_sub(mono_before).cast_signed()));
        mono_before = observed.mono_ms;
        if let Some((utc, source)) = wall {
            head |= HAS_WALL;
            walls.put_signed(utc.0.wrapping_sub(wall_before));
            walls.put_u8(source as u8);
            wall_before = utc.0;
        }
        if sample.quality != Quality::GOOD {
            head |= HAS_QUALITY;
            qualities.put_u16(sample.quality.bits());
        }
        if let Some(value) = &sample.value {
            put_value(values, value);
        }
        heads.put_u8(head);
    }
    let mut out = Vec::with_capacity(columns.iter().map(|c| c.len() + 4).sum());
    columns.iter().for_each(|column| out.put_bytes(column));
    out
}

fn decode_samples(base: Base, count: u64, raw: &[u8]) -> Result<Vec<Record>, Malformed> {
    let mut r = Reader::new(raw);
    let heads = r.bytes(raw.len(), "heads")?;
    let mut columns = SampleColumns {
        series: Reader::new(r.bytes(raw.len(), "series column")?),
        stamps: Reader::new(r.bytes(raw.len(), "stamp column")?),
        walls: Reader::new(r.bytes(raw.len(), "wall column")?),
        qualities: Reader::new(r.bytes(raw.len(), "quality column")?),
        values: Reader::new(r.bytes(raw.len(), "value column")?),
        mono_before: base.mono_ms,
        wall_before: 0,
    };
    r.end("block body")?;
    if heads.len() as u64 != count {
        return Err(Malformed("heads"));
    }
    let mut records = Vec::with_capacity(heads.len());
    for &head in heads {
        records.push(Record::Sample(columns.next(base, head)?));
    }
    columns.end()?;
    Ok(records)
}

struct SampleColumns<'a> {
    series: Reader<'a>,
    stamps: Reader<'a>,
    walls: Reader<'a>,
    qualities: Reader<'a>,
    values: Reader<'a>,
    mono_before: u64,
    wall_before: i64,
}

impl SampleColumns<'_> {
    fn next(&mut self, base: Base, head: u8) -> Result<Sample, Malformed> {
        if head & !(TYPE_MASK | HAS_QUALITY | HAS_WALL) != 0 {
            return Err(Malformed("sample head"));
        }
        let series = SeriesId(self.series.varint_u32("series id")?);
        let delta = unzigzag(self.stamps.varint("stamp")?).cast_unsigned();
        self.mono_before = self.mono_before.wrapping_add(delta);
        let received = BootStamp { boot: base.boot, mono_ms: self.mono_before };
        let stamp = if head & HAS_WALL == 0 { Stamp::Boot(received) } else { self.wall()? };
        let quality = if head & HAS_QUALITY == 0 {
            Quality::GOOD
        } else {
            Quality::from_bits(self.qualities.u16("quality")?).ok_or(Malformed("quality"))?
        };
        let value = match head & TYPE_MASK {
            0 => None,
            number => {
                let value_type = ValueType::from_number(number).ok_or(Malformed("value type"))?;
                Some(read_value(&mut self.values, value_type)?)
            }
        };
        Ok(Sample { series, stamp, received, value, quality })
    }

    fn wall(&mut self) -> Result<Stamp, Malformed> {
        self.wall_before = self.wall_before.wrapping_add(self.walls.signed("wall time")?);
        let source =
            WallSource::from_number(self.walls.u8("wall source")?).ok_or(Malformed("wall source"))?;
        Ok(Stamp::Wall(UtcMs(self.wall_before), source))
    }

    fn end(&self) -> Result<(), Malformed> {
        self.series.end("series column")?;
        self.stamps.end("stamp column")?;
        self.walls.end("wall column")?;
        self.qualities.end("quality column")?;
        self.values.end("value column")
    }
}
