//! How loud the publisher is, from what it says beside each packet of sound (RFC 6464): the loudest
//! of each tenth of a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_rtp::RTPBuffer;

use crate::contribution::Contributed;
use crate::contribution::flow::Flow;

const INTERVAL: Duration = Duration::from_millis(100);
/// -dBov of silence, and no voice.
const SILENCE: u8 = 127;
const VOICE: u8 = 0x80;

/// The loudest packet since the last was told.
#[derive(Debug, Default)]
struct Loudest {
    level: Option<u8>,
    since: Option<Instant>,
}

/// Tells how loud what comes from this pad is. `extension` 0: it doesn't say.
pub fn listen(pad: &gst::Pad, flow: &Flow, extension: u8) {
    if extension == 0 {
        return;
    }
    let (tap, loudest) = (Arc::clone(&flow.tap), Mutex::new(Loudest::default()));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let level = info.buffer().and_then(|buffer| read(buffer, extension));
        if let Some(level) = level {
            let mut loudest = loudest.lock().unwrap_or_else(PoisonError::into_inner);
            let told = loudest.handle(level, Instant::now());
            drop(loudest);
            told.into_iter().for_each(|level| tap.tell(Contributed::AudioLevel(level)));
        }
        gst::PadProbeReturn::Ok
    });
}

fn read(buffer: &gst::BufferRef, extension: u8) -> Option<u8> {
    let rtp = RTPBuffer::from_buffer_readable(buffer).ok()?;
    rtp.extension_onebyte_header(extension, 0)?.first().copied()
}

// === impl Loudest ===

impl Loudest {
    /// Gives what is to be told.
    fn handle(&mut self, level: u8, now: Instant) -> Option<u8> {
        let before = self.level.unwrap_or(SILENCE);
        let voice = (before | level) & VOICE;
        self.level = Some((before & SILENCE).min(level & SILENCE) | voice);
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < INTERVAL {
            return None;
        }
        self.since = Some(now);
        self.level.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_of_each_tenth_of_a_second_is_told() {
        let start = Instant::now();
        let mut loudest = Loudest::default();
        let levels = [100, 90, VOICE | 30, 80, 70, 60, 110, 120, 127, 127, 127];
        let told: Vec<u8> = levels
            .iter()
            .zip(0_u64..)
            .filter_map(|(level, n)| loudest.handle(*level, start + Duration::from_millis(20 * n)))
            .collect();
        assert_eq!(told, [VOICE | 30, 110]);
    }
}
