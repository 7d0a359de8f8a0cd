//! A span in one row.

use rusqlite::Connection;

use super::Report;
use super::over_time::{at_once, share};
use super::span::Span;
use super::sums::{counts, crowd, percentiles, sums};
use super::table::{Column, Table, Unit, Value};
use crate::analytics::measure::{Crowd, Gauge, Measure};
use crate::analytics::store::StoreError;

pub(super) fn totals(connection: &Connection, span: &Span) -> Result<Table, StoreError> {
    let span = &span.whole();
    let all = |measure| sums(connection, span, measure);
    let count = |measure| -> Result<i64, StoreError> {
        Ok(counts(&all(measure)?, 1).first().copied().unwrap_or_default())
    };
    let size = |measure| -> Result<i64, StoreError> {
        Ok(all(measure)?.values().map(|cell| cell.sum).sum())
    };
    let people = |one| -> Result<Option<f64>, StoreError> {
        Ok(crowd(connection, span, one)?.first().copied())
    };
    let peak = |gauge| -> Result<Option<f64>, StoreError> {
        let steps = at_once(connection, span, gauge)?;
        Ok(steps.first().copied().flatten().map(|(_, peak)| peak as f64))
    };
    let (answered, unanswered) = (count(Measure::Answered)?, count(Measure::Unanswered)?);
    let set_up = all(Measure::SetUpTime)?;
    let of_set_up = |share| percentiles(&set_up, 1, share).first().copied().flatten();
    let seconds =
        |measure| -> Result<Option<f64>, StoreError> { Ok(Some(size(measure)? as f64 / 1000.0)) };
    use Unit::{Count, Milliseconds, Ratio, Seconds};
    let found: Vec<(&str, &str, Unit, Value)> = vec![
        ("users", "Users", Count, people(Crowd::Users)?.into()),
        ("callers", "Users in calls", Count, people(Crowd::Callers)?.into()),
        ("calls", "Calls", Count, count(Measure::Started)?.into()),
        ("calls_peak", "Calls at once, peak", Count, peak(Gauge::Calls)?.into()),
        ("call_seconds", "Time in calls", Seconds, seconds(Measure::Ended)?.into()),
        ("success", "Answered", Ratio, share(answered, answered + unanswered).into()),
        ("set_up_p50", "Set-up, median", Milliseconds, of_set_up(0.5).into()),
        ("set_up_p95", "Set-up, 95 %", Milliseconds, of_set_up(0.95).into()),
        ("drops", "Broke off", Count, count(Measure::Dropped)?.into()),
        ("viewers", "Viewers who came", Count, count(Measure::ViewerJoined)?.into()),
        ("viewers_peak", "Viewers at once, peak", Count, peak(Gauge::Viewers)?.into()),
        ("watched", "Time watched", Seconds, seconds(Measure::ViewerLeft)?.into()),
        ("events", "Events", Count, count(Measure::Events)?.into()),
        ("events_lost", "Events lost", Count, size(Measure::EventsLost)?.into()),
    ];
    let columns = found.iter().map(|(key, title, unit, _)| Column::new(key, title, *unit));
    let columns = columns.collect();
    let row = found.into_iter().map(|(.., value)| value).collect();
    Ok(Report::Totals.table(span, columns, vec![row]))
}
