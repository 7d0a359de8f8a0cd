//! Names: the one that a user signs in with, and the one that others see.

use std::fmt;
use std::str::FromStr;

/// For signing in and being found. Lower case, unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// For people to read. Need not be unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

/// A text that can't stand in its place. The client's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct Misfit {
    pub expected: &'static str,
}

const NAME: Misfit = Misfit {
    expected: "a name of 3 to 32 letters a to z, digits, `-`, `_` or `.`, beginning with a letter \
               or digit",
};
const DISPLAY: Misfit = Misfit { expected: "1 to 64 characters that can be seen" };
/// Characters.
const MAX_DISPLAY: usize = 64;

/// A line of text for people: trimmed, bounded, and nothing in it that hides or reorders text.
pub(super) fn line(text: &str, most: usize) -> Option<String> {
    // Four bytes a character at most: a longer text isn't counted through.
    if text.len() > 4 * most + 64 {
        return None;
    }
    let text = text.trim();
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(is_unseen);
    fits.then(|| text.to_owned())
}

/// Control characters, and those that change the direction of what stands around them
/// (Unicode's Bidi_Control) or take no room.
fn is_unseen(c: char) -> bool {
    let marks = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{200b}', '\u{2060}', '\u{feff}'];
    let breaks = ['\u{2028}', '\u{2029}'];
    c.is_control()
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
        || marks.contains(&c)
        || breaks.contains(&c)
}

// === impl Name ===

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if (3..=32).contains(&text.len()) && begins && text.bytes().all(fits) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NAME)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl DisplayName ===

impl DisplayName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        line(text, MAX_DISPLAY).map(Self).ok_or(DISPLAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_in_lower_case() {
        let (longest, too_long) = ("x".repeat(32), "x".repeat(33));
        for (text, expected) in [
            ("anna", Some("anna")),
            ("Anna.B-2_x", Some("anna.b-2_x")),
            ("ab", None),
            ("abc", Some("abc")),
            (longest.as_str(), Some(longest.as_str())),
            (too_long.as_str(), None),
            ("-anna", None),
            ("an na", None),
            ("ann\u{e4}", None),
            ("anna\0", None),
            ("", None),
        ] {
            let name = text.parse::<Name>().ok();
            assert_eq!(name.as_ref().map(Name::as_str), expected, "{text:?}");
        }
    }

    #[test]
    fn a_display_name_is_one_line_that_shows_what_it_is() {
        let (longest, too_long) = ("ä".repeat(64), "ä".repeat(65));
        for (text, expected) in [
            (" Anna Bergmann ", Some("Anna Bergmann")),
            ("安娜 🎥", Some("安娜 🎥")),
            (longest.as_str(), Some(longest.as_str())),
            (too_long.as_str(), None),
            ("   ", None),
            ("a\nb", None),
            ("a\u{202e}b", None),
            ("\u{200b}", None),
            ("a\u{2028}b", None),
        ] {
            let name = text.parse::<DisplayName>().ok();
            assert_eq!(name.as_ref().map(DisplayName::as_str), expected, "{text:?}");
        }
    }
}
