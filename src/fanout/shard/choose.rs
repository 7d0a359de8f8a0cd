//! Moves viewers between renditions: what the choice decided is carried out here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::burst::Burst;
use super::super::channel::{Offered, Track, TrackKey};
use super::super::gop::Start;
use super::super::select::Decision;
use super::super::{RenditionChoice, SessionState};
use super::Shard;
use super::session::Probe;
use super::sessions::Slot;
use super::video::{Current, Target};

/// Congestion that was found within this time makes a choice due at once.
pub const AT_ONCE: Duration = Duration::from_millis(60);
/// Choices are this far apart.
pub const INTERVAL: Duration = Duration::from_millis(200);
/// And at least this.
const LEAST_INTERVAL: Duration = Duration::from_millis(50);
/// A rendition that isn't running is looked at again after this.
const NOT_RUNNING: Duration = Duration::from_millis(500);
/// A rendition that hasn't started by then is given up for another one that runs, and left alone
/// for a while.
const GIVE_UP: Duration = Duration::from_secs(4);
pub const AVOID: Duration = Duration::from_secs(30);
/// A viewer's wish for a keyframe is fulfilled at most this often.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

// === impl Shard ===

impl Shard {
    /// Decides which rendition the viewer should have and begins to move it there.
    pub(super) fn choose(&mut self, slot: Slot) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        if session.state != SessionState::Connected || session.video.is_none() {
            return;
        }
        session.next_choice = now + LEAST_INTERVAL;
        session.renditions_seen = session.channel.version();
        if session.thin_out(now) {
            self.counters.keyframes_asked += 1;
            if let Some(current) = session.video.as_ref().and_then(|v| v.current.as_ref()) {
                self.shared.events.mark_keyframe(&current.track);
            }
        }
        if session.choice == RenditionChoice::SoundOnly {
            self.drop_video(slot);
            return;
        }
        let mut offered = session.offered();
        let Some(video) = &mut session.video else { return };
        video.avoid = video.avoid.filter(|(_, until)| now < *until);
        if let Some((avoided, _)) = video.avoid
            && offered.len() > 1
        {
            offered.retain(|o| o.track.key != avoided);
        }
        let pinned = match &session.choice {
            RenditionChoice::Auto | RenditionChoice::SoundOnly => None,
            RenditionChoice::Pinned(name) => session.pinned(&name.clone()),
        };
        if let Some(pinned) = pinned {
            self.move_to(slot, &pinned.track);
            return;
        }
        self.choose_auto(slot, &offered);
    }

    fn choose_auto(&mut self, slot: Slot, offered: &[Offered]) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        let wanted = session.video.as_ref().and_then(|video| video.wanted()).cloned();
        // One that is no longer listed can't be kept.
        let wanted = wanted.filter(|track| offered.iter().any(|o| o.track.key == track.key));
        let decision = match offered {
            [] => {
                self.drop_video(slot);
                return;
            }
            [only] => Decision::Go(only.rendition.track),
            _ => {
                let candidates = session.candidates(offered, now);
                let path = session.path_state(now);
                session.selector.decide(&candidates, wanted.map(|t| t.id), &path, now)
            }
        };
        match decision {
            Decision::Stay => {}
            Decision::Go(track) => {
                let chosen = offered.iter().find(|o| o.rendition.track == track);
                if let Some(chosen) = chosen {
                    self.move_to(slot, &chosen.track.clone());
                }
            }
            Decision::Probe(plan) => {
                let Some(session) = self.sessions.get(slot) else { return };
                if session.probe.is_none() && (plan.sustained || session.estimator.begin_probe(now))
                {
                    let before = session.totals.bytes;
                    session.probe = Some(Probe { plan, began: now, before });
                    self.probing.push(slot);
                }
            }
        }
    }

    /// The viewer shall have this rendition, from its next keyframe on.
    fn move_to(&mut self, slot: Slot, track: &Arc<Track>) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        let Some(video) = &mut session.video else { return };
        if video.is_target(track.key) || video.params.format(track.codec).is_none() {
            return;
        }
        let here = video.is_current(track.key);
        let former = video.target.take().map(|target| target.track.key);
        if !here {
            video.target = Some(Target { track: track.clone(), since: now, until: now });
            self.views.hold(track, self.index, &self.shared.events);
            if let Some(view) = self.views.get(track.key) {
                view.waiting.push(slot);
            }
        }
        if let Some(former) = former {
            self.views.release(former, slot, self.index, &self.shared.events);
        }
        if !here {
            self.plan_target(slot);
        }
    }

    /// Finds the way to a viewer's target: wait for a keyframe, or start from the cache.
    pub(super) fn plan_target(&mut self, slot: Slot) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        let Some(video) = &mut session.video else { return };
        let has_picture = video.current.is_some();
        let Some(target) = &mut video.target else { return };
        if !target.track.is_running(now) {
            target.until = now + NOT_RUNNING;
            let until = target.until;
            if now.saturating_duration_since(target.since) >= GIVE_UP {
                self.give_up_target(slot);
            }
            self.wake(slot, until);
            return;
        }
        let (start, ask) = if has_picture {
            target.track.plan_switch(target.since, now)
        } else {
            target.track.plan_start(target.since, now)
        };
        let track = target.track.clone();
        if ask {
            self.counters.keyframes_asked += 1;
            self.shared.events.mark_keyframe(&track);
        }
        match start {
            Start::Wait { until } => {
                target.until = until;
                self.wake(slot, until);
            }
            Start::Cached { first } => self.start_cached(slot, &track, first),
        }
    }

    /// The target doesn't come to life: something else that does is better than nothing.
    fn give_up_target(&mut self, slot: Slot) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        let runs = session.offered().iter().any(|o| o.track.is_running(now));
        let pinned = matches!(session.choice, RenditionChoice::Pinned(_));
        let Some(video) = &mut session.video else { return };
        let Some(key) = video.target.as_ref().map(|t| t.track.key) else { return };
        if !runs || pinned {
            return;
        }
        video.avoid = Some((key, now + AVOID));
        video.target = None;
        self.views.release(key, slot, self.index, &self.shared.events);
        self.choose(slot);
    }

    /// Sends a rendition from its cached group of pictures on.
    fn start_cached(&mut self, slot: Slot, track: &Arc<Track>, first: u64) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        let estimate = session.estimator.estimate(now).map(|bps| bps.0 as f64);
        let Some(video) = &mut session.video else { return };
        let former = video.current.as_ref().map(|current| current.track.clone());
        if !video.begin_catch_up(track.clone(), first, estimate, now) {
            return;
        }
        let same = former.as_ref().is_some_and(|former| former.key == track.key);
        if !same {
            video.target = None;
        }
        if session.probe.is_none() {
            session.estimator.begin_probe(now);
        }
        if let Some(view) = self.views.get(track.key) {
            view.waiting.retain(|other| *other != slot);
            view.live.retain(|other| *other != slot);
        }
        if let Some(former) = former.filter(|_| !same) {
            self.views.release(former.key, slot, self.index, &self.shared.events);
            self.note_switch(slot, &former, track);
        }
        if !self.catching_up.contains(&slot) {
            self.catching_up.push(slot);
        }
    }

    /// A keyframe of the viewer's target is here: the viewer joins in with it.
    pub(super) fn join_in(&mut self, slot: Slot, key: TrackKey, burst: &Burst) {
        let Some(session) = self.sessions.get(slot) else { return };
        let Some(video) = &mut session.video else { return };
        let Some(target) = video.target.take_if(|target| target.track.key == key) else { return };
        let Some(format) = video.params.format(target.track.codec).copied() else { return };
        let track = target.track.clone();
        let current = Current { track: target.track, format, next: burst.index, catch_up: None };
        let former = video.current.replace(current).map(|former| former.track);
        if let Some(view) = self.views.get(key) {
            view.live.push(slot);
        }
        if let Some(former) = former {
            self.views.release(former.key, slot, self.index, &self.shared.events);
            self.note_switch(slot, &former, &track);
        }
    }

    /// The viewer lost its picture and asks for a keyframe. From the cache where that is cheap:
    /// the others needn't pay for it.
    pub(super) fn refresh(&mut self, slot: Slot) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        let Some(video) = &mut session.video else { return };
        let Some(current) = &video.current else { return };
        let busy = current.catch_up.is_some() || video.target.is_some();
        let recent = |at: Instant| now.saturating_duration_since(at) < REFRESH_INTERVAL;
        if busy || video.refreshed.is_some_and(recent) {
            return;
        }
        video.refreshed = Some(now);
        if let Some(thinning) = &mut video.thinning {
            // The past is what there is no room for.
            thinning.skip(now);
            return;
        }
        let track = current.track.clone();
        let (start, ask) = track.plan_start(now, now);
        if ask {
            self.counters.keyframes_asked += 1;
            self.shared.events.mark_keyframe(&track);
        }
        if let Start::Cached { first } = start {
            self.start_cached(slot, &track, first);
        }
    }

    /// Takes the viewer's video away: nothing that it could be given is left, or it wants none.
    fn drop_video(&mut self, slot: Slot) {
        let Some(session) = self.sessions.get(slot) else { return };
        let Some(video) = &mut session.video else { return };
        let current = video.current.take().map(|current| current.track.key);
        let target = video.target.take().map(|target| target.track.key);
        for key in [current, target].into_iter().flatten() {
            self.views.release(key, slot, self.index, &self.shared.events);
        }
    }

    fn note_switch(&mut self, slot: Slot, from: &Track, to: &Track) {
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        session.totals.switches += 1;
        session.publish_report(now);
        let renditions = session.channel.renditions();
        let place = |key| renditions.iter().position(|o| o.track.key == key);
        if place(to.key) < place(from.key) {
            self.counters.switches_up += 1;
        } else {
            self.counters.switches_down += 1;
        }
    }
}
