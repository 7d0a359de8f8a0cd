//! Decides what of a publisher's offer is taken, and writes the offer that webrtcbin is given.
//!
//! webrtcbin answers the first codec offered and trips over much that browsers write. So the
//! choice is made here, and webrtcbin sees only the one codec per section that was chosen, with
//! attributes that it understands.

use stentor_protocol::control::Fault;
use stentor_protocol::spec::Codec;

use super::candidate;
use super::sdp::{Sdp, SdpError, Section};

/// Transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01).
pub const TWCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// How loud each packet is (RFC 6464).
pub const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// What is taken of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The offer for webrtcbin.
    pub offer: Sdp,
    pub video: Option<Chosen>,
    pub audio: Option<Chosen>,
    /// One per section of the publisher's offer, in its order.
    pub sections: Vec<Verdict>,
    /// The publisher's ICE user fragment.
    pub ufrag: String,
}

/// The codec chosen for a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub codec: Codec,
    pub payload: u8,
    /// As offered: what the answer must say.
    pub fmtp: Option<String>,
    /// Number of the transport-wide-cc header extension in this section.
    pub twcc: Option<u8>,
    /// The publisher takes transport-wide feedback for this codec.
    pub twcc_feedback: bool,
    /// Number of the audio level header extension in this section.
    pub level: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Taken; webrtcbin's answer has a section for it.
    Taken,
    /// Answered with port 0. The fields of its `m=` line after the port, and its `mid`.
    Rejected { kind: String, rest: String, mid: Option<String> },
}

/// Why an offer can't be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    #[error(transparent)]
    Sdp(#[from] SdpError),
    #[error("the offer has no {0}")]
    Missing(&'static str),
    #[error("the offer's sections are not bundled, as WHIP asks (RFC 9725, 4.4)")]
    NotBundled,
    #[error("the offer sends neither H.264 or VP8 video nor Opus audio")]
    NoCommonCodec,
}

/// Attributes that stand for every section where a session has them; webrtcbin looks for them in
/// sections alone.
const SESSION_ATTRIBUTES: [&str; 4] = ["fingerprint", "ice-ufrag", "ice-pwd", "setup"];
/// Attributes of a section that webrtcbin needs, besides those of the chosen codec.
const SECTION_ATTRIBUTES: [&str; 8] =
    ["fingerprint", "ice-ufrag", "ice-pwd", "setup", "mid", "rtcp-mux", "rtcp-rsize", "ssrc"];

/// Reads an offer and chooses.
pub fn plan(text: &str) -> Result<Plan, OfferError> {
    let sdp = Sdp::parse(text)?;
    let (mut video, mut audio) = (None, None);
    let (mut sections, mut verdicts) = (Vec::new(), Vec::new());
    for section in &sdp.sections {
        let slot = match section.kind() {
            "video" => &mut video,
            "audio" => &mut audio,
            _ => &mut None,
        };
        let chosen =
            if slot.is_none() && is_sending(&sdp, section) { choose(section) } else { None };
        match chosen {
            Some(chosen) => {
                sections.push(filtered(&sdp, section, &chosen));
                verdicts.push(Verdict::Taken);
                *slot = Some(chosen);
            }
            None => verdicts.push(rejected(section)),
        }
    }
    if sections.is_empty() {
        let sends = sdp.sections.iter().any(|s| is_sending(&sdp, s));
        return Err(if sends {
            OfferError::NoCommonCodec
        } else {
            OfferError::Missing("media to send")
        });
    }
    let ufrag = check_transport(&sdp, &verdicts)?;
    let offer = Sdp { session: session_lines(&sdp, &sections), sections };
    Ok(Plan { offer, video, audio, sections: verdicts, ufrag })
}

fn is_sending(sdp: &Sdp, section: &Section) -> bool {
    let direction = ["sendrecv", "sendonly", "recvonly", "inactive"]
        .into_iter()
        .find(|d| section.has(d) || !has_direction(section) && sdp.attributes(d).next().is_some());
    let refused = section.port() == "0" && !section.has("bundle-only");
    !refused
        && section.protocol().ends_with("RTP/SAVPF")
        && matches!(direction, None | Some("sendrecv" | "sendonly"))
}

fn has_direction(section: &Section) -> bool {
    ["sendrecv", "sendonly", "recvonly", "inactive"].iter().any(|d| section.has(d))
}

fn choose(section: &Section) -> Option<Chosen> {
    section
        .payloads()
        .into_iter()
        .filter_map(|payload| {
            let fmtp = section.of_payload("fmtp", payload).next();
            let (codec, score) = rate(section.of_payload("rtpmap", payload).next()?, fmtp)?;
            (codec == Codec::Opus)
                .eq(&(section.kind() == "audio"))
                .then_some((score, payload, codec, fmtp))
        })
        .min_by_key(|&(score, ..)| score)
        .map(|(_, payload, codec, fmtp)| Chosen {
            codec,
            payload,
            fmtp: fmtp.map(str::to_owned),
            twcc: extension(section, TWCC),
            twcc_feedback: feedback(section, payload).any(|f| f == "transport-cc"),
            level: extension(section, LEVEL),
        })
}

/// How much a payload format is wanted; the lowest is wanted most.
fn rate(rtpmap: &str, fmtp: Option<&str>) -> Option<(Codec, u8)> {
    let mut fields = rtpmap.split('/');
    let (name, clock) = (fields.next()?, fields.next()?.trim());
    let is = |codec: &str, rate: &str| name.eq_ignore_ascii_case(codec) && clock == rate;
    if is("opus", "48000") {
        return Some((Codec::Opus, 0));
    }
    if is("VP8", "90000") {
        return Some((Codec::Vp8, 4));
    }
    if !is("H264", "90000") {
        return None;
    }
    let parameter = |key: &str| {
        fmtp?.split(';').find_map(|p| {
            let (k, v) = p.split_once('=')?;
            k.trim().eq_ignore_ascii_case(key).then(|| v.trim().to_ascii_lowercase())
        })
    };
    if parameter("packetization-mode").as_deref() != Some("1") {
        return Some((Codec::H264, 5));
    }
    // Without a profile-level-id it is baseline (RFC 6184, 8.1).
    let profile = parameter("profile-level-id").unwrap_or_else(|| "42000a".to_owned());
    Some(match profile.get(..4) {
        Some("42e0" | "42c0") => (Codec::H264, 0),
        Some(p) if p.starts_with("42") => (Codec::H264, 1),
        Some(p) if p.starts_with("4d") => (Codec::H264, 2),
        Some(p) if p.starts_with("64") => (Codec::H264, 3),
        _ => return None,
    })
}

fn extension(section: &Section, uri: &str) -> Option<u8> {
    section.attributes("extmap").find_map(|value| {
        let (number, rest) = value.split_once(' ')?;
        let number = number.split('/').next()?.parse().ok()?;
        // Two-byte headers are not ours to ask for.
        (rest.split_ascii_whitespace().next() == Some(uri) && (1..15).contains(&number))
            .then_some(number)
    })
}

fn feedback(section: &Section, payload: u8) -> impl Iterator<Item = &str> {
    section
        .of_payload("rtcp-fb", payload)
        .chain(section.attributes("rtcp-fb").filter_map(|v| v.strip_prefix("* ").map(str::trim)))
}

/// The payload type that retransmits the chosen one (RFC 4588).
fn retransmission(section: &Section, payload: u8) -> Option<u8> {
    section.payloads().into_iter().find(|&rtx| {
        let is_rtx = section
            .of_payload("rtpmap", rtx)
            .any(|m| m.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("rtx/")));
        let apt = format!("apt={payload}");
        is_rtx && section.of_payload("fmtp", rtx).any(|f| f.split(';').any(|p| p.trim() == apt))
    })
}

/// The section as webrtcbin is given it: one codec, no simulcast (the publisher then sends its
/// one best encoding), and no extension but transport-wide-cc.
fn filtered(sdp: &Sdp, section: &Section, chosen: &Chosen) -> Section {
    let payload = chosen.payload;
    let rtx = if section.kind() == "video" { retransmission(section, payload) } else { None };
    let numbers = [Some(payload), rtx].into_iter().flatten().map(|n| n.to_string());
    let numbers = numbers.collect::<Vec<_>>().join(" ");
    let mut lines = vec![
        format!("m={} 9 {} {numbers}", section.kind(), section.protocol()),
        "c=IN IP4 0.0.0.0".to_owned(),
        "a=sendonly".to_owned(),
    ];
    for line in &section.lines {
        let Some(attribute) = line.strip_prefix("a=") else { continue };
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        let number = value.split_ascii_whitespace().next().and_then(|n| n.parse::<u8>().ok());
        let of_chosen = number.is_some() && (number == Some(payload) || number == rtx);
        let keep = match name {
            "rtpmap" | "fmtp" => of_chosen,
            "candidate" => candidate::is_usable(value),
            "extmap" => chosen.twcc.is_some() && number_of_extension(value) == chosen.twcc,
            "ssrc-group" => value.starts_with("FID "),
            name => SECTION_ATTRIBUTES.contains(&name),
        };
        if keep {
            lines.push(line.trim_end().to_owned());
        }
    }
    for name in SESSION_ATTRIBUTES.into_iter().filter(|name| !section.has(name)) {
        lines.extend(sdp.attributes(name).next().map(|value| format!("a={name}:{value}")));
    }
    for kind in ["nack", "nack pli", "ccm fir", "transport-cc"] {
        if feedback(section, payload).any(|f| f == kind) {
            lines.push(format!("a=rtcp-fb:{payload} {kind}"));
        }
    }
    if !section.has("rtcp-mux") {
        lines.push("a=rtcp-mux".to_owned());
    }
    Section { lines }
}

fn number_of_extension(value: &str) -> Option<u8> {
    value.split([' ', '/']).next()?.parse().ok()
}

fn rejected(section: &Section) -> Verdict {
    let rest: Vec<&str> = section.media_fields().skip(2).collect();
    Verdict::Rejected {
        kind: section.kind().to_owned(),
        rest: rest.join(" "),
        mid: section.mid().map(str::to_owned),
    }
}

/// Checks what ICE and DTLS can't do without, and gives the user fragment.
fn check_transport(sdp: &Sdp, verdicts: &[Verdict]) -> Result<String, OfferError> {
    let taken: Vec<&Section> = sdp
        .sections
        .iter()
        .zip(verdicts)
        .filter_map(|(section, verdict)| (*verdict == Verdict::Taken).then_some(section))
        .collect();
    let first = taken.first().ok_or(OfferError::NoCommonCodec)?;
    for section in &taken {
        for (name, what) in [
            ("fingerprint", "DTLS fingerprint"),
            ("ice-ufrag", "ICE user fragment"),
            ("ice-pwd", "ICE password"),
            ("setup", "DTLS role (setup)"),
        ] {
            sdp.inherited(section, name)
                .filter(|value| !value.is_empty())
                .ok_or(OfferError::Missing(what))?;
        }
        if taken.len() > 1 {
            let mid = section.mid().ok_or(OfferError::Missing("mid"))?;
            let bundled = sdp.attributes("group").any(|group| {
                let mut words = group.split_ascii_whitespace();
                words.next() == Some("BUNDLE") && words.any(|m| m == mid)
            });
            if !bundled {
                return Err(OfferError::NotBundled);
            }
        }
    }
    Ok(sdp.inherited(first, "ice-ufrag").unwrap_or_default().to_owned())
}

fn session_lines(sdp: &Sdp, sections: &[Section]) -> Vec<String> {
    let origin = sdp.session.iter().find(|l| l.starts_with("o="));
    let mut lines = vec![
        "v=0".to_owned(),
        origin.map_or("o=- 0 0 IN IP4 127.0.0.1", String::as_str).to_owned(),
        "s=-".to_owned(),
        "t=0 0".to_owned(),
    ];
    let mids: Vec<&str> = sections.iter().filter_map(Section::mid).collect();
    if !mids.is_empty() {
        lines.push(format!("a=group:BUNDLE {}", mids.join(" ")));
    }
    lines
}

// === impl OfferError ===

impl OfferError {
    /// Whose fault the refusal is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoCommonCodec => Fault::NoCommonCodec,
            _ => Fault::Client,
        }
    }
}

#[cfg(test)]
mod tests;
