//! From an offer to a session that a shard can take in: all of it away from the shards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stentor_protocol::Codec;
use tokio::sync::watch;

use super::channel::Channel;
use super::registry::Place;
use super::rtp::MAX_MID;
use super::sdp::{
    Accepted, AnswerParams, Capabilities, MediaKind, Negotiated, SdpError, TrackSource, answer,
    negotiate,
};
use super::transport::{Certificate, IceCreds, Transport, TransportConfig};
use super::{JoinError, RenditionChoice, SessionId, SessionReport};

/// A viewer on its way to its shard.
pub struct NewSession {
    pub id: SessionId,
    pub channel: Arc<Channel>,
    pub transport: Transport,
    /// What its ICE checks are addressed to.
    pub local_ufrag: String,
    pub media: ViewerMedia,
    pub choice: RenditionChoice,
    pub report: Arc<watch::Sender<SessionReport>>,
    /// When the request came in.
    pub asked: Instant,
    pub since: SystemTime,
    pub place: Place,
}

/// What was negotiated. Fixed for the session's life.
#[derive(Debug, Clone, Default)]
pub struct ViewerMedia {
    pub audio: Option<(u8, StreamParams)>,
    pub video: Option<VideoParams>,
}

/// One outgoing RTP stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamParams {
    pub ssrc: u32,
    pub first_sequence: u16,
    /// Added to timestamps.
    pub time_offset: u32,
    mid: [u8; MAX_MID],
    mid_length: u8,
    /// Ids of header extensions.
    pub mid_id: Option<u8>,
    pub transport_id: Option<u8>,
    pub capture_time_id: Option<u8>,
    pub send_time_id: Option<u8>,
}

#[derive(Debug, Clone)]
pub struct VideoParams {
    pub stream: StreamParams,
    /// Best first, one per codec.
    pub formats: Vec<VideoFormat>,
    pub rtx_ssrc: u32,
    pub rtx_first_sequence: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoFormat {
    pub codec: Codec,
    pub payload_type: u8,
    pub rtx: Option<u8>,
    pub nack: bool,
}

/// What an answer names.
pub struct Local<'a> {
    pub certificate: &'a Certificate,
    pub candidates: &'a [SocketAddr],
}

/// What came of an offer.
pub struct Negotiation {
    pub media: ViewerMedia,
    pub transport: Transport,
    pub local_ufrag: String,
    pub remote_ufrag: String,
    /// Kind and mid of the first accepted section, for ICE restarts.
    pub first_section: (&'static str, String),
    pub answer: String,
}

/// Reads an offer and writes its answer.
pub fn negotiate_offer(
    channel: &Channel,
    offer: &str,
    local: &Local<'_>,
    now: Instant,
) -> Result<Negotiation, JoinError> {
    let capabilities = capabilities(channel);
    let negotiated = negotiate(offer, &capabilities).map_err(|error| refusal(channel, &error))?;
    check_video(channel, &negotiated)?;
    let media = ViewerMedia::of(&negotiated)?;
    let creds = IceCreds::generate().map_err(|_| JoinError::Busy)?;
    let transport = Transport::new(
        TransportConfig {
            local: creds.clone(),
            remote: negotiated.remote.clone(),
            remote_fingerprint: negotiated.remote_fingerprint.clone(),
            role: negotiated.role,
            certificate: local.certificate.clone(),
        },
        now,
    )
    .map_err(|error| JoinError::Sdp(error.to_string()))?;
    let answer = answer(
        &negotiated,
        &AnswerParams {
            session_id: u64::from(random_u32()?) << 8 | 1,
            local: &creds,
            fingerprint: local.certificate.fingerprint(),
            candidates: local.candidates,
            tracks: &media.sources(&negotiated),
            cname: CNAME,
            stream: "stentor",
        },
    );
    let first = negotiated.media.iter().find(|m| m.accepted.is_some());
    let first_section = first.map_or(("video", String::new()), |m| match m.kind {
        MediaKind::Audio => ("audio", m.mid.clone()),
        _ => ("video", m.mid.clone()),
    });
    let remote_ufrag = negotiated.remote.ufrag;
    Ok(Negotiation {
        media,
        transport,
        local_ufrag: creds.ufrag,
        remote_ufrag,
        first_section,
        answer,
    })
}

/// Canonical name of all our streams: they share a clock.
pub const CNAME: &str = "stentor";

/// Codecs that the channel has, or may come to have while it has none.
fn capabilities(channel: &Channel) -> Capabilities {
    let mut capabilities = Capabilities::default();
    let offered = channel.renditions();
    if !offered.is_empty() {
        capabilities.video.retain(|codec| offered.iter().any(|o| o.track.codec == *codec));
    }
    capabilities
}

fn refusal(channel: &Channel, error: &SdpError) -> JoinError {
    match error {
        SdpError::NoCommonCodec(_) => JoinError::NoCommonCodec(channel.name.to_string()),
        error => JoinError::Sdp(error.to_string()),
    }
}

/// A viewer who wants video and can't decode ours is refused, rather than given sound alone.
fn check_video(channel: &Channel, negotiated: &Negotiated) -> Result<(), JoinError> {
    let videos = || negotiated.media.iter().filter(|m| m.kind == MediaKind::Video);
    let is_unmatched = videos().any(|m| m.is_unmatched) && videos().all(|m| m.accepted.is_none());
    if is_unmatched { Err(JoinError::NoCommonCodec(channel.name.to_string())) } else { Ok(()) }
}

fn random_u32() -> Result<u32, JoinError> {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| JoinError::Busy)?;
    Ok(u32::from_be_bytes(bytes))
}

// === impl ViewerMedia ===

impl ViewerMedia {
    fn of(negotiated: &Negotiated) -> Result<Self, JoinError> {
        let mut media = Self::default();
        if let Some((_, section, accepted)) = negotiated.accepted(MediaKind::Video).next() {
            media.video = Some(VideoParams::of(&section.mid, accepted)?);
        }
        if let Some((_, section, accepted)) = negotiated.accepted(MediaKind::Audio).next()
            && let Some(format) = accepted.format(Codec::Opus)
        {
            let mut stream = StreamParams::random(&section.mid, accepted)?;
            stream.transport_id = stream.transport_id.filter(|_| format.feedback.transport_cc);
            // Without numbers on the video there is no feedback worth having.
            let numbered = media.video.as_ref().is_some_and(|v| v.stream.transport_id.is_some());
            if !numbered {
                stream.transport_id = None;
            }
            media.audio = Some((format.payload_type, stream));
        }
        Ok(media)
    }

    fn sources(&self, negotiated: &Negotiated) -> Vec<TrackSource> {
        let place = |kind| negotiated.accepted(kind).next().map(|(place, ..)| place);
        let audio =
            self.audio.as_ref().zip(place(MediaKind::Audio)).map(|((_, stream), media)| {
                TrackSource { media, ssrc: stream.ssrc, rtx_ssrc: None }
            });
        let video = self.video.as_ref().zip(place(MediaKind::Video)).map(|(video, media)| {
            let rtx = video.formats.iter().any(|f| f.rtx.is_some());
            TrackSource { media, ssrc: video.stream.ssrc, rtx_ssrc: rtx.then_some(video.rtx_ssrc) }
        });
        [audio, video].into_iter().flatten().collect()
    }

    /// Whether transport-wide feedback comes.
    pub fn is_transport_wide(&self) -> bool {
        self.video.as_ref().is_some_and(|v| v.stream.transport_id.is_some())
    }
}

// === impl VideoParams ===

impl VideoParams {
    fn of(mid: &str, accepted: &Accepted) -> Result<Self, JoinError> {
        let mut stream = StreamParams::random(mid, accepted)?;
        let mut formats: Vec<VideoFormat> = Vec::new();
        for format in &accepted.formats {
            if formats.iter().all(|f| f.codec != format.codec) {
                formats.push(VideoFormat {
                    codec: format.codec,
                    payload_type: format.payload_type,
                    rtx: format.rtx,
                    nack: format.feedback.nack,
                });
            }
        }
        let feedback = accepted.formats.iter().any(|f| f.feedback.transport_cc);
        let all_rtx = formats.iter().all(|f| f.rtx.is_some());
        // Without RTX a lost packet is sent again under its old number, and the cipher demands
        // that it be the same to the bit. So there must be nothing in it that changes.
        if !all_rtx {
            stream.mid_id = None;
            stream.send_time_id = None;
            stream.capture_time_id = None;
        }
        stream.transport_id = stream.transport_id.filter(|_| feedback && all_rtx);
        if stream.transport_id.is_some() {
            stream.send_time_id = None;
        }
        let rtx_ssrc = loop {
            let ssrc = random_u32()?;
            if ssrc != stream.ssrc {
                break ssrc;
            }
        };
        let rtx_first_sequence = (random_u32()? & 0x7fff) as u16;
        Ok(Self { stream, formats, rtx_ssrc, rtx_first_sequence })
    }

    pub fn format(&self, codec: Codec) -> Option<&VideoFormat> {
        self.formats.iter().find(|f| f.codec == codec)
    }
}

// === impl StreamParams ===

impl StreamParams {
    fn random(mid: &str, accepted: &Accepted) -> Result<Self, JoinError> {
        let mut params = Self {
            ssrc: random_u32()?.max(1),
            // Low, so that the first packets don't wrap (RFC 3711, 3.3.1 guesses the roll-over).
            first_sequence: (random_u32()? & 0x7fff) as u16,
            time_offset: random_u32()?,
            mid_id: accepted.extensions.mid.filter(|_| mid.len() <= MAX_MID),
            transport_id: accepted.extensions.transport_cc,
            capture_time_id: accepted.extensions.abs_capture_time,
            send_time_id: accepted.extensions.abs_send_time,
            ..Self::default()
        };
        let mid = &mid.as_bytes()[..mid.len().min(MAX_MID)];
        params.mid[..mid.len()].copy_from_slice(mid);
        params.mid_length = mid.len() as u8;
        Ok(params)
    }

    pub fn mid(&self) -> &[u8] {
        &self.mid[..usize::from(self.mid_length)]
    }
}
