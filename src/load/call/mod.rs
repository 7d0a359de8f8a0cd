//! A whole call through one server, by the product's own protocol: devices sign in over the web
//! socket, one invites the others, those with cameras publish, and all watch each of them.
//!
//! `script` is what a device does about what it hears, pure; `device` its task, `leg` the tasks of
//! its sessions. [`run`] is the door.

mod clip;
mod device;
mod leg;
mod options;
mod publisher;
mod reading;
mod run;
mod script;
mod socket;
mod summary;

pub use clip::ClipError;
pub use options::CallOptions;
pub use run::run;
pub use summary::{CallProgress, CallSummary, Tiles};
