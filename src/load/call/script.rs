//! What a device does about what it hears: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use stentor_protocol::BitsPerSecond;

use crate::calls::ids::{CallId, UserId};
use crate::calls::messages::{
    ClientMessage, Direction, Media, PageSize, Participant, Path, PathReport, Presence, Rendition,
    ServerMessage, Stream, Topology, Watch,
};

/// What a device knows of its call.
#[derive(Debug)]
pub(super) struct Script {
    me: UserId,
    tile_height: u32,
    pub call: Option<CallId>,
    topology: Topology,
    /// Who is in it, and what they send.
    people: BTreeMap<UserId, Media>,
    /// Whom it watches, where.
    watched: BTreeMap<UserId, String>,
    published: Option<String>,
    /// What the server gives of each; None before it has said.
    streams: Option<BTreeMap<UserId, Rendition>>,
    /// Whose tiles the server was told of last.
    told: BTreeSet<UserId>,
    /// When it was last told of paths, and by which everybody came.
    reported: Option<(Instant, Vec<(UserId, Path)>)>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    Say(Box<ClientMessage>),
    /// It rings.
    Rings(CallId),
    /// The device is in the call.
    Joined,
    Watch {
        user: UserId,
        place: String,
        token: String,
        rendition: Rendition,
    },
    Unwatch(UserId),
    Choose(UserId, Rendition),
    Publish {
        place: String,
        token: String,
    },
    Unpublish,
    /// The device isn't in the call any more, and why.
    Over(String),
    Refused(String),
}

/// How what comes from someone fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fares {
    /// Pictures come through the server.
    pub plays: bool,
    pub bits_per_second: u64,
}

/// Where all goes through the server it sees for itself how that fares, and is told this often of
/// what stays as it is: as by the product's own client.
const SERVED_EVERY: Duration = Duration::from_secs(2);

// === impl Script ===

impl Script {
    pub fn new(me: UserId, tile_height: u32) -> Self {
        Self {
            me,
            tile_height,
            call: None,
            topology: Topology::Mesh,
            people: BTreeMap::new(),
            watched: BTreeMap::new(),
            published: None,
            streams: None,
            told: BTreeSet::new(),
            reported: None,
        }
    }

    pub fn take(&mut self, message: ServerMessage) -> Vec<Order> {
        match message {
            ServerMessage::Ring { call, .. } => vec![Order::Rings(call)],
            ServerMessage::Call { call, participants, topology, .. } => {
                self.topology = topology;
                self.people.clear();
                participants.into_iter().for_each(|participant| self.see(participant));
                let is_new = self.call.replace(call).is_none();
                if is_new { vec![Order::Joined] } else { Vec::new() }
            }
            ServerMessage::Participant { participant, .. } => {
                self.see(participant);
                Vec::new()
            }
            ServerMessage::Topology { topology, .. } => {
                self.topology = topology;
                Vec::new()
            }
            ServerMessage::Configure { call, revision, configuration, .. } => {
                let applied = ClientMessage::Applied { call, revision, configuration };
                vec![Order::Say(Box::new(applied))]
            }
            ServerMessage::Legs { publish, watch, token, .. } => {
                let publish = publish.map(|place| place.as_str().to_owned());
                self.take_legs(publish, watch.as_slice(), token.0.as_str())
            }
            ServerMessage::Streams { streams, .. } => self.take_streams(&streams),
            ServerMessage::Left { cause, .. } => vec![Order::Over(format!("left: {cause:?}"))],
            ServerMessage::CallEnded { reason, .. } => {
                vec![Order::Over(format!("the call ended: {reason:?}"))]
            }
            ServerMessage::Error { code, detail, .. } => {
                vec![Order::Refused(format!("{code:?}: {}", detail.as_str()))]
            }
            _ => Vec::new(),
        }
    }

    /// What is to be said every now and then.
    pub fn report(&mut self, fares: impl Fn(&UserId) -> Fares, now: Instant) -> Vec<ClientMessage> {
        let Some(call) = self.call.clone() else { return Vec::new() };
        let mut said = Vec::new();
        let tiles: BTreeSet<UserId> =
            self.senders().filter(|(_, media)| media.video).map(|(user, _)| user.clone()).collect();
        if tiles != self.told {
            self.told.clone_from(&tiles);
            let shown: Vec<UserId> = tiles.into_iter().take(25).collect();
            said.push(ClientMessage::Tiles {
                call: call.clone(),
                page_size: match shown.len() {
                    0..=9 => PageSize::Nine,
                    10..=16 => PageSize::Sixteen,
                    _ => PageSize::TwentyFive,
                },
                page: 0,
                users: shown.try_into().unwrap_or_default(),
                height: self.tile_height,
                large: None,
            });
        }
        let reports = self.senders().map(|(user, _)| self.report_of(user, fares(user)));
        let reports: Vec<PathReport> = reports.collect();
        if !reports.is_empty() && self.is_due(&reports, now) {
            let reports = reports.try_into().unwrap_or_default();
            said.push(ClientMessage::PathReport { call, reports });
        }
        said
    }

    /// Whether the server is to be told; then it is taken to be.
    fn is_due(&mut self, reports: &[PathReport], now: Instant) -> bool {
        let paths: Vec<_> = reports.iter().map(|r| (r.user.clone(), r.path)).collect();
        let is_served = self.topology == Topology::Server
            && paths.iter().all(|(_, path)| *path == Path::Server);
        let is_told = self.reported.as_ref().is_some_and(|(at, told)| {
            is_served && *told == paths && now.saturating_duration_since(*at) < SERVED_EVERY
        });
        if !is_told {
            self.reported = Some((now, paths));
        }
        !is_told
    }

    /// There are no direct connections here.
    fn report_of(&self, user: &UserId, fares: Fares) -> PathReport {
        let served = fares.plays || self.topology == Topology::Server;
        PathReport {
            user: user.clone(),
            direction: Direction::Receive,
            path: if served { Path::Server } else { Path::Direct },
            direct_alive: false,
            packets: 0,
            lost_permille: 0,
            silent_ms: None,
            round_trip_ms: None,
            bitrate_bps: BitsPerSecond(fares.bits_per_second),
        }
    }

    /// The others who send something.
    fn senders(&self) -> impl Iterator<Item = (&UserId, &Media)> {
        let others = self.people.iter().filter(|(user, _)| **user != self.me);
        others.filter(|(_, media)| media.audio || media.video)
    }

    fn see(&mut self, participant: Participant) {
        let Participant { user, state, media, .. } = participant;
        if matches!(state, Presence::In | Presence::Lost) {
            self.people.insert(user, media);
        } else {
            self.people.remove(&user);
        }
    }

    fn take_legs(&mut self, publish: Option<String>, watch: &[Watch], token: &str) -> Vec<Order> {
        let wanted: BTreeMap<UserId, String> =
            watch.iter().map(|leg| (leg.user.clone(), leg.url.as_str().to_owned())).collect();
        let mut orders = Vec::new();
        for (user, place) in &self.watched {
            if wanted.get(user) != Some(place) {
                orders.push(Order::Unwatch(user.clone()));
            }
        }
        for (user, place) in &wanted {
            if self.watched.get(user) != Some(place) {
                let (user, place, token) = (user.clone(), place.clone(), token.to_owned());
                let rendition = self.rendition(&user);
                orders.push(Order::Watch { user, place, token, rendition });
            }
        }
        self.watched = wanted;
        if self.published != publish {
            orders.extend(self.published.take().map(|_| Order::Unpublish));
            let token = token.to_owned();
            orders.extend(publish.clone().map(|place| Order::Publish { place, token }));
            self.published = publish;
        }
        orders
    }

    fn take_streams(&mut self, streams: &[Stream]) -> Vec<Order> {
        let before: BTreeMap<UserId, Rendition> =
            self.watched.keys().map(|user| (user.clone(), self.rendition(user))).collect();
        self.streams = Some(streams.iter().map(|s| (s.user.clone(), s.rendition)).collect());
        let changed = before.into_iter().filter_map(|(user, before)| {
            let after = self.rendition(&user);
            (after != before).then_some(Order::Choose(user, after))
        });
        changed.collect()
    }

    /// Of those that the server doesn't name there is sound alone.
    fn rendition(&self, user: &UserId) -> Rendition {
        match &self.streams {
            None => Rendition::Original,
            Some(streams) => streams.get(user).copied().unwrap_or(Rendition::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn take(script: &mut Script, mut message: Value) -> Vec<Order> {
        message["call"] = "c".into();
        script.take(serde_json::from_value(message).unwrap())
    }

    fn in_a_call() -> Script {
        let mut script = Script::new(user("me"), 720);
        let person = |name: &str, state: &str, sends: bool| {
            let media = json!({"audio": sends, "video": sends});
            json!({"user": name, "state": state, "media": media})
        };
        let people = [
            person("me", "in", true),
            person("cam", "in", true),
            person("ear", "in", false),
            person("late", "ringing", true),
        ];
        let call = json!({
            "type": "call", "host": "cam", "participants": people, "topology": "mesh",
            "recorded": false,
        });
        assert_eq!(take(&mut script, call.clone()), [Order::Joined]);
        assert_eq!(take(&mut script, call), []);
        script
    }

    fn legs(publish: Option<&str>, watch: &[(&str, &str)]) -> Value {
        let watch = watch.iter().map(|(user, url)| json!({"user": user, "url": url}));
        let watch: Vec<Value> = watch.collect();
        json!({"type": "legs", "publish": publish, "watch": watch, "token": "pass"})
    }

    #[test]
    fn what_is_watched_and_published_is_what_the_server_said_last() {
        let mut script = in_a_call();
        let (place, token) = ("/whip/a".to_owned(), "pass".to_owned());
        let watch = |place: &str, rendition| Order::Watch {
            user: user("cam"),
            place: place.to_owned(),
            token: "pass".to_owned(),
            rendition,
        };
        let orders = take(&mut script, legs(Some("/whip/a"), &[("cam", "/whep/b")]));
        let publish = Order::Publish { place, token };
        assert_eq!(orders, [watch("/whep/b", Rendition::Original), publish]);
        assert_eq!(take(&mut script, legs(Some("/whip/a"), &[("cam", "/whep/b")])), []);
        let orders = take(&mut script, legs(None, &[("cam", "/whep/c")]));
        let again = watch("/whep/c", Rendition::Original);
        assert_eq!(orders, [Order::Unwatch(user("cam")), again, Order::Unpublish]);
        assert_eq!(take(&mut script, legs(None, &[])), [Order::Unwatch(user("cam"))]);
    }

    #[test]
    fn a_picture_is_taken_in_the_rendition_that_the_server_gives() {
        let mut script = in_a_call();
        take(&mut script, legs(None, &[("cam", "/whep/b")]));
        let sd = json!({"type": "streams", "streams": [{"user": "cam", "rendition": "sd"}]});
        assert_eq!(take(&mut script, sd.clone()), [Order::Choose(user("cam"), Rendition::Sd)]);
        assert_eq!(take(&mut script, sd), []);
        let nobody = json!({"type": "streams", "streams": []});
        assert_eq!(take(&mut script, nobody), [Order::Choose(user("cam"), Rendition::None)]);
    }

    #[test]
    fn the_server_is_told_of_tiles_once_and_of_paths_each_time() {
        let mut script = in_a_call();
        let now = Instant::now();
        let fares = |_: &UserId| Fares { plays: true, bits_per_second: 7 };
        let said = script.report(fares, now);
        let [ClientMessage::Tiles { users, .. }, ClientMessage::PathReport { reports, .. }] =
            &said[..]
        else {
            panic!("{said:?}")
        };
        assert_eq!(users.as_slice(), [user("cam")]);
        let [report] = reports.as_slice() else { panic!("{reports:?}") };
        assert_eq!(
            (report.user.as_str(), report.path, report.bitrate_bps.0),
            ("cam", Path::Server, 7)
        );
        assert_eq!(script.report(fares, now).len(), 1);
        let mute = json!({"user": "cam", "state": "in", "media": {"audio": false, "video": false}});
        take(&mut script, json!({"type": "participant", "participant": mute}));
        let said = script.report(fares, now);
        assert!(
            matches!(&said[..], [ClientMessage::Tiles { users, .. }] if users.as_slice().is_empty())
        );
    }

    #[test]
    fn where_all_goes_through_the_server_it_is_told_every_two_seconds_of_what_stays_as_it_is() {
        let mut script = in_a_call();
        let start = Instant::now();
        let fares = |_: &UserId| Fares { plays: true, bits_per_second: 7 };
        let said_at = |script: &mut Script, ms| {
            let said = script.report(fares, start + Duration::from_millis(ms));
            said.iter().any(|message| matches!(message, ClientMessage::PathReport { .. }))
        };
        // Directly: each time.
        assert!(said_at(&mut script, 0) && said_at(&mut script, 500));
        script.topology = Topology::Server;
        assert!(!said_at(&mut script, 1000) && !said_at(&mut script, 2000));
        assert!(said_at(&mut script, 2500) && !said_at(&mut script, 3000));
        // Someone else is to be seen.
        let person =
            json!({"user": "ear", "state": "in", "media": {"audio": true, "video": false}});
        take(&mut script, json!({"type": "participant", "participant": person}));
        assert!(said_at(&mut script, 3100) && !said_at(&mut script, 3600));
    }
}
