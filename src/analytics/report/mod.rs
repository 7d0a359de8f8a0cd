//! What the roll-ups say, as tables.

mod by_label;
mod levels;
mod over_time;
mod span;
mod sums;
mod table;
mod totals;

use rusqlite::Connection;

pub use span::{Asked, MOST_STEPS, NoSpan, Span};
pub use table::{Column, Table, Unit, Value};

use super::store::StoreError;

/// A report's name, as paths have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    Totals,
    Users,
    Calls,
    Concurrency,
    SetUp,
    Unanswered,
    Drops,
    Ways,
    PathChanges,
    Configurations,
    Quality,
    QualityBy(By),
    Sizes,
    Codecs,
    Viewers,
    Renditions,
    Countries,
    Channels,
}

/// What quality is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Country,
    Device,
    Network,
    Browser,
}

// === impl By ===

impl By {
    /// As `fold::quality` has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Device => "device",
            Self::Network => "network",
            Self::Browser => "browser",
        }
    }
}

// === impl Report ===

impl Report {
    pub const ALL: &[(&str, Self, &str)] = &[
        ("totals", Self::Totals, "All of the time in one row"),
        ("users", Self::Users, "Different users, and those in calls"),
        ("calls", Self::Calls, "Calls begun, answered and ended"),
        ("concurrency", Self::Concurrency, "Calls and viewers at once, mean and peak"),
        ("set-up", Self::SetUp, "Success and time of call set-up"),
        ("unanswered", Self::Unanswered, "Invitations without an answer, by how they ended"),
        ("drops", Self::Drops, "What broke off, by cause"),
        ("ways", Self::Ways, "Shares of mesh, relayed and server in what was reported"),
        ("path-changes", Self::PathChanges, "Directions that took another way, by cause"),
        ("configurations", Self::Configurations, "Configurations agreed anew, by cause"),
        ("quality", Self::Quality, "What receivers report, over time"),
        ("quality-by-country", Self::QualityBy(By::Country), "The same by country"),
        ("quality-by-device", Self::QualityBy(By::Device), "The same by kind of device"),
        ("quality-by-network", Self::QualityBy(By::Network), "The same by network"),
        ("quality-by-browser", Self::QualityBy(By::Browser), "The same by browser"),
        ("sizes", Self::Sizes, "Sizes of pictures that were received"),
        ("codecs", Self::Codecs, "Video codecs that were agreed on"),
        ("viewers", Self::Viewers, "Viewers at once of each channel"),
        ("renditions", Self::Renditions, "Viewers of each channel and rendition"),
        ("countries", Self::Countries, "Viewers who came, by country"),
        ("channels", Self::Channels, "What happened to each channel"),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, ..)| *known == name).map(|(_, report, _)| *report)
    }

    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, report, _)| *report == self);
        found.map_or("", |(name, ..)| name)
    }

    /// The table, in one state of the database.
    pub fn run(self, connection: &Connection, span: &Span) -> Result<Table, StoreError> {
        let snapshot = connection.unchecked_transaction()?;
        match self {
            Self::Totals => totals::totals(&snapshot, span),
            Self::Users
            | Self::Calls
            | Self::Concurrency
            | Self::SetUp
            | Self::Quality
            | Self::Ways => over_time::over_time(self, &snapshot, span),
            _ => by_label::by_label(self, &snapshot, span),
        }
    }

    fn table(self, span: &Span, columns: Vec<Column>, rows: Vec<Vec<Value>>) -> Table {
        let (from, to) = (span.time(0), span.time(span.steps()));
        let (report, step_seconds) = (self.name(), span.step_ms / 1000);
        Table { report, from, to, step_seconds, columns, rows }
    }
}
