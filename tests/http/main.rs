//! The HTTP side, with a real daemon in this process and workers that only talk.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod analytics;
mod calls;
mod channels;
mod chat;
mod device;
mod doors;
mod elsewhere;
mod events;
mod hardware;
mod hook;
mod legs;
mod person;
mod program;
mod support;
mod tokens;
mod whip;
