//! What viewers say over RTCP, and the answers.

use super::super::EndReason;
use super::super::rtcp::{Message, NackPairs, parse};
use super::Shard;
use super::session::Session;
use super::sessions::Slot;
use super::stream::{Again, Rtx};

/// What a compound asks for beyond what is answered on the spot.
#[derive(Default)]
struct Wishes {
    keyframe: bool,
    bye: bool,
    congested: bool,
}

/// Sequence numbers looked at per NACK: a second of video. The rest is garbage.
const MAX_NACKED: usize = 1024;

// === impl Shard ===

impl Shard {
    pub(super) fn handle_rtcp(&mut self, slot: Slot, compound: &[u8]) {
        let now = self.now;
        let wall_us = self.wall_us;
        let mut wishes = Wishes::default();
        parse(compound, |message| match message {
            Message::Nack { ssrc, pairs } => self.handle_nack(slot, ssrc, pairs),
            message => {
                let Some(session) = self.sessions.get(slot) else { return };
                handle_message(session, &message, &mut wishes, wall_us, now);
            }
        });
        if wishes.bye {
            self.end(slot, EndReason::Closed);
            return;
        }
        if wishes.keyframe {
            self.counters.plis += 1;
            self.refresh(slot);
        }
        if wishes.congested {
            self.choose(slot);
        }
    }

    fn handle_nack(&mut self, slot: Slot, ssrc: u32, pairs: NackPairs<'_>) {
        let (mut tools, sessions) = self.tools();
        let now = tools.now;
        let Some(session) = sessions.get(slot) else { return };
        let Session { video, transport, estimator, path, channel, bitrate, .. } = session;
        let Some(video) = video.as_mut().filter(|video| video.params.stream.ssrc == ssrc) else {
            return;
        };
        let rtt = estimator.rtt();
        let Some(mut outlet) = Session::outlet(transport, estimator, *path, &mut tools) else {
            return;
        };
        video.again.refill(bitrate.0 as f64, now);
        let (mut nacked, mut answered) = (0, 0);
        let mut bytes = 0;
        for sequence in pairs.sequences().take(MAX_NACKED) {
            nacked += 1;
            let Some(found) = video.stream.out.find(sequence) else { continue };
            let Some(track) = channel.track_of_key(found.track) else { continue };
            let Some(burst) = track.at_position(found.position) else { continue };
            let Some(format) = video.params.format(track.codec).copied() else { continue };
            let place = (found.position - burst.position) as usize;
            let size = burst.packet(place).map_or(0, |(_, payload)| payload.len() + 60);
            if !format.nack || !video.again.allow(sequence, size, rtt, now) {
                continue;
            }
            if video.thinning.as_mut().is_some_and(|t| !t.admits_again(size, now)) {
                break;
            }
            let placement = video.stream.out.placement_of(&found, &burst);
            let rtx = format.rtx.map(|payload_type| Rtx {
                payload_type,
                ssrc: video.params.rtx_ssrc,
                sequence: video.again.next_sequence(),
            });
            let again = Again { burst: &burst, place, placement };
            let sent = video.stream.send_again(&mut outlet, format.payload_type, &again, rtx);
            answered += sent.packets;
            bytes += sent.bytes;
        }
        session.totals.nacks += nacked;
        session.totals.retransmissions += answered;
        session.totals.packets += answered;
        session.totals.bytes += bytes;
        self.counters.nacked += nacked;
        self.counters.retransmitted += answered;
        self.counters.sent.packets += answered;
        self.counters.sent.bytes += bytes;
    }
}

fn handle_message(
    session: &mut Session,
    message: &Message<'_>,
    wishes: &mut Wishes,
    wall_us: u64,
    now: std::time::Instant,
) {
    match message {
        Message::Report(block) => session.handle_report_block(block, wall_us, now),
        Message::KeyframeRequest { ssrc } => {
            let ours = session.video.as_ref().is_some_and(|v| v.params.stream.ssrc == *ssrc);
            if ours {
                session.totals.plis += 1;
                wishes.keyframe = true;
            }
        }
        Message::Transport(feedback) => {
            session.estimator.handle_feedback(feedback, now);
            wishes.congested |= now >= session.next_choice
                && session.estimator.was_congested(super::choose::AT_ONCE, now);
        }
        Message::Remb { bits_per_second } => {
            session.estimator.handle_remb(*bits_per_second, now);
        }
        Message::Bye => wishes.bye = true,
        Message::Nack { .. } => {}
    }
}
