//! Events as rows of a Parquet file.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde::Deserialize;
use serde_json::Value;

use crate::analytics::client::describe;
use crate::events::Envelope;

/// The columns. `README.md` says what they mean.
const SCHEMA: &str = include_str!("events.schema");

/// What is read of an event for its row.
pub struct Row {
    envelope: Envelope,
    typed: Typed,
    data: String,
}

#[derive(Deserialize)]
struct Line {
    data: Value,
}

/// What of the data has a column.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    after_ms: Option<i64>,
    lasted_ms: Option<i64>,
    reason: Option<String>,
    session: Option<String>,
    rendition: Option<String>,
    location: Option<Location>,
    network: Option<String>,
    client: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    country: Option<String>,
    city: Option<String>,
}

// === impl Row ===

impl Row {
    /// None: the line is no event.
    pub fn read(line: &str) -> Option<Self> {
        let envelope = serde_json::from_str(line).ok()?;
        let data = serde_json::from_str::<Line>(line).ok()?.data;
        let text = data.to_string();
        // Of another shape in a version to come: then the JSON has it.
        let typed = serde_json::from_value(data).unwrap_or_default();
        Some(Self { envelope, typed, data: text })
    }
}

/// A whole file. The same rows give the same bytes.
pub fn to_parquet(rows: &[Row]) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by("stentor".to_owned())
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    envelope(&mut group, rows)?;
    typed(&mut group, rows)?;
    texts(&mut group, rows, |row| Some(&row.data))?;
    group.close()?;
    file.into_inner()
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn envelope(group: &mut Group<'_>, rows: &[Row]) -> Result<(), ParquetError> {
    let ids: Vec<String> = rows.iter().map(|row| row.envelope.id.to_string()).collect();
    let ids: Vec<ByteArray> = ids.iter().map(|id| id.as_str().into()).collect();
    column::<ByteArrayType>(group, ids, None)?;
    column::<Int64Type>(group, rows.iter().map(|r| r.envelope.time.0 as i64).collect(), None)?;
    texts(group, rows, |row| Some(&row.envelope.node))?;
    texts(group, rows, |row| Some(&row.envelope.kind))?;
    column::<Int32Type>(group, rows.iter().map(|r| r.envelope.version as i32).collect(), None)?;
    optional_texts(group, rows, |row| row.envelope.call.as_deref())?;
    optional_texts(group, rows, |row| row.envelope.recording.as_deref())?;
    optional_texts(group, rows, |row| row.envelope.channel.as_deref())?;
    optional_texts(group, rows, |row| row.envelope.user.as_deref())?;
    optional_texts(group, rows, |row| row.envelope.device.as_deref())?;
    optional_texts(group, rows, |row| row.envelope.cause.as_deref())
}

fn typed(group: &mut Group<'_>, rows: &[Row]) -> Result<(), ParquetError> {
    optional::<Int64Type>(group, rows, |row| row.typed.after_ms)?;
    optional::<Int64Type>(group, rows, |row| row.typed.lasted_ms)?;
    optional_texts(group, rows, |row| row.typed.reason.as_deref())?;
    optional_texts(group, rows, |row| row.typed.session.as_deref())?;
    optional_texts(group, rows, |row| row.typed.rendition.as_deref())?;
    optional_texts(group, rows, |row| row.typed.location.as_ref()?.country.as_deref())?;
    optional_texts(group, rows, |row| row.typed.location.as_ref()?.city.as_deref())?;
    optional_texts(group, rows, |row| row.typed.network.as_deref())?;
    optional_texts(group, rows, |row| row.typed.client.as_deref())?;
    optional_texts(group, rows, |row| Some(describe(row.typed.client.as_deref()?).0))?;
    optional_texts(group, rows, |row| Some(describe(row.typed.client.as_deref()?).1))?;
    optional::<Int32Type>(group, rows, |row| row.typed.width)?;
    optional::<Int32Type>(group, rows, |row| row.typed.height)
}

/// A column that every row has.
fn texts<'a>(
    group: &mut Group<'_>,
    rows: &'a [Row],
    value: impl Fn(&'a Row) -> Option<&'a String>,
) -> Result<(), ParquetError> {
    let values = rows.iter().filter_map(value).map(|text| text.as_str().into()).collect();
    column::<ByteArrayType>(group, values, None)
}

fn optional_texts<'a>(
    group: &mut Group<'_>,
    rows: &'a [Row],
    value: impl Fn(&'a Row) -> Option<&'a str>,
) -> Result<(), ParquetError> {
    optional::<ByteArrayType>(group, rows, |row| value(row).map(ByteArray::from))
}

fn optional<'a, T: DataType>(
    group: &mut Group<'_>,
    rows: &'a [Row],
    value: impl Fn(&'a Row) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<Option<T::T>> = rows.iter().map(value).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    column::<T>(group, values.into_iter().flatten().collect(), Some(&levels))
}

fn column<T: DataType>(
    group: &mut Group<'_>,
    values: Vec<T::T>,
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let ended = || ParquetError::General("the schema has fewer columns".to_owned());
    let mut column = group.next_column()?.ok_or_else(ended)?;
    column.typed::<T>().write_batch(&values, levels, None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    #[test]
    fn rows_have_the_envelope_what_is_common_and_the_rest_and_read_back() {
        let folder = format!("{}/tests/events/examples", env!("CARGO_MANIFEST_DIR"));
        let mut lines: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        lines.sort();
        let rows = || lines.iter().map(|line| Row::read(line.trim()).unwrap()).collect::<Vec<_>>();
        let bytes = to_parquet(&rows()).unwrap();
        assert_eq!(bytes, to_parquet(&rows()).unwrap());
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        let mut found = 0;
        for (row, line) in reader.get_row_iter(None).unwrap().zip(&lines) {
            let (row, line) =
                (row.unwrap(), serde_json::from_str::<serde_json::Value>(line).unwrap());
            let columns: std::collections::HashMap<_, _> =
                row.get_column_iter().map(|(name, field)| (name.as_str(), field.clone())).collect();
            let text = |name: &str| match &columns[name] {
                Field::Str(text) => Some(text.clone()),
                _ => None,
            };
            assert_eq!(text("id").as_deref(), line["id"].as_str());
            assert_eq!(text("type").as_deref(), line["type"].as_str());
            assert_eq!(text("call").as_deref(), line["call"].as_str());
            assert_eq!(text("cause").as_deref(), line["cause"].as_str());
            let data: serde_json::Value = serde_json::from_str(&text("data").unwrap()).unwrap();
            assert_eq!(data, line["data"]);
            assert_eq!(text("country").as_deref(), line["data"]["location"]["country"].as_str());
            if let Some(lasted) = line["data"]["lasted_ms"].as_i64() {
                assert_eq!(columns["lasted_ms"], Field::Long(lasted));
            }
            found += 1;
        }
        assert_eq!(found, lines.len());
        assert!(found > 30);
    }

    #[test]
    fn what_is_no_event_is_no_row() {
        for line in ["", "{}", "{\"id\":1}"] {
            assert!(Row::read(line).is_none());
        }
    }
}
