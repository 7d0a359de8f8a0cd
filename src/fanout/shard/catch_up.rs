//! Portions for those who are sent the past, and for those whose path is probed.

use std::time::Duration;

use super::Shard;
use super::session::{Probe, Session};
use super::sessions::Slot;
use super::stream::{Again, Outlet, Rtx, SentAmount};
use super::video::Video;

/// Viewers served per turn: what one turn may take from the others.
const MAX_PER_TURN: usize = 64;

// === impl Shard ===

impl Shard {
    /// The next portion for everyone who catches up.
    pub(super) fn catch_up(&mut self) {
        if self.catching_up.is_empty() {
            return;
        }
        let turn = self.catching_up.len().min(MAX_PER_TURN);
        let slots: Vec<Slot> = self.catching_up.drain(..turn).collect();
        for slot in slots {
            if self.catch_up_one(slot) {
                self.catching_up.push(slot);
            }
        }
    }

    /// False when there is nothing left to do.
    fn catch_up_one(&mut self, slot: Slot) -> bool {
        let now = self.now;
        let (mut tools, sessions) = self.tools();
        let Some(session) = sessions.get(slot) else { return false };
        let Some(video) = &mut session.video else { return false };
        if video.current.as_ref().is_none_or(|current| current.catch_up.is_none()) {
            return false;
        }
        let (transport, estimator) = (&mut session.transport, &mut session.estimator);
        let outlet = Session::outlet(transport, estimator, session.path, &mut tools);
        let Some(mut outlet) = outlet else { return true };
        let result = video.catch_up(&mut outlet);
        session.totals.add(result.sent);
        if result.done {
            session.estimator.end_probe();
        }
        let key = video.current.as_ref().map(|current| current.track.key);
        let first = result.keyframe && session.first_frame.is_none();
        if first {
            session.first_frame = Some(now.saturating_duration_since(session.asked));
        }
        let asked = session.asked;
        let socket = session.path.map(|(_, socket)| socket);
        self.counters.sent += result.sent;
        if first {
            self.shared.metrics.first_frame.observe(asked.elapsed().as_secs_f64());
        }
        if result.done
            && let Some(view) = key.and_then(|key| self.views.get(key))
        {
            view.live.push(slot);
        }
        if let Some(socket) = socket
            && self.batches[socket].is_full()
        {
            self.flush_socket(socket);
        }
        !result.done
    }

    /// The next portion of every probe.
    pub(super) fn drive_probes(&mut self) {
        if self.probing.is_empty() {
            return;
        }
        let slots = std::mem::take(&mut self.probing);
        for slot in slots {
            if self.drive_probe(slot) {
                self.probing.push(slot);
            }
        }
    }

    /// False when the probe is over.
    fn drive_probe(&mut self, slot: Slot) -> bool {
        let now = self.now;
        let (mut tools, sessions) = self.tools();
        let Some(session) = sessions.get(slot) else { return false };
        let Some(probe) = session.probe else { return false };
        let (transport, estimator) = (&mut session.transport, &mut session.estimator);
        let video = session.video.as_mut();
        let outlet = Session::outlet(transport, estimator, session.path, &mut tools);
        let mut sent = SentAmount::default();
        let mut going = false;
        if let (Some(mut outlet), Some(video)) = (outlet, video) {
            let elapsed = now.saturating_duration_since(probe.began);
            let before = session.totals.bytes - probe.before;
            sent = send_padding(&mut outlet, video, &probe, before as usize, elapsed);
            // What shows that there is no room need not be gone through with.
            let shown = probe.plan.sustained && outlet.estimator.was_congested(elapsed, now);
            going = elapsed < probe.plan.duration && !shown;
        }
        if !going {
            session.estimator.end_probe();
            session.probe = None;
        }
        session.totals.add(sent);
        self.counters.sent += sent;
        self.counters.padding_bytes += sent.bytes;
        going
    }
}

/// Sends again what was sent last, as far as the probe's rate asks for it beyond the bytes that
/// were sent since it began.
fn send_padding(
    outlet: &mut Outlet<'_>,
    video: &mut Video,
    probe: &Probe,
    before: usize,
    elapsed: Duration,
) -> SentAmount {
    let mut sent = SentAmount::default();
    let Some(current) = &video.current else { return sent };
    let Some(rtx) = current.format.rtx else { return sent };
    let due = (probe.plan.target.0 as f64 / 8.0 * elapsed.as_secs_f64()) as usize;
    let newest = video.stream.out.next_sequence();
    let mut back = 1;
    // Only big packets make sense; a frame's last one may be small.
    while before + (sent.bytes as usize) < due && back <= 64 {
        let found = video.stream.out.find(newest.wrapping_sub(back) as u16);
        back += 1;
        let Some(found) = found.filter(|found| found.track == current.track.key) else { continue };
        let Some(burst) = current.track.at_position(found.position) else { continue };
        let place = (found.position - burst.position) as usize;
        let small = burst.packet(place).is_none_or(|(_, payload)| payload.len() < 400);
        if small && back < 32 {
            continue;
        }
        let placement = video.stream.out.placement_of(&found, &burst);
        let sequence = video.again.next_sequence();
        let rtx = Rtx { payload_type: rtx, ssrc: video.params.rtx_ssrc, sequence };
        let again = Again { burst: &burst, place, placement };
        sent += video.stream.send_again(outlet, current.format.payload_type, &again, Some(rtx));
    }
    sent
}
