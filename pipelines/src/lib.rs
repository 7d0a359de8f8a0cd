//! The media worker's parts: a source comes in, renditions go out as RTP on the media socket.

pub mod compile;
pub mod container;
pub mod contribution;
pub mod control;
#[cfg(any(test, fuzzing))]
pub mod doors;
mod fault;
pub mod lifeline;
pub mod media;
pub mod output;
pub mod packetise;
pub mod program;
pub mod queue;
pub mod recording;
pub mod source;
pub mod stats;
pub mod thumbnails;
pub mod transcode;
pub mod worker;
