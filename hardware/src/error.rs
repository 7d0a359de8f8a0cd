//! One error type per operation.

use stentor_protocol::{Backend, Codec, Resolution};

/// A decoder or encoder could not be opened. This server's fault or its hardware's; another
/// backend may work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("{backend} has no {what} for {codec}", backend = .backend.as_str(), codec = .codec.as_str())]
    NoImplementation { backend: Backend, codec: Codec, what: &'static str },
    #[error("{name} can't be opened: {reason}")]
    Refused { name: String, reason: String },
    #[error("{backend} device {device} can't be opened: {reason}", backend = .backend.as_str())]
    Device { backend: Backend, device: String, reason: String },
    #[error("{name} takes sizes from {least} to {most} with even sides, not {resolution}")]
    Size { name: String, resolution: Resolution, least: Resolution, most: Resolution },
}

/// An access unit could not be decoded. The source's fault, or a fault on its way; decoding
/// goes on at the next keyframe, so ask for one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("an access unit without bytes")]
    Empty,
    #[error("{name} could not decode an access unit: {reason}")]
    Damaged { name: String, reason: String },
}

/// A frame could not be encoded. This server's fault or its hardware's: the session is of no
/// use any more, open another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{name} could not scale a frame: {reason}")]
    Scale { name: String, reason: String },
    #[error("{name} could not encode a frame: {reason}")]
    Encode { name: String, reason: String },
    #[error(transparent)]
    Rebuild(#[from] OpenError),
}

/// A frame could not be made, read or turned into a JPEG.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("plane {plane} of a {resolution} frame has {given} bytes, not {expected}")]
    PlaneSize { resolution: Resolution, plane: &'static str, expected: usize, given: usize },
    #[error("no memory for a {resolution} frame: {reason}")]
    Allocate { resolution: Resolution, reason: String },
    #[error("the frame's samples are not in host memory")]
    NotHost,
    #[error("the frame can't be converted: {reason}")]
    Convert { reason: String },
    #[error("the frame can't be encoded as JPEG: {reason}")]
    Jpeg { reason: String },
}
