//! A call's media: which way it takes, and who may publish to and watch the call server.
//!
//! The hub says what is wanted ([`Hub::media_of`], after [`super::Effect::Media`]); once that is so
//! ([`Hub::media_ready`]), devices are told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{Direction, PathReport, Sentence, ServerMessage, Topology};
use crate::calls::routing::Routing;
use crate::calls::signalling::Input;
use crate::calls::speaker::Speakers;
use crate::calls::topology::{Group, Judge, Member};
use stentor_protocol::{BitsPerSecond, Codec};

use super::counts::MediaCounts;
use super::legs::{Leg, MediaWanted, channel_of, legs, still_served};
use super::live::LiveCall;
use super::paths::{Moved, Paths};
use super::shown::Screen;
use super::{Effect, Hub, Note};

/// The media of one call.
#[derive(Debug, Default)]
pub struct CallMedia {
    pub paths: Paths,
    judge: Judge,
    judged: Option<Instant>,
    devices: BTreeMap<Address, Device>,
    pub screens: BTreeMap<Address, Screen>,
    pub routing: Routing,
    pub speakers: Speakers,
    /// A device's pass is void, or what is recorded is another.
    stale: bool,
    /// As it was last looked at: whether it is recorded, and who is in it then.
    recorded: Option<BTreeSet<UserId>>,
    revision: u64,
    /// Directions directly and through the server, and publishers and watchers, as they are counted
    /// in the hub's totals.
    counted: MediaCounts,
}

#[derive(Debug, Default)]
struct Device {
    /// Another one for each time that the device comes anew.
    pass: Option<String>,
    wanted: Leg,
    told: Leg,
    /// It came anew: it doesn't know which way is taken, either.
    anew: bool,
}

/// A picture that is worth its name in a group takes no more than this, of what one device sends
/// to each other: with less, the server is better.
const COPY: BitsPerSecond = BitsPerSecond::from_kilo(500);
/// How often mesh or server is weighed while nothing but reports comes.
const JUDGE_EVERY: Duration = Duration::from_millis(500);

// === impl Hub ===

impl Hub {
    /// Takes what a device sees of its paths.
    pub(super) fn take_reports(
        &mut self,
        id: &CallId,
        from: &Address,
        reports: &[PathReport],
        now: Instant,
    ) {
        // This server passes on what devices send that find a way here.
        let reaches = |address: &Address| self.reaches_server(id, address);
        let Some(live) = self.calls.get(id) else { return };
        let sent_by = |user: &UserId| {
            let (address, media) = live.call.sending_of(user)?;
            reaches(&address).then_some(media.audio || media.video)
        };
        let received = reports.iter().filter(|report| report.direction == Direction::Receive);
        let received: Vec<(&PathReport, bool)> =
            received.filter_map(|report| Some((report, sent_by(&report.user)?))).collect();
        let in_call = live.call.sending_of(&from.user).map(|(address, _)| address);
        let watches = reaches(from) && in_call.as_ref() == Some(from);
        let Some(live) = self.calls.get_mut(id) else { return };
        if !watches {
            return;
        }
        let mut moved = Vec::new();
        let mut changed = false;
        for (report, is_sent) in received {
            let reported = live.media.paths.handle_report(&from.user, report, is_sent, now);
            changed |= reported.changed || reported.moved.is_some();
            moved.extend(reported.moved);
        }
        let all_served = live.media.paths.take_all_served(now);
        let judged = live.media.judged;
        for moved in moved {
            self.tell_moved(id, moved);
        }
        if all_served {
            self.drive(id, Input::DirectNotNeeded, None, now);
        }
        if changed || judged.is_none_or(|at| now.saturating_duration_since(at) >= JUDGE_EVERY) {
            self.settle_media(id, now);
        }
    }

    /// What follows for the media from what happened.
    pub(super) fn settle_media(&mut self, id: &CallId, now: Instant) {
        self.judge(id, now);
        let mut fresh = self.random_passes(id);
        let Some(live) = self.calls.get_mut(id) else { return };
        let over = live.call.over().is_some();
        let people: Vec<(UserId, bool)> = match over {
            true => Vec::new(),
            false => live.call.sending().map(|(a, m)| (a.user, m.audio || m.video)).collect(),
        };
        let topology = live.call.topology();
        let recorded = live.call.is_recorded() && !over;
        let recorded = recorded.then(|| live.call.present().map(|a| a.user).collect());
        let media = &mut live.media;
        media.stale |= media.recorded != recorded;
        media.recorded = recorded;
        media.paths.set_people(&people, now);
        media.paths.set_topology(topology, now);
        let present: BTreeSet<Address> = live.call.present().filter(|_| !over).collect();
        let wanted = media.want(id, &present, &mut fresh);
        let counts = media.count();
        let before = std::mem::replace(&mut media.counted, counts);
        self.media_counts.replace(before, counts);
        self.route_pictures(id);
        self.quiet(id);
        if wanted {
            self.effects.push(Effect::Media(id.clone()));
        }
    }

    /// What the call needs now. Nothing where it isn't known any more.
    pub fn media_of(&self, id: &CallId) -> MediaWanted {
        let Some(live) = self.calls.get(id) else { return MediaWanted::default() };
        let devices = live.media.devices.values();
        let legs = devices.filter_map(|device| Some((device.pass.clone()?, device.wanted.clone())));
        let (revision, recorded) = (live.media.revision, live.recorded());
        MediaWanted { revision, legs: legs.collect(), recorded }
    }

    /// What was wanted in this revision is there, but for these channels: devices are told. It may
    /// be said again once more of it is.
    pub fn media_ready(
        &mut self,
        id: &CallId,
        revision: u64,
        missing: &BTreeSet<String>,
        now: Instant,
    ) {
        let (away, reached) = (&self.nodes.away, self.reached.as_deref());
        let Some(live) = self.calls.get_mut(id) else { return };
        // Another is on its way.
        if live.media.revision != revision {
            return;
        }
        let mut told = Vec::new();
        for (address, device) in &mut live.media.devices {
            if std::mem::take(&mut device.anew) {
                let moved = live.media.paths.moved_of(&address.user);
                told.extend(
                    moved.into_iter().map(|ends| (address.clone(), still_served(id, ends))),
                );
            }
            let ready = device.wanted.without(missing);
            if device.told != ready {
                device.told = ready;
                let pass = device.pass.clone().unwrap_or_default();
                let is_here = away.get(id, address).is_none();
                let base = reached.filter(|_| !is_here).unwrap_or_default();
                told.push((address.clone(), legs(id, &pass, &device.told, base)));
            }
        }
        for (address, message) in told {
            self.deliver(&address, None, message);
        }
        self.finish(now);
    }

    /// The codec of the pictures that the device with this pass is to send. The outer None: nothing
    /// was agreed on; the inner: no pictures.
    pub fn agreed_video(&self, id: &CallId, pass: &str) -> Option<Option<Codec>> {
        let live = self.calls.get(id)?;
        let mut devices = live.media.devices.iter();
        let (address, _) = devices.find(|(_, device)| device.pass.as_deref() == Some(pass))?;
        let configuration = live.each.get(address).or(live.configuration.as_ref())?;
        Some(configuration.video.map(|video| video.codec))
    }

    pub fn media_counts(&self) -> MediaCounts {
        self.media_counts
    }

    /// Decides mesh or server, and has it carried out.
    fn judge(&mut self, id: &CallId, now: Instant) {
        let Some(group) = self.group(id) else { return self.leave_server(id, now) };
        let Some(live) = self.calls.get_mut(id) else { return };
        live.media.judged = Some(now);
        let decision = live.media.judge.decide(&group, now);
        if decision.topology == live.call.topology() {
            return;
        }
        let (topology, reason) = (decision.topology, Sentence::cut(&decision.reason.to_string()));
        self.note(Note::Arranged { call: id.clone(), topology, reason: reason.clone() });
        self.drive(id, Input::Topology { topology, reason }, None, now);
    }

    /// Back to the mesh where somebody is, or is rung, on another node, and from there is no way to
    /// this one's call server.
    fn leave_server(&mut self, id: &CallId, now: Instant) {
        if !self.leaves_out(id) {
            return;
        }
        self.end_recording(id, now);
        let Some(live) = self.calls.get_mut(id) else { return };
        if live.call.topology() == Topology::Mesh || live.call.over().is_some() {
            return;
        }
        live.media.judge = Judge::default();
        let reason = "somebody is on another server, and this one has no URL for them";
        let (topology, reason) = (Topology::Mesh, Sentence::cut(reason));
        self.note(Note::Arranged { call: id.clone(), topology, reason: reason.clone() });
        self.drive(id, Input::Topology { topology, reason }, None, now);
    }

    /// The call as the choice between mesh and server sees it. None while there is nothing to
    /// choose, or somebody has no way to this node's call server.
    fn group(&self, id: &CallId) -> Option<Group> {
        let live = self.calls.get(id).filter(|live| live.call.over().is_none())?;
        if self.leaves_out(id) {
            return None;
        }
        let mut members = Vec::new();
        for (address, media) in live.call.sending() {
            let (capabilities, site) = self.of_device(id, &address)?;
            members.push(Member {
                up: capabilities.up_bps,
                down: capabilities.down_bps,
                sends_video: media.video,
                place: self.place_of(id, &address),
                site: site.map(str::to_owned),
                user: address.user,
            });
        }
        if members.len() < 2 {
            return None;
        }
        let most = self.limits.mesh_most;
        Some(Group {
            round_trips: live.round_trips(&members, most),
            per_copy: live.per_copy(),
            recorded: live.call.is_recorded(),
            most,
            members,
        })
    }

    fn tell_moved(&mut self, id: &CallId, moved: Moved) {
        let Moved { from, to, step } = moved;
        let ends: Vec<Address> = match self.calls.get(id) {
            Some(live) => live.call.present().filter(|a| a.user == from || a.user == to).collect(),
            None => return,
        };
        for end in ends {
            let message = ServerMessage::Path {
                call: id.clone(),
                from: from.clone(),
                to: to.clone(),
                path: step.to,
                cause: Sentence::cut(&step.cause.to_string()),
            };
            self.deliver(&end, None, message);
        }
        self.note(Note::Moved { call: id.clone(), from, to, step });
    }

    /// Passes for those who have none yet. They are kept by those who need one.
    fn random_passes(&mut self, id: &CallId) -> Vec<String> {
        let Some(live) = self.calls.get(id) else { return Vec::new() };
        if live.media.paths.served().is_empty() && live.call.topology() == Topology::Mesh {
            return Vec::new();
        }
        let known = &live.media.devices;
        let without = live.call.present().filter(|a| known.get(a).is_none_or(|d| d.pass.is_none()));
        let count = without.count();
        (0..count).filter_map(|_| self.random_id()).collect()
    }
}

// === impl LiveCall ===

impl LiveCall {
    /// The device is in the call from now on, whatever it was told before.
    pub fn tell_media_again(&mut self, address: &Address) {
        // A page that was loaded anew took nothing before it was in the call.
        self.configured.remove(address);
        self.each.remove(address);
        self.media.routing.streams.remove(&address.user);
        let has_moved = !self.media.paths.moved_of(&address.user).is_empty();
        if has_moved || self.media.devices.contains_key(address) {
            let device = self.media.devices.entry(address.clone()).or_default();
            device.told = Leg::default();
            device.anew = true;
            self.media.stale = true;
        }
    }

    /// The device has lost what it was told, or another is there in its place.
    pub fn forget_media(&mut self, address: &Address, now: Instant) {
        self.media.stale |= self.media.devices.remove(address).is_some();
        self.media.screens.remove(address);
        self.media.routing.streams.remove(&address.user);
        self.media.paths.renew(&address.user, now);
    }

    /// Those that count: of a call past a mesh's size none does.
    fn round_trips(&self, members: &[Member], most: usize) -> Vec<(usize, usize, Duration)> {
        let mut measured = Vec::new();
        if members.len() > most {
            return measured;
        }
        for (a, one) in members.iter().enumerate() {
            for (b, other) in members.iter().enumerate().skip(a + 1) {
                let round_trip = self.media.paths.round_trip(&one.user, &other.user);
                measured.extend(round_trip.map(|time| (a, b, time)));
            }
        }
        measured
    }

    fn per_copy(&self) -> BitsPerSecond {
        let video = self.configuration.and_then(|configuration| configuration.video);
        video.map_or(COPY, |video| video.bitrate_bps.min(COPY))
    }
}

// === impl CallMedia ===

impl CallMedia {
    /// Works out what each device may do. Gives whether it is another than before.
    fn want(&mut self, id: &CallId, present: &BTreeSet<Address>, fresh: &mut Vec<String>) -> bool {
        let before = self.devices.len();
        self.devices.retain(|address, _| present.contains(address));
        self.screens.retain(|address, _| present.contains(address));
        let mut changed = std::mem::take(&mut self.stale) || before != self.devices.len();
        let served = self.paths.served();
        let by_user: BTreeMap<&UserId, &Address> = present.iter().map(|a| (&a.user, a)).collect();
        let mut legs: BTreeMap<&Address, Leg> = BTreeMap::new();
        for (from, watchers) in &served {
            let Some(address) = by_user.get(from) else { continue };
            let device = self.devices.entry((*address).clone()).or_default();
            device.pass = device.pass.take().or_else(|| fresh.pop());
            let Some(pass) = &device.pass else { continue };
            let channel = channel_of(id, &address.user, pass);
            for to in watchers.iter().filter_map(|to| by_user.get(to)) {
                let leg = legs.entry(to).or_default();
                leg.watch.insert((*from).clone(), channel.clone());
            }
            legs.entry(address).or_default().publish = Some(channel);
        }
        for address in present {
            let wanted = legs.remove(address).unwrap_or_default();
            if wanted == Leg::default() && !self.devices.contains_key(address) {
                continue;
            }
            let device = self.devices.entry(address.clone()).or_default();
            device.pass = device.pass.take().or_else(|| fresh.pop());
            changed |= device.wanted != wanted;
            device.wanted = wanted;
        }
        self.revision += u64::from(changed);
        changed
    }

    /// Channels, and whose each is.
    pub fn published(&self) -> impl Iterator<Item = (String, UserId)> {
        let devices = self.devices.iter();
        devices.filter_map(|(address, device)| {
            Some((device.wanted.publish.clone()?, address.user.clone()))
        })
    }

    fn count(&self) -> MediaCounts {
        let [direct, served] = self.paths.count();
        let wanted = || self.devices.values().map(|device| &device.wanted);
        let publishers = wanted().filter(|leg| leg.publish.is_some()).count() as i64;
        let watchers = wanted().map(|leg| leg.watch.len()).sum::<usize>() as i64;
        MediaCounts { direct, served, publishers, watchers }
    }
}

#[cfg(test)]
mod tests;
