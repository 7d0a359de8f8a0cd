//! RTP headers towards viewers (RFC 3550, 5.1) with one-byte extensions (RFC 8285), and the few
//! fields of worker packets that the fan-out reads.

/// A header that is made once per burst and viewer and patched per packet.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    bytes: [u8; MAX_HEADER],
    length: usize,
    /// Where the transport-wide sequence number stands, 0 for nowhere.
    transport_at: usize,
}

/// What a header says that stays for a burst.
#[derive(Debug, Clone, Copy)]
pub struct Fixed<'a> {
    pub payload_type: u8,
    pub timestamp: u32,
    pub ssrc: u32,
    pub extensions: Extensions<'a>,
}

/// Extensions to write, each with the id the viewer gave it, 1 to 14.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extensions<'a> {
    /// Which section the stream belongs to (RFC 8843), up to 16 bytes.
    pub mid: Option<(u8, &'a [u8])>,
    pub transport: Option<u8>,
    /// 6.18 fixed point seconds.
    pub send_time: Option<(u8, u32)>,
    /// 32.32 fixed point seconds since 1900.
    pub capture_time: Option<(u8, u64)>,
}

/// What the fan-out reads of a worker's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming<'a> {
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: &'a [u8],
}

/// The longest value of a one-byte extension.
pub const MAX_MID: usize = 16;
/// 12 bytes, then the extensions' head and at most one of each.
const MAX_HEADER: usize = 12 + 4 + (1 + MAX_MID) + 3 + 4 + 9 + 3;

// === impl Header ===

impl Header {
    pub fn new(fixed: &Fixed<'_>) -> Self {
        let mut header = Self { bytes: [0; MAX_HEADER], length: 12, transport_at: 0 };
        header.bytes[0] = 0x80;
        header.bytes[1] = fixed.payload_type & 0x7f;
        header.bytes[4..8].copy_from_slice(&fixed.timestamp.to_be_bytes());
        header.bytes[8..12].copy_from_slice(&fixed.ssrc.to_be_bytes());
        let extensions = &fixed.extensions;
        let wanted = extensions.mid.is_some()
            || extensions.transport.is_some()
            || extensions.send_time.is_some()
            || extensions.capture_time.is_some();
        if wanted {
            header.write_extensions(extensions);
        }
        header
    }

    /// Sets what differs from packet to packet.
    pub fn patch(&mut self, sequence: u16, marker: bool, transport: Option<u16>) {
        self.bytes[1] = self.bytes[1] & 0x7f | u8::from(marker) << 7;
        self.bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
        if let Some(number) = transport
            && self.transport_at != 0
        {
            let at = self.transport_at;
            self.bytes[at..at + 2].copy_from_slice(&number.to_be_bytes());
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn write_extensions(&mut self, extensions: &Extensions<'_>) {
        self.bytes[0] |= 0x10;
        self.length = 16;
        if let Some(id) = extensions.transport {
            self.transport_at = self.length + 1;
            self.push(id, &[0, 0]);
        }
        if let Some((id, mid)) = extensions.mid {
            self.push(id, &mid[..mid.len().min(MAX_MID)]);
        }
        if let Some((id, time)) = extensions.send_time {
            self.push(id, &time.to_be_bytes()[1..]);
        }
        if let Some((id, time)) = extensions.capture_time {
            self.push(id, &time.to_be_bytes());
        }
        self.length = 12 + (self.length - 12).next_multiple_of(4);
        let words = ((self.length - 16) / 4) as u8;
        self.bytes[12..16].copy_from_slice(&[0xbe, 0xde, 0, words]);
    }

    fn push(&mut self, id: u8, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        self.bytes[self.length] = id << 4 | (value.len() - 1) as u8;
        self.bytes[self.length + 1..][..value.len()].copy_from_slice(value);
        self.length += 1 + value.len();
    }
}

// === impl Incoming ===

impl<'a> Incoming<'a> {
    /// None for what isn't RTP. CSRCs, extensions and padding are left out.
    pub fn parse(packet: &'a [u8]) -> Option<Self> {
        let (head, mut payload) = packet.split_first_chunk::<12>()?;
        if head[0] >> 6 != 2 {
            return None;
        }
        payload = payload.get(4 * usize::from(head[0] & 0x0f)..)?;
        if head[0] & 0x10 != 0 {
            let (extension, rest) = payload.split_first_chunk::<4>()?;
            let words = u16::from_be_bytes([extension[2], extension[3]]);
            payload = rest.get(4 * usize::from(words)..)?;
        }
        if head[0] & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            marker: head[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fixed(extensions: Extensions<'_>) -> Fixed<'_> {
        Fixed { payload_type: 96, timestamp: 7, ssrc: 9, extensions }
    }

    #[test]
    fn a_header_without_extensions_has_twelve_bytes() {
        let mut header = Header::new(&fixed(Extensions::default()));
        header.patch(0x0102, true, Some(5));
        assert_eq!(header.as_bytes(), [0x80, 0xe0, 1, 2, 0, 0, 0, 7, 0, 0, 0, 9]);
        header.patch(0x0103, false, None);
        assert_eq!(header.as_bytes()[1..4], [0x60, 1, 3]);
    }

    #[test]
    fn extensions_are_written_and_the_transport_number_patched() {
        let mut header = Header::new(&fixed(Extensions {
            mid: Some((4, b"v0")),
            transport: Some(3),
            ..Extensions::default()
        }));
        header.patch(1, false, Some(0xabcd));
        let expected = [0xbe, 0xde, 0, 2, 0x31, 0xab, 0xcd, 0x41, b'v', b'0', 0, 0];
        assert_eq!(header.as_bytes()[12..], expected);
    }

    #[test]
    fn the_longest_header_fits() {
        let header = Header::new(&fixed(Extensions {
            mid: Some((1, &[b'x'; 40])),
            transport: Some(2),
            send_time: Some((3, 0xffffff)),
            capture_time: Some((4, u64::MAX)),
        }));
        assert!(header.as_bytes().len() <= MAX_HEADER);
        assert_eq!(header.as_bytes().len() % 4, 0);
    }

    proptest! {
        #[test]
        fn garbage_is_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Incoming::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read(payload in prop::collection::vec(any::<u8>(), 0..50), mid in "[a-z]{1,16}") {
            let mut header = Header::new(&fixed(Extensions {
                mid: Some((4, mid.as_bytes())),
                transport: Some(3),
                ..Extensions::default()
            }));
            header.patch(77, true, Some(1));
            let packet = [header.as_bytes(), &payload].concat();
            let read = Incoming::parse(&packet).unwrap();
            prop_assert_eq!(read, Incoming { marker: true, sequence: 77, timestamp: 7, payload: &payload });
        }
    }
}
