//! Stentor's daemon: the control plane and the fan-out to viewers.

pub mod accounts;
pub mod analytics;
pub mod app;
pub mod bucket;
pub mod calls;
pub mod channels;
mod child;
pub mod config;
pub mod depot;
pub mod directory;
#[cfg(any(test, fuzzing))]
pub mod doors;
mod ending;
pub mod events;
pub mod fanout;
mod hex;
pub mod http;
pub mod identity;
#[cfg(test)]
mod json_schema;
pub mod limit;
pub mod load;
pub mod recording;
pub mod rfc3339;
pub mod stun;
pub mod telemetry;
pub mod turn;
