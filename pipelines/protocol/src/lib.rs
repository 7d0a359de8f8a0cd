//! The seam between the daemon and its media workers.
//!
//! A worker is started with two inherited Unix sockets. On **control**, length-delimited JSON:
//! [`Command`]s go down, [`Event`]s come up. On **media** (`SOCK_SEQPACKET`), one RTP packet a
//! message behind the fixed [`MediaHeader`]. Plain data only: nothing here knows a pipeline, a
//! codec library or a viewer.

pub mod capacity;
pub mod choice;
pub mod control;
pub mod media;
pub mod probe;
pub mod recording;
pub mod spec;
pub mod stamp;
pub mod units;

pub use choice::{Choice, Refusal, choose};
pub use control::{Command, Event, Fault, SourceState, WorkerStats};
pub use media::{MediaFlags, MediaHeader};
pub use probe::ProbeReport;
pub use recording::{Chunk, RecordingSpec};
pub use spec::{Backend, ChannelSpec, Codec, RungKind, RungSpec, SourceSpec};
pub use units::{BitsPerSecond, FrameRate, Resolution, Secret, TrackId};

/// File descriptor number of the control socket in a worker.
pub const CONTROL_FD: i32 = 3;
/// File descriptor number of the media socket in a worker.
pub const MEDIA_FD: i32 = 4;
