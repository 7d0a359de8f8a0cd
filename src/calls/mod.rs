//! Calls: people ring each other, one to one and in groups.
//!
//! Everything here decides and does nothing: functions and machines of plain data and of the time
//! they are given. `messages/` is what devices and the server say to each other, `outbox` numbers
//! it so that a socket may drop, `signalling/` is one call's life. `negotiation` finds what suits
//! all devices, `topology` says mesh or server, `path` moves one direction, `routing` chooses what
//! each receiver gets of each sender, `speaker` finds who talks. `hub` holds all of a node: devices,
//! sessions and calls.

#[cfg(any(test, fuzzing))]
pub mod doors;
pub mod hub;
pub mod ids;
pub mod messages;
pub mod negotiation;
pub mod outbox;
pub mod path;
pub mod routing;
pub mod signalling;
pub mod speaker;
pub mod topology;
