//! A device that calls, at a server in this process.

use serde_json::{Value, json};

use crate::support::Server;

#[path = "../support/device.rs"]
mod base;

pub use base::{Device, hello, media};

/// What a device in a call has at the call server.
pub struct Legs {
    /// Paths of WHIP and of the first WHEP.
    pub publish: String,
    pub watch: String,
    pub token: String,
}

/// Two devices in a call of the first one's.
pub async fn call(one: &mut Device, other: &mut Device, name: &str) -> Value {
    one.say(json!({"type": "invite", "users": [name], "media": media()})).await;
    let call = one.expect("call").await["call"].clone();
    other.expect("ring").await;
    other.say(json!({"type": "accept", "call": call, "media": media()})).await;
    other.expect("call").await;
    call
}

// === impl Device ===

impl Device {
    pub async fn connect(server: &Server) -> Self {
        Self::connect_to(&server.url("")).await
    }

    pub async fn sign_in(server: &Server, user: &str) -> Self {
        let mut device = Self::connect(server).await;
        device.introduce(hello(user, "one")).await;
        device
    }

    /// Another socket for a session, after message `seq`.
    pub async fn resume(server: &Server, session: &str, seq: u64) -> Self {
        let mut device = Self::connect(server).await;
        device.go_on(session, seq).await;
        device
    }

    /// One that shows a token.
    pub async fn sign_in_with(server: &Server, user: &str, token: &str) -> Self {
        let mut device = Self::connect(server).await;
        let mut hello = hello(user, "one");
        hello["token"] = token.into();
        device.introduce(hello).await;
        device
    }

    /// What the device may do at the call server, once there is something for it to do.
    pub async fn legs(&mut self) -> Legs {
        loop {
            let legs = self.expect("legs").await;
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            if legs["publish"].is_string() && legs["watch"][0].is_object() {
                return Legs {
                    publish: text(&legs["publish"]),
                    watch: text(&legs["watch"][0]["url"]),
                    token: text(&legs["token"]),
                };
            }
        }
    }
}
