//! `/api/v1/analytics`: what events add up to.

use serde_json::json;
use std::time::Duration;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use warp::reply::Response;

use super::access::Need;
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::state::State;
use crate::analytics::{Asked, Desk, DeskError, Report, Table};
use crate::channels::settings::Invalid;
use crate::config::Period;
use crate::rfc3339::Millis;

/// What a query says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    asked: Asked,
    csv: bool,
}

pub fn list(state: &State, request: &Request) -> Answer {
    state.authorize(request, Need::Analyse)?;
    desk(state)?;
    Ok(listed())
}

pub async fn report(state: &State, request: &Request, name: &str) -> Answer {
    state.authorize(request, Need::Analyse)?;
    reported(desk(state)?, name, &request.query).await
}

/// The reports that there are.
pub fn listed() -> Response {
    let reports =
        Report::ALL.iter().map(|(name, _, title)| json!({ "name": name, "title": title }));
    reply::json(StatusCode::OK, &json!({ "reports": reports.collect::<Vec<_>>() }))
}

/// One of them.
pub async fn reported(desk: &Desk, name: &str, query: &str) -> Answer {
    let report = Report::named(name).ok_or_else(|| {
        let detail = format!("there is no report {name}");
        Problem::not_found(Kind::Blank, detail)
    })?;
    let Query { asked, csv } = Query::of(query)?;
    let table = desk.run(report, asked).await.map_err(problem)?;
    Ok(if csv { as_csv(&table) } else { reply::json(StatusCode::OK, &table) })
}

fn as_csv(table: &Table) -> Response {
    let mut response = reply::bytes(StatusCode::OK, "text/csv; charset=utf-8", table.to_csv());
    reply::add(&mut response, CACHE_CONTROL, "no-store");
    let name = format!("attachment; filename=\"stentor-{}.csv\"", table.report);
    reply::add(&mut response, CONTENT_DISPOSITION, name);
    response
}

fn desk(state: &State) -> Result<&Desk, Problem> {
    state.analytics.as_ref().ok_or_else(|| {
        let detail = "this server keeps no analytics: `analytics.enabled`, `events.enabled` and a \
                      state directory make it do so, or `stentor analytics` does";
        Problem::not_found(Kind::NoAnalytics, detail)
    })
}

fn problem(error: DeskError) -> Problem {
    let detail = error.to_string();
    match error {
        DeskError::Span(_) => invalid(&detail),
        DeskError::Busy => Problem::unavailable(Kind::Full, detail),
        DeskError::Store(_) | DeskError::Ended => {
            tracing::error!(detail, "no report");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Kind::Blank, detail)
        }
    }
}

fn invalid(detail: &str) -> Problem {
    let detail = detail.replace('`', "");
    Problem::invalid_settings(vec![Invalid { pointer: String::new(), detail }])
}

// === impl Query ===

impl Query {
    fn of(query: &str) -> Result<Self, Problem> {
        let mut found = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            match key {
                "from" => found.asked.from = Some(time("from", &value)?),
                "to" => found.asked.to = Some(time("to", &value)?),
                "step" => found.asked.step = Some(step(&value)?),
                "format" => {
                    found.csv = match value.as_str() {
                        "csv" => true,
                        "json" => false,
                        _ => return Err(invalid("format: expected json or csv")),
                    }
                }
                _ => return Err(invalid("expected from, to, step and format")),
            }
        }
        Ok(found)
    }
}

/// Milliseconds may be left out.
fn time(name: &str, text: &str) -> Result<Millis, Problem> {
    let whole = text.strip_suffix('Z').map(|text| format!("{text}.000Z"));
    let read = text.parse().or_else(|error| whole.map_or(Err(error), |text| text.parse()));
    read.map_err(|_| invalid(&format!("{name}: expected a time such as 2026-11-23T16:07:00Z")))
}

fn step(text: &str) -> Result<Duration, Problem> {
    let read = text.parse::<Period>();
    read.map(|period| period.0).map_err(|_| invalid("step: expected such as 5m, 1h or 1d"))
}

/// Percent-encoding (RFC 3986, 2.1); what isn't one stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let value = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match value.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_browsers_write_them() {
        let query = "from=2026-11-23T16%3A07%3A00Z&to=2026-11-23T16:08:00.250Z&step=5m&format=csv";
        let found = Query::of(query).unwrap();
        assert_eq!(found.asked.from, Some(Millis(1_795_450_020_000)));
        assert_eq!(found.asked.to, Some(Millis(1_795_450_080_250)));
        assert_eq!(found.asked.step, Some(Duration::from_secs(300)));
        assert!(found.csv);
        assert_eq!(Query::of("").unwrap(), Query::default());
        for wrong in ["from=", "to=yesterday", "step=5", "format=xml", "a=b", "from", "step=%"] {
            assert_eq!(Query::of(wrong).unwrap_err().status, 422, "{wrong}");
        }
    }
}
