//! `[directory]`: which other nodes this one is one service with.

use serde::{Deserialize, Serialize};
use stentor_protocol::units::Secret;

use super::Config;
use super::check::Faults;
use crate::accounts::hook::Place;
use crate::directory::{Origin, RedisConfig};
use crate::identity::is_id;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Directory {
    /// Default: none, and this node is by itself. A secret, since it may hold a password.
    pub redis_url: Option<Secret>,
    /// What all keys in Redis begin with. Default stentor.
    pub prefix: String,
    /// Where browsers that are on other nodes reach this one, such as `https://a.example.net`. Not
    /// by an IPv6 address: policies of pages know none.
    /// Default: none, and what is sent in calls between nodes goes directly or not at all.
    pub public_url: Option<String>,
}

/// Bytes: a channel's address fits into what a message takes.
const MAX_URL: usize = 180;

// === impl Directory ===

impl Default for Directory {
    fn default() -> Self {
        Self { redis_url: None, prefix: "stentor".to_owned(), public_url: None }
    }
}

impl Directory {
    /// The public URL, without a slash at its end.
    pub fn url(&self) -> Option<&str> {
        self.public_url.as_deref().map(|url| url.trim_end_matches('/'))
    }

    /// None without Redis.
    pub fn redis(&self) -> Option<RedisConfig> {
        let url = self.redis_url.as_ref()?.0.clone();
        let origin = self.url().and_then(|url| url.parse().ok());
        Some(RedisConfig { url, prefix: self.prefix.clone(), origin })
    }
}

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let directory = &config.directory;
    let is_url = directory.redis().is_none_or(|redis| redis.is_url());
    // Not repeated: it may hold a password.
    let expected = "an address such as \"redis://:password@10.0.0.5:6379/0\" or \
                    \"redis+unix:///run/redis/redis.sock\"";
    faults.require(is_url, "directory.redis_url", expected);
    if let Some(url) = directory.url() {
        let is_place = url.parse::<Place>().is_ok_and(|place| place.path == "/");
        let is_place = is_place && url.parse::<Origin>().is_ok();
        let expected = "a URL without a path, such as \"https://a.example.net\", of a name or an IPv4 \
                        address; http:// is for loopback alone";
        faults.require(is_place && url.len() <= MAX_URL, "directory.public_url", expected);
    }
    let fits = is_id(&directory.prefix);
    faults.require(fits, "directory.prefix", "1 to 64 letters, digits, `-`, `_`, `.` or `@`");
}
