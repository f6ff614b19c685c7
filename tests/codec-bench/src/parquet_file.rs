//! Reference: a Parquet file of three columns, each in the encoding that suits it best, and zstd level 3: times with binary
//! packed differences, series and values (binary64) with a dictionary that gives way to plain values.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use site_telegen::Point;

const SCHEMA: &str = "message points { REQUIRED INT64 t; REQUIRED INT32 s; REQUIRED DOUBLE v; }";

/// Points as columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns {
    times: Vec<i64>,
    series: Vec<i32>,
    values: Vec<f64>,
}

impl Columns {
    pub(crate) fn new(points: &[Point], by_series: bool) -> Columns {
        let mut sorted = points.to_vec();
        if by_series {
            sorted.sort_by_key(|point| point.series);
        }
        Columns {
            times: sorted.iter().map(|point| point.at_ms).collect(),
            series: sorted.iter().map(|point| point.series.cast_signed()).collect(),
            values: sorted.iter().map(|point| point.reading.as_f64()).collect(),
        }
    }
}

pub(crate) fn encode(columns: &Columns) -> Vec<u8> {
    try_encode(columns).expect("Parquet takes the columns")
}

pub(crate) fn decode(bytes: &[u8]) -> Columns {
    try_decode(bytes).expect("Parquet reads what it wrote")
}

fn properties() -> Result<WriterProperties, ParquetError> {
    let times = ColumnPath::from("t");
    Ok(WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_dictionary_enabled(times.clone(), false)
        .set_column_encoding(times, Encoding::DELTA_BINARY_PACKED)
        .build())
}

fn try_encode(columns: &Columns) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut out = Vec::new();
    let mut file = SerializedFileWriter::new(&mut out, schema, Arc::new(properties()?))?;
    let mut group = file.next_row_group()?;
    write::<Int64Type>(&mut group, &columns.times)?;
    write::<Int32Type>(&mut group, &columns.series)?;
    write::<DoubleType>(&mut group, &columns.values)?;
    group.close()?;
    file.close()?;
    Ok(out)
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect("a column of the schema");
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

fn try_decode(bytes: &[u8]) -> Result<Columns, ParquetError> {
    let file = SerializedFileReader::new(parquet_bytes(bytes))?;
    let group = file.get_row_group(0)?;
    let count = usize::try_from(group.metadata().num_rows())?;
    let mut columns = Columns::default();
    for number in 0..3 {
        match group.get_column_reader(number)? {
            ColumnReader::Int64ColumnReader(mut column) => {
                column.read_records(count, None, None, &mut columns.times)?;
            }
            ColumnReader::Int32ColumnReader(mut column) => {
                column.read_records(count, None, None, &mut columns.series)?;
            }
            ColumnReader::DoubleColumnReader(mut column) => {
                column.read_records(count, None, None, &mut columns.values)?;
            }
            ColumnReader::BoolColumnReader(_)
            | ColumnReader::Int96ColumnReader(_)
            | ColumnReader::FloatColumnReader(_)
            | ColumnReader::ByteArrayColumnReader(_)
            | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                return Err(ParquetError::General("a column of another type".to_owned()));
            }
        }
    }
    Ok(columns)
}

/// A copy, as `bytes::Bytes` wants to own what it reads.
fn parquet_bytes(bytes: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(bytes)
}
