//! Reads compound packets. Whatever is not understood is skipped; whatever is cut short ends the
//! reading.

use super::twcc::TransportFeedback;

/// One thing that a viewer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// How one of our streams arrives (RFC 3550, 6.4.2).
    Report(ReportBlock),
    /// Packets of `ssrc` that are missing (RFC 4585, 6.2.1).
    Nack { ssrc: u32, pairs: NackPairs<'a> },
    /// A picture was lost (RFC 4585, 6.3.1), or a keyframe is wanted (RFC 5104, 4.3.1).
    KeyframeRequest { ssrc: u32 },
    /// When each packet arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    Transport(TransportFeedback<'a>),
    /// The receiver's own bandwidth estimate, in bits per second
    /// (draft-alvestrand-rmcat-remb-03).
    Remb { bits_per_second: u64 },
    /// The viewer goes.
    Bye,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Since the last report, in 1/256.
    pub fraction_lost: u8,
    pub highest_sequence: u32,
    /// In units of the media clock.
    pub jitter: u32,
    /// Middle of the NTP time of the last sender report; 0 for none.
    pub last_sr: u32,
    /// Since that one arrived, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// The body of a NACK. Iterates over sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NackPairs<'a>(&'a [u8]);

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// Hands each message of a (decrypted) compound packet to `take`.
pub fn parse<'a>(compound: &'a [u8], mut take: impl FnMut(Message<'a>)) {
    let mut rest = compound;
    while let Some((packet, after)) = split(rest) {
        rest = after;
        read(packet, &mut take);
    }
}

/// One packet of a compound.
struct Packet<'a> {
    /// Count or format.
    count: u8,
    kind: u8,
    body: &'a [u8],
}

fn split(bytes: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    if head[0] >> 6 != 2 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    let (mut body, after) = rest.split_at_checked(length)?;
    if head[0] & 0x20 != 0 {
        let padding = usize::from(*body.last()?);
        body = body.get(..body.len().checked_sub(padding)?)?;
    }
    Some((Packet { count: head[0] & 0x1f, kind: head[1], body }, after))
}

fn read<'a>(packet: Packet<'a>, take: &mut impl FnMut(Message<'a>)) {
    match packet.kind {
        SENDER_REPORT => read_blocks(packet.body.get(24..), packet.count, take),
        RECEIVER_REPORT => read_blocks(packet.body.get(4..), packet.count, take),
        BYE => take(Message::Bye),
        TRANSPORT_FEEDBACK => {
            let (Some(ssrc), Some(rest)) = (word(packet.body, 4), packet.body.get(8..)) else {
                return;
            };
            match packet.count {
                1 => take(Message::Nack { ssrc, pairs: NackPairs(rest) }),
                15 => {
                    if let Some(feedback) = TransportFeedback::parse(rest) {
                        take(Message::Transport(feedback));
                    }
                }
                _ => {}
            }
        }
        PAYLOAD_FEEDBACK => read_payload_feedback(&packet, take),
        _ => {}
    }
}

fn read_blocks<'a>(blocks: Option<&'a [u8]>, count: u8, take: &mut impl FnMut(Message<'a>)) {
    for block in blocks.unwrap_or_default().chunks_exact(24).take(usize::from(count)) {
        let word = |at| word(block, at).unwrap_or_default();
        take(Message::Report(ReportBlock {
            ssrc: word(0),
            fraction_lost: block[4],
            highest_sequence: word(8),
            jitter: word(12),
            last_sr: word(16),
            delay_since_last_sr: word(20),
        }));
    }
}

fn read_payload_feedback<'a>(packet: &Packet<'a>, take: &mut impl FnMut(Message<'a>)) {
    let (Some(ssrc), Some(rest)) = (word(packet.body, 4), packet.body.get(8..)) else {
        return;
    };
    match packet.count {
        1 => take(Message::KeyframeRequest { ssrc }),
        4 => {
            for entry in rest.chunks_exact(8) {
                if let Some(ssrc) = word(entry, 0) {
                    take(Message::KeyframeRequest { ssrc });
                }
            }
        }
        15 if rest.starts_with(b"REMB") && rest.len() >= 8 => {
            let exponent = u32::from(rest[5] >> 2);
            let mantissa =
                u64::from(rest[5] & 3) << 16 | u64::from(rest[6]) << 8 | u64::from(rest[7]);
            let bits_per_second =
                mantissa.checked_shl(exponent).filter(|v| v >> exponent == mantissa);
            take(Message::Remb { bits_per_second: bits_per_second.unwrap_or(u64::MAX) });
        }
        _ => {}
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

// === impl NackPairs ===

impl Iterator for NackPairs<'_> {
    type Item = (u16, u16);

    /// A packet ID and the bit mask of the following lost packets.
    fn next(&mut self) -> Option<(u16, u16)> {
        let (pair, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some((u16::from_be_bytes([pair[0], pair[1]]), u16::from_be_bytes([pair[2], pair[3]])))
    }
}

impl<'a> NackPairs<'a> {
    /// All sequence numbers asked for.
    pub fn sequences(self) -> impl Iterator<Item = u16> + 'a {
        self.flat_map(|(first, mask)| {
            let others = (0..16_u16).filter(move |bit| mask >> bit & 1 != 0);
            std::iter::once(first).chain(others.map(move |bit| first.wrapping_add(bit + 1)))
        })
    }
}
