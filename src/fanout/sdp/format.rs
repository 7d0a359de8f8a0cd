//! Payload formats: which of the offered ones a codec of ours may be sent as.

use stentor_protocol::Codec;

use super::description::Section;

/// A payload type of the peer's and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    pub codec: Codec,
    /// 0 to 127.
    pub payload_type: u8,
    /// Payload type of its retransmissions (RFC 4588).
    pub rtx: Option<u8>,
    /// Hz.
    pub clock_rate: u32,
    pub feedback: Feedback,
    /// None for other codecs.
    pub h264: Option<H264Profile>,
    /// Parameters for the answer.
    pub(super) fmtp: Option<String>,
    /// As the offer spells it, such as "opus/48000/2".
    pub(super) rtpmap: String,
}

/// RTCP feedback that the peer will send (RFC 4585, RFC 5104).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Feedback {
    pub nack: bool,
    pub pli: bool,
    pub fir: bool,
    pub transport_cc: bool,
    pub remb: bool,
}

/// `profile-level-id` (RFC 6184, 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H264Profile {
    pub profile_idc: u8,
    pub constraints: u8,
    pub level_idc: u8,
}

/// Header extensions that we write, by the peer's ids: 1 to 14, so that one-byte headers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    pub mid: Option<u8>,
    pub transport_cc: Option<u8>,
    pub abs_send_time: Option<u8>,
    pub abs_capture_time: Option<u8>,
    pub playout_delay: Option<u8>,
}

const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
const ABS_CAPTURE_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

/// The section's formats that carry one of `codecs`, best first: in the order of `codecs`, and
/// for one codec in the order of profiles and of the offer.
pub(super) fn choose(section: &Section, codecs: &[Codec]) -> Vec<Format> {
    let mut chosen: Vec<Format> = Vec::new();
    for payload_type in &section.formats {
        let format = Format::read(section, payload_type);
        if let Some(format) = format
            && codecs.contains(&format.codec)
            && !chosen.iter().any(|f| f.payload_type == format.payload_type)
        {
            chosen.push(format);
        }
    }
    let preference = |f: &Format| {
        let codec = codecs.iter().position(|c| *c == f.codec);
        (codec, f.h264.map(H264Profile::rank))
    };
    chosen.sort_by_key(preference);
    chosen
}

fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn payload_type(text: &str) -> Option<u8> {
    text.parse().ok().filter(|number| *number < 128)
}

// === impl Format ===

impl Format {
    fn read(section: &Section, number: &str) -> Option<Self> {
        let rtpmap = section.attributes.of_payload("rtpmap", number).next()?;
        let mut parts = rtpmap.split('/');
        let (name, clock_rate) = (parts.next()?, parts.next()?.parse().ok()?);
        let channels = parts.next();
        let offered = section.attributes.of_payload("fmtp", number).next().unwrap_or_default();
        let mut h264 = None;
        let (codec, fmtp) = match (name.to_ascii_lowercase().as_str(), clock_rate, channels) {
            ("h264", 90_000, None) => {
                // Mode 0 has no fragments: a keyframe doesn't fit in its packets.
                if parameter(offered, "packetization-mode") != Some("1") {
                    return None;
                }
                let profile = parameter(offered, "profile-level-id").unwrap_or("420010");
                let profile = H264Profile::parse(profile).filter(|p| p.rank() < 5)?;
                h264 = Some(profile);
                let fmtp = format!(
                    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"
                );
                (Codec::H264, Some(fmtp))
            }
            ("vp8", 90_000, None) => (Codec::Vp8, None),
            // Profile 0 is the default (AV1 RTP, 7.2.1); the others aren't 4:2:0 with 8 bits.
            ("av1", 90_000, None) if parameter(offered, "profile").unwrap_or("0") == "0" => {
                (Codec::Av1, (!offered.is_empty()).then(|| offered.to_owned()))
            }
            ("h265", 90_000, None) => {
                (Codec::H265, (!offered.is_empty()).then(|| offered.to_owned()))
            }
            // RFC 7587 wants "/2" always; GStreamer's own clients leave it out.
            ("opus", 48_000, Some("2") | None) => {
                let stereo = parameter(offered, "stereo") == Some("1");
                let stereo = if stereo { ";stereo=1" } else { "" };
                (Codec::Opus, Some(format!("minptime=10;useinbandfec=1;sprop-stereo=1{stereo}")))
            }
            _ => return None,
        };
        Some(Self {
            codec,
            payload_type: payload_type(number)?,
            rtx: rtx_of(section, number),
            clock_rate,
            feedback: Feedback::read(section, number),
            h264,
            fmtp,
            rtpmap: rtpmap.to_owned(),
        })
    }
}

fn rtx_of(section: &Section, number: &str) -> Option<u8> {
    section.formats.iter().find_map(|candidate| {
        let rtpmap = section.attributes.of_payload("rtpmap", candidate).next()?;
        let name = rtpmap.split('/').next()?;
        let fmtp = section.attributes.of_payload("fmtp", candidate).next()?;
        let is_it = name.eq_ignore_ascii_case("rtx") && parameter(fmtp, "apt") == Some(number);
        is_it.then(|| payload_type(candidate)).flatten()
    })
}

// === impl Feedback ===

impl Feedback {
    fn read(section: &Section, number: &str) -> Self {
        let mut feedback = Self::default();
        let own = section.attributes.of_payload("rtcp-fb", number);
        for value in own.chain(section.attributes.of_payload("rtcp-fb", "*")) {
            match value {
                "nack" => feedback.nack = true,
                "nack pli" => feedback.pli = true,
                "ccm fir" => feedback.fir = true,
                "transport-cc" => feedback.transport_cc = true,
                "goog-remb" => feedback.remb = true,
                _ => {}
            }
        }
        feedback
    }

    /// In the words of `a=rtcp-fb`.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        [
            (self.remb, "goog-remb"),
            (self.transport_cc, "transport-cc"),
            (self.fir, "ccm fir"),
            (self.nack, "nack"),
            (self.pli, "nack pli"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
    }
}

// === impl H264Profile ===

impl H264Profile {
    /// Reads six hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, profile_idc, constraints, level_idc] =
            u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        Some(Self { profile_idc, constraints, level_idc })
    }

    /// 0 for what every decoder takes, up to 4; 5 for what isn't 4:2:0 with 8 bits.
    fn rank(self) -> u8 {
        let constrained = self.constraints & 0x40 != 0;
        match self.profile_idc {
            66 if constrained => 0,
            77 | 88 if self.constraints & 0x80 != 0 => 0,
            77 => 1,
            66 => 2,
            100 if self.constraints & 0x0c == 0x0c => 3,
            100 => 4,
            _ => 5,
        }
    }
}

impl std::fmt::Display for H264Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.profile_idc, self.constraints, self.level_idc)
    }
}

// === impl Extensions ===

impl Extensions {
    pub(super) fn read(section: &Section) -> Self {
        let mut extensions = Self::default();
        for value in section.attributes.all("extmap") {
            let mut words = value.split_ascii_whitespace();
            let (Some(id), Some(uri)) = (words.next(), words.next()) else { continue };
            let (id, direction) = id.split_once('/').unwrap_or((id, "sendrecv"));
            let id = id.parse().ok().filter(|id| (1..=14).contains(id));
            // From the peer's point of view: it must be willing to receive it.
            let wanted = matches!(direction, "sendrecv" | "recvonly");
            let (Some(id), true) = (id, wanted) else { continue };
            if extensions.ids().any(|(taken, _)| taken == id) {
                continue;
            }
            match uri {
                MID => extensions.mid = Some(id),
                TRANSPORT_CC => extensions.transport_cc = Some(id),
                ABS_SEND_TIME => extensions.abs_send_time = Some(id),
                ABS_CAPTURE_TIME => extensions.abs_capture_time = Some(id),
                PLAYOUT_DELAY => extensions.playout_delay = Some(id),
                _ => {}
            }
        }
        extensions
    }

    /// Ids with their URIs.
    pub(super) fn ids(self) -> impl Iterator<Item = (u8, &'static str)> {
        [
            (self.mid, MID),
            (self.transport_cc, TRANSPORT_CC),
            (self.abs_send_time, ABS_SEND_TIME),
            (self.abs_capture_time, ABS_CAPTURE_TIME),
            (self.playout_delay, PLAYOUT_DELAY),
        ]
        .into_iter()
        .filter_map(|(id, uri)| id.map(|id| (id, uri)))
    }
}
