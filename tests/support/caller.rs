//! A device that calls, at a daemon.

use serde_json::{Value, json};

use super::Daemon;
use super::device::hello_as;

pub use super::device::{Device as Caller, media};

// === impl Caller ===

impl Caller {
    pub async fn sign_in(daemon: &Daemon, user: &str, device: &str) -> Self {
        Self::enter(daemon, json!({"user": user, "device": device})).await
    }

    /// Signs in as `who` says: by a name, or by a token.
    pub async fn enter(daemon: &Daemon, who: Value) -> Self {
        let mut caller = Self::connect_to(&daemon.url).await;
        caller.introduce(hello_as(&who)).await;
        caller
    }

    /// Another socket for a session, after message `seq`.
    pub async fn resume(daemon: &Daemon, session: String, seq: u64) -> Self {
        let mut caller = Self::connect_to(&daemon.url).await;
        caller.go_on(&session, seq).await;
        caller
    }

    pub async fn invite(&mut self, users: &[&str]) -> Value {
        self.say(json!({"type": "invite", "users": users, "media": media()})).await;
        self.expect("call").await["call"].clone()
    }

    pub async fn accept(&mut self, call: &Value) {
        self.say(json!({"type": "accept", "call": call, "media": media()})).await;
        self.expect("call").await;
    }

    /// Waits until a user is shown like this.
    pub async fn sees(&mut self, user: &str, availability: &str) {
        loop {
            let message = self.expect("presence").await;
            if message["user"] == user && message["availability"] == availability {
                return;
            }
        }
    }
}
