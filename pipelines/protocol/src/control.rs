//! Commands down, events up, and their framing.
//!
//! A frame is a 32-bit little-endian length, then that many bytes of JSON. Framing is sans-I/O:
//! [`encode`] gives bytes to write; [`FrameReader`] takes bytes that were read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::recording::{Chunk, RecordingSpec};
use crate::spec::{Backend, ChannelSpec, Codec, RungSpec};
use crate::units::{BitsPerSecond, FrameRate, Resolution, TrackId};

/// The longest frame either side accepts, in bytes.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// From the daemon to a worker.
// The large one is sent once in a worker's life.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Always the first, and sent once.
    Start(ChannelSpec),
    /// A publisher's SDP offer; answered by [`Event::WhipAnswer`] or [`Event::WhipRefused`].
    WhipOffer {
        session: String,
        sdp: String,
    },
    /// A trickle ICE fragment (RFC 8840).
    WhipTrickle {
        session: String,
        fragment: String,
    },
    WhipClose {
        session: String,
    },
    /// Produce this rung until told to stop. Idempotent.
    StartRung(RungSpec),
    StopRung {
        track: TrackId,
    },
    /// Change an encoded rung's target without a new session.
    SetBitrate {
        track: TrackId,
        bitrate: BitsPerSecond,
    },
    /// Ask for a keyframe. The worker coalesces: at most one a second per rung.
    Keyframe {
        track: TrackId,
    },
    /// Write down what the source sends, until told to stop. Idempotent.
    StartRecording(RecordingSpec),
    /// Idempotent. [`Event::RecordingStopped`] says that all its chunks are whole.
    StopRecording {
        recording: String,
    },
    /// End the pipelines, then exit with status 0.
    Shutdown,
}

/// From a worker to the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The worker takes commands.
    Ready {
        pid: u32,
        version: String,
    },
    WhipAnswer {
        session: String,
        sdp: String,
    },
    WhipRefused {
        session: String,
        fault: Fault,
        reason: String,
    },
    /// The leg ended: closed by the daemon, taken over, or given up by the watchdog.
    WhipEnded {
        session: String,
        reason: String,
    },
    /// The source's state changed.
    Source {
        state: SourceState,
        detail: String,
    },
    /// What the source sends now. Sent when it is first known and at each change.
    Format {
        video: Option<VideoFormat>,
        audio: Option<AudioFormat>,
    },
    /// First packets of the rung are on the media socket.
    RungStarted {
        track: TrackId,
        backend: Option<Backend>,
        encoder: String,
        resolution: Resolution,
    },
    RungStopped {
        track: TrackId,
    },
    /// The rung can't be produced.
    RungFailed {
        track: TrackId,
        reason: String,
    },
    /// A backend gave way to another. Never silent: logged, counted, in the API.
    Fallback {
        track: Option<TrackId>,
        from: Backend,
        to: Backend,
        reason: String,
    },
    /// How loud the source was at most over the last tenth of a second, as the one byte of RFC
    /// 6464: -dBov, and a bit for a voice.
    AudioLevel {
        level: u8,
    },
    /// A recent picture, JPEG.
    Thumbnail {
        #[serde(with = "base64_bytes")]
        jpeg: Vec<u8>,
    },
    RecordingStarted {
        recording: String,
    },
    /// A file of the recording is whole and on the disk.
    ChunkWritten {
        recording: String,
        chunk: Chunk,
    },
    /// Nothing can be written. The channel goes on, what comes meanwhile is left out, and it is
    /// tried again once a second. Told once, until a chunk was written again.
    RecordingTrouble {
        recording: String,
        /// The disk, or the owner's share of it, is full.
        full: bool,
        reason: String,
    },
    RecordingStopped {
        recording: String,
    },
    /// Once a second.
    Stats(WorkerStats),
}

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The offer can't be answered: 400.
    Client,
    /// The offer has no codec in common with us: 406.
    NoCommonCodec,
    /// Someone publishes here already: 409.
    Busy,
    /// No such session: 404.
    NoSession,
    /// We can't now, try later: 503.
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Nobody publishes; the slate is shown.
    Waiting,
    /// Connecting or reconnecting; the slate is shown.
    Connecting,
    Live,
    /// Gone or silent; the slate is shown, and a pulled source is tried again with back-off.
    Lost,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoFormat {
    pub codec: Codec,
    pub resolution: Resolution,
    pub frame_rate: Option<FrameRate>,
    /// Fit for WebRTC as it is (H.264 without B-frames, VP8): may be the top rung untouched.
    pub pass_through: bool,
    /// `profile-level-id` of H.264, six hexadecimal digits.
    pub profile_level_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioFormat {
    pub codec: Codec,
    pub sample_rate_hz: u32,
    pub channels: u32,
}

/// Totals since the worker's start, unless a name says otherwise.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WorkerStats {
    /// Bytes and packets or access units that the contribution delivered.
    pub source_bytes: u64,
    pub source_video_units: u64,
    pub source_audio_units: u64,
    pub frames_decoded: u64,
    pub decode_seconds: f64,
    pub decoder: String,
    pub decode_errors: u64,
    /// Bytes of raw pictures that crossed the bus between GPU and host memory.
    pub bus_bytes: u64,
    pub media_packets: u64,
    pub media_bytes: u64,
    /// Packets dropped because the media socket was full.
    pub media_dropped: u64,
    /// Frames dropped in front of a busy stage.
    pub frames_dropped: u64,
    pub slate_frames: u64,
    /// Bytes of chunks that are whole.
    #[serde(default)]
    pub recorded_bytes: u64,
    /// Units that no recording holds: before a keyframe, or for want of room or speed.
    #[serde(default)]
    pub recording_dropped: u64,
    pub source_reconnects: u64,
    pub encoder_rebuilds: u64,
    /// Round-trip-free measure: now minus capture time as an access unit is handed over, ms.
    pub pipeline_latency_ms: f64,
    pub rungs: Vec<RungStats>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RungStats {
    pub track: TrackId,
    pub backend: Option<Backend>,
    pub frames: u64,
    pub keyframes: u64,
    pub bytes: u64,
    pub encode_seconds: f64,
    pub scale_seconds: f64,
}

/// Why a frame could not be read. The stream can't be followed any further.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("control frame of {0} bytes is longer than {MAX_FRAME_BYTES}")]
    TooLong(usize),
    #[error("control frame is not a known message: {0}")]
    Json(#[from] serde_json::Error),
}

/// Collects bytes and gives whole messages.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
}

/// One message as a frame.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(length));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

// === impl FrameReader ===

impl FrameReader {
    /// Takes bytes as they were read.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Gives the next whole message. Call until None.
    pub fn poll_message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = self.buffer.get(4..4 + length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(body)?;
        self.buffer.drain(..4 + length);
        Ok(Some(message))
    }
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_however_its_bytes_are_cut() {
        let sent = Event::Thumbnail { jpeg: vec![0xff, 0xd8, 0] };
        let bytes = encode(&sent).unwrap();
        let mut reader = FrameReader::default();
        for byte in &bytes[..bytes.len() - 1] {
            reader.handle_bytes(&[*byte]);
            assert_eq!(reader.poll_message::<Event>().unwrap(), None);
        }
        reader.handle_bytes(&bytes[bytes.len() - 1..]);
        assert_eq!(reader.poll_message().unwrap(), Some(sent));
        assert_eq!(reader.poll_message::<Event>().unwrap(), None);
    }

    #[test]
    fn two_messages_in_one_read_arrive_in_order() {
        let mut bytes = encode(&Command::Shutdown).unwrap();
        let second = Command::Keyframe { track: TrackId(3) };
        bytes.extend(encode(&second).unwrap());
        let mut reader = FrameReader::default();
        reader.handle_bytes(&bytes);
        assert_eq!(reader.poll_message().unwrap(), Some(Command::Shutdown));
        assert_eq!(reader.poll_message().unwrap(), Some(second));
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_before_it_is_read() {
        let mut reader = FrameReader::default();
        reader.handle_bytes(&u32::MAX.to_le_bytes());
        assert!(matches!(reader.poll_message::<Event>(), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn an_unknown_message_is_refused() {
        let mut reader = FrameReader::default();
        reader.handle_bytes(&encode(&serde_json::json!({"event": "nonsense"})).unwrap());
        assert!(matches!(reader.poll_message::<Event>(), Err(FrameError::Json(_))));
    }
}
