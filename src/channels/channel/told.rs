//! What the worker tells.

use std::time::{Instant, SystemTime};

use stentor_protocol::control::{Command, Event, SourceState};
use stentor_protocol::spec::Codec;
use tracing::{info, warn};

use super::super::meter::backend_label;
use super::super::rungs::Rungs;
use super::super::status::{Fallback, Format};
use super::{Channel, Heard, Thumbnail};
use crate::channels::settings::is_call_channel;
use crate::events;
use crate::events::kinds::{ChannelFallback, ChannelLive, ChannelLost, ChannelSlate};

// === impl Channel ===

impl Channel {
    pub(super) fn handle_event(&mut self, event: Event) {
        let now = Instant::now();
        if let Some(worker) = &mut self.worker {
            worker.heard = now;
        }
        if self.rungs.handle_event(&event, now) {
            self.offer();
        }
        match event {
            Event::Ready { version, .. } => self.worker_ready(&version),
            Event::WhipAnswer { session, sdp } => {
                self.count_whip("answered");
                if self.whip.handle_answer(&session, sdp) {
                    self.close_late(session);
                }
            }
            Event::WhipRefused { session, fault, reason } => {
                self.count_whip("refused");
                info!(channel = self.name, ?fault, reason, "publisher refused");
                self.whip.handle_refusal(&session, fault, reason);
            }
            Event::WhipEnded { session, reason } => {
                self.count_whip("ended");
                info!(channel = self.name, reason, "publisher gone");
                self.whip.handle_end(&session);
            }
            Event::Source { state, detail } => {
                info!(channel = self.name, ?state, detail, "source");
                self.tell_source(state, &detail);
                self.status.source_detail = detail;
                self.set_source_state(Some(state));
            }
            Event::Format { video, audio } => {
                info!(channel = self.name, ?video, ?audio, "format");
                let changed =
                    video.as_ref().is_some_and(|v| self.format.handle_format(v.clone(), now));
                self.status.format = Some(Format { video, audio });
                if changed {
                    self.replan();
                }
            }
            Event::RungStarted { track, backend, encoder, resolution } => {
                info!(channel = self.name, %track, ?backend, encoder, %resolution, "rung started");
                if let Some(codec) = self.codec_of(track) {
                    let labels = &[&self.name, codec.as_str(), backend_label(backend)];
                    self.metrics.rung_starts.with_label_values(labels).inc();
                }
            }
            Event::RungStopped { track } => info!(channel = self.name, %track, "rung stopped"),
            Event::RungFailed { track, reason } => {
                warn!(channel = self.name, %track, reason, "rung failed");
                self.metrics.rung_failures.with_label_values(&[&self.name]).inc();
            }
            Event::Fallback { track, from, to, reason } => {
                warn!(channel = self.name, ?track, ?from, ?to, reason, "fell back");
                let labels = &[self.name.as_str(), from.as_str(), to.as_str()];
                self.metrics.fallbacks.with_label_values(labels).inc();
                let rendition = track.and_then(|track| {
                    let entry = self.rungs.entries().iter().find(|e| e.track == track)?;
                    Some(entry.planned.name.clone())
                });
                let (before, after) = (from.as_str().to_owned(), to.as_str().to_owned());
                let data =
                    ChannelFallback { rendition: rendition.clone(), from: before, to: after };
                self.emit(events::Event::new(data).because(&reason));
                let at = SystemTime::now();
                self.status.add_fallback(Fallback { at, rendition, from, to, reason });
            }
            Event::RecordingStarted { recording } => {
                info!(channel = self.name, recording, "recording starts");
            }
            Event::ChunkWritten { recording, chunk } => {
                self.context.shelf.written(&recording, &chunk);
            }
            Event::RecordingTrouble { recording, full, reason } => {
                warn!(channel = self.name, recording, full, reason, "nothing is recorded");
                self.context.shelf.trouble(&recording, full, &reason);
            }
            Event::RecordingStopped { recording } => {
                self.recording_stopped(&recording);
            }
            // Who is late hears the next.
            Event::AudioLevel { level } => {
                let _ = self.context.levels.try_send(Heard { channel: self.name.clone(), level });
            }
            Event::Thumbnail { jpeg } => {
                let number = self.thumbnail.borrow().as_ref().map_or(0, |t| t.number) + 1;
                self.thumbnail.send_replace(Some(Thumbnail { jpeg: jpeg.into(), number }));
                self.status.thumbnail =
                    Some(format!("/api/v1/channels/{}/thumbnail.jpg?{number}", self.name));
            }
            Event::Stats(stats) => {
                if let Some(worker) = &mut self.worker {
                    let rungs = &self.rungs;
                    let codec_of = |track| codec_of(rungs, track);
                    let metrics = &self.metrics;
                    worker.meter.handle_stats(&self.name, &stats, codec_of, metrics, now);
                    self.status.bitrate = worker.meter.source_rate();
                    self.status.latency_ms = Some(stats.pipeline_latency_ms);
                }
            }
        }
    }

    /// An answer that nobody waits for any more: the session ends.
    fn close_late(&mut self, session: String) {
        if let Some(worker) = &mut self.worker {
            // A link that fails here fails at its next use too, and is dealt with there.
            let _ = worker.link.send(&Command::WhipClose { session });
        }
    }

    /// An event where the source comes or goes, and where the slate takes its place.
    fn tell_source(&self, state: SourceState, detail: &str) {
        let before = self.status.source_state;
        if before == Some(state) {
            return;
        }
        if state == SourceState::Live {
            return self.emit(events::Event::new(ChannelLive {}));
        }
        if state == SourceState::Lost {
            self.emit(events::Event::new(ChannelLost {}).because(detail));
        }
        if before.is_none_or(|before| before == SourceState::Live) {
            self.emit(events::Event::new(ChannelSlate {}));
        }
    }

    /// Of a participant's way into a call nothing is said: its name is a secret, and the call's
    /// events say it all.
    pub(super) fn emit(&self, event: events::Event) {
        if !is_call_channel(&self.name) {
            self.context.events.emit(event.of_channel(&self.name));
        }
    }

    pub(super) fn set_source_state(&mut self, state: Option<SourceState>) {
        self.status.source_state = state;
        for (each, label) in [
            (SourceState::Waiting, "waiting"),
            (SourceState::Connecting, "connecting"),
            (SourceState::Live, "live"),
            (SourceState::Lost, "lost"),
        ] {
            let labels = &[self.name.as_str(), label];
            let gauge = self.metrics.source_state.with_label_values(labels);
            gauge.set(i64::from(state == Some(each)));
        }
    }

    fn count_whip(&self, outcome: &str) {
        self.metrics.whip_sessions.with_label_values(&[outcome]).inc();
    }

    fn codec_of(&self, track: stentor_protocol::TrackId) -> Option<Codec> {
        codec_of(&self.rungs, track)
    }
}

fn codec_of(rungs: &Rungs, track: stentor_protocol::TrackId) -> Option<Codec> {
    rungs.entries().iter().find(|e| e.track == track).map(|e| e.planned.codec)
}
