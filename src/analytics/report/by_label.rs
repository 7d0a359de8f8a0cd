//! Reports whose rows or columns are words: causes over time, figures by country, and so on.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::levels;
use super::over_time::{FIGURES, Series, table};
use super::span::Span;
use super::sums::{Names, mean, names, sums};
use super::table::{Column, Table, Unit, Value};
use super::{By, Report};
use crate::analytics::measure::{Gauge, Measure};
use crate::analytics::rollup::Cell;
use crate::analytics::store::StoreError;
use crate::analytics::words::{OTHER, WordId};

/// Columns by word, at most; the smallest ones beyond are one.
const MOST_COLUMNS: usize = 24;

pub(super) fn by_label(
    report: Report,
    connection: &Connection,
    span: &Span,
) -> Result<Table, StoreError> {
    let count = |measure, key: fn(&Names, WordId, WordId) -> String| {
        counted(report, connection, span, measure, key)
    };
    match report {
        Report::Unanswered => count(Measure::Unanswered, first),
        Report::Drops => {
            count(Measure::Dropped, |names, a, b| format!("{}: {}", word(names, a), word(names, b)))
        }
        Report::PathChanges => count(Measure::PathChanged, |names, a, b| {
            format!("{}: {}", word(names, a), word(names, b))
        }),
        Report::Configurations => count(Measure::Configured, first),
        Report::Sizes => count(Measure::Size, first),
        Report::Codecs => count(Measure::Codec, first),
        Report::Countries => count(Measure::ViewerCountry, first),
        Report::Viewers => viewers(connection, span),
        Report::Renditions => renditions(connection, span),
        Report::Channels => channels(connection, span),
        Report::QualityBy(by) => quality(by, connection, span),
        _ => Ok(report.table(span, Vec::new(), Vec::new())),
    }
}

fn word(names: &Names, id: WordId) -> &str {
    names.get(&id).map_or("", String::as_str)
}

fn first(names: &Names, a: WordId, _: WordId) -> String {
    word(names, a).to_owned()
}

/// How many of each step, a column for each word.
fn counted(
    report: Report,
    connection: &Connection,
    span: &Span,
    measure: Measure,
    key: fn(&Names, WordId, WordId) -> String,
) -> Result<Table, StoreError> {
    let names = names(connection)?;
    let mut columns: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for ((step, a, b), cell) in sums(connection, span, measure)? {
        let column = columns.entry(key(&names, a, b));
        let values = column.or_insert_with(|| vec![0; span.steps()]);
        if let Some(value) = values.get_mut(step) {
            *value += cell.n;
        }
    }
    let columns = largest(
        columns,
        |values| values.iter().sum(),
        |all, one| {
            all.iter_mut().zip(one).for_each(|(all, one)| *all += one);
        },
    );
    let series = columns
        .into_iter()
        .map(|(name, values)| Series::new((&name, &name, Unit::Count), values))
        .collect();
    Ok(table(report, span, series))
}

/// The largest ones, largest first; those beyond the bound are added up as `other`.
fn largest<T: Clone>(
    columns: BTreeMap<String, T>,
    size: impl Fn(&T) -> i64,
    add: impl Fn(&mut T, T),
) -> Vec<(String, T)> {
    let mut sorted: Vec<_> = columns.into_iter().collect();
    sorted.sort_by_key(|(_, values)| std::cmp::Reverse(size(values)));
    if sorted.len() <= MOST_COLUMNS {
        return sorted;
    }
    let rest = sorted.split_off(MOST_COLUMNS - 1);
    let mut rest = rest.into_iter().map(|(_, values)| values);
    if let Some(mut sum) = rest.next() {
        rest.for_each(|values| add(&mut sum, values));
        match sorted.iter_mut().find(|(name, _)| name == OTHER) {
            Some((_, other)) => add(other, sum),
            None => sorted.push((OTHER.to_owned(), sum)),
        }
    }
    sorted
}

/// Mean of viewers at once, a column for each channel.
fn viewers(connection: &Connection, span: &Span) -> Result<Table, StoreError> {
    let names = names(connection)?;
    let all = levels::courses(connection, span, Gauge::Viewers, |(channel, _)| (channel, 0))?;
    let mut columns: BTreeMap<String, (i64, Vec<Option<f64>>)> = BTreeMap::new();
    for ((channel, _), course) in all.into_iter().filter(|(_, course)| !course.is_nothing()) {
        let came = course.came();
        let means = course.steps(span).into_iter().map(|step| step.map(|(mean, _)| mean));
        columns.insert(word(&names, channel).to_owned(), (came, means.collect()));
    }
    let columns = largest(
        columns,
        |(came, _)| *came,
        |(all_came, all), (came, one)| {
            *all_came += came;
            all.iter_mut().zip(one).for_each(|(all, one)| *all = all.zip(one).map(|(a, b)| a + b));
        },
    );
    let series = columns
        .into_iter()
        .map(|(name, (_, means))| Series::new((&name, &name, Unit::Count), means));
    Ok(table(Report::Viewers, span, series.collect()))
}

/// A row for each channel and rendition.
fn renditions(connection: &Connection, span: &Span) -> Result<Table, StoreError> {
    let (names, span) = (names(connection)?, span.whole());
    let span = &span;
    let mut rows: BTreeMap<(WordId, WordId), [i64; 2]> = BTreeMap::new();
    for ((_, channel, rendition), cell) in sums(connection, span, Measure::ViewerLeft)? {
        rows.entry((channel, rendition)).or_default()[0] += cell.n;
        rows.entry((channel, rendition)).or_default()[1] += cell.sum;
    }
    let mut all = levels::courses(connection, span, Gauge::Viewers, |labels| labels)?;
    all.retain(|_, course| !course.is_nothing());
    let keys: BTreeSet<_> = rows.keys().chain(all.keys()).copied().collect();
    let mut table: Vec<Vec<Value>> = Vec::new();
    for key in keys {
        let [left, watched_ms] = rows.get(&key).copied().unwrap_or_default();
        let steps = all.remove(&key).map(|course| course.steps(span)).unwrap_or_default();
        let (mean, peak) = steps.first().copied().flatten().unwrap_or_default();
        table.push(vec![
            Value::Text(word(&names, key.0).to_owned()),
            Value::Text(word(&names, key.1).to_owned()),
            Value::from(Some(mean)),
            Value::from(peak),
            Value::from(left),
            Value::from(Some(watched_ms as f64 / 1000.0)),
        ]);
    }
    let columns = vec![
        Column::new("channel", "Channel", Unit::Text),
        Column::new("rendition", "Rendition seen last", Unit::Text),
        Column::new("mean", "At once, mean", Unit::Count),
        Column::new("peak", "At once, peak", Unit::Count),
        Column::new("left", "Viewers who left", Unit::Count),
        Column::new("watched", "Time watched", Unit::Seconds),
    ];
    Ok(Report::Renditions.table(span, columns, table))
}

/// A row for each channel, a column for each thing that happened.
fn channels(connection: &Connection, span: &Span) -> Result<Table, StoreError> {
    let (names, span) = (names(connection)?, span.whole());
    let mut rows: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    for ((_, channel, what), cell) in sums(connection, &span, Measure::Channel)? {
        let row = rows.entry(word(&names, channel)).or_default();
        *row.entry(word(&names, what)).or_default() += cell.n;
    }
    let kinds: BTreeSet<&str> = rows.values().flat_map(|row| row.keys().copied()).collect();
    let mut columns = vec![Column::new("channel", "Channel", Unit::Text)];
    columns.extend(kinds.iter().map(|kind| Column::new(kind, kind, Unit::Count)));
    let rows = rows.into_iter().map(|(channel, row)| {
        let counts = kinds.iter().map(|kind| row.get(kind).copied().unwrap_or_default().into());
        std::iter::once(Value::Text(channel.to_owned())).chain(counts).collect()
    });
    let rows = rows.collect();
    Ok(Report::Channels.table(&span, columns, rows))
}

/// A row for each value of a dimension, those with most reports first.
fn quality(by: By, connection: &Connection, span: &Span) -> Result<Table, StoreError> {
    let (names, span) = (names(connection)?, span.whole());
    let mut columns = vec![
        Column::new(by.word(), by.word(), Unit::Text),
        Column::new("samples", "Reports", Unit::Count),
    ];
    let mut rows: BTreeMap<WordId, Vec<Option<Cell>>> = BTreeMap::new();
    for (at, (measure, key, title, unit, _)) in FIGURES.iter().enumerate() {
        columns.push(Column::new(key, title, *unit));
        for ((_, of, value), cell) in sums(connection, &span, *measure)? {
            if word(&names, of) == by.word() {
                rows.entry(value).or_insert_with(|| vec![None; FIGURES.len()])[at] = Some(cell);
            }
        }
    }
    let samples = |cells: &[Option<Cell>]| cells[0].map_or(0, |cell| cell.n);
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, cells)| std::cmp::Reverse(samples(cells)));
    let rows = rows.into_iter().map(|(value, cells)| {
        let figures = cells
            .iter()
            .zip(FIGURES)
            .map(|(cell, (.., scale))| Value::from(mean(cell.as_ref()).map(|mean| mean / scale)));
        let name = Value::Text(word(&names, value).to_owned());
        [name, samples(&cells).into()].into_iter().chain(figures).collect()
    });
    let rows = rows.collect();
    Ok(Report::QualityBy(by).table(&span, columns, rows))
}
