//! Durations counted by size, so that percentiles of any span can be had by adding up.
//!
//! Eight classes for each doubling: a percentile is off by less than 5 %.

/// Classes for each doubling.
const FINE: f64 = 8.0;
/// The last class holds everything from 2^40 ms on.
const LAST: u32 = 8 * 40;

/// The class of a duration in milliseconds.
pub fn class(ms: u64) -> u32 {
    if ms == 0 {
        return 0;
    }
    (1 + ((ms as f64).log2() * FINE).floor() as u32).min(LAST)
}

/// Milliseconds that stand for a class: the middle of it, on a logarithmic scale.
fn middle(class: u32) -> f64 {
    if class == 0 { 0.0 } else { ((f64::from(class) - 0.5) / FINE).exp2() }
}

/// The duration in milliseconds below which `share` (0 to 1) of all are. None: there are none.
/// `counts`: classes with how many each has, in the order of classes.
pub fn percentile(counts: &[(u32, i64)], share: f64) -> Option<f64> {
    let all: i64 = counts.iter().map(|(_, count)| count).sum();
    if all <= 0 {
        return None;
    }
    let wanted = (all as f64 * share).ceil().max(1.0) as i64;
    let mut before = 0;
    counts.iter().find_map(|&(class, count)| {
        before += count;
        (before >= wanted).then(|| middle(class))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_near_the_true_ones_at_every_size() {
        for scale in [1_u64, 30, 1000, 3_600_000] {
            let mut counts = std::collections::BTreeMap::new();
            for ms in 1..=1000 {
                *counts.entry(class(ms * scale)).or_insert(0) += 1;
            }
            let counts: Vec<_> = counts.into_iter().collect();
            for (share, expected) in [(0.5, 500.0), (0.95, 950.0), (1.0, 1000.0)] {
                let found = percentile(&counts, share).unwrap();
                let ratio = found / (expected * scale as f64);
                assert!((0.95..1.05).contains(&ratio), "{share} at {scale}: {found}");
            }
        }
    }

    #[test]
    fn what_is_empty_has_no_percentile_and_extremes_have_a_class() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[(3, 0)], 0.5), None);
        assert_eq!((class(0), class(1), class(u64::MAX)), (0, 1, LAST));
        assert_eq!(percentile(&[(0, 5)], 0.95), Some(0.0));
    }
}
