//! STUN and TURN (RFC 8489, RFC 8656): whoever sits behind a firewall that lets no UDP through
//! reaches the fan-out by way of a relay, over UDP, TCP or TLS.
//!
//! `desk` decides about requests, `allocation` is what a client was given, `policy` says whom a
//! relay may talk to, `quota` how much of it there is: all of them pure. `thread/` moves packets.
//! Clients prove themselves with time-limited credentials that the HTTP side hands out.

mod allocation;
mod answer;
mod config;
mod credentials;
mod desk;
#[cfg(any(test, fuzzing))]
pub mod doors;
mod frame;
mod handle;
mod policy;
mod ports;
mod quota;
mod refusal;
mod request;
mod stream;
mod thread;

pub use config::{TlsSource, TurnConfig, TurnError};
pub use credentials::Credentials;
pub use handle::Turn;
pub use policy::{MediaPorts, PeerPolicy};
pub use quota::Quotas;
