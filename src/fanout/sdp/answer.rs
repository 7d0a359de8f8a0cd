//! The answer to an offer (JSEP, RFC 9429, 5.3).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use super::candidate::write_host;
use super::negotiate::{Accepted, Media, Negotiated};
use crate::fanout::transport::{DtlsRole, Fingerprint, IceCreds};

/// What an answer says of us.
#[derive(Debug, Clone, Copy)]
pub struct AnswerParams<'a> {
    /// Below 2^62 (JSEP, 5.2.1).
    pub session_id: u64,
    pub local: &'a IceCreds,
    pub fingerprint: &'a Fingerprint,
    /// Where we listen, best first.
    pub candidates: &'a [SocketAddr],
    /// One for each accepted section.
    pub tracks: &'a [TrackSource],
    /// Canonical name of all our sources: what is in sync (RFC 3550, 6.5.1).
    pub cname: &'a str,
    /// Id of the media stream that all tracks belong to.
    pub stream: &'a str,
}

/// The sources of one section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackSource {
    /// Place of the section among all of them.
    pub media: usize,
    pub ssrc: u32,
    /// Of retransmissions.
    pub rtx_ssrc: Option<u32>,
}

/// Writes the answer.
pub fn answer(negotiated: &Negotiated, params: &AnswerParams) -> String {
    let mut out = String::with_capacity(2048);
    line(&mut out, format_args!("v=0"));
    line(&mut out, format_args!("o=- {} 1 IN IP4 0.0.0.0", params.session_id));
    line(&mut out, format_args!("s=-"));
    line(&mut out, format_args!("t=0 0"));
    line(&mut out, format_args!("a=ice-lite"));
    let accepted = negotiated.media.iter().filter(|m| m.accepted.is_some());
    let mids: Vec<&str> = accepted.map(|m| m.mid.as_str()).collect();
    line(&mut out, format_args!("a=group:BUNDLE {}", mids.join(" ")));
    line(&mut out, format_args!("a=msid-semantic: WMS {}", params.stream));
    for (index, media) in negotiated.media.iter().enumerate() {
        match &media.accepted {
            Some(accepted) => {
                let track = params.tracks.iter().find(|t| t.media == index);
                write_accepted(&mut out, negotiated, params, media, accepted, track);
            }
            None => write_rejected(&mut out, negotiated.role, params, media),
        }
    }
    out
}

fn write_rejected(out: &mut String, role: DtlsRole, params: &AnswerParams, media: &Media) {
    let Media { media, protocol, first_format, first_rtpmap, mid, .. } = media;
    line(out, format_args!("m={media} 0 {protocol} {first_format}"));
    line(out, format_args!("c=IN IP4 0.0.0.0"));
    if !mid.is_empty() {
        line(out, format_args!("a=mid:{mid}"));
    }
    line(out, format_args!("a=inactive"));
    // Of no meaning here, but there are parsers that miss it: webrtcbin refuses an answer where
    // any section has no fingerprint.
    write_transport(out, role, params);
    if let Some(rtpmap) = first_rtpmap {
        line(out, format_args!("a=rtpmap:{first_format} {rtpmap}"));
    }
}

fn write_accepted(
    out: &mut String,
    negotiated: &Negotiated,
    params: &AnswerParams,
    media: &Media,
    accepted: &Accepted,
    track: Option<&TrackSource>,
) {
    let numbers: Vec<String> = accepted
        .formats
        .iter()
        .flat_map(|f| [Some(f.payload_type), f.rtx])
        .flatten()
        .map(|number| number.to_string())
        .collect();
    let default = params.candidates.first().copied();
    let default = default.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 9));
    let version = if default.is_ipv4() { 4 } else { 6 };
    let (media_name, protocol) = (&media.media, &media.protocol);
    let (ip, port) = (default.ip(), default.port());
    line(out, format_args!("m={media_name} {port} {protocol} {}", numbers.join(" ")));
    line(out, format_args!("c=IN IP{version} {ip}"));
    line(out, format_args!("a=rtcp:{port} IN IP{version} {ip}"));
    write_transport(out, negotiated.role, params);
    line(out, format_args!("a=mid:{}", media.mid));
    line(out, format_args!("a=sendonly"));
    line(out, format_args!("a=rtcp-mux"));
    if accepted.reduced_size {
        line(out, format_args!("a=rtcp-rsize"));
    }
    for (id, uri) in accepted.extensions.ids() {
        line(out, format_args!("a=extmap:{id} {uri}"));
    }
    write_formats(out, accepted);
    if let Some(track) = track {
        write_sources(out, params, media, track);
    }
    for (index, address) in params.candidates.iter().enumerate() {
        write_host(out, index, *address);
    }
    line(out, format_args!("a=end-of-candidates"));
}

fn write_transport(out: &mut String, role: DtlsRole, params: &AnswerParams) {
    line(out, format_args!("a=ice-ufrag:{}", params.local.ufrag));
    line(out, format_args!("a=ice-pwd:{}", params.local.password));
    line(out, format_args!("a=fingerprint:{}", params.fingerprint));
    let setup = match role {
        DtlsRole::Active => "active",
        DtlsRole::Passive => "passive",
    };
    line(out, format_args!("a=setup:{setup}"));
}

fn write_formats(out: &mut String, accepted: &Accepted) {
    for format in &accepted.formats {
        let number = format.payload_type;
        line(out, format_args!("a=rtpmap:{number} {}", format.rtpmap));
        for name in format.feedback.names() {
            line(out, format_args!("a=rtcp-fb:{number} {name}"));
        }
        if let Some(fmtp) = &format.fmtp {
            line(out, format_args!("a=fmtp:{number} {fmtp}"));
        }
        if let Some(rtx) = format.rtx {
            line(out, format_args!("a=rtpmap:{rtx} rtx/{}", format.clock_rate));
            line(out, format_args!("a=fmtp:{rtx} apt={number}"));
        }
    }
}

fn write_sources(out: &mut String, params: &AnswerParams, media: &Media, track: &TrackSource) {
    let (stream, cname, ssrc) = (params.stream, params.cname, track.ssrc);
    let id = format!("{stream}-{}", media.mid);
    line(out, format_args!("a=msid:{stream} {id}"));
    if let Some(rtx) = track.rtx_ssrc {
        line(out, format_args!("a=ssrc-group:FID {ssrc} {rtx}"));
    }
    for ssrc in [Some(ssrc), track.rtx_ssrc].into_iter().flatten() {
        line(out, format_args!("a=ssrc:{ssrc} cname:{cname}"));
        line(out, format_args!("a=ssrc:{ssrc} msid:{stream} {id}"));
    }
}

pub(super) fn line(out: &mut String, text: std::fmt::Arguments) {
    // Writing to a string does not fail.
    let _ = out.write_fmt(text);
    out.push_str("\r\n");
}
