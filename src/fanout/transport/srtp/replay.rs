//! Which packets of a source were received already (RFC 3711, 3.3.2).

use super::SrtpError;

/// Sources followed at most per direction and kind. Only an authenticated peer adds one.
const MAX_SOURCES: usize = 32;

/// A window behind the highest index received.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplayWindow {
    highest: u64,
    /// Bit n is set when `highest - n` was received.
    seen: u128,
}

#[derive(Debug, Default)]
pub(super) struct Sources {
    windows: Vec<(u32, ReplayWindow)>,
}

// === impl ReplayWindow ===

impl ReplayWindow {
    pub fn highest(&self) -> u64 {
        self.highest
    }

    fn check(&self, index: u64) -> Result<(), SrtpError> {
        match self.highest.checked_sub(index) {
            None => Ok(()),
            Some(age) if age >= 128 || self.seen >> age & 1 == 1 => Err(SrtpError::Replayed),
            Some(_) => Ok(()),
        }
    }

    fn accept(&mut self, index: u64) {
        match self.highest.checked_sub(index) {
            Some(age) => self.seen |= 1 << age.min(127),
            None => {
                let ahead = index - self.highest;
                self.seen = if ahead < 128 { self.seen << ahead } else { 0 } | 1;
                self.highest = index;
            }
        }
    }
}

// === impl Sources ===

impl Sources {
    pub fn window(&self, ssrc: u32) -> Option<&ReplayWindow> {
        self.windows.iter().find(|(s, _)| *s == ssrc).map(|(_, w)| w)
    }

    /// Before the packet is authenticated: whether it could be taken.
    pub fn check(&self, ssrc: u32, index: u64) -> Result<(), SrtpError> {
        match self.window(ssrc) {
            Some(window) => window.check(index),
            None if self.windows.len() < MAX_SOURCES => Ok(()),
            None => Err(SrtpError::TooManySources),
        }
    }

    /// After it was authenticated.
    pub fn accept(&mut self, ssrc: u32, index: u64) {
        match self.windows.iter_mut().find(|(s, _)| *s == ssrc) {
            Some((_, window)) => window.accept(index),
            None => self.windows.push((ssrc, ReplayWindow { highest: index, seen: 1 })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_passes_once_and_old_ones_never() {
        let mut sources = Sources::default();
        let mut take = |index| {
            let result = sources.check(1, index);
            if result.is_ok() {
                sources.accept(1, index);
            }
            result.is_ok()
        };
        assert!(take(1000));
        assert!(!take(1000));
        assert!(take(1001));
        assert!(take(1127));
        assert!(!take(1000));
        assert!(take(1002));
        assert!(!take(1002));
        assert!(!take(999));
        assert!(take(5000));
        assert!(!take(4872));
        assert!(take(4873));
        assert!(!take(1127));
    }
}
