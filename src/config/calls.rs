//! `[calls]`: people who call each other, over the web socket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Faults;
use super::units::Period;
use crate::directory::MAX_DEVICES;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Default true.
    pub enabled: bool,
    /// How long a device rings. Default 45 s.
    pub ring_timeout: Period,
    /// A web socket of which nothing is heard for so long is closed. Default 60 s.
    pub idle_timeout: Period,
    /// Web sockets at once; about 20 kB each. Default 10000.
    pub max_sockets: usize,
    /// Devices of one user at once, on this node. Default 8, at most 32.
    pub max_user_devices: usize,
    /// Calls at once. Default 2000.
    pub max_calls: usize,
    /// People in one call. Default 100, at most 100.
    pub max_participants: usize,
    /// Past so many in it, a call goes through the server; up to so many it may, where lines and
    /// distances speak for that. Default 12, at most 16.
    pub mesh_most: usize,
    /// Participants of all calls who send through the server at once; a process each. Default 200.
    pub max_senders: usize,
    /// Messages that one web socket may send a second on average. Default 50.
    pub messages_per_second: u32,
    /// Messages that one web socket may send at once. Default 300.
    pub message_burst: u32,
    /// People that one user may ring a minute on average, and at once. Default 20.
    pub rings_per_minute: u32,
}

// === impl Calls ===

impl Default for Calls {
    fn default() -> Self {
        Self {
            enabled: true,
            ring_timeout: Period::from_secs(45),
            idle_timeout: Period::from_secs(60),
            max_sockets: 10_000,
            max_user_devices: 8,
            max_calls: 2000,
            max_participants: 100,
            mesh_most: 12,
            max_senders: 200,
            messages_per_second: 50,
            message_burst: 300,
            rings_per_minute: 20,
        }
    }
}

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let calls = &config.calls;
    let s = Duration::from_secs;
    faults.period("calls.ring_timeout", calls.ring_timeout, s(1)..=s(300));
    faults.period("calls.idle_timeout", calls.idle_timeout, s(3)..=s(600));
    let people = (2..=100).contains(&calls.max_participants);
    faults.require(people, "calls.max_participants", "2 to 100");
    faults.require((1..=16).contains(&calls.mesh_most), "calls.mesh_most", "1 to 16");
    let devices = (1..=MAX_DEVICES).contains(&calls.max_user_devices);
    faults.require(devices, "calls.max_user_devices", "1 to 32");
    for (key, value) in [
        ("calls.max_sockets", calls.max_sockets),
        ("calls.max_calls", calls.max_calls),
        ("calls.max_senders", calls.max_senders),
        ("calls.messages_per_second", calls.messages_per_second as usize),
        ("calls.message_burst", calls.message_burst as usize),
        ("calls.rings_per_minute", calls.rings_per_minute as usize),
    ] {
        faults.require(value > 0, key, "1 or more");
    }
}
