//! Which source format the ladder follows.
//!
//! A browser starts small and grows within seconds, and shrinks for a moment when its uplink
//! does. Growth counts at once; a smaller picture counts once it has stayed, so that rungs
//! don't come and go.

use std::time::{Duration, Instant};

use stentor_protocol::control::VideoFormat;

/// How long a smaller picture must stay.
const STAY: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub struct FormatGate {
    current: Option<VideoFormat>,
    pending: Option<(VideoFormat, Instant)>,
}

// === impl FormatGate ===

impl FormatGate {
    pub fn current(&self) -> Option<&VideoFormat> {
        self.current.as_ref()
    }

    /// True: the current format has changed.
    pub fn handle_format(&mut self, format: VideoFormat, now: Instant) -> bool {
        self.pending = None;
        let Some(current) = &self.current else {
            self.current = Some(format);
            return true;
        };
        if *current == format {
            return false;
        }
        let same_kind =
            current.codec == format.codec && current.pass_through == format.pass_through;
        if same_kind && format.resolution.pixels() < current.resolution.pixels() {
            self.pending = Some((format, now + STAY));
            return false;
        }
        self.current = Some(format);
        true
    }

    /// The source is another one: nothing is known of it.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pending.as_ref().map(|(_, at)| *at)
    }

    /// True: the current format has changed.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.pending.take_if(|(_, at)| *at <= now);
        let changed = due.is_some();
        if let Some((format, _)) = due {
            self.current = Some(format);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use stentor_protocol::spec::Codec;
    use stentor_protocol::units::Resolution;

    use super::*;

    fn format(height: u32) -> VideoFormat {
        VideoFormat {
            codec: Codec::H264,
            resolution: Resolution::new(height * 2, height),
            frame_rate: None,
            pass_through: true,
            profile_level_id: None,
        }
    }

    #[test]
    fn growth_counts_at_once_and_a_smaller_picture_once_it_has_stayed() {
        let t0 = Instant::now();
        let mut gate = FormatGate::default();
        assert!(gate.handle_format(format(180), t0));
        assert!(gate.handle_format(format(720), t0));
        assert!(!gate.handle_format(format(720), t0), "nothing new");
        assert!(!gate.handle_format(format(360), t0));
        assert!(!gate.handle_timeout(t0 + STAY / 2));
        assert!(!gate.handle_format(format(720), t0 + STAY / 2), "a dip");
        assert!(!gate.handle_timeout(t0 + STAY * 2));
        assert!(!gate.handle_format(format(360), t0));
        assert!(gate.handle_timeout(t0 + STAY));
        assert_eq!(gate.current().unwrap().resolution.height, 360);
    }

    #[test]
    fn another_kind_of_source_counts_at_once_whatever_its_size() {
        let t0 = Instant::now();
        let mut gate = FormatGate::default();
        gate.handle_format(format(720), t0);
        assert!(gate.handle_format(VideoFormat { pass_through: false, ..format(360) }, t0));
    }
}
