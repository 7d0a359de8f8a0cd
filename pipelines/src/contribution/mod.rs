//! Where a channel's pictures and sound come from.
//!
//! Whatever the source is, what leaves this module has one shape: coded access units on the
//! monotonic clock, and the source's turns of life. No video is decoded here.

use std::sync::Arc;

use stentor_protocol::control::{AudioFormat, Fault, SourceState, VideoFormat};
use stentor_protocol::spec::{ChannelSpec, SourceSpec};

mod backoff;
pub mod bitstream;
mod demuxed;
#[cfg(any(test, fuzzing))]
pub mod doors;
mod elements;
mod file;
mod flow;
mod outlet;
mod pull;
mod rtsp;
mod sound;
mod srt;
mod synthetic;
mod teardown;
#[cfg(test)]
mod testing;
mod timeline;
mod watchdog;
mod whip;

/// One coded picture or one Opus packet.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// H.264 and H.265: annex B, whole, parameter sets in front of every IDR. VP8: a frame.
    /// Audio: one Opus packet, 48 kHz. Maps as one memory without a copy. Its own timestamps
    /// mean nothing outside this module.
    pub data: gst::Buffer,
    /// When it is to be shown, in ns on `CLOCK_MONOTONIC`: one scale for audio and video of a
    /// source. Units come in decoding order, so with B-frames it goes back and forth;
    /// without them, and for audio, it only ever grows.
    pub pts_ns: u64,
    /// Video: decoding can start here. Audio: always true.
    pub keyframe: bool,
    /// Something before this unit was lost, or the source's clock jumped.
    pub discontinuity: bool,
}

/// What a source tells.
#[derive(Debug, Clone)]
pub enum Contributed {
    State {
        state: SourceState,
        detail: String,
    },
    /// Before the first video unit and at each change; the next video unit is a keyframe.
    VideoFormat(VideoFormat),
    /// What the source sends. The units are Opus whatever this says.
    AudioFormat(AudioFormat),
    Video(AccessUnit),
    Audio(AccessUnit),
    /// The byte of RFC 6464.
    AudioLevel(u8),
    WhipAnswer {
        session: String,
        sdp: String,
    },
    WhipRefused {
        session: String,
        fault: Fault,
        reason: String,
    },
    WhipEnded {
        session: String,
        reason: String,
    },
}

/// Takes what a source tells. Called on the source's streaming threads, audio and video at the
/// same time: it must not block, and it must not call into the [`Contribution`].
pub type Sink = Arc<dyn Fn(Contributed) + Send + Sync>;

/// What the daemon wants of a WHIP source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhipCommand {
    Offer { session: String, sdp: String },
    Trickle { session: String, fragment: String },
    Close { session: String },
}

/// Totals since the source was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContributionStats {
    /// Bytes of access units delivered, audio and video.
    pub bytes: u64,
    /// How often a lost source was connected again.
    pub reconnects: u64,
    /// Units and pictures dropped: before the first keyframe, or in front of a busy stage.
    pub dropped: u64,
}

/// A source that is open. It lives until it is closed, however often its camera comes and goes.
pub trait Contribution: Send {
    /// Asks the camera for a keyframe, where the camera can be asked.
    fn request_keyframe(&self);
    /// Takes a WHIP command. Answers come through the [`Sink`].
    fn handle(&mut self, command: WhipCommand);
    /// Ends the source; nothing is told after it returns. Takes a few seconds at most.
    fn close(self: Box<Self>);
    fn stats(&self) -> ContributionStats;
}

/// Why a source can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("gstreamer can't start: {0}")]
    Init(String),
    #[error("gstreamer element {0} is missing: is its plugin package installed?")]
    MissingElement(&'static str),
    #[error("the source is not usable: {0}")]
    Source(String),
}

/// Opens the source that the channel asks for.
pub fn open(spec: &ChannelSpec, sink: Sink) -> Result<Box<dyn Contribution>, OpenError> {
    let loss_ms = spec.loss_timeout_ms;
    match &spec.source {
        SourceSpec::Synthetic { resolution, frame_rate } => {
            synthetic::open(&spec.channel, *resolution, *frame_rate, sink)
        }
        SourceSpec::Whip { second_publisher } => whip::open(spec, *second_publisher, sink),
        SourceSpec::Rtsp { url, transport, user, password } => {
            rtsp::open(url, *transport, user.clone(), password.clone(), loss_ms, sink)
        }
        SourceSpec::Srt { mode, address, passphrase, stream_id, latency_ms } => {
            let settings = srt::Settings {
                mode: *mode,
                address,
                passphrase: passphrase.as_ref(),
                stream_id: stream_id.as_deref(),
                latency_ms: *latency_ms,
            };
            srt::open(&settings, loss_ms, sink)
        }
        SourceSpec::File { path, repeat } => file::open(path, *repeat, loss_ms, sink),
    }
}
