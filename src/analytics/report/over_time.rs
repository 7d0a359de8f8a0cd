//! Reports with a row for each step and fixed columns.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::Report;
use super::levels::{self, Steps};
use super::span::Span;
use super::sums::{Names, Sums, counts, crowd, mean, names, percentiles, sums};
use super::table::{Column, Table, Unit, Value};
use crate::analytics::measure::{Crowd, Gauge, Measure};
use crate::analytics::store::StoreError;

/// A column and its value at each step.
pub(super) struct Series {
    column: Column,
    values: Vec<Value>,
}

// === impl Series ===

impl Series {
    pub fn new<V: Into<Value>>(
        (key, title, unit): (&str, &str, Unit),
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { column: Column::new(key, title, unit), values }
    }
}

/// A table of series.
pub(super) fn table(report: Report, span: &Span, series: Vec<Series>) -> Table {
    let mut rows: Vec<Vec<Value>> =
        (0..span.steps()).map(|step| vec![Value::Time(span.time(step))]).collect();
    let mut columns = vec![Column::new("time", "Time", Unit::Time)];
    for one in series {
        columns.push(one.column);
        rows.iter_mut().zip(one.values).for_each(|(row, value)| row.push(value));
    }
    report.table(span, columns, rows)
}

pub(super) fn over_time(
    report: Report,
    connection: &Connection,
    span: &Span,
) -> Result<Table, StoreError> {
    let series = match report {
        Report::Users => users(connection, span)?,
        Report::Calls => calls(connection, span)?,
        Report::Concurrency => concurrency(connection, span)?,
        Report::SetUp => set_up(connection, span)?,
        Report::Ways => ways(connection, span)?,
        _ => quality(connection, span)?,
    };
    Ok(table(report, span, series))
}

const fn count<'a>(key: &'a str, title: &'a str) -> (&'a str, &'a str, Unit) {
    (key, title, Unit::Count)
}

fn users(connection: &Connection, span: &Span) -> Result<Vec<Series>, StoreError> {
    let of = |one| -> Result<Vec<Option<f64>>, StoreError> {
        Ok(crowd(connection, span, one)?.into_iter().map(Some).collect())
    };
    Ok(vec![
        Series::new(count("users", "Users"), of(Crowd::Users)?),
        Series::new(count("callers", "Users in calls"), of(Crowd::Callers)?),
    ])
}

fn calls(connection: &Connection, span: &Span) -> Result<Vec<Series>, StoreError> {
    let all = |measure| sums(connection, span, measure);
    let counted =
        |measure| -> Result<Vec<i64>, StoreError> { Ok(counts(&all(measure)?, span.steps())) };
    let mut lasted: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
    for ((step, ..), cell) in all(Measure::Ended)? {
        let (n, sum) = lasted.entry(step).or_default();
        (*n, *sum) = (*n + cell.n, *sum + cell.sum);
    }
    let mean = |step| lasted.get(&step).map(|(n, sum)| *sum as f64 / *n as f64 / 1000.0);
    Ok(vec![
        Series::new(count("started", "Begun"), counted(Measure::Started)?),
        Series::new(count("invited", "Invitations"), counted(Measure::Invited)?),
        Series::new(count("answered", "Answered"), counted(Measure::Answered)?),
        Series::new(count("ended", "Ended"), counted(Measure::Ended)?),
        Series::new(("length", "Mean length", Unit::Seconds), (0..span.steps()).map(mean)),
    ])
}

fn concurrency(connection: &Connection, span: &Span) -> Result<Vec<Series>, StoreError> {
    let mut series = Vec::new();
    for (gauge, key, title) in
        [(Gauge::Calls, "calls", "Calls"), (Gauge::Viewers, "viewers", "Viewers")]
    {
        let steps = at_once(connection, span, gauge)?;
        let mean = steps.iter().map(|step| step.map(|(mean, _)| mean));
        let peak = steps.iter().map(|step| step.map(|(_, peak)| peak as f64));
        let keys = (format!("{key}_mean"), format!("{key}_peak"));
        let titles = (format!("{title}, mean"), format!("{title}, peak"));
        series.push(Series::new(count(&keys.0, &titles.0), mean));
        series.push(Series::new(count(&keys.1, &titles.1), peak));
    }
    Ok(series)
}

/// Of a gauge, whatever the labels.
pub(super) fn at_once(
    connection: &Connection,
    span: &Span,
    gauge: Gauge,
) -> Result<Steps, StoreError> {
    let all = levels::courses(connection, span, gauge, |_| (0, 0))?;
    let course = all.into_values().next();
    Ok(course.unwrap_or_else(|| levels::Course::new(span)).steps(span))
}

fn set_up(connection: &Connection, span: &Span) -> Result<Vec<Series>, StoreError> {
    let steps = span.steps();
    let counted = |measure| -> Result<Vec<i64>, StoreError> {
        Ok(counts(&sums(connection, span, measure)?, steps))
    };
    let (invited, answered) = (counted(Measure::Invited)?, counted(Measure::Answered)?);
    let unanswered = counted(Measure::Unanswered)?;
    // Of those that are over: one that still rings is neither.
    let success = answered.iter().zip(&unanswered).map(|(yes, no)| share(*yes, yes + no));
    let success: Vec<_> = success.collect();
    let answer = sums(connection, span, Measure::AnswerTime)?;
    let set_up = sums(connection, span, Measure::SetUpTime)?;
    let ms = |key, title| (key, title, Unit::Milliseconds);
    Ok(vec![
        Series::new(count("invited", "Invitations"), invited),
        Series::new(count("answered", "Answered"), answered),
        Series::new(count("unanswered", "Not answered"), unanswered),
        Series::new(("success", "Answered, of those that are over", Unit::Ratio), success),
        Series::new(count("connected", "Media came"), counts(&set_up, steps)),
        Series::new(ms("answer_p50", "Answer, median"), percentiles(&answer, steps, 0.5)),
        Series::new(ms("answer_p95", "Answer, 95 %"), percentiles(&answer, steps, 0.95)),
        Series::new(ms("set_up_p50", "Set-up, median"), percentiles(&set_up, steps, 0.5)),
        Series::new(ms("set_up_p95", "Set-up, 95 %"), percentiles(&set_up, steps, 0.95)),
    ])
}

/// None: there are none.
pub(super) fn share(part: i64, all: i64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

/// Those that are always there, and whatever else a report may name.
fn ways(connection: &Connection, span: &Span) -> Result<Vec<Series>, StoreError> {
    let (names, found) = (names(connection)?, sums(connection, span, Measure::Way)?);
    let all = counts(&found, span.steps());
    let of = |word: &str| {
        let at = |step| named(&found, &names, step, word);
        let shares: Vec<_> = (0..span.steps()).map(|step| share(at(step), all[step])).collect();
        shares
    };
    let ratio = |key, title| (key, title, Unit::Ratio);
    Ok(vec![
        Series::new(count("samples", "Reports"), all.iter().copied()),
        Series::new(ratio("mesh", "Mesh"), of("direct")),
        Series::new(ratio("relayed", "Relayed"), of("relayed")),
        Series::new(ratio("server", "Server"), of("server")),
    ])
}

fn named(sums: &Sums, names: &Names, step: usize, word: &str) -> i64 {
    let of_step = sums.range((step, 0, 0)..(step + 1, 0, 0));
    let named = of_step.filter(|((_, a, _), _)| names.get(a).is_some_and(|name| name == word));
    named.map(|(_, cell)| cell.n).sum()
}

/// What [`quality`] and the reports by label have of each step or label.
pub(super) const FIGURES: &[(Measure, &str, &str, Unit, f64)] = &[
    (Measure::Bitrate, "bitrate", "Bit rate", Unit::BitsPerSecond, 1.0),
    (Measure::Height, "height", "Height of the picture", Unit::Pixels, 1.0),
    (Measure::Frozen, "frozen", "Time frozen", Unit::Ratio, 1000.0),
    (Measure::Loss, "loss", "Packets lost", Unit::Ratio, 1000.0),
    (Measure::RoundTrip, "round_trip", "Round trip", Unit::Milliseconds, 1.0),
];

fn quality(connection: &Connection, span: &Span) -> Result<Vec<Series>, StoreError> {
    let names = names(connection)?;
    let mut series = Vec::new();
    for (measure, key, title, unit, scale) in FIGURES {
        // The value of all of them is no word.
        let found = sums(connection, span, *measure)?;
        let of_all: BTreeMap<usize, _> = found
            .iter()
            .filter(|((_, by, _), _)| names.get(by).is_some_and(|name| name == "all"))
            .map(|((step, ..), cell)| (*step, cell))
            .collect();
        if *measure == Measure::Bitrate {
            let samples = |step| of_all.get(&step).map_or(0, |cell| cell.n);
            let samples: Vec<i64> = (0..span.steps()).map(samples).collect();
            series.push(Series::new(count("samples", "Reports"), samples));
        }
        let value = |step| mean(of_all.get(&step).copied()).map(|mean| mean / scale);
        let values: Vec<_> = (0..span.steps()).map(value).collect();
        series.push(Series::new((key, title, *unit), values));
    }
    Ok(series)
}
