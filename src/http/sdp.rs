//! The few lines of session descriptions and trickle fragments that the HTTP side must know.

/// The first `a=ice-ufrag` of an offer or a fragment.
pub fn ice_ufrag(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:"))
}

/// The place of the first video among the offer's media, from 0.
pub fn video_index(offer: &str) -> Option<usize> {
    offer.lines().filter(|line| line.starts_with("m=")).position(|m| m.starts_with("m=video"))
}

/// Whether a body may be a session description at all.
pub fn is_offer(text: &str) -> bool {
    text.starts_with("v=0") && text.lines().any(|line| line.starts_with("m="))
}

/// The offer with one video codec alone, named as in `a=rtpmap`, and what retransmits it. None: a
/// section for video hasn't got it.
///
/// Fields and payload types are taken as the worker takes them: what one of the two sees and the
/// other doesn't would get past what was agreed on.
pub fn with_video(offer: &str, codec: &str) -> Option<String> {
    let mut kept = String::with_capacity(offer.len());
    for section in sections(offer) {
        if is_video(section) {
            kept += &with_codec(section, codec)?;
        } else {
            kept += section;
        }
    }
    Some(kept)
}

/// The offer with its sections for video refused.
pub fn without_video(offer: &str) -> String {
    let refused = |section: &str| match is_video(section) {
        true => refused(section),
        false => section.to_owned(),
    };
    sections(offer).map(refused).collect()
}

/// The description's own lines, and then each section's, `m=` first.
fn sections(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = rest.match_indices("\nm=").map(|(at, _)| at + 1).next();
        let (section, after) = rest.split_at(next.unwrap_or(rest.len()));
        rest = after;
        Some(section)
    })
}

/// The fields of a section's `m=` line, whatever parts them; none of the description's own lines.
fn fields(section: &str) -> Vec<&str> {
    let line = section.lines().next().and_then(|line| line.strip_prefix("m="));
    line.unwrap_or_default().split_ascii_whitespace().collect()
}

/// Whether there may be video in it: of what goes by RTP and isn't audio, whatever it is called.
fn is_video(section: &str) -> bool {
    match fields(section)[..] {
        ["video", ..] => true,
        [kind, _, protocol, ..] => kind != "audio" && protocol.ends_with("RTP/SAVPF"),
        _ => false,
    }
}

/// By port 0, which refuses nothing where the section says that it is `bundle-only` (RFC 9143, 6).
fn refused(section: &str) -> String {
    let attributes = section.split_once('\n').map_or("", |(_, attributes)| attributes);
    let fields = fields(section);
    let kind = fields.first().copied().unwrap_or_default();
    let rest = fields.get(2..).unwrap_or_default().join(" ");
    let lines = attributes.split_inclusive('\n');
    let lines: String = lines.filter(|line| !line.starts_with("a=bundle-only")).collect();
    format!("m={kind} 0 {rest}\r\n{lines}")
}

fn with_codec(section: &str, codec: &str) -> Option<String> {
    let attributes = section.split_once('\n').map_or("", |(_, attributes)| attributes);
    let of = |name: &str| {
        let lines = attributes.lines().filter_map(move |line| line.strip_prefix(name));
        lines.filter_map(of_payload).collect::<Vec<_>>()
    };
    let (names, parameters) = (of("a=rtpmap:"), of("a=fmtp:"));
    let is = |payload: u8, codec: &str| {
        let name = names.iter().find(|(of, _)| *of == payload).map(|(_, name)| *name);
        name.and_then(|name| name.split('/').next()).is_some_and(|n| n.eq_ignore_ascii_case(codec))
    };
    let retransmits = |payload: u8| {
        let of_codec = |apt: &str| apt.parse().is_ok_and(|apt: u8| is(apt, codec));
        let mut own = parameters.iter().filter(|(of, _)| *of == payload);
        is(payload, "rtx") && own.any(|(_, value)| value.strip_prefix("apt=").is_some_and(of_codec))
    };
    let fields = fields(section);
    let (head, payloads) = fields.split_at_checked(3)?;
    let payloads = payloads.iter().filter_map(|payload| payload.parse::<u8>().ok());
    let payloads: Vec<u8> = payloads.filter(|p| is(*p, codec) || retransmits(*p)).collect();
    if !payloads.iter().any(|payload| is(*payload, codec)) {
        return None;
    }
    let payloads: Vec<String> = payloads.iter().map(u8::to_string).collect();
    Some(format!("m={} {}\r\n{attributes}", head.join(" "), payloads.join(" ")))
}

/// What an attribute says, and of which payload type.
fn of_payload(value: &str) -> Option<(u8, &str)> {
    let (payload, said) = value.trim().split_once(' ')?;
    Some((payload.parse().ok()?, said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_cut_down_to_what_was_agreed_on() {
        let offer = "v=0\r\nm=audio 9 x 111\r\na=rtpmap:111 opus/48000\r\n\
            m=video 9 x 96 97 98 99\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n\
            a=fmtp:97 apt=96\r\na=rtpmap:98 H264/90000\r\na=rtpmap:99 rtx/90000\r\n\
            a=fmtp:99 apt=98\r\n";
        let kept = with_video(offer, "VP8").unwrap();
        assert_eq!(kept, offer.replace("x 96 97 98 99", "x 96 97"));
        assert!(with_video(offer, "h264").unwrap().contains("m=video 9 x 98 99\r\n"));
        assert_eq!(with_video(offer, "AV1"), None);
        assert_eq!(with_video("v=0\r\nm=video 9 x 96", "VP8"), None, "96 says not what it is");
        let audio = "v=0\nm=audio 9 x 111\n";
        assert_eq!(with_video(audio, "VP8").unwrap(), audio);
        assert_eq!(without_video(offer), offer.replace("video 9", "video 0"));
        for text in ["", "m=video ", "m=video", "v=0\nm=video 9\n", "\nm=video 9 x \u{e4} 96\n"] {
            assert_eq!(with_video(text, "VP8").is_some(), !text.contains("m=video"), "{text:?}");
            let _ = without_video(text);
        }
    }

    #[test]
    fn an_offer_that_is_written_in_another_way_is_cut_down_all_the_same() {
        let of =
            |media: &str, rest: &str| format!("v=0\r\n{media}\r\na=rtpmap:96 VP8/90000\r\n{rest}");
        let kept = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
        let h264 = "a=rtpmap:98 H264/90000\r\n";
        for media in [
            "m=video\t9 UDP/TLS/RTP/SAVPF 96 98",
            "m= video  9\tUDP/TLS/RTP/SAVPF\t96\t98 ",
            "m=video 9 UDP/TLS/RTP/SAVPF 096 +98",
        ] {
            assert_eq!(
                with_video(&of(media, h264), "VP8"),
                Some(of(kept.trim_end(), h264)),
                "{media}"
            );
            let refused = without_video(&of(media, h264));
            assert!(refused.contains("\r\nm=video 0 UDP/TLS/RTP/SAVPF "), "{refused}");
        }
        // What the worker takes for H.264 isn't VP8, whatever comes later or is said beside it.
        let media = "m=video 9 UDP/TLS/RTP/SAVPF 96 98";
        for rest in [
            "a=rtpmap:098 H264/90000\r\na=rtpmap:98 VP8/90000\r\n",
            "a=rtpmap:+98 H264/90000\r\na=rtpmap:98 VP8/90000\r\n",
            "a=rtpmap: 98  H264/90000\r\na=rtpmap:98 VP8/90000\r\n",
            "a=rtpmap:98 H264/90000\r\na=fmtp:98 apt=96\r\n",
        ] {
            assert_eq!(
                with_video(&of(media, rest), "VP8"),
                Some(of(kept.trim_end(), rest)),
                "{rest}"
            );
        }
        let other = of("m=Video 9 UDP/TLS/RTP/SAVPF 96", "");
        assert_eq!(with_video(&other, "H264"), None);
        assert!(without_video(&other).contains("m=Video 0 "));
        let bundled = of("m=video 0 UDP/TLS/RTP/SAVPF 96", "a=bundle-only\r\na=mid:1\r\n");
        assert_eq!(without_video(&bundled), bundled.replace("a=bundle-only\r\n", ""));
        let data = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
        assert_eq!((with_video(data, "VP8").as_deref(), &*without_video(data)), (Some(data), data));
    }

    #[test]
    fn the_lines_are_found_whatever_ends_them() {
        let offer = "v=0\r\nm=audio 9 x\r\na=ice-ufrag:abc\r\nm=video 9 x\r\na=ice-ufrag:abc\r\n";
        assert!(is_offer(offer));
        assert_eq!(ice_ufrag(offer), Some("abc"));
        assert_eq!(video_index(offer), Some(1));
        assert_eq!(ice_ufrag(&offer.replace("\r\n", "\n")), Some("abc"));
        for text in ["", "v=0", "hello m=", "{}"] {
            assert!(!is_offer(text), "{text}");
            assert_eq!(ice_ufrag(text), None);
            assert_eq!(video_index(text), None);
        }
    }
}
