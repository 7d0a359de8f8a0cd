//! Rungs as the daemon asks for them, and what they show.

use std::sync::Arc;

use stentor_hardware::EncoderConfig;
use stentor_protocol::control::Event;
use stentor_protocol::{BitsPerSecond, Codec, FrameRate, RungKind, RungSpec, TrackId};

use crate::output::Output;
use crate::program::pass_through::PassThrough;
use crate::program::selector::Showing;
use crate::program::time::ProgramTime;
use crate::program::{Input, Program, slate};
use crate::transcode::{RungPlan, SHORT_GROUP};

/// What rate control reckons with where the source doesn't say.
const USUAL_FRAME_RATE: FrameRate = FrameRate::new(30, 1);
/// A still needs little; its keyframes need most of it.
const SLATE_BITRATE: BitsPerSecond = BitsPerSecond::from_kilo(400);

impl<I: Input> Program<I> {
    pub(super) fn start_rung(&mut self, spec: &RungSpec, now: ProgramTime) {
        let track = spec.track;
        if self.pass_through.contains_key(&track) || self.transcode.contains(track) {
            return;
        }
        let output = match Output::new(&self.outlet, track, spec.codec) {
            Ok(output) => Arc::new(output),
            Err(error) => return self.fail(track, error.to_string()),
        };
        tracing::info!(%track, name = spec.name, "rung asked for");
        match spec.kind {
            RungKind::PassThrough => self.pass_through(track, spec.codec, output),
            RungKind::Encode { resolution, frame_rate, bitrate } => {
                let codec = spec.codec;
                let source = self.video.as_ref().and_then(|format| format.frame_rate);
                let frame_rate = slower(frame_rate, source);
                let config = EncoderConfig {
                    codec,
                    resolution,
                    frame_rate: frame_rate.or(source).unwrap_or(USUAL_FRAME_RATE),
                    bitrate,
                };
                self.transcode.start(RungPlan { config, frame_rate, slate_only: false }, output);
                self.start_decoder(now);
            }
        }
    }

    /// A rung's first picture comes from the cached ones or from a keyframe, whichever is decoded
    /// first.
    fn start_decoder(&mut self, now: ProgramTime) {
        if self.told != Showing::Source || self.transcode.decodes() {
            return;
        }
        let cached = self.gop.units();
        if self.transcode.catch_up(cached, now) || cached.len() > SHORT_GROUP {
            self.source_keyframes.want();
        }
    }

    pub(super) fn stop_rung(&mut self, track: TrackId) {
        let encoded = self.transcode.stop(track);
        let passed = self.pass_through.remove(&track);
        if let Some(rung) = &passed {
            rung.output().silence();
        }
        if encoded || passed.is_some() {
            self.outlet.events.send(Event::RungStopped { track });
        }
    }

    pub(super) fn handle_keyframe_request(&mut self, track: TrackId) {
        if self.told == Showing::Source && self.pass_through.contains_key(&track) {
            self.source_keyframes.want();
        } else {
            self.transcode.want_keyframe();
        }
    }

    /// Tells the rungs what is shown, where that has changed.
    pub(super) fn follow_selector(&mut self, now: ProgramTime) {
        let showing = self.selector.showing();
        if self.told == showing {
            return;
        }
        tracing::info!(?showing, "the program changes");
        self.told = showing;
        match (showing, &self.video) {
            (Showing::Source, Some(format)) => {
                let resolution = format.resolution;
                for (track, rung) in &mut self.pass_through {
                    self.transcode.stop(*track);
                    rung.show_source(resolution, &[]);
                }
            }
            (Showing::Source | Showing::Slate, _) => {
                let tracks: Vec<TrackId> = self.pass_through.keys().copied().collect();
                for track in tracks {
                    self.stand_in(track);
                }
                self.transcode.want_keyframe();
                self.standby.begin(now);
            }
            (Showing::Nothing, _) => {}
        }
    }

    pub(super) fn fail(&self, track: TrackId, reason: String) {
        tracing::warn!(%track, reason, "rung failed");
        self.outlet.events.send(Event::RungFailed { track, reason });
    }

    fn pass_through(&mut self, track: TrackId, codec: Codec, output: Arc<Output>) {
        let mut rung = PassThrough::new(codec, output);
        if let Some(format) = &self.video {
            if !rung.fits(format) {
                let reason = format!(
                    "the source's {} can't be passed through as {}",
                    format.codec.as_str(),
                    codec.as_str()
                );
                return self.fail(track, reason);
            }
            if self.told == Showing::Source {
                rung.show_source(format.resolution, self.gop.units());
                self.source_keyframes.want();
            }
        }
        self.pass_through.insert(track, rung);
        if self.told == Showing::Slate {
            self.stand_in(track);
        }
    }

    /// Encodes the slate for a rung that otherwise passes the source through.
    fn stand_in(&mut self, track: TrackId) {
        let resolution = self.slate_resolution();
        let Some(rung) = self.pass_through.get_mut(&track) else { return };
        rung.show_slate();
        let config = EncoderConfig {
            codec: rung.codec(),
            resolution,
            frame_rate: FrameRate::new(slate::FRAMES_PER_SECOND, 1),
            bitrate: SLATE_BITRATE,
        };
        let plan = RungPlan { config, frame_rate: None, slate_only: true };
        let output = Arc::clone(rung.output());
        self.transcode.start(plan, output);
    }
}

/// The rate asked for, where it is below the source's.
fn slower(wanted: Option<FrameRate>, source: Option<FrameRate>) -> Option<FrameRate> {
    wanted.filter(|wanted| source.is_none_or(|source| wanted.as_f64() < source.as_f64()))
}
