//! How many different users there were, without keeping who: HyperLogLog (Flajolet and others,
//! 2007) with 4096 registers, off by 1.6 % in the mean.
//!
//! Taking a user in twice, in any order, and adding sketches up, changes nothing: the same people
//! are never counted twice, whatever span is asked about.

use std::collections::BTreeMap;

const BITS: u32 = 12;
const REGISTERS: usize = 1 << BITS;
/// Past so many registers a byte each takes less room than three for each that is set.
const FEW: usize = REGISTERS / 3;

/// Registers that are set, at most [`REGISTERS`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch(BTreeMap<u16, u8>);

// === impl Sketch ===

impl Sketch {
    pub fn insert(&mut self, name: &str) {
        let hash = hash(name.as_bytes());
        let register = (hash >> (64 - BITS)) as u16;
        // The place of the first one among the bits that are left.
        let rank = (hash << BITS | 1 << (BITS - 1)).leading_zeros() as u8 + 1;
        self.raise(register, rank);
    }

    /// Takes in whom another one has.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(register, rank)| self.raise(*register, *rank));
    }

    /// How many there are, about.
    pub fn count(&self) -> f64 {
        let all = REGISTERS as f64;
        let unset = all - self.0.len() as f64;
        let sum: f64 = unset + self.0.values().map(|rank| (-f64::from(*rank)).exp2()).sum::<f64>();
        let raw = 0.7213 / (1.0 + 1.079 / all) * all * all / sum;
        // Few are counted better by how many registers are unset.
        if raw <= 2.5 * all && unset > 0.0 { all * (all / unset).ln() } else { raw }
    }

    /// As it is stored: three bytes for each register that is set, or one for each.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.0.len() <= FEW {
            let triples = self.0.iter().map(|(at, rank)| {
                let [low, high] = at.to_le_bytes();
                [low, high, *rank]
            });
            return triples.flatten().collect();
        }
        let mut bytes = vec![0; REGISTERS];
        for (register, rank) in &self.0 {
            bytes[usize::from(*register)] = *rank;
        }
        bytes
    }

    /// What isn't one counts as empty.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut sketch = Self::default();
        if bytes.len() == REGISTERS {
            for (register, rank) in bytes.iter().enumerate().filter(|(_, rank)| **rank > 0) {
                sketch.raise(register as u16, *rank);
            }
            return sketch;
        }
        for triple in bytes.chunks_exact(3) {
            sketch.raise(u16::from_le_bytes([triple[0], triple[1]]), triple[2]);
        }
        sketch
    }

    fn raise(&mut self, register: u16, rank: u8) {
        let held = self.0.entry(register % REGISTERS as u16).or_default();
        *held = (*held).max(rank);
    }
}

/// FNV-1a, then the finish of MurmurHash3: the same on every machine and in every version.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(users: std::ops::Range<u32>) -> Sketch {
        let mut sketch = Sketch::default();
        users.for_each(|user| sketch.insert(&format!("user-{user}")));
        sketch
    }

    #[test]
    fn counts_are_near_the_true_ones_from_none_to_many() {
        for (users, off) in [(0, 0.0), (1, 0.01), (10, 0.01), (1000, 0.02), (200_000, 0.05)] {
            let found = of(0..users).count();
            let error = (found - f64::from(users)).abs();
            assert!(error <= off * f64::from(users) + 0.01, "{users}: {found}");
        }
    }

    #[test]
    fn nobody_is_counted_twice() {
        let mut sum = of(0..3000);
        sum.merge(&of(2000..5000));
        assert_eq!(sum, of(0..5000));
        sum.merge(&sum.clone());
        assert_eq!(sum, of(0..5000));
    }

    #[test]
    fn sketches_read_back_small_and_large() {
        for users in [0, 1, 1000, 1600, 100_000] {
            let sketch = of(0..users);
            let bytes = sketch.to_bytes();
            assert_eq!(Sketch::from_bytes(&bytes), sketch);
            assert!(bytes.len() <= REGISTERS && bytes.len() <= 3 * users as usize);
        }
        assert_eq!(Sketch::from_bytes(&[255, 255]), Sketch::default());
    }
}
