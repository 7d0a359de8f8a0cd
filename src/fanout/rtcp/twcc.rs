//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1).

/// Which packets arrived, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// Transport-wide sequence number of the first packet reported on.
    pub base: u16,
    /// Packets reported on.
    pub count: u16,
    /// Time of the first delta, in 64 ms, modulo 2^24; the receiver's clock.
    reference: u32,
    chunks_and_deltas: &'a [u8],
}

/// Iterates over the packets of a feedback.
struct Packets<'a> {
    left: u16,
    chunks: &'a [u8],
    deltas: &'a [u8],
    /// In 250 µs.
    time: i64,
    /// Statuses of the current chunk, and how many are left in it.
    chunk: Chunk,
}

#[derive(Clone, Copy)]
enum Chunk {
    Run { status: u8, left: u16 },
    OneBit { bits: u16, left: u16 },
    TwoBits { bits: u16, left: u16 },
}

/// Reference times count in this many ticks of 250 µs.
const REFERENCE_TICKS: i64 = 256;
/// Arrival times wrap at this many ticks.
pub const WRAP_TICKS: i64 = REFERENCE_TICKS << 24;

// === impl TransportFeedback ===

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<8>()?;
        Some(Self {
            base: u16::from_be_bytes([head[0], head[1]]),
            count: u16::from_be_bytes([head[2], head[3]]),
            reference: u32::from_be_bytes([0, head[4], head[5], head[6]]),
            chunks_and_deltas: rest,
        })
    }

    /// Each packet in order of sending: Some is its arrival in ticks of 250 µs, None that it
    /// hasn't arrived. Ends early where the feedback is cut.
    pub fn packets(&self) -> impl Iterator<Item = Option<i64>> + 'a {
        // Deltas begin behind the chunks, and the chunks tell only themselves how many they are.
        let mut covered = 0;
        let mut at = 0;
        while covered < u32::from(self.count) {
            let Some(chunk) = self.chunks_and_deltas.get(at..at + 2) else { break };
            covered += u32::from(Chunk::read(chunk).left());
            at += 2;
        }
        let (chunks, deltas) = self.chunks_and_deltas.split_at(at);
        Packets {
            left: self.count,
            chunks,
            deltas,
            time: i64::from(self.reference) * REFERENCE_TICKS,
            chunk: Chunk::Run { status: 0, left: 0 },
        }
    }
}

// === impl Packets ===

impl Iterator for Packets<'_> {
    type Item = Option<i64>;

    fn next(&mut self) -> Option<Option<i64>> {
        self.left = self.left.checked_sub(1)?;
        while self.chunk.left() == 0 {
            let (chunk, rest) = self.chunks.split_at_checked(2)?;
            self.chunk = Chunk::read(chunk);
            self.chunks = rest;
        }
        let delta = match self.chunk.take() {
            1 => {
                let (delta, rest) = self.deltas.split_first_chunk::<1>()?;
                self.deltas = rest;
                i64::from(delta[0])
            }
            2 => {
                let (delta, rest) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = rest;
                i64::from(i16::from_be_bytes(*delta))
            }
            _ => return Some(None),
        };
        self.time += delta;
        Some(Some(self.time))
    }
}

// === impl Chunk ===

impl Chunk {
    fn read(bytes: &[u8]) -> Self {
        let word = u16::from(bytes[0]) << 8 | u16::from(bytes[1]);
        match (word & 0x8000 != 0, word & 0x4000 != 0) {
            (false, _) => Self::Run { status: (word >> 13 & 3) as u8, left: word & 0x1fff },
            (true, false) => Self::OneBit { bits: word << 2, left: 14 },
            (true, true) => Self::TwoBits { bits: word << 2, left: 7 },
        }
    }

    fn left(self) -> u16 {
        match self {
            Self::Run { left, .. } | Self::OneBit { left, .. } | Self::TwoBits { left, .. } => left,
        }
    }

    /// The next status. There must be one.
    fn take(&mut self) -> u8 {
        match self {
            Self::Run { status, left } => {
                *left -= 1;
                *status
            }
            Self::OneBit { bits, left } => {
                let status = (*bits >> 15) as u8;
                *bits <<= 1;
                *left -= 1;
                status
            }
            Self::TwoBits { bits, left } => {
                let status = (*bits >> 14) as u8;
                *bits <<= 2;
                *left -= 1;
                status
            }
        }
    }
}
