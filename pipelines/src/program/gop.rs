//! The source's newest group of pictures, kept so that a decoder or a rung that starts in the
//! middle of it starts at once. Sources that can't be asked for a keyframe send one every few
//! seconds.

/// A longer group is not kept: catching up with it would take longer than a keyframe does. This
/// is 20 s of most cameras.
const MAX_UNITS: usize = 600;
/// The most memory that a channel's cache takes: 10 s at 25 Mb/s.
const MAX_BYTES: usize = 32 << 20;

/// Units since the last keyframe, that first.
#[derive(Debug)]
pub struct GopCache<T> {
    units: Vec<T>,
    bytes: usize,
}

// === impl GopCache ===

impl<T> Default for GopCache<T> {
    fn default() -> Self {
        Self { units: Vec::new(), bytes: 0 }
    }
}

impl<T: Clone> GopCache<T> {
    pub fn push(&mut self, unit: T, keyframe: bool, bytes: usize) {
        if keyframe {
            self.clear();
        } else if self.units.is_empty() {
            return;
        }
        if self.units.len() == MAX_UNITS || self.bytes + bytes > MAX_BYTES {
            self.clear();
            return;
        }
        self.units.push(unit);
        self.bytes += bytes;
    }

    /// Empty where decoding can't start before the next keyframe.
    pub fn units(&self) -> &[T] {
        &self.units
    }

    pub fn clear(&mut self) {
        self.units.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_holds_what_came_since_the_last_keyframe() {
        let mut cache = GopCache::default();
        for (unit, keyframe) in [(1, false), (2, true), (3, false), (4, true), (5, false)] {
            cache.push(unit, keyframe, 100);
        }
        assert_eq!(cache.units(), [4, 5]);
    }

    #[test]
    fn a_group_that_is_too_long_is_not_kept_in_part() {
        let mut cache = GopCache::default();
        cache.push(0, true, 1);
        (1..=MAX_UNITS).for_each(|unit| cache.push(unit, false, 1));
        assert_eq!(cache.units(), [] as [usize; 0]);
        cache.push(7, true, MAX_BYTES);
        cache.push(8, false, 1);
        assert_eq!(cache.units(), [] as [usize; 0]);
        cache.push(9, true, 1);
        assert_eq!(cache.units(), [9]);
    }
}
