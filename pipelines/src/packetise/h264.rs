//! H.264 into RTP: RFC 6184, packetization-mode 1.
//!
//! Small units of one picture share a packet (STAP-A), as parameter sets do with the SEI behind
//! them; a unit too long for a packet is cut (FU-A). Packets are filled to the brim: equal sizes
//! are what lets the fan-out send a picture as one segmented message.

use super::{Emit, MAX_PAYLOAD};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const ACCESS_UNIT_DELIMITER: u8 = 9;
const END_OF_SEQUENCE: u8 = 10;
const FILLER: u8 = 12;

/// Keeps the parameter sets, so that every keyframe carries them.
#[derive(Debug, Default)]
pub(super) struct H264 {
    sps: Vec<u8>,
    pps: Vec<u8>,
    /// A STAP-A being gathered. Empty between units.
    gathered: Vec<u8>,
}

// === impl H264 ===

impl H264 {
    /// Cuts an annex B access unit into packets.
    pub(super) fn packetise(&mut self, data: &[u8], keyframe: bool, emit: Emit<'_>) {
        let mut nals: Vec<&[u8]> = nal_units(data)
            .filter(|nal| !matches!(kind(nal), ACCESS_UNIT_DELIMITER | END_OF_SEQUENCE..=FILLER))
            .collect();
        let mut has = (false, false);
        for nal in &nals {
            match kind(nal) {
                SPS => {
                    self.sps = nal.to_vec();
                    has.0 = true;
                }
                PPS => {
                    self.pps = nal.to_vec();
                    has.1 = true;
                }
                _ => {}
            }
        }
        let (sps, pps) = (std::mem::take(&mut self.sps), std::mem::take(&mut self.pps));
        if keyframe && nals.iter().any(|nal| kind(nal) == IDR) {
            if !has.1 && !pps.is_empty() {
                nals.insert(0, &pps);
            }
            if !has.0 && !sps.is_empty() {
                nals.insert(0, &sps);
            }
        }
        self.send(&nals, emit);
        (self.sps, self.pps) = (sps, pps);
    }

    fn send(&mut self, nals: &[&[u8]], emit: Emit<'_>) {
        let mut rest = nals;
        while let Some(nal) = rest.first() {
            let run = run_that_fits(rest);
            let last = run.max(1) == rest.len();
            if nal.len() > MAX_PAYLOAD {
                cut(nal, last, emit);
            } else if run < 2 {
                emit(&[], nal, last);
            } else {
                self.gather(&rest[..run]);
                emit(&[], &self.gathered, last);
            }
            rest = &rest[run.max(1)..];
        }
    }

    /// STAP-A: a header with the highest NRI of all, then each unit behind its length.
    fn gather(&mut self, nals: &[&[u8]]) {
        let importance = nals.iter().map(|nal| nal[0] & 0x60).max().unwrap_or(0);
        self.gathered.clear();
        self.gathered.push(importance | STAP_A);
        for nal in nals {
            self.gathered.extend_from_slice(&(nal.len() as u16).to_be_bytes());
            self.gathered.extend_from_slice(nal);
        }
    }
}

/// How many of the first units share one STAP-A; 0 where the first is too long even alone.
fn run_that_fits(nals: &[&[u8]]) -> usize {
    let mut bytes = 1;
    nals.iter()
        .take_while(|nal| {
            bytes += 2 + nal.len();
            bytes <= MAX_PAYLOAD
        })
        .count()
}

/// FU-A: the unit's header byte is spread over an indicator and a header in front of each piece.
fn cut(nal: &[u8], last_nal: bool, emit: Emit<'_>) {
    let (head, body) = (nal[0], &nal[1..]);
    let indicator = (head & 0xe0) | FU_A;
    let pieces = body.chunks(MAX_PAYLOAD - 2);
    let count = pieces.len();
    for (index, piece) in pieces.enumerate() {
        let end = index + 1 == count;
        let mut header = head & 0x1f;
        if index == 0 {
            header |= 0x80;
        }
        if end {
            header |= 0x40;
        }
        emit(&[indicator, header], piece, last_nal && end);
    }
}

fn kind(nal: &[u8]) -> u8 {
    nal[0] & 0x1f
}

/// The non-empty NAL units of an annex B byte stream, without start codes.
pub(super) fn nal_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = start_code(data, 0).map(|(_, after)| after);
    std::iter::from_fn(move || {
        let start = next?;
        let end = match start_code(data, start) {
            Some((at, after)) => {
                next = Some(after);
                at
            }
            None => {
                next = None;
                data.len()
            }
        };
        Some(&data[start..end])
    })
    .map(|nal| {
        // Annex B allows zero bytes behind a unit; its own last byte is never zero.
        let end = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        &nal[..end]
    })
    .filter(|nal| !nal.is_empty())
}

/// Where the next start code begins, and where it ends.
fn start_code(data: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    while let Some(&[a, b, c]) = data.get(at..at + 3) {
        match c {
            // A third byte above 1 can be no part of a start code that begins at any of the three.
            2.. => at += 3,
            1 if a == 0 && b == 0 => return Some((at, at + 3)),
            _ => at += 1,
        }
    }
    None
}
