//! Where in the text a key or an error is.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Line and column, both from 1, of a byte offset.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, column)
}

/// Offset of a key by its path, such as `channels.0.source.url`; of its nearest parent that is
/// written down where the key itself is not.
pub fn key(text: &str, path: &str) -> usize {
    let Ok(document) = DeTable::parse(text) else {
        return 0;
    };
    let mut offset = 0;
    let mut value = &DeValue::Table(document.into_inner());
    for part in path.split('.') {
        let next = match value {
            DeValue::Table(table) => table.iter().find(|(k, _)| k.get_ref() == part).map(
                // A table's own span is its header's; a plain key's place is the key.
                |(k, v)| (if v.get_ref().is_table() { v.span() } else { k.span() }, v),
            ),
            DeValue::Array(items) => {
                part.parse().ok().and_then(|i: usize| items.get(i)).map(|v| (v.span(), v))
            }
            _ => None,
        };
        let Some((span, inner)) = next else {
            break;
        };
        offset = span.start;
        value = inner.get_ref();
    }
    offset
}

/// Offset of what the parser complains about.
///
/// Where serde buffered a value (a source is told apart by its `kind`), the parser points at the
/// whole table; the message names the key, so look for that key inside.
pub fn error(text: &str, error: &toml::de::Error) -> usize {
    let Some(span) = error.span() else {
        return 0;
    };
    let inside = || {
        let name = error.message().split('`').nth(1)?;
        let document = DeTable::parse(text).ok()?;
        let table = table_at(&DeValue::Table(document.into_inner()), &span)?;
        table.iter().find(|(key, _)| key.get_ref() == name).map(|(key, _)| key.span().start)
    };
    inside().unwrap_or(span.start)
}

/// The table whose header or braces are exactly there.
fn table_at<'a, 'i>(value: &'a DeValue<'i>, span: &Range<usize>) -> Option<DeTable<'i>> {
    let inner = |v: &'a Spanned<DeValue<'i>>| match v.get_ref() {
        DeValue::Table(table) if v.span() == *span => Some(table.clone()),
        inner => table_at(inner, span),
    };
    match value {
        DeValue::Table(table) => table.iter().find_map(|(_, v)| inner(v)),
        DeValue::Array(items) => items.iter().find_map(inner),
        _ => None,
    }
}
