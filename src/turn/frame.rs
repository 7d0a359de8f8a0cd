//! What lies next in a TCP stream (RFC 8656, 3.1 and 12.5): STUN messages and ChannelData, the
//! latter padded to a multiple of four.

use crate::stun::{HEADER_BYTES, MAGIC_COOKIE};

/// Bytes of ChannelData before the data.
pub const CHANNEL_HEADER: usize = 4;

/// The front of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// More must arrive.
    Incomplete,
    /// A message of so many bytes; the next one begins `step` bytes on.
    Message { length: usize, step: usize },
    /// ChannelData: header and data are `length` bytes.
    Channel { length: usize, step: usize },
    /// Neither, or longer than allowed. The stream has lost its frame.
    Broken,
}

/// Splits ChannelData into channel and data. None: its length is wrong.
pub fn channel_data(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<CHANNEL_HEADER>()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    // Over UDP there may be padding or not (RFC 8656, 12.5).
    let data = rest.get(..length)?;
    Some((u16::from_be_bytes([header[0], header[1]]), data))
}

pub fn is_channel_data(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| (0x40..=0x7f).contains(first))
}

/// The header of ChannelData with so many bytes.
pub fn channel_header(channel: u16, length: usize) -> [u8; CHANNEL_HEADER] {
    let ([a, b], [c, d]) = (channel.to_be_bytes(), (length as u16).to_be_bytes());
    [a, b, c, d]
}

/// What a stream begins with. Nothing of more than `most` bytes is waited for.
pub fn front(bytes: &[u8], most: usize) -> Front {
    let Some(&[first, _, high, low]) = bytes.first_chunk::<4>() else { return Front::Incomplete };
    let body = usize::from(u16::from_be_bytes([high, low]));
    let front = if first < 0x40 {
        if !body.is_multiple_of(4) || bytes.get(4..8).is_some_and(|c| c != MAGIC_COOKIE) {
            return Front::Broken;
        }
        let length = HEADER_BYTES + body;
        Front::Message { length, step: length }
    } else if first < 0x80 {
        let length = CHANNEL_HEADER + body;
        Front::Channel { length, step: length.next_multiple_of(4) }
    } else {
        return Front::Broken;
    };
    match front {
        Front::Message { step, .. } | Front::Channel { step, .. } if step > most => Front::Broken,
        Front::Message { step, .. } | Front::Channel { step, .. } if step > bytes.len() => {
            Front::Incomplete
        }
        _ => front,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::Writer;

    #[test]
    fn messages_and_channel_data_are_cut_out_of_a_stream_wherever_it_was_split() {
        let mut stream = Vec::new();
        Writer::begin(&mut stream, 0x0001, b"transaction!").fingerprint();
        let message = stream.len();
        stream.extend_from_slice(&channel_header(0x4001, 5));
        stream.extend_from_slice(b"hello\0\0\0");
        stream.extend_from_slice(&channel_header(0x4fff, 0));
        let expected = [
            Front::Message { length: message, step: message },
            Front::Channel { length: 9, step: 12 },
            Front::Channel { length: 4, step: 4 },
        ];
        let mut at = 0;
        for expected in expected {
            let (Front::Message { step, .. } | Front::Channel { step, .. }) = expected else {
                unreachable!()
            };
            for end in at..at + step {
                assert_eq!(front(&stream[at..end], 1000), Front::Incomplete, "{at}..{end}");
            }
            assert_eq!(front(&stream[at..], 1000), expected);
            assert_eq!(front(&stream[at..], step - 1), Front::Broken, "too long");
            at += step;
        }
        assert_eq!(channel_data(&stream[message..message + 9]), Some((0x4001, &b"hello"[..])));
        assert_eq!(channel_data(&stream[message..message + 8]), None);
    }

    #[test]
    fn what_is_neither_breaks_the_stream() {
        for broken in [&b"GET / HTTP/1.1\r\n\r\n"[..2], b""] {
            assert_eq!(front(broken, 1000), Front::Incomplete);
        }
        for broken in [
            &[0x80, 0, 0, 0][..],
            &[0xff; 4],
            // A length that is no multiple of four; another cookie.
            &[0, 1, 0, 3],
            &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43],
            b"\x16\x03\x01\x02\x00\x01\x00",
        ] {
            assert_eq!(front(broken, 1000), Front::Broken, "{broken:?}");
        }
    }
}
