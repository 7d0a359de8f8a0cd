//! What the program does with what its source gives.

use stentor_protocol::control::{AudioFormat, Event, VideoFormat};
use stentor_protocol::{SourceState, TrackId};

use crate::contribution::AccessUnit;
use crate::program::selector::Showing;
use crate::program::time::ProgramTime;
use crate::program::{Input, Placed, Program};
use crate::thumbnails::Keyframe;

/// Where nothing is decoded, a thumbnail may be this old before the source is asked for another
/// keyframe, in ms.
const OLDEST_PICTURE_MS: u64 = 10_000;

impl<I: Input> Program<I> {
    pub(super) fn handle_state(&mut self, state: SourceState, detail: String) {
        if state != SourceState::Live {
            self.gop.clear();
        }
        tracing::info!(?state, detail, "source");
        self.selector.handle_state(state);
        self.outlet.events.send(Event::Source { state, detail });
        self.follow_selector(ProgramTime::now());
    }

    pub(super) fn handle_video_format(&mut self, format: VideoFormat) {
        let unfit: Vec<TrackId> = self
            .pass_through
            .iter()
            .filter(|(_, rung)| !rung.fits(&format))
            .map(|(track, _)| *track)
            .collect();
        for track in unfit {
            self.pass_through.remove(&track);
            self.transcode.stop(track);
            self.fail(track, format!("the source sends {} now", describe(&format)));
        }
        self.gop.clear();
        self.recordings.handle_format(&format);
        self.transcode.handle_format(&format);
        let resolution = format.resolution;
        self.video = Some(format);
        if self.told == Showing::Source {
            for rung in self.pass_through.values_mut() {
                rung.show_source(resolution, &[]);
            }
        }
        self.tell_format();
    }

    pub(super) fn handle_audio_format(&mut self, format: AudioFormat) {
        self.audio_format = Some(format);
        self.tell_format();
    }

    pub(super) fn handle_video(&mut self, unit: AccessUnit, now: ProgramTime) {
        self.recordings.handle_video(&unit);
        if unit.keyframe {
            self.source_keyframes.handle_keyframe();
        }
        let was_shown = self.selector.showing() == Showing::Source;
        if !self.selector.handle_picture(unit.keyframe, now) {
            self.source_keyframes.want();
            return;
        }
        if !was_shown {
            self.clock.begin(unit.pts_ns, now);
        }
        self.follow_selector(now);
        let time = self.clock.place(unit.pts_ns, now);
        let placed = Placed { unit, time };
        for rung in self.pass_through.values_mut() {
            if rung.handle_unit(&placed) {
                self.source_keyframes.want();
            }
        }
        let (keyframe, bytes) = (placed.unit.keyframe, placed.unit.data.size());
        self.gop.push(placed.clone(), keyframe, bytes);
        if self.transcode.handle_unit(&placed, self.gop.units(), now) {
            self.source_keyframes.want();
        }
        if self.thumbnails.is_due(now) && !self.transcode.decodes() {
            self.picture_keyframe(now);
        }
    }

    pub(super) fn handle_audio(&mut self, unit: &AccessUnit) {
        self.recordings.handle_audio(unit);
        // Sound without a picture yet is of a source that is about to be shown, or has none.
        if self.selector.state() == SourceState::Live {
            let time = self.clock.place_sound(unit.pts_ns);
            self.audio.handle_unit(unit, time);
        }
    }

    /// A thumbnail from the last keyframe, if it is a new one.
    fn picture_keyframe(&mut self, now: ProgramTime) {
        let (Some(placed), Some(format)) = (self.gop.units().first(), &self.video) else { return };
        if placed.time == self.pictured {
            if now.since_ns(placed.time) > OLDEST_PICTURE_MS * 1_000_000 {
                self.source_keyframes.want();
            }
            return;
        }
        let Some(choice) = self.transcode.decoder_choice() else { return };
        self.pictured = placed.time;
        let keyframe = Keyframe {
            codec: format.codec,
            resolution: format.resolution,
            data: placed.unit.data.clone(),
            choice,
        };
        self.thumbnails.offer_keyframe(keyframe, now);
    }

    fn tell_format(&self) {
        let (video, audio) = (self.video.clone(), self.audio_format.clone());
        self.outlet.events.send(Event::Format { video, audio });
    }
}

fn describe(format: &VideoFormat) -> String {
    let fit = if format.pass_through { "" } else { " that WebRTC can't show" };
    format!("{}{fit}", format.codec.as_str())
}
