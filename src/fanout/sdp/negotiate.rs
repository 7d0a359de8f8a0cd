//! What a session will be, from an offer and what the server can send.

use stentor_protocol::Codec;

use super::candidate::Candidate;
use super::description::{Attributes, Description, Section};
use super::format::{self, Extensions, Format};
use super::{MAX_CANDIDATES, SdpError};
use crate::fanout::transport::{DtlsRole, Fingerprint, IceCreds};

/// What the server can send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Best first.
    pub video: Vec<Codec>,
    pub audio: Vec<Codec>,
    /// Sections of each kind that are answered; surplus ones are rejected.
    pub max_video: usize,
    pub max_audio: usize,
}

/// An offer, reduced to what a session and its answer need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// One for each section of the offer, in its order.
    pub media: Vec<Media>,
    pub remote: IceCreds,
    pub remote_fingerprint: Fingerprint,
    /// Ours.
    pub role: DtlsRole,
    /// The peer may send candidates later.
    pub trickle: bool,
    pub candidates: Vec<Candidate>,
}

/// One section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    pub kind: MediaKind,
    /// Empty where the offer has none; such a section is rejected.
    pub mid: String,
    /// None for a section that is rejected.
    pub accepted: Option<Accepted>,
    /// The peer wants to receive here, and has none of our codecs.
    pub is_unmatched: bool,
    /// The media line's own words, for the answer.
    pub(super) media: String,
    pub(super) protocol: String,
    pub(super) first_format: String,
    pub(super) first_rtpmap: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Audio,
    Video,
    /// Data channels, and whatever else there may be.
    Other,
}

/// What is sent in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Best first. Several payload types stay possible, of several codecs too.
    pub formats: Vec<Format>,
    pub extensions: Extensions,
    /// RTCP packets need not be compound (RFC 5506).
    pub reduced_size: bool,
}

/// Reads an offer.
pub fn negotiate(offer: &str, capabilities: &Capabilities) -> Result<Negotiated, SdpError> {
    let offer = Description::parse(offer)?;
    if offer.session.has("ice-lite") {
        return Err(SdpError::BothLite);
    }
    let candidates = candidates(&offer)?;
    let mut media: Vec<Media> = offer.sections.iter().map(Media::of).collect();
    check_mids(&media)?;
    accept(&offer, capabilities, &mut media)?;

    // All accepted sections share the transport of the first one (RFC 9143, 7.3).
    let transport = media
        .iter()
        .position(|m| m.accepted.is_some())
        .map(|index| &offer.sections[index].attributes)
        .ok_or(SdpError::NothingToReceive)?;
    let tagged = bundle(&offer).first().and_then(|mid| section_of(&offer, mid));
    let levels = [Some(transport), tagged.map(|s| &s.attributes), Some(&offer.session)];
    let levels: Vec<&Attributes> = levels.into_iter().flatten().collect();
    let options =
        |name: &str| levels.iter().any(|l| l.all("ice-options").any(|o| has_word(o, name)));

    Ok(Negotiated {
        remote: levels.iter().find_map(|l| credentials(l)).ok_or(SdpError::NoCredentials)?,
        remote_fingerprint: levels
            .iter()
            .find_map(|l| l.all("fingerprint").find_map(Fingerprint::parse))
            .ok_or(SdpError::NoFingerprint)?,
        role: match levels.iter().find_map(|l| l.first("setup")) {
            Some("actpass" | "active") | None => DtlsRole::Passive,
            Some("passive") => DtlsRole::Active,
            Some(_) => return Err(SdpError::Setup),
        },
        trickle: options("trickle"),
        candidates,
        media,
    })
}

/// Accepts what can be sent. Fails where nothing can.
fn accept(
    offer: &Description,
    capabilities: &Capabilities,
    media: &mut [Media],
) -> Result<(), SdpError> {
    let bundle = bundle(offer);
    let mut taken = [0_usize; 2];
    let mut refused_codecs = Vec::new();
    let mut first_mid: Option<String> = None;
    for (section, media) in offer.sections.iter().zip(media) {
        let (codecs, most, slot) = match media.kind {
            MediaKind::Audio => (&capabilities.audio, capabilities.max_audio, 0),
            MediaKind::Video => (&capabilities.video, capabilities.max_video, 1),
            MediaKind::Other => continue,
        };
        let can_share = |mid: &str| bundle.contains(&mid) && bundle.contains(&media.mid.as_str());
        let shares = first_mid.as_deref().is_none_or(can_share);
        if media.mid.is_empty() || !shares || !is_receivable(section, &offer.session) {
            continue;
        }
        let formats = format::choose(section, codecs);
        media.is_unmatched = formats.is_empty();
        if media.is_unmatched {
            refused_codecs.extend(codec_names(section));
        } else if taken[slot] < most {
            taken[slot] += 1;
            first_mid.get_or_insert_with(|| media.mid.clone());
            let extensions = Extensions::read(section);
            let reduced_size = section.attributes.has("rtcp-rsize");
            media.accepted = Some(Accepted { formats, extensions, reduced_size });
        }
    }
    if first_mid.is_some() {
        return Ok(());
    }
    if refused_codecs.is_empty() {
        return Err(SdpError::NothingToReceive);
    }
    refused_codecs.dedup();
    refused_codecs.truncate(16);
    Err(SdpError::NoCommonCodec(refused_codecs.join(", ")))
}

/// Whether the peer wants to receive here, over what we speak.
fn is_receivable(section: &Section, session: &Attributes) -> bool {
    let direction = |a: &Attributes| {
        ["sendrecv", "recvonly", "sendonly", "inactive"].into_iter().find(|d| a.has(d))
    };
    let direction = direction(&section.attributes).or_else(|| direction(session));
    let receives = matches!(direction, None | Some("sendrecv" | "recvonly"));
    let is_secured =
        matches!(section.protocol, "UDP/TLS/RTP/SAVPF" | "UDP/TLS/RTP/SAVP" | "TCP/TLS/RTP/SAVPF");
    let is_open = section.port != 0 || section.attributes.has("bundle-only");
    receives && is_secured && is_open && section.attributes.has("rtcp-mux")
}

/// Mids of the first BUNDLE group.
fn bundle<'a>(offer: &Description<'a>) -> Vec<&'a str> {
    offer
        .session
        .all("group")
        .find_map(|group| group.strip_prefix("BUNDLE"))
        .map(|mids| mids.split_ascii_whitespace().collect())
        .unwrap_or_default()
}

fn section_of<'a, 's>(offer: &'s Description<'a>, mid: &str) -> Option<&'s Section<'a>> {
    offer.sections.iter().find(|s| s.attributes.first("mid") == Some(mid))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_ascii_whitespace().any(|w| w == word)
}

fn check_mids(media: &[Media]) -> Result<(), SdpError> {
    for (index, one) in media.iter().enumerate() {
        if !one.mid.is_empty() && media[..index].iter().any(|m| m.mid == one.mid) {
            return Err(SdpError::DuplicateMid(one.mid.clone()));
        }
    }
    Ok(())
}

/// RFC 8839, 5.4: 4 to 256 characters of ufrag, 22 to 256 of password.
pub(super) fn credentials(attributes: &Attributes) -> Option<IceCreds> {
    let is_ice = |text: &&str, least: usize| {
        (least..=256).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
    };
    let ufrag = attributes.first("ice-ufrag").filter(|text| is_ice(text, 4))?;
    let password = attributes.first("ice-pwd").filter(|text| is_ice(text, 22))?;
    Some(IceCreds { ufrag: ufrag.to_owned(), password: password.to_owned() })
}

/// Those that can be read; the bound counts all.
pub(super) fn candidates(description: &Description) -> Result<Vec<Candidate>, SdpError> {
    let levels = description.sections.iter().map(|s| &s.attributes);
    let mut found = Vec::new();
    let mut count = 0;
    for attributes in levels.chain([&description.session]) {
        for value in attributes.all("candidate") {
            count += 1;
            if count > MAX_CANDIDATES {
                return Err(SdpError::TooManyCandidates);
            }
            found.extend(Candidate::parse(value));
        }
    }
    Ok(found)
}

fn codec_names(section: &Section) -> impl Iterator<Item = String> {
    section
        .attributes
        .all("rtpmap")
        .filter_map(|value| value.split_once(' ')?.1.split('/').next())
        .filter(|name| !["rtx", "red", "ulpfec", "flexfec-03"].contains(name))
        .map(|name| name.chars().take(32).collect())
}

// === impl Capabilities ===

impl Default for Capabilities {
    /// One video and one Opus section; H.264, then VP8, then AV1.
    fn default() -> Self {
        Self {
            video: vec![Codec::H264, Codec::Vp8, Codec::Av1],
            audio: vec![Codec::Opus],
            max_video: 1,
            max_audio: 1,
        }
    }
}

// === impl Negotiated ===

impl Negotiated {
    /// The accepted sections of a kind, with their place among all sections.
    pub fn accepted(&self, kind: MediaKind) -> impl Iterator<Item = (usize, &Media, &Accepted)> {
        self.media
            .iter()
            .enumerate()
            .filter(move |(_, m)| m.kind == kind)
            .filter_map(|(index, m)| m.accepted.as_ref().map(|a| (index, m, a)))
    }
}

// === impl Accepted ===

impl Accepted {
    /// How to send a codec; None where the peer doesn't take it.
    pub fn format(&self, codec: Codec) -> Option<&Format> {
        self.formats.iter().find(|f| f.codec == codec)
    }

    /// Codecs that the peer takes, ours best first, each once.
    pub fn codecs(&self) -> Vec<Codec> {
        let mut codecs: Vec<Codec> = self.formats.iter().map(|f| f.codec).collect();
        codecs.dedup();
        codecs
    }
}

// === impl Media ===

impl Media {
    fn of(section: &Section) -> Self {
        let is_token =
            |mid: &&str| (1..=64).contains(&mid.len()) && mid.bytes().all(|b| b.is_ascii_graphic());
        Self {
            kind: match section.media {
                "audio" => MediaKind::Audio,
                "video" => MediaKind::Video,
                _ => MediaKind::Other,
            },
            mid: section.attributes.first("mid").filter(is_token).unwrap_or_default().to_owned(),
            accepted: None,
            is_unmatched: false,
            media: section.media.to_owned(),
            protocol: section.protocol.to_owned(),
            first_format: section.formats[0].to_owned(),
            first_rtpmap: section
                .attributes
                .of_payload("rtpmap", section.formats[0])
                .next()
                .map(str::to_owned),
        }
    }
}
