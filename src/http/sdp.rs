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
pub fn with_video(offer: &str, codec: &str) -> Option<String> {
    let mut kept = String::with_capacity(offer.len());
    for section in sections(offer) {
        match section.strip_prefix("m=video ") {
            Some(_) => kept += &with_codec(section, codec)?,
            None => kept += section,
        }
    }
    Some(kept)
}

/// The offer with its sections for video refused.
pub fn without_video(offer: &str) -> String {
    let refused = |section: &str| match section.strip_prefix("m=video ") {
        Some(rest) => format!("m=video 0{}", rest.trim_start_matches(|c: char| c != ' ')),
        None => section.to_owned(),
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

fn with_codec(section: &str, codec: &str) -> Option<String> {
    let (line, attributes) = section.split_once('\n').unwrap_or((section, ""));
    let of = |name: &str| {
        let lines = attributes.lines().filter_map(move |line| line.strip_prefix(name));
        lines.filter_map(|value| value.trim_end().split_once(' ')).collect::<Vec<_>>()
    };
    let (names, parameters) = (of("a=rtpmap:"), of("a=fmtp:"));
    let is_it = |payload: &str| {
        let name = names.iter().find(|(of, _)| *of == payload).map(|(_, name)| *name);
        name.and_then(|name| name.split('/').next()).is_some_and(|n| n.eq_ignore_ascii_case(codec))
    };
    let retransmits = |payload: &str| {
        let mut own = parameters.iter().filter(|(of, _)| *of == payload);
        own.any(|(_, value)| value.strip_prefix("apt=").is_some_and(is_it))
    };
    let mut fields = line.trim_end().split(' ');
    let head: Vec<&str> = fields.by_ref().take(3).collect();
    let payloads: Vec<&str> = fields.filter(|p| is_it(p) || retransmits(p)).collect();
    if !payloads.iter().any(|payload| is_it(payload)) {
        return None;
    }
    Some(format!("{} {}\r\n{attributes}", head.join(" "), payloads.join(" ")))
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
            assert_eq!(with_video(text, "VP8").is_some(), !text.contains("m=video "), "{text:?}");
            let _ = without_video(text);
        }
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
