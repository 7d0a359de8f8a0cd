//! The HTTP side: WHIP, WHEP, REST, metrics, health, and the web client's files.

pub mod access;

mod account;
mod alone;
mod analytics;
mod api;
mod assets;
mod events;
mod limit;
mod listen;
mod origin;
mod passes;
mod patch;
mod people;
mod places;
mod problem;
mod recordings;
mod reply;
mod request;
mod route;
mod sdp;
mod server;
mod service;
mod sessions;
mod state;
mod tls;
mod users;
mod viewers;
mod whep;
mod whip;
mod ws;

pub use self::alone::Alone;
pub use self::limit::RateLimit;
pub use self::listen::{ListenError, Listeners, Service};
pub use self::origin::Origins;
pub use self::passes::Passes;
pub use self::people::{AccountsElsewhere, Decider, People, QUESTIONS, UserDesk};
pub use self::places::Places;
pub use self::sessions::Sessions;
pub use self::state::{Archive, IssueRelay, Life, Limiter, RelayUser, Settings, State};
pub use self::tls::{Tls, TlsError};
pub use self::ws::{Board, BoardConfig, Ears, Herald, MediaDriver, Outside};
