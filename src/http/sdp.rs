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

#[cfg(test)]
mod tests {
    use super::*;

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
