//! The whole product, met from outside by programs that are not ours.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "figures are shown beside the verdict")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod addresses;
mod bandwidth;
mod consumers;
mod contracts;
mod crowd;
mod events;
mod faults;
mod garbage;
mod hostile;
mod kafka;
mod loss;
mod nodes;
mod publishers;
mod recordings;
mod relayed;
mod rungs;
mod soak;
mod viewers;
