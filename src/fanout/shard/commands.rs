//! What the control plane asks of a shard, and the beginning and end of sessions.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::inbox::Command;
use super::super::join::NewSession;
use super::super::{EndReason, FanoutEvent, RenditionChoice, SessionId, SessionState};
use super::super::{SessionError, SessionReport};
use super::Shard;
use super::session::{Session, Tools};
use super::sessions::Slot;

/// Time for commands per turn. The rest waits for the next one.
const COMMAND_TIME: Duration = Duration::from_millis(2);

// === impl Shard ===

impl Shard {
    pub(super) fn run_commands(&mut self) {
        if self.queue.commands.is_empty() {
            return;
        }
        let until = Instant::now() + COMMAND_TIME;
        while let Some(command) = self.queue.commands.pop_front() {
            self.run_command(command);
            if Instant::now() >= until {
                break;
            }
        }
    }

    fn run_command(&mut self, command: Command) {
        match command {
            Command::Join(new) => self.join(*new),
            Command::RestartIce { session, local, remote } => {
                if let Some(slot) = self.sessions.slot_of(session)
                    && let Some(found) = self.sessions.get(slot)
                {
                    let ufrag = local.ufrag.clone();
                    found.transport.restart_ice(local, &remote);
                    self.sessions.rename(slot, ufrag);
                }
            }
            // Whoever asked may have gone meanwhile.
            Command::Select { session, choice, reply } => {
                let _ = reply.send(self.select(session, choice));
            }
            Command::Leave { session, reply } => {
                let slot = self.sessions.slot_of(session);
                if let Some(slot) = slot {
                    self.end(slot, EndReason::Left);
                }
                let _ = reply.send(slot.is_some());
            }
            Command::Reports { channel, reply } => {
                let now = self.now;
                let wanted = |s: &&Session| channel.is_none_or(|key| s.channel.key == key);
                let reports: Vec<SessionReport> =
                    self.sessions.iter().filter(wanted).map(|s| s.make_report(now)).collect();
                let _ = reply.send(reports);
            }
            Command::Refresh(session) => {
                let now = self.now;
                if let Some(slot) = self.sessions.slot_of(session)
                    && let Some(session) = self.sessions.get(slot)
                {
                    session.publish_report(now);
                }
            }
            Command::RenditionsChanged(channel) => {
                for slot in self.sessions.slots() {
                    let of_it = self.sessions.get(slot).is_some_and(|s| s.channel.key == channel);
                    if of_it {
                        self.choose(slot);
                    }
                }
            }
            Command::ChannelClosed(channel) => {
                for slot in self.sessions.slots() {
                    let of_it = self.sessions.get(slot).is_some_and(|s| s.channel.key == channel);
                    if of_it {
                        self.end(slot, EndReason::ChannelClosed);
                    }
                }
            }
            Command::Drain(reply) => {
                self.end_all(EndReason::Drained);
                let _ = reply.send(());
            }
            Command::Stop => {
                self.end_all(EndReason::Drained);
                self.stopped = true;
            }
        }
    }

    fn join(&mut self, new: NewSession) {
        // The channel may have closed since the request was checked.
        let closed = new.channel.is_closed();
        let slot = self.sessions.insert(Session::new(new, self.now));
        self.note_load();
        if closed {
            self.end(slot, EndReason::ChannelClosed);
            return;
        }
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        session.wake_at = now + self.shared.dead_after;
        let (at, id) = (session.wake_at, session.id);
        self.timers.set(at, slot, id);
    }

    fn select(&mut self, id: SessionId, choice: RenditionChoice) -> Result<(), SessionError> {
        let slot = self.sessions.slot_of(id).ok_or(SessionError::NoSession(id))?;
        let session = self.sessions.get(slot).ok_or(SessionError::NoSession(id))?;
        if let RenditionChoice::Pinned(name) = &choice
            && session.pinned(name).is_none()
        {
            let rendition = name.clone();
            return Err(SessionError::NoRendition { session: id, rendition });
        }
        session.choice = choice;
        self.choose(slot);
        let now = self.now;
        if let Some(session) = self.sessions.get(slot) {
            session.publish_report(now);
        }
        Ok(())
    }

    /// Keys are there: the viewer gets its first picture and sound.
    pub(super) fn begin_media(&mut self, slot: Slot) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        session.state = SessionState::Connected;
        session.next_report = now + super::session::REPORT_INTERVAL;
        let audio = session.audio.is_some().then(|| session.channel.audio.clone());
        self.shared.metrics.handshake.observe(session.asked.elapsed().as_secs_f64());
        session.publish_report(now);
        self.wake(slot, now + super::choose::INTERVAL);
        if let Some(audio) = audio {
            self.views.hold(&audio, self.index, &self.shared.events);
            if let Some(view) = self.views.get(audio.key) {
                view.live.push(slot);
            }
        }
        self.choose(slot);
    }

    /// Ends a session: tells the viewer, forgets it, tells the control plane.
    pub(super) fn end(&mut self, slot: Slot, reason: EndReason) {
        let mut tools = Tools {
            batches: &mut self.batches,
            scratch: &mut self.scratch,
            now: self.now,
            wall_us: self.wall_us,
        };
        let Some(session) = self.sessions.get(slot) else { return };
        if session.state == SessionState::Connected && reason != EndReason::Closed {
            session.send_bye(&mut tools);
            if let Some((_, socket)) = session.path
                && let Some(batch) = tools.batches.get_mut(socket)
            {
                batch.end_message();
            }
        }
        session.transport.close(&mut self.outbox);
        // Goes out while the address is known.
        self.flush();
        let Some(mut session) = self.sessions.remove(slot) else { return };
        // Sound is had from the beginning of media on: see `begin_media`.
        let began = session.state == SessionState::Connected;
        session.state = SessionState::Ended;
        let audio = session.audio.as_ref().filter(|_| began).map(|_| session.channel.audio.key);
        let video = session.video.as_ref();
        let current = video.and_then(|video| video.current.as_ref()).map(|c| c.track.key);
        let target = video.and_then(|video| video.target.as_ref()).map(|t| t.track.key);
        for key in [audio, current, target].into_iter().flatten() {
            self.views.release(key, slot, self.index, &self.shared.events);
        }
        self.catching_up.retain(|other| *other != slot);
        self.probing.retain(|other| *other != slot);
        self.shared.registry.remove(session.id);
        self.note_load();
        session.publish_report(self.now);
        self.shared.metrics.ended.with_label_values(&[reason.as_str()]).inc();
        tracing::info!(
            session = %session.id,
            channel = %session.channel.name,
            reason = reason.as_str(),
            packets = session.totals.packets,
            "viewer left"
        );
        self.shared.events.push(FanoutEvent::Ended {
            channel: session.channel.name.to_string(),
            session: session.id,
            reason,
        });
    }

    fn end_all(&mut self, reason: EndReason) {
        for slot in self.sessions.slots() {
            self.end(slot, reason);
        }
    }

    fn note_load(&self) {
        let load = &self.shared.loads[self.index];
        load.sessions.store(self.sessions.len(), Ordering::Release);
    }
}
