//! The HTTP side, with a real daemon in this process and workers that only talk.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod analytics;
mod bucket;
mod calls;
mod channels;
mod chat;
mod device;
mod doors;
mod elsewhere;
mod events;
mod hardware;
mod hook;
mod hostile;
mod legs;
mod nodes;
mod notices;
mod outside_turn;
mod person;
mod program;
mod recorded_calls;
mod recordings;
mod relays;
mod retention;
mod shared;
mod stores;
mod support;
mod tokens;
mod whip;
