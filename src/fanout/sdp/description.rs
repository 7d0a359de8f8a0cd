//! Session descriptions (RFC 8866) as sections of attributes, borrowed from their text.

use super::{MAX_BYTES, MAX_SECTIONS, SdpError};

/// A description cut into its sections. Nothing is interpreted yet.
#[derive(Debug, Default)]
pub(super) struct Description<'a> {
    /// Attributes in front of the first `m=` line.
    pub session: Attributes<'a>,
    pub sections: Vec<Section<'a>>,
}

/// One `m=` line and what belongs to it.
#[derive(Debug, Default)]
pub(super) struct Section<'a> {
    /// Such as "video".
    pub media: &'a str,
    pub port: u16,
    /// Such as "UDP/TLS/RTP/SAVPF".
    pub protocol: &'a str,
    /// Payload types, for RTP.
    pub formats: Vec<&'a str>,
    pub attributes: Attributes<'a>,
}

/// `a=name:value` lines in order; the value of a flag is empty.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a>(Vec<(&'a str, &'a str)>);

// === impl Description ===

impl<'a> Description<'a> {
    /// A whole description, which begins with `v=0`.
    pub fn parse(text: &'a str) -> Result<Self, SdpError> {
        let first = text.lines().next().unwrap_or_default().trim_end();
        if first != "v=0" {
            return Err(SdpError::Line { line: 1, problem: "a description begins with v=0" });
        }
        Self::parse_fragment(text)
    }

    /// Lines of a description, without what it must begin with (RFC 8840, 9).
    pub fn parse_fragment(text: &'a str) -> Result<Self, SdpError> {
        if text.len() > MAX_BYTES {
            return Err(SdpError::TooLong);
        }
        let mut description = Self::default();
        for (index, line) in text.lines().enumerate() {
            let wrong = |problem| SdpError::Line { line: index + 1, problem };
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                continue;
            }
            if line.contains(|c: char| c.is_control() && c != '\t') {
                return Err(wrong("control characters"));
            }
            let (kind, value) = line.split_once('=').ok_or(wrong("not of the form type=value"))?;
            match kind {
                "m" if description.sections.len() == MAX_SECTIONS => {
                    return Err(SdpError::TooManySections);
                }
                "m" => {
                    let section = Section::parse(value);
                    description.sections.push(section.ok_or(wrong("malformed media line"))?);
                }
                "a" => {
                    let attribute = value.split_once(':').unwrap_or((value, ""));
                    let section = description.sections.last_mut();
                    let to = section.map_or(&mut description.session, |s| &mut s.attributes);
                    to.0.push(attribute);
                }
                _ if kind.len() == 1 && kind.as_bytes()[0].is_ascii_lowercase() => {}
                _ => return Err(wrong("not of the form type=value")),
            }
        }
        Ok(description)
    }
}

// === impl Section ===

impl<'a> Section<'a> {
    fn parse(value: &'a str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let media = words.next()?;
        // RFC 8866, 5.14: a port may be followed by how many there are.
        let port = words.next()?.split('/').next()?.parse().ok()?;
        let protocol = words.next()?;
        let formats: Vec<_> = words.collect();
        let attributes = Attributes::default();
        (!formats.is_empty()).then_some(Self { media, port, protocol, formats, attributes })
    }
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| *n == name)
    }

    /// The value of the first attribute of this name.
    pub fn first(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.0.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value.trim())
    }

    /// Values of the form `NUMBER rest`, such as those of rtpmap and fmtp, for one payload type.
    pub fn of_payload<'s>(
        &'s self,
        name: &'s str,
        payload_type: &'s str,
    ) -> impl Iterator<Item = &'a str> + 's {
        self.all(name).filter_map(move |value| {
            let (number, rest) = value.split_once(' ')?;
            (number == payload_type).then(|| rest.trim())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_go_to_the_section_they_follow() {
        let text = "v=0\r\ns=-\r\na=ice-lite\r\nm=audio 9/2 RTP/AVP 0 8\r\na=mid:x\r\n\
                    m=video 0 RTP/AVP 96\na=rtpmap:96 VP8/90000\n";
        let description = Description::parse(text).unwrap();
        assert!(description.session.has("ice-lite"));
        let [audio, video] = &description.sections[..] else { panic!() };
        assert_eq!((audio.media, audio.port, &audio.formats[..]), ("audio", 9, &["0", "8"][..]));
        assert_eq!(audio.attributes.first("mid"), Some("x"));
        let mapped: Vec<_> = video.attributes.of_payload("rtpmap", "96").collect();
        assert_eq!((video.port, &mapped[..]), (0, &["VP8/90000"][..]));
    }

    #[test]
    fn malformed_lines_are_refused_with_their_number() {
        let refused = |text: &str| match Description::parse(text) {
            Err(SdpError::Line { line, .. }) => Some(line),
            _ => None,
        };
        assert_eq!(refused(""), Some(1));
        assert_eq!(refused("v=1\r\n"), Some(1));
        assert_eq!(refused("v=0\r\nnonsense\r\n"), Some(2));
        assert_eq!(refused("v=0\r\nm=audio\r\n"), Some(2));
        assert_eq!(refused("v=0\r\nm=audio 70000 RTP/AVP 0\r\n"), Some(2));
        assert_eq!(refused("v=0\r\nm=audio 9 RTP/AVP\r\n"), Some(2));
        assert_eq!(refused("v=0\r\na=x:\u{0}\r\n"), Some(2));
        assert_eq!(refused("v=0\r\nxy=z\r\n"), Some(2));
    }

    #[test]
    fn sizes_are_bounded() {
        let sections = "v=0\r\n".to_owned() + &"m=audio 9 RTP/AVP 0\r\n".repeat(33);
        assert_eq!(Description::parse(&sections).unwrap_err(), SdpError::TooManySections);
        let long = "v=0\r\n".to_owned() + &"a=x\r\n".repeat(14_000);
        assert_eq!(Description::parse(&long).unwrap_err(), SdpError::TooLong);
    }
}
