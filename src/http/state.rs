//! What handlers work with.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Registry;
use stentor_protocol::spec::HardwarePolicy;
use tokio::sync::watch;

use super::access::{Access, Claims, Grant, Need};
use super::limit::RateLimit;
use super::origin::Origins;
use super::passes::Passes;
use super::people::People;
use super::problem::{Kind, Problem};
use super::request::{Request, client_address};
use super::sessions::Sessions;
use super::ws::Board;
use crate::analytics::Desk;
use crate::calls::messages::IceServer;
use crate::channels::settings::is_call_channel;
use crate::channels::{Admission, Channels, Findings};
use crate::config::Config;
use crate::events::{Events, GeoIp};
use crate::fanout::Fanout;
use crate::identity::UserId;
use crate::limit::customer;
use crate::recording::notify::Arrivals;
use crate::recording::{Links, Recordings};
use crate::telemetry::http::HttpMetrics;
use crate::telemetry::machine::Machine;

/// Where the daemon is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    Running,
    /// No new viewers or publishers; those who are here are told to leave.
    Draining,
    /// Connections are closed.
    Ended,
}

pub struct State {
    pub channels: Channels,
    pub fanout: Fanout,
    pub sessions: Arc<Sessions>,
    pub access: Access,
    pub origins: Origins,
    pub settings: Settings,
    pub metrics: HttpMetrics,
    pub registry: Registry,
    pub findings: watch::Receiver<Option<Findings>>,
    pub admission: Arc<Admission>,
    pub machine: Machine,
    pub life: watch::Receiver<Life>,
    pub started: Instant,
    /// The same in seconds since 1970.
    pub started_unix: u64,
    pub limiter: Limiter,
    /// None: turned off.
    pub calls: Option<Arc<Board>>,
    /// None: turned off.
    pub analytics: Option<Desk>,
    /// Who may publish and watch in calls.
    pub passes: Arc<Passes>,
    pub people: People,
    /// None: nothing is recorded.
    pub archive: Option<Archive>,
    pub events: Events,
    /// Where addresses are. None: nobody knows.
    pub geo: Option<GeoIp>,
    /// Issues credentials for the server's own TURN.
    pub issue_relay: Option<IssueRelay>,
}

/// Recordings, as requests see them.
pub struct Archive {
    pub recordings: Recordings,
    pub links: Arc<Links>,
    /// How long a link is good.
    pub link_life: Duration,
    pub arrivals: Arrivals,
}

/// Gives a client's credentials.
pub type IssueRelay = Box<dyn Fn(&RelayUser) -> IceServer + Send + Sync>;

/// Whose relays a client's are: by this, quotas go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayUser {
    User(UserId),
    /// A customer's, from whose addresses several may come.
    Customer(IpAddr),
}

/// What the configuration says that handlers must know.
#[derive(Debug, Clone)]
pub struct Settings {
    pub request_timeout: Duration,
    pub trusted_proxies: Vec<IpAddr>,
    pub ice_servers: Vec<IceServer>,
    pub metrics_token: bool,
    pub policy: HardwarePolicy,
    pub max_viewers: usize,
    /// How long new viewers should stay away while the server drains.
    pub drain_grace: Duration,
    pub tls: bool,
    /// Where browsers that are on other nodes reach this one. None where there are no others.
    pub public_url: Option<String>,
}

pub struct Limiter(Mutex<RateLimit>);

// === impl Limiter ===

impl Limiter {
    pub fn new(limit: RateLimit) -> Self {
        Self(Mutex::new(limit))
    }

    pub fn take(&self, address: IpAddr, cost: f64) -> Result<(), Problem> {
        self.limit().take(address, cost, Instant::now()).map_err(Problem::rate_limited)
    }

    /// Puts back what was taken for something that turned out to cost less.
    pub fn give_back(&self, address: IpAddr, cost: f64) {
        self.limit().give_back(address, cost);
    }

    fn limit(&self) -> MutexGuard<'_, RateLimit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl RelayUser ===

impl RelayUser {
    /// What is said without a token counts for nothing: another user is easily said.
    pub fn of(claims: Option<&Claims>, client: IpAddr) -> Self {
        match claims.and_then(|claims| claims.user.clone()) {
            Some(user) => Self::User(user),
            None => Self::Customer(customer(client)),
        }
    }
}

// === impl Settings ===

impl Settings {
    pub fn of(config: &Config) -> Self {
        let ice_servers = config.ice.servers.iter().map(|server| IceServer {
            urls: server.urls.clone(),
            username: server.username.clone(),
            credential: server.credential.as_ref().map(|c| c.0.clone()),
        });
        Self {
            request_timeout: config.http.request_timeout.0,
            trusted_proxies: config.http.trusted_proxies.clone(),
            ice_servers: ice_servers.collect(),
            metrics_token: config.access.metrics_token,
            policy: config.hardware.policy(),
            max_viewers: config.fanout.max_viewers,
            drain_grace: config.server.drain_grace.0,
            tls: config.http.tls_certificate.is_some(),
            public_url: reached_by_others(config).map(str::to_owned),
        }
    }
}

fn reached_by_others(config: &Config) -> Option<&str> {
    config.directory.url().filter(|_| config.directory.redis_url.is_some())
}

// === impl State ===

impl State {
    pub fn authorize(&self, request: &Request, need: Need<'_>) -> Result<Grant, Problem> {
        // Of a call's channel nobody knows but whom the call let in: no operator, and on an open
        // server no visitor.
        if need.channel().is_some_and(is_call_channel) {
            self.passes.check(request.authorization(), need)?;
            return Ok(Grant { claims: None });
        }
        self.access.check(request.authorization(), need)
    }

    /// Where a request comes from, by what proxies say that are trusted.
    pub fn client(&self, request: &Request) -> IpAddr {
        let trusted = &self.settings.trusted_proxies;
        client_address(request.peer.address.ip(), &request.headers, trusted)
    }

    pub fn is_draining(&self) -> bool {
        *self.life.borrow() >= Life::Draining
    }

    /// Refuses newcomers to a channel while the server drains. A call's channels are nobody's who
    /// comes newly: its media may move for as long as it goes on.
    pub fn check_welcome_to(&self, channel: &str) -> Result<(), Problem> {
        if is_call_channel(channel) { Ok(()) } else { self.check_welcome() }
    }

    /// Refuses newcomers while the server drains.
    pub fn check_welcome(&self) -> Result<(), Problem> {
        if !self.is_draining() {
            return Ok(());
        }
        let detail = "the server is draining and takes nobody new";
        let pause = self.settings.drain_grace.max(Duration::from_secs(1));
        Err(Problem::unavailable(Kind::Draining, detail).retry_after(pause))
    }

    /// The Link headers of a 201 (RFC 9725, 4.6).
    pub fn ice_links(&self, request: &Request, grant: &Grant) -> Vec<String> {
        let user = RelayUser::of(grant.claims.as_ref(), self.client(request));
        let links = self.ice_servers(&user).into_iter().flat_map(|server| {
            let urls = server.urls.clone();
            urls.into_iter().map(move |url| {
                let mut link = format!("<{url}>; rel=\"ice-server\"");
                if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
                    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
                    link += &format!(
                        "; username=\"{}\"; credential=\"{}\"; credential-type=\"password\"",
                        quoted(username),
                        quoted(credential)
                    );
                }
                link
            })
        });
        links.collect()
    }

    /// STUN and TURN servers for one client: those of the configuration, and our own.
    pub fn ice_servers(&self, user: &RelayUser) -> Vec<IceServer> {
        let own = self.issue_relay.as_ref().map(|issue| issue(user));
        self.settings.ice_servers.iter().cloned().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use stentor_protocol::units::Secret;

    use super::*;

    #[test]
    fn a_node_without_others_is_reached_by_none() {
        let mut config = Config::default();
        config.directory.public_url = Some("https://a.example/".to_owned());
        assert_eq!(Settings::of(&config).public_url, None);
        config.directory.redis_url = Some(Secret("redis://localhost".to_owned()));
        assert_eq!(Settings::of(&config).public_url.as_deref(), Some("https://a.example"));
    }
}
