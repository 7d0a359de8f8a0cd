//! An ICE-lite agent (RFC 8445, 2.5): it answers checks and lets the peer choose the path.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use super::stun::{self, Answer, BindingRequest};

/// Addresses of one peer remembered at most; the one not heard from for longest gives way.
const MAX_PATHS: usize = 8;
/// Checks answered at once, and per second in the long run. A browser with many interfaces
/// sends some tens a second while it connects.
const CHECK_BURST: u32 = 100;
const CHECKS_PER_SECOND: u32 = 100;

/// Short-term credentials of one side (RFC 8445, 5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCreds {
    pub ufrag: String,
    pub password: String,
}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// From an address heard before.
    Known,
    /// From an address that has now proven itself. `evicted` was forgotten for it.
    New { evicted: Option<SocketAddr> },
    /// Not a binding request of this session's peer.
    Unverified,
    /// Right, but one of too many.
    Limited,
}

/// Where a peer can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

#[derive(Debug)]
pub(super) struct IceLite {
    local: IceCreds,
    /// USERNAME of the peer's checks: our ufrag, a colon, its ufrag.
    username: String,
    paths: Vec<KnownPath>,
    /// Index into `paths`.
    nominated: Option<usize>,
    /// The path that authenticated data came by before there was a nomination.
    preferred: Option<Path>,
    allowance: u32,
    allowance_at: Instant,
}

#[derive(Debug)]
struct KnownPath {
    path: Path,
    checked_at: Instant,
    priority: u32,
    /// Nominating checks on this path since the last one on the nominated path.
    nominations: u8,
}

// === impl IceCreds ===

impl IceCreds {
    /// 48 random bits of ufrag, 144 of password; RFC 8445 asks for 24 and 128.
    pub fn generate() -> Result<Self, aws_lc_rs::error::Unspecified> {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random)?;
        let text: String =
            random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect();
        let (ufrag, password) = text.split_at(8);
        Ok(Self { ufrag: ufrag.to_owned(), password: password.to_owned() })
    }
}

impl fmt::Debug for IceCreds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCreds").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

// === impl IceLite ===

impl IceLite {
    pub fn new(local: IceCreds, remote_ufrag: &str, now: Instant) -> Self {
        let username = format!("{}:{remote_ufrag}", local.ufrag);
        Self {
            local,
            username,
            paths: Vec::new(),
            nominated: None,
            preferred: None,
            allowance: CHECK_BURST,
            allowance_at: now,
        }
    }

    /// New credentials (RFC 8445, 9). Media goes on over the old path until a new nomination.
    pub fn restart(&mut self, local: IceCreds, remote_ufrag: &str) {
        self.username = format!("{}:{remote_ufrag}", local.ufrag);
        self.local = local;
        if let Some(index) = self.nominated {
            // Any nomination with the new credentials outranks what was agreed with the old.
            self.paths[index].priority = 0;
        }
    }

    /// The pair that the peer nominated.
    pub fn nominated(&self) -> Option<Path> {
        self.nominated.map(|index| self.paths[index].path)
    }

    /// Where to write now: the nominated pair, or else the one that data came by, or else the
    /// one checked last. Chromium completes DTLS before it nominates; waiting would cost a round
    /// of checks, and every pair here has proven itself.
    pub fn best(&self) -> Option<Path> {
        let preferred = || self.preferred.filter(|path| self.knows(*path));
        let last = || self.paths.iter().max_by_key(|p| p.checked_at).map(|p| p.path);
        self.nominated().or_else(preferred).or_else(last)
    }

    /// Data came by a known path.
    pub fn prefer(&mut self, path: Path) {
        self.preferred = Some(path);
    }

    pub fn knows(&self, path: Path) -> bool {
        self.paths.iter().any(|p| p.path == path)
    }

    /// Answers a check, if it is the peer's.
    pub fn handle_check(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &[u8],
        out: &mut Outbox,
    ) -> Check {
        let Some(request) = BindingRequest::parse(bytes) else {
            return Check::Unverified;
        };
        if request.username != self.username || !request.is_from(&self.local.password) {
            return Check::Unverified;
        }
        if !self.allow(now) {
            return Check::Limited;
        }
        if request.controlled {
            self.answer(path, &request, Answer::RoleConflict, out);
            return Check::Known;
        }
        self.answer(path, &request, Answer::Success(path.remote), out);
        let (index, check) = self.remember(now, path, request.priority);
        if request.use_candidate {
            self.nominate(index);
        }
        check
    }

    fn answer(&self, path: Path, request: &BindingRequest, answer: Answer, out: &mut Outbox) {
        out.push_with(path.local, path.remote, |buffer| {
            stun::write_answer(&request.transaction_id, answer, &self.local.password, buffer);
        });
    }

    fn remember(&mut self, now: Instant, path: Path, priority: u32) -> (usize, Check) {
        if let Some(index) = self.paths.iter().position(|p| p.path == path) {
            self.paths[index].checked_at = now;
            self.paths[index].priority = priority;
            return (index, Check::Known);
        }
        let known = KnownPath { path, checked_at: now, priority, nominations: 0 };
        if self.paths.len() < MAX_PATHS {
            self.paths.push(known);
            return (self.paths.len() - 1, Check::New { evicted: None });
        }
        let stale = (0..self.paths.len())
            .filter(|index| Some(*index) != self.nominated)
            .min_by_key(|index| self.paths[*index].checked_at)
            .unwrap_or(0);
        let evicted = self.paths[stale].path.remote;
        self.paths[stale] = known;
        // The same remote address may still be known by another of our addresses.
        let gone = !self.paths.iter().any(|p| p.path.remote == evicted);
        (stale, Check::New { evicted: gone.then_some(evicted) })
    }

    /// Follows the peer's choice. A peer that nominates every pair (RFC 5245's aggressive
    /// nomination) means the one of highest priority; a peer that moves to another network
    /// nominates the new pair and no longer the old one, whatever the priorities.
    fn nominate(&mut self, index: usize) {
        let Some(current) = self.nominated else {
            self.nominated = Some(index);
            return;
        };
        if index == current {
            self.paths.iter_mut().for_each(|p| p.nominations = 0);
            return;
        }
        let challenger = &mut self.paths[index];
        challenger.nominations = challenger.nominations.saturating_add(1);
        let moved = challenger.nominations >= 2;
        if moved || self.paths[index].priority >= self.paths[current].priority {
            self.paths.iter_mut().for_each(|p| p.nominations = 0);
            self.nominated = Some(index);
        }
    }

    fn allow(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.allowance_at).min(Duration::from_secs(10));
        let earned = elapsed.as_millis() as u32 * CHECKS_PER_SECOND / 1000;
        if earned > 0 {
            self.allowance = (self.allowance + earned).min(CHECK_BURST);
            self.allowance_at = now;
        }
        let allowed = self.allowance > 0;
        self.allowance -= u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::super::stun::tests::{conflicting, nominating, plain};
    use super::*;

    const USERNAME: &str = "us:them";
    const PASSWORD: &str = "0123456789012345678901";

    fn agent(now: Instant) -> IceLite {
        let local = IceCreds { ufrag: "us".into(), password: PASSWORD.into() };
        IceLite::new(local, "them", now)
    }

    fn path(port: u16) -> Path {
        Path {
            local: "10.0.0.1:5000".parse().unwrap(),
            remote: SocketAddr::new([10, 0, 0, 2].into(), port),
        }
    }

    #[test]
    fn a_path_is_used_once_the_peer_nominates_it() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        let first = ice.handle_check(now, path(1), &plain(USERNAME, PASSWORD), &mut out);
        assert_eq!(first, Check::New { evicted: None });
        assert_eq!(ice.nominated(), None);
        assert_eq!(ice.best(), Some(path(1)));
        let second = ice.handle_check(now, path(1), &nominating(USERNAME, PASSWORD, 9), &mut out);
        assert_eq!(second, Check::Known);
        assert_eq!(ice.nominated(), Some(path(1)));
        let answers: Vec<_> = out.iter().map(|d| (d.from, d.to)).collect();
        assert_eq!(answers, [(path(1).local, path(1).remote); 2]);
    }

    #[test]
    fn before_a_nomination_the_path_that_data_came_by_is_used() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        for (port, seconds) in [(1, 0), (2, 1)] {
            let at = now + Duration::from_secs(seconds);
            ice.handle_check(at, path(port), &plain(USERNAME, PASSWORD), &mut out);
        }
        assert_eq!(ice.best(), Some(path(2)));
        ice.prefer(path(1));
        assert_eq!(ice.best(), Some(path(1)));
        ice.handle_check(now, path(2), &nominating(USERNAME, PASSWORD, 9), &mut out);
        assert_eq!(ice.best(), Some(path(2)));
    }

    #[test]
    fn a_stranger_gets_no_answer() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        let strangers = [
            nominating(USERNAME, "another password, of no use", 9),
            nominating("us:other", PASSWORD, 9),
            nominating("us", PASSWORD, 9),
            b"garbage".to_vec(),
        ];
        for bytes in strangers {
            assert_eq!(ice.handle_check(now, path(1), &bytes, &mut out), Check::Unverified);
        }
        assert!(out.is_empty() && ice.best().is_none());
    }

    #[test]
    fn of_several_nominated_pairs_the_one_of_highest_priority_stays() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        for _ in 0..5 {
            for (port, priority) in [(1, 50), (2, 90), (3, 10)] {
                let check = nominating(USERNAME, PASSWORD, priority);
                ice.handle_check(now, path(port), &check, &mut out);
            }
        }
        assert_eq!(ice.nominated(), Some(path(2)));
    }

    #[test]
    fn a_peer_that_moves_to_a_worse_network_is_followed() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        ice.handle_check(now, path(1), &nominating(USERNAME, PASSWORD, 90), &mut out);
        ice.handle_check(now, path(2), &nominating(USERNAME, PASSWORD, 10), &mut out);
        assert_eq!(ice.nominated(), Some(path(1)));
        ice.handle_check(now, path(2), &nominating(USERNAME, PASSWORD, 10), &mut out);
        assert_eq!(ice.nominated(), Some(path(2)));
    }

    #[test]
    fn a_new_port_of_the_same_peer_is_followed_at_once() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        for port in [1, 2] {
            ice.handle_check(now, path(port), &nominating(USERNAME, PASSWORD, 90), &mut out);
            assert_eq!(ice.nominated(), Some(path(port)));
        }
    }

    #[test]
    fn the_nominated_path_is_never_forgotten_for_others() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        ice.handle_check(now, path(1), &nominating(USERNAME, PASSWORD, 90), &mut out);
        let mut evicted = Vec::new();
        for port in 2..20 {
            let at = now + Duration::from_secs(port.into());
            let check = ice.handle_check(at, path(port), &plain(USERNAME, PASSWORD), &mut out);
            if let Check::New { evicted: Some(address) } = check {
                evicted.push(address.port());
            }
        }
        assert_eq!(ice.paths.len(), MAX_PATHS);
        assert_eq!(ice.nominated(), Some(path(1)));
        assert_eq!(evicted, (2..13).collect::<Vec<u16>>());
    }

    #[test]
    fn a_peer_that_thinks_it_is_controlled_is_told_to_control() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        ice.handle_check(now, path(1), &conflicting(USERNAME, PASSWORD), &mut out);
        assert_eq!(ice.best(), None);
        let answer = out.iter().next().unwrap();
        let answer = is::stun::StunMessage::parse(answer.bytes).unwrap();
        assert_eq!(answer.error_code().unwrap().0, 487);
    }

    #[test]
    fn a_flood_of_right_checks_is_answered_at_a_bounded_rate() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        let check = plain(USERNAME, PASSWORD);
        let mut answered_in = |second: u64| {
            (0..1000_u64)
                .filter(|i| {
                    let at = now + Duration::from_millis(second * 1000 + i);
                    ice.handle_check(at, path(1), &check, &mut out) != Check::Limited
                })
                .count()
        };
        assert_eq!(answered_in(0), 199);
        assert_eq!(answered_in(1), 100);
        assert_eq!(answered_in(2), 100);
    }

    #[test]
    fn old_credentials_are_refused_after_a_restart() {
        let now = Instant::now();
        let (mut ice, mut out) = (agent(now), Outbox::default());
        ice.handle_check(now, path(1), &nominating(USERNAME, PASSWORD, 90), &mut out);
        let local = IceCreds { ufrag: "new".into(), password: "another password of ours".into() };
        ice.restart(local, "theirs");
        let old = ice.handle_check(now, path(2), &nominating(USERNAME, PASSWORD, 90), &mut out);
        assert_eq!(old, Check::Unverified);
        assert_eq!(ice.nominated(), Some(path(1)));
        let check = nominating("new:theirs", "another password of ours", 1);
        ice.handle_check(now, path(2), &check, &mut out);
        assert_eq!(ice.nominated(), Some(path(2)));
    }

    #[test]
    fn credentials_are_not_printed_and_do_not_repeat() {
        let (one, two) = (IceCreds::generate().unwrap(), IceCreds::generate().unwrap());
        assert_ne!(one, two);
        assert_eq!((one.ufrag.len(), one.password.len()), (8, 24));
        assert!(!format!("{one:?}").contains(&one.password));
    }
}
