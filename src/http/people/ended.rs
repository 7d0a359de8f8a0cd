//! Calls that are over, as chat is to know.

use super::question::Question;
use super::{Decider, People};
use crate::accounts::chat::CallName;
use crate::calls::ids::CallId;

// === impl People ===

impl People {
    /// Nobody is in a call any more.
    pub async fn call_ended(&self, call: &CallId) {
        if let Decider::Elsewhere(node) = &self.decider {
            // Where this fails, whoever was in it reads on what nobody can add to.
            let _ = node.ask::<()>(&Question::CallEnded { call: call.clone() }).await;
        }
        let (Some(chat), Ok(name)) = (&self.chat, call.as_str().parse::<CallName>()) else {
            return;
        };
        if let Err(error) = chat.end_call(&name).await {
            self.count(&error);
        }
    }
}
