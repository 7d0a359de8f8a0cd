//! Session descriptions as lines, so that what we don't touch stays as it was (RFC 8866).

use std::fmt;

/// The longest description taken, in bytes. Chromium's longest is about 8 kB.
const MAX_BYTES: usize = 128 * 1024;
/// The most media sections taken.
const MAX_SECTIONS: usize = 32;

/// A description: lines without their ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sdp {
    /// Everything in front of the first media section.
    pub session: Vec<String>,
    pub sections: Vec<Section>,
}

/// A media section; its first line is the `m=` line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    pub lines: Vec<String>,
}

/// The text is no session description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("the session description is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the session description has more than {MAX_SECTIONS} media sections")]
    TooManySections,
    #[error("line {0} of the session description is not of the form x=value")]
    Line(usize),
    #[error("the session description doesn't begin with v=0")]
    Version,
}

// === impl Sdp ===

impl Sdp {
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_BYTES {
            return Err(SdpError::TooLong);
        }
        let mut sdp = Self::default();
        for (n, line) in text.lines().map(str::trim_end).enumerate() {
            if line.is_empty() {
                continue;
            }
            let kind = line.as_bytes()[0];
            let printable = !line.bytes().any(|b| b < 0x20 && b != b'\t');
            if line.as_bytes().get(1) != Some(&b'=') || !kind.is_ascii_lowercase() || !printable {
                return Err(SdpError::Line(n + 1));
            }
            if kind == b'm' {
                if sdp.sections.len() == MAX_SECTIONS {
                    return Err(SdpError::TooManySections);
                }
                sdp.sections.push(Section::default());
            }
            match sdp.sections.last_mut() {
                Some(section) => section.lines.push(line.to_owned()),
                None => sdp.session.push(line.to_owned()),
            }
        }
        match sdp.session.first() {
            Some(first) if first == "v=0" => Ok(sdp),
            _ => Err(SdpError::Version),
        }
    }

    /// Values of a session-level attribute.
    pub fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        attributes(&self.session, name)
    }

    /// An attribute of the section, or of the session where the section hasn't its own.
    pub fn inherited<'a>(&'a self, section: &'a Section, name: &'a str) -> Option<&'a str> {
        section.attributes(name).next().or_else(|| self.attributes(name).next())
    }
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.session.iter().chain(self.sections.iter().flat_map(|s| &s.lines));
        for line in lines {
            write!(f, "{line}\r\n")?;
        }
        Ok(())
    }
}

// === impl Section ===

impl Section {
    /// "audio", "video", "application".
    pub fn kind(&self) -> &str {
        self.media_field(0).unwrap_or_default()
    }

    pub fn port(&self) -> &str {
        self.media_field(1).unwrap_or_default()
    }

    pub fn protocol(&self) -> &str {
        self.media_field(2).unwrap_or_default()
    }

    /// Payload types, most wanted first; empty for what isn't RTP.
    pub fn payloads(&self) -> Vec<u8> {
        self.media_fields().skip(3).filter_map(|p| p.parse().ok()).collect()
    }

    /// Values of an attribute: for `a=name:value` the value, for `a=name` an empty string.
    pub fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        attributes(&self.lines, name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.attributes(name).next().is_some()
    }

    pub fn mid(&self) -> Option<&str> {
        self.attributes("mid").next()
    }

    /// What an attribute says of a payload type, such as `rtpmap` or `fmtp`.
    pub fn of_payload<'a>(&'a self, name: &'a str, payload: u8) -> impl Iterator<Item = &'a str> {
        self.attributes(name).filter_map(move |value| {
            let (number, rest) = value.split_once(' ')?;
            (number.parse() == Ok(payload)).then_some(rest.trim())
        })
    }

    pub fn media_fields(&self) -> impl Iterator<Item = &str> {
        let line = self.lines.first().map_or("", |l| l.strip_prefix("m=").unwrap_or(l));
        line.split_ascii_whitespace()
    }

    fn media_field(&self, n: usize) -> Option<&str> {
        self.media_fields().nth(n)
    }
}

fn attributes<'a>(lines: &'a [String], name: &'a str) -> impl Iterator<Item = &'a str> {
    lines.iter().filter_map(move |line| {
        let rest = line.strip_prefix("a=")?.strip_prefix(name)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix(':').map(str::trim) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\na=rtcp-mux\r\n";

    #[test]
    fn what_is_read_is_written_unchanged() {
        assert_eq!(Sdp::parse(TEXT).unwrap().to_string(), TEXT);
        assert_eq!(Sdp::parse(&TEXT.replace("\r\n", "\n")).unwrap().to_string(), TEXT);
    }

    #[test]
    fn sections_and_attributes_are_found() {
        let sdp = Sdp::parse(TEXT).unwrap();
        assert_eq!(sdp.attributes("group").collect::<Vec<_>>(), ["BUNDLE 0"]);
        let video = &sdp.sections[0];
        assert_eq!((video.kind(), video.port(), video.mid()), ("video", "9", Some("0")));
        assert_eq!(video.payloads(), [96, 97]);
        assert_eq!(video.of_payload("rtpmap", 96).next(), Some("VP8/90000"));
        assert_eq!(video.of_payload("rtpmap", 97).next(), None);
        assert!(video.has("rtcp-mux") && !video.has("rtcp") && !video.has("rt"));
    }

    #[test]
    fn garbage_is_refused_with_its_line() {
        let many = format!("v=0\n{}", "m=audio 9 x 0\n".repeat(MAX_SECTIONS + 1));
        let long = format!("v=0\n{}", "a=x\n".repeat(MAX_BYTES / 4));
        let cases = [
            ("", SdpError::Version),
            ("hello", SdpError::Line(1)),
            ("v=0\na=b\n{\"json\": 1}", SdpError::Line(3)),
            ("v=1\n", SdpError::Version),
            ("v=0\na=\u{1}x", SdpError::Line(2)),
            ("v=0\né=1", SdpError::Line(2)),
            (&many, SdpError::TooManySections),
            (&long, SdpError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(Sdp::parse(text), Err(error), "{:.20}", text);
        }
    }
}
