//! Tests of `analytics`: events in, reports out.

mod dump;
mod once;
mod reports;
mod time;

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use prometheus::Registry;
use rusqlite::Connection;

use super::engine::{Engine, EngineError};
use super::report::{Asked, Report, Span, Table, Value};
use super::source::{Source, SourceError, Taken};
use super::store::{Kept, Positions, reader};
use crate::events::{Event, EventId, Logged};
use crate::identity::NodeId;
use crate::rfc3339::Millis;
use crate::telemetry::analytics::AnalyticsMetrics;

/// 2026-11-23T16:07:00Z.
pub const NOON: u64 = 1_795_450_020_000;
pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KEPT: Kept =
    Kept { minutes: Duration::from_secs(14 * 86_400), hours: Duration::from_secs(400 * 86_400) };

/// What a source has at a place.
#[derive(Debug, Clone)]
pub enum Step {
    Event(u32, Box<Logged>),
    /// Nothing more for the moment: what came before is written.
    Dry,
    /// The process is killed: what came since the last writing is forgotten.
    Killed,
}

/// Events in memory.
pub struct Script {
    steps: Vec<Step>,
    at: usize,
}

impl Source for Script {
    fn next(&mut self) -> Result<Option<Taken>, SourceError> {
        let step = self.steps.get(self.at).cloned();
        self.at += usize::from(step.is_some());
        match step {
            Some(Step::Event(place, logged)) => Ok(Some(Taken::Event { place, logged })),
            Some(Step::Killed) => Err(SourceError::Broker("killed".to_owned())),
            Some(Step::Dry) | None => Ok(None),
        }
    }

    fn positions(&self) -> Vec<(String, String)> {
        vec![("script".to_owned(), self.at.to_string())]
    }

    fn unreadable(&self) -> u64 {
        0
    }

    fn waiting(&self) -> Option<u64> {
        None
    }
}

pub fn engine(database: &Path, steps: &[Step]) -> Engine<Script> {
    let open = |positions: &Positions| {
        let at = positions.get("script").map_or(0, |at| at.parse().unwrap());
        Ok(Script { steps: steps.to_vec(), at })
    };
    let metrics = AnalyticsMetrics::register(&Registry::new()).unwrap();
    Engine::open(database, open, KEPT, metrics).unwrap()
}

/// Runs a script to its end, and begins anew where it is killed.
pub fn play(database: &Path, steps: &[Step], now_ms: u64) {
    let mut steps = steps.to_vec();
    let mut running = engine(database, &steps);
    loop {
        let now = UNIX_EPOCH + Duration::from_millis(now_ms);
        match running.turn(now) {
            Ok(turn) if turn.dry && running.source().at == steps.len() => return,
            Ok(_) => {}
            Err(EngineError::Store(error)) => panic!("{error}"),
            Err(EngineError::Source(_)) => {
                // Once.
                let at = running.source().at - 1;
                steps[at] = Step::Dry;
                drop(running);
                running = engine(database, &steps);
            }
        }
    }
}

/// An event as it is read from a log.
pub fn logged(node: &str, number: u64, time_ms: u64, event: &Event) -> Box<Logged> {
    let id = EventId(u128::from(time_ms) << 80 | 7 << 76 | u128::from(number));
    let mut line = Vec::new();
    event.write(id, Millis(time_ms), &node.parse::<NodeId>().unwrap(), &mut line).unwrap();
    Box::new(Logged::read(&line).unwrap())
}

pub fn report(database: &Path, report: Report, from: u64, to: u64, step: u64, now: u64) -> Table {
    let asked = Asked {
        from: Some(Millis(from)),
        to: Some(Millis(to)),
        step: Some(Duration::from_millis(step)),
    };
    let span = Span::of(asked, KEPT.minutes, Millis(now)).unwrap();
    report.run(&reader(database).unwrap(), &span).unwrap()
}

/// A column of numbers.
pub fn column(table: &Table, key: &str) -> Vec<Option<f64>> {
    let at = table.columns.iter().position(|column| column.key == key);
    let at = at.unwrap_or_else(|| panic!("no column {key}: {:?}", table.columns));
    let value = |row: &Vec<Value>| match &row[at] {
        Value::Number(value) => Some(*value),
        Value::None => None,
        other => panic!("{other:?}"),
    };
    table.rows.iter().map(value).collect()
}

/// Everything that is counted, in words.
pub fn contents(database: &Path) -> Vec<String> {
    let connection = Connection::open(database).unwrap();
    let mut lines = Vec::new();
    for sql in [
        "SELECT 'cell ' || tier || ' ' || start || ' ' || measure || ' '
             || coalesce((SELECT word FROM words WHERE id = a AND measure NOT IN (14, 15)), a)
             || ' ' || coalesce((SELECT word FROM words WHERE id = b), b)
             || ': ' || n || ' ' || sum FROM cells",
        "SELECT 'move ' || tier || ' ' || gauge || ' ' || slot || ' '
             || coalesce((SELECT word FROM words WHERE id = a), a) || ' '
             || coalesce((SELECT word FROM words WHERE id = b), b) || ': ' || n
             FROM moves WHERE n <> 0",
        "SELECT 'crowd ' || tier || ' ' || crowd || ' ' || start || ': ' || hex(sketch)
             FROM crowds",
        "SELECT 'open ' || gauge || ' ' || name || ' ' || since_ms FROM stays
             WHERE ended_ms IS NULL",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map((), |row| row.get::<_, String>(0)).unwrap();
        lines.extend(rows.map(Result::unwrap));
    }
    lines.sort();
    lines
}
