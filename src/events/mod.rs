//! Everything that happens, as typed events: handed in by [`Events::emit`], written to a log on
//! disk, read by [`Reader`]s that keep their own [`Cursor`].
//!
//! An event is written at the latest `flush_interval` after it was handed in, and on the disk at
//! the latest `sync_interval` after that: a daemon that is killed loses the first, a power cut
//! both. Every type has its schema in `schemas/`, with the rule by which types change.
//!
//! Where Kafka is configured, a [`Shipper`] brings the log there; [`Partitions`] is all of the topic,
//! for who keeps its places itself. A [`Source`] tells of what happens from the log or from Kafka.

mod calls;
#[cfg(any(test, fuzzing))]
pub mod doors;
mod event;
mod geoip;
mod handle;
mod id;
mod kafka;
pub mod kinds;
mod log;
mod source;
mod writer;

pub use calls::events_of;
pub use event::{Envelope, Event, Logged, Subject, Unreadable};
pub use geoip::{GeoIp, GeoIpError};
pub use handle::Events;
pub use id::EventId;
pub use kafka::{Given, KafkaConfig, KafkaFault, Mark, Offsets, Partitions, ShipError, Shipper};
pub use kinds::Data;
pub use log::{Bounds, Cursor, Item, OpenError, ReadError, Reader, has_log};
pub use source::{Source, SourceError};
pub use writer::{EventLog, LogConfig, StartError};

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
