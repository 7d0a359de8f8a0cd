//! Live channels: desired state, worker supervision, ladder choice.

pub mod settings;

mod admission;
mod backoff;
mod channel;
mod findings;
mod format;
mod group;
mod inbox;
mod ladder;
mod link;
mod meter;
mod outlet;
mod probe;
mod registry;
mod rungs;
mod status;
mod store;
mod tape;
mod whip;
mod worker;

pub use self::admission::{Admission, Usage};
pub use self::channel::{Context, Heard, Record, Thumbnail, Tuning};
pub use self::findings::Findings;
#[cfg(test)]
pub use self::group::tests::pretended;
pub use self::group::{Groups, WorkerLimits, enter};
pub use self::outlet::{Feed, Offered, Outlet};
pub use self::probe::{ProbeError, probe};
pub use self::registry::{ChangeError, Channels, Limits, Put, RecordError, WhipRequestError};
pub use self::status::{ChannelState, ChannelStatus};
pub use self::store::{Store, StoreError};
pub use self::tape::{Shelf, Tape};
pub use self::whip::WhipError;
pub use self::worker::Spawner;
