//! What the coded bits themselves say: sizes, profiles, reordering, keyframes.
//!
//! Containers and signalling are often wrong or silent about these; the bits are what a viewer's
//! decoder gets. Everything here is pure and takes any bytes without panicking.

pub mod bits;
pub mod h264;
pub mod tracker;
pub mod vp8;

pub use tracker::{Observation, VideoTracker};

/// The NAL units of an annex B access unit, without start codes.
pub struct Nals<'a> {
    rest: &'a [u8],
}

// === impl Nals ===

impl<'a> Nals<'a> {
    pub fn new(access_unit: &'a [u8]) -> Self {
        let rest = match find_start_code(access_unit) {
            Some(at) => &access_unit[at + 3..],
            None => &[],
        };
        Self { rest }
    }
}

impl<'a> Iterator for Nals<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (nal, rest) = match find_start_code(self.rest) {
            Some(at) => (&self.rest[..at], &self.rest[at + 3..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        // The zero of a four-byte start code and trailing zeros belong to no NAL unit.
        let end = nal.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        Some(&nal[..end])
    }
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + 3 <= bytes.len() {
        match (bytes[at], bytes[at + 1], bytes[at + 2]) {
            (_, _, 2..) => at += 3,
            (_, 1.., _) => at += 2,
            (0, 0, 1) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_are_split_at_start_codes_of_either_length() {
        let cases: [(&[u8], &[&[u8]]); 6] = [
            (&[0, 0, 1, 9, 8, 0, 0, 0, 1, 7, 6, 5], &[&[9, 8], &[7, 6, 5]]),
            (&[0, 0, 0, 1, 1, 1, 0, 0, 1, 2], &[&[1, 1], &[2]]),
            (&[5, 5, 0, 0, 1, 3, 0, 0, 0], &[&[3]]),
            (&[0, 0, 3, 0, 0, 1, 4, 0, 1, 2, 0, 0, 1], &[&[4, 0, 1, 2]]),
            (&[1, 2, 3], &[]),
            (&[], &[]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Nals::new(bytes).collect::<Vec<_>>(), expected, "{bytes:?}");
        }
    }
}
