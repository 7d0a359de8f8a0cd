//! Every metric and log event of the daemon, named in one place.

pub mod accounts;
pub mod analytics;
pub mod calls;
pub mod channels;
pub mod directory;
pub mod events;
pub mod fanout;
pub mod http;
pub mod log;
pub mod machine;
pub mod recording;
pub mod turn;

mod registrar;
