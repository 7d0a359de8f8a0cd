//! Recordings: workers write chunks to a [`Spool`], the [`Logger`] ships them to the chunk store,
//! and when a recording has ended a file creator ([`creator`]) makes files of them, which stay in
//! the permanent store. The [`Catalogue`] knows which there are and who was in them; [`notify`]
//! tells those.
//!
//! Nothing here stands in the way of a call: whatever is slow or gone is waited for beside it.

pub mod catalogue;
pub mod creator;
mod desk;
mod ids;
mod line;
mod links;
mod logger;
pub mod notify;
mod papers;
mod pauses;
mod spool;

pub use catalogue::{Catalogue, Entry, Page, Participant, State, Viewer};
pub use creator::{Creator, CreatorRules, Hearing, LOOK_OFTEN, LOOK_SELDOM, Opener, Word};
pub use desk::{CallWanted, DeleteError, Parts, Recordings, Rules, Signals, StartError, now_ms};
pub use ids::RecordingId;
pub use links::{LinkError, Links};
pub use logger::Logger;
pub use papers::{FileEntry, Subject, object};
pub use spool::{NoShelf, SharedSpool, Spool};
