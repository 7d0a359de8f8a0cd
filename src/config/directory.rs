//! `[directory]`: which other nodes this one is one service with.

use serde::{Deserialize, Serialize};
use stentor_protocol::units::Secret;

use super::Config;
use super::check::Faults;
use crate::directory::RedisConfig;
use crate::identity::is_id;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Directory {
    /// Default: none, and this node is by itself. A secret, since it may hold a password.
    pub redis_url: Option<Secret>,
    /// What all keys in Redis begin with. Default stentor.
    pub prefix: String,
}

// === impl Directory ===

impl Default for Directory {
    fn default() -> Self {
        Self { redis_url: None, prefix: "stentor".to_owned() }
    }
}

impl Directory {
    /// None without Redis.
    pub fn redis(&self) -> Option<RedisConfig> {
        let url = self.redis_url.as_ref()?.0.clone();
        Some(RedisConfig { url, prefix: self.prefix.clone() })
    }
}

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let directory = &config.directory;
    let is_url = directory.redis().is_none_or(|redis| redis.is_url());
    // Not repeated: it may hold a password.
    let expected = "an address such as \"redis://:password@10.0.0.5:6379/0\" or \
                    \"redis+unix:///run/redis/redis.sock\"";
    faults.require(is_url, "directory.redis_url", expected);
    let fits = is_id(&directory.prefix);
    faults.require(fits, "directory.prefix", "1 to 64 letters, digits, `-`, `_`, `.` or `@`");
}
