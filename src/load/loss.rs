//! Which sequence numbers never came.

use std::collections::BTreeSet;

/// Numbers remembered as missing; more than that at once are lost for good.
const MAX_MISSING: usize = 4096;

/// Counts one stream of extended sequence numbers.
#[derive(Debug, Default)]
pub(super) struct Loss {
    highest: Option<u64>,
    missing: BTreeSet<u64>,
    given_up: u64,
    /// Different packets that came, in time or late.
    pub received: u64,
    /// Packets that were missing and came after all.
    pub recovered: u64,
}

// === impl Loss ===

impl Loss {
    pub fn push(&mut self, sequence: u64) {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            self.received = 1;
            return;
        };
        if sequence > highest {
            let gap = sequence - highest - 1;
            let remembered = gap.min(MAX_MISSING as u64);
            self.given_up += gap - remembered;
            self.missing.extend(sequence - remembered..sequence);
            while self.missing.len() > MAX_MISSING {
                self.missing.pop_first();
                self.given_up += 1;
            }
            self.highest = Some(sequence);
            self.received += 1;
        } else if self.missing.remove(&sequence) {
            self.received += 1;
            self.recovered += 1;
        }
    }

    /// Packets that haven't come.
    pub fn lost(&self) -> u64 {
        self.missing.len() as u64 + self.given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_packets_are_recovered_and_doubles_count_once() {
        let mut loss = Loss::default();
        [10, 11, 14, 12, 12, 11, 16].into_iter().for_each(|n| loss.push(n));
        assert_eq!((loss.received, loss.recovered, loss.lost()), (5, 1, 2));
    }

    #[test]
    fn a_great_leap_is_counted_and_bounded() {
        let mut loss = Loss::default();
        loss.push(0);
        loss.push(1_000_001);
        assert_eq!(loss.lost(), 1_000_000);
        assert_eq!(loss.missing.len(), MAX_MISSING);
    }
}
