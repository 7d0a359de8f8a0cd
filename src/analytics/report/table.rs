//! What a report gives: columns with units, and rows; as JSON or CSV.

use serde::{Serialize, Serializer};

use crate::rfc3339::Millis;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    pub report: &'static str,
    /// Of the first row, and the end of the last one.
    pub from: Millis,
    pub to: Millis,
    /// Of a row, where rows are times.
    pub step_seconds: u64,
    pub columns: Vec<Column>,
    /// A value for each column.
    pub rows: Vec<Vec<Value>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    pub key: String,
    pub title: String,
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// RFC 3339: when the row begins.
    Time,
    Text,
    Count,
    /// 0 to 1.
    Ratio,
    Milliseconds,
    Seconds,
    BitsPerSecond,
    /// Rows of a picture.
    Pixels,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Time(Millis),
    Text(String),
    Number(f64),
    /// There is none: nothing was measured, or it hasn't been yet.
    None,
}

// === impl Column ===

impl Column {
    pub fn new(key: &str, title: &str, unit: Unit) -> Self {
        Self { key: key.to_owned(), title: title.to_owned(), unit }
    }
}

// === impl Value ===

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        value.filter(|value| value.is_finite()).map_or(Self::None, Self::Number)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value as f64)
    }
}

/// Four digits behind the point: more would say more than is known.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Time(time) => time.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
                serializer.serialize_i64(*value as i64)
            }
            Self::Number(value) => serializer.serialize_f64(rounded(*value)),
            Self::None => serializer.serialize_none(),
        }
    }
}

// === impl Table ===

impl Table {
    /// RFC 4180, with the columns' keys in the first line.
    pub fn to_csv(&self) -> String {
        let mut text = String::new();
        let keys = self.columns.iter().map(|column| quoted(&column.key));
        line(&mut text, keys);
        for row in &self.rows {
            line(&mut text, row.iter().map(field));
        }
        text
    }
}

fn line(text: &mut String, fields: impl Iterator<Item = String>) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&field);
    }
    text.push_str("\r\n");
}

fn field(value: &Value) -> String {
    match value {
        Value::Time(time) => time.to_string(),
        Value::Text(text) => quoted(text),
        Value::Number(value) => rounded(*value).to_string(),
        Value::None => String::new(),
    }
}

/// What a spreadsheet would take for a formula is made text: names may be others' choice.
fn quoted(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_the_same_in_json_and_in_csv() {
        let table = Table {
            report: "calls",
            from: Millis(0),
            to: Millis(60_000),
            step_seconds: 60,
            columns: vec![
                Column::new("time", "Time", Unit::Time),
                Column::new("name", "Name", Unit::Text),
                Column::new("ratio", "Ratio", Unit::Ratio),
            ],
            rows: vec![
                vec![Value::Time(Millis(0)), Value::Text("=1+\"1\",x".into()), Value::from(7)],
                vec![Value::Time(Millis(1)), Value::None, Value::from(Some(1.0 / 3.0))],
            ],
        };
        assert_eq!(
            table.to_csv(),
            "time,name,ratio\r\n1970-01-01T00:00:00.000Z,\"'=1+\"\"1\"\",x\",7\r\n\
             1970-01-01T00:00:00.001Z,,0.3333\r\n"
        );
        let json = serde_json::to_value(&table).unwrap();
        assert_eq!(json["rows"][0][2], 7);
        assert_eq!(json["rows"][1], serde_json::json!(["1970-01-01T00:00:00.001Z", null, 0.3333]));
    }
}
