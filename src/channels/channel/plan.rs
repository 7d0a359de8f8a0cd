//! What the channel is to produce, how it is told the worker and the fan-out, and whether the
//! hardware carries it.

use std::time::Instant;

use stentor_protocol::capacity::{AdmissionError, Demand};
use stentor_protocol::control::{Command, Event};
use tracing::debug;

use super::super::outlet::Offered;
use super::super::settings::is_call_channel;
use super::super::{admission, ladder};
use super::Channel;

// === impl Channel ===

impl Channel {
    /// Passes on offers, and what the rungs want so far as the hardware carries it.
    pub(super) async fn tell_worker(&mut self) {
        while self.worker.is_some()
            && let Some((session, sdp)) = self.whip.poll_offer()
        {
            self.send(&Command::WhipOffer { session, sdp }).await;
        }
        while let Some(command) = self.rungs.poll_command() {
            if let Command::StartRung(spec) = &command
                && let Err(error) = self.admit()
            {
                let (track, reason) = (spec.track, error.to_string());
                self.handle_event(Event::RungFailed { track, reason });
                continue;
            }
            debug!(channel = self.name, ?command, "to worker");
            self.send(&command).await;
            if matches!(command, Command::StopRung { .. }) {
                // Giving back always fits.
                let _ = self.admit();
            }
        }
    }

    /// Reserves the ladder in the first codec, and of the others what is wanted now.
    pub(super) fn admit(&self) -> Result<(), AdmissionError> {
        let findings = self.findings.borrow();
        let Some(findings) = findings.as_ref() else {
            return Ok(());
        };
        let format = self.format.current();
        let ladder = &self.context.tuning.default_ladder;
        // A call's channel reserves nothing before somebody takes it.
        let is_call = is_call_channel(&self.name);
        let mut demand = if is_call {
            Demand::default()
        } else {
            admission::base_demand(&self.settings, ladder, format, &findings.codecs)
        };
        let first = findings.codecs.first().filter(|_| !is_call);
        let extra = self.rungs.wanted().filter(|planned| Some(&planned.codec) != first);
        let expected = admission::expected_format(&self.settings.source);
        let extra = admission::demand(format.unwrap_or(&expected), extra);
        demand.source = demand.source.or(extra.source);
        demand.rungs.extend(extra.rungs);
        self.context.admission.admit(&self.name, demand)
    }

    /// Makes the ladder anew from the source's format.
    pub(super) fn replan(&mut self) {
        let ladder = self.settings.ladder.as_ref().unwrap_or(&self.context.tuning.default_ladder);
        let findings = self.findings.borrow_and_update();
        let codecs = findings.as_ref().map_or_else(Vec::new, |f| f.codecs.clone());
        drop(findings);
        let format = self.format.current();
        // Without a slate there is nothing to offer before there is a source.
        let is_silent = format.is_none() && is_call_channel(&self.name);
        let plan = if is_silent { Vec::new() } else { ladder::plan(format, ladder, &codecs) };
        if self.rungs.handle_plan(plan, Instant::now()) {
            self.offer();
        }
        if self.worker.is_some()
            && let Err(error) = self.admit()
        {
            self.refusal = Some(error.to_string());
        }
    }

    /// Tells the fan-out what viewers may be given.
    pub(super) fn offer(&self) {
        let offered = self.rungs.offered().map(|entry| Offered {
            track: entry.track,
            name: entry.planned.name.clone(),
            codec: entry.planned.codec,
            resolution: entry.planned.resolution,
            bitrate: entry.planned.bitrate,
            pass_through: entry.planned.is_pass_through(),
        });
        self.feed.set_renditions(offered.collect());
    }
}
