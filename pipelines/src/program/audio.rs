//! The channel's audio track: the source's Opus packets as they are, and silence while the slate
//! is shown.

use std::sync::Arc;

use stentor_protocol::{Codec, TrackId};

use crate::contribution::AccessUnit;
use crate::media::TrackSender;
use crate::output::Outlet;
use crate::packetise::{AudioTimeline, NoFormat, Unit};
use crate::program::time::ProgramTime;
use crate::stats::Meters;

/// 20 ms of silence: CELT, full band, stereo (RFC 6716, section 3.1), nothing coded.
const SILENCE: [u8; 3] = [0xfc, 0xff, 0xfe];
pub const SILENCE_MS: u64 = 20;

#[derive(Debug)]
pub struct AudioTrack {
    outlet: Arc<Outlet>,
    sender: TrackSender,
    timeline: AudioTimeline,
}

// === impl AudioTrack ===

impl AudioTrack {
    pub fn new(outlet: &Arc<Outlet>) -> Result<Self, NoFormat> {
        Ok(Self {
            outlet: Arc::clone(outlet),
            sender: TrackSender::new(&outlet.socket, TrackId::AUDIO, Codec::Opus)?,
            timeline: AudioTimeline::default(),
        })
    }

    pub fn handle_unit(&mut self, unit: &AccessUnit, time: ProgramTime) {
        match unit.data.map_readable() {
            Ok(packet) => self.send(&packet, time),
            Err(_) => tracing::warn!("an audio packet can't be read"),
        }
    }

    pub fn handle_silence(&mut self, time: ProgramTime) {
        self.send(&SILENCE, time);
    }

    fn send(&mut self, packet: &[u8], time: ProgramTime) {
        let Some(timestamp) = self.timeline.stamp(time.audio_ticks(), packet) else {
            return Meters::add(&self.outlet.meters.frames_dropped, 1);
        };
        // What the socket doesn't take is counted there; the next packet says so.
        let _ = self.sender.send(Unit {
            data: packet,
            timestamp,
            keyframe: true,
            capture_unix_us: self.outlet.wall.unix_us(time),
        });
    }
}
