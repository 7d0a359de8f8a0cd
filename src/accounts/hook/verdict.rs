//! What is asked, and what the answer means.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::accounts::RingRefusal;
use crate::calls::ids::CallId;
use crate::identity::{DeviceId, UserId};

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub enum Question {
    /// May the caller ring the callee?
    Ring {
        version: u32,
        /// None: one that is to be started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
        caller: UserId,
        device: DeviceId,
        callee: UserId,
    },
    /// May the one write to the other?
    Write { version: u32, sender: UserId, device: DeviceId, recipient: UserId },
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Answer {
        status: u16,
        body: Vec<u8>,
    },
    /// The body is longer than [`MAX_ANSWER`].
    TooLong,
    Timeout,
    /// No connection, or one that broke off.
    Unreachable,
}

/// Bytes of a body.
pub const MAX_ANSWER: usize = 16 * 1024;
/// Characters of a reason; a longer one is cut.
const MAX_REASON: usize = 200;

// === impl Question ===

impl Question {
    pub const VERSION: u32 = 1;

    /// On whose behalf it is asked.
    pub fn asker(&self) -> &UserId {
        match self {
            Self::Ring { caller, .. } => caller,
            Self::Write { sender, .. } => sender,
        }
    }
}

/// Yes only where the service said so.
pub fn verdict(heard: &Heard) -> Result<(), RingRefusal> {
    let Heard::Answer { status: 200, body } = heard else { return Err(RingRefusal::Undecided) };
    // Looked at by name: a structure would be read from an array, too.
    let answer = serde_json::from_slice::<Value>(body).unwrap_or_default();
    match answer["allow"] {
        Value::Bool(true) => Ok(()),
        Value::Bool(false) => {
            let reason = answer["reason"].as_str().unwrap_or_default();
            Err(RingRefusal::Denied { reason: tidy(reason) })
        }
        _ => Err(RingRefusal::Undecided),
    }
}

/// A line of bounded length.
fn tidy(reason: &str) -> String {
    let line: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    if line.trim().is_empty() { "not allowed".to_owned() } else { line.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_yes_is_a_yes_and_a_no_brings_its_reason() {
        let answer = |status, body: &str| Heard::Answer { status, body: body.into() };
        let denied = |reason: &str| Err(RingRefusal::Denied { reason: reason.to_owned() });
        let undecided = Err(RingRefusal::Undecided);
        let long = "x".repeat(500);
        for (heard, expected) in [
            (answer(200, r#"{"allow": true}"#), Ok(())),
            (answer(200, r#"{"allow": true, "reason": "friends", "more": 1}"#), Ok(())),
            (answer(200, r#"{"allow": false, "reason": "at lunch"}"#), denied("at lunch")),
            (answer(200, r#"{"allow": false}"#), denied("not allowed")),
            (answer(200, r#"{"allow": false, "reason": "a\nb"}"#), denied("ab")),
            (
                answer(200, &format!(r#"{{"allow": false, "reason": "{long}"}}"#)),
                denied(&long[..200]),
            ),
            (answer(200, r#"{"allow": "true"}"#), undecided.clone()),
            (answer(200, r#"{"allow": 1}"#), undecided.clone()),
            (answer(200, "{}"), undecided.clone()),
            (answer(200, ""), undecided.clone()),
            (answer(200, "[true]"), undecided.clone()),
            (answer(201, r#"{"allow": true}"#), undecided.clone()),
            (answer(302, r#"{"allow": true}"#), undecided.clone()),
            (answer(403, r#"{"allow": false, "reason": "no"}"#), undecided.clone()),
            (answer(500, r#"{"allow": true}"#), undecided.clone()),
            (Heard::TooLong, undecided.clone()),
            (Heard::Timeout, undecided.clone()),
            (Heard::Unreachable, undecided),
        ] {
            assert_eq!(verdict(&heard), expected, "{heard:?}");
        }
    }

    #[test]
    fn a_question_has_the_form_that_operators_were_told() {
        let question = Question::Ring {
            version: Question::VERSION,
            call: Some("c1".parse().unwrap()),
            caller: "anna".parse().unwrap(),
            device: "d1".parse().unwrap(),
            callee: "bert".parse().unwrap(),
        };
        assert_eq!(
            serde_json::to_value(&question).unwrap(),
            json!({"question": "ring", "version": 1, "call": "c1",
                   "caller": "anna", "device": "d1", "callee": "bert"})
        );
    }
}
