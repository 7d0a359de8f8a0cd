//! From events to reports: a source of events, roll-ups by the minute and by the hour in SQLite,
//! tables of what they say.
//!
//! ```text
//! source ── seen? ── fold ──► increments ──► store (one transaction a batch) ──► reports
//! ```
//!
//! Every event counts once. What is counted, which events it was and how far the source was read
//! are written together; [`seen`] says what is held against repetitions. `fold`, `rollup`, `seen`,
//! `histogram`, `sketch`, `words` and the spans and levels of reports are pure.

mod client;
mod desk;
pub mod dump;
mod engine;
mod fold;
mod histogram;
mod kafka;
mod measure;
pub mod report;
mod rollup;
mod seen;
mod sketch;
mod source;
mod store;
mod words;

pub use desk::{Desk, DeskError};
pub use engine::{Engine, EngineError, Maker, Progress, Running, Turn};
pub use kafka::KafkaSource;
pub use report::{Asked, NoSpan, Report, Span, Table};
pub use source::{LogSource, Source, SourceError, Taken};
pub use store::{Kept, Positions, StoreError, reader};

#[cfg(test)]
mod tests;
