//! A device's text into a message, or what is wrong with it. Nothing here closes a socket.

use serde::Deserialize;
use serde_json::Value;

use super::client::ClientMessage;
use super::server::ServerMessage;
use super::shapes::{ErrorCode, Sentence};
use super::{MAX_MESSAGE, VERSION};

/// A message, and the number that its answer is to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub request: Option<u32>,
    pub message: ClientMessage,
}

/// What couldn't be read. The client's fault; to be answered, not to be punished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Unreadable {
    pub request: Option<u32>,
    pub fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the message has {0} bytes, at most {MAX_MESSAGE} are taken")]
    TooLong(usize),
    #[error("the message is no JSON: {0}")]
    NotJson(String),
    #[error("the message is no object with a \"type\"")]
    NoType,
    #[error("no message has the type \"{0}\"")]
    UnknownType(String),
    #[error("version {0} isn't spoken here, version {VERSION} is")]
    Version(String),
    #[error("\"{kind}\": {detail}")]
    Invalid { kind: String, detail: String },
}

/// Of what a client sent, this much is repeated to it.
const ECHO: usize = 80;
/// Of a session description. Browsers' have a few sections, and lines far below this.
const MOST_SECTIONS: usize = 128;
const MOST_LINE: usize = 8192;

/// Reads one message.
pub fn read(text: &str) -> Result<Received, Unreadable> {
    let early = |fault| Unreadable { request: None, fault };
    if text.len() > MAX_MESSAGE {
        return Err(early(Fault::TooLong(text.len())));
    }
    // serde_json goes 128 levels deep and no further.
    let value: Value = serde_json::from_str(text)
        .map_err(|error| early(Fault::NotJson(cut(&error.to_string()))))?;
    let Value::Object(mut fields) = value else { return Err(early(Fault::NoType)) };
    let number = fields.remove("request");
    let request = number.as_ref().and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let refuse = |fault| Err(Unreadable { request, fault });
    let Some(kind) = fields.get("type").and_then(Value::as_str).map(str::to_owned) else {
        return refuse(Fault::NoType);
    };
    if !ClientMessage::NAMES.contains(&kind.as_str()) {
        return refuse(Fault::UnknownType(cut(&kind)));
    }
    if number.is_some() && request.is_none() {
        let detail = "\"request\" is no number from 0 to 4294967295".to_owned();
        return refuse(Fault::Invalid { kind, detail });
    }
    // Before the rest is looked at: another version may have other fields.
    if let Some(version) = fields.get("version").filter(|v| **v != VERSION)
        && matches!(kind.as_str(), "hello" | "resume")
    {
        return refuse(Fault::Version(cut(&version.to_string())));
    }
    match ClientMessage::deserialize(Value::Object(fields)) {
        Ok(message) if is_bomb(&message) => refuse(Fault::Invalid { kind, detail: bomb() }),
        Ok(message) => Ok(Received { request, message }),
        Err(error) => refuse(Fault::Invalid { kind, detail: cut(&error.to_string()) }),
    }
}

/// A description that is worse to whoever gets it than its length says.
fn is_bomb(message: &ClientMessage) -> bool {
    let (ClientMessage::Offer { sdp, .. } | ClientMessage::Answer { sdp, .. }) = message else {
        return false;
    };
    let sections = sdp.as_str().lines().filter(|line| line.starts_with("m="));
    sections.count() > MOST_SECTIONS || sdp.as_str().lines().any(|line| line.len() > MOST_LINE)
}

fn bomb() -> String {
    format!("\"sdp\": at most {MOST_SECTIONS} sections and lines of {MOST_LINE} bytes are taken")
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(ECHO * 2).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

// === impl Unreadable ===

impl Unreadable {
    /// What the client is told.
    pub fn answer(&self) -> ServerMessage {
        let code = match self.fault {
            Fault::TooLong(_) => ErrorCode::TooLong,
            Fault::NotJson(_) => ErrorCode::NotJson,
            Fault::UnknownType(_) => ErrorCode::UnknownType,
            Fault::Version(_) => ErrorCode::UnsupportedVersion,
            Fault::NoType | Fault::Invalid { .. } => ErrorCode::Invalid,
        };
        ServerMessage::Error {
            code,
            detail: Sentence::cut(&self.to_string()),
            call: None,
            user: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(text: &str) -> String {
        match read(text).map_err(|error| error.answer()) {
            Err(ServerMessage::Error { code, detail, .. }) => {
                format!("{code:?}: {}", detail.as_str())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (text, expected) in [
            ("", "NotJson: the message is no JSON: EOF while parsing"),
            ("[]", "Invalid: the message is no object with a \"type\""),
            ("{}", "Invalid: the message is no object with a \"type\""),
            (r#"{"type":1}"#, "Invalid: the message is no object with a \"type\""),
            (r#"{"type":"dance"}"#, "UnknownType: no message has the type \"dance\""),
            (r#"{"type":"ping","x":1}"#, "Invalid: \"ping\": unknown field `x`"),
            (r#"{"type":"leave"}"#, "Invalid: \"leave\": missing field `call`"),
            (r#"{"type":"leave","call":"a b"}"#, "Invalid: \"leave\": expected an id: 1 to 64"),
            (r#"{"type":"leave","call":7}"#, "Invalid: \"leave\": invalid type: integer `7`"),
            (r#"{"type":"ping","request":-1}"#, "Invalid: \"ping\": \"request\" is no number"),
            (
                r#"{"type":"hello","version":2,"colour":1}"#,
                "UnsupportedVersion: version 2 isn't spoken here, version 1 is",
            ),
        ] {
            let found = detail(text);
            assert!(found.starts_with(expected), "{text}\n  gives {found}");
        }
    }

    #[test]
    fn the_request_is_known_even_of_a_message_that_is_not() {
        let error = read(r#"{"type":"dance","request":7}"#).unwrap_err();
        assert_eq!(error.request, Some(7));
        let received = read(r#"{"type":"ping","request":8}"#).unwrap();
        assert_eq!(received, Received { request: Some(8), message: ClientMessage::Ping {} });
    }

    #[test]
    fn huge_and_deep_messages_are_refused_in_a_few_words() {
        let deep = format!("{{\"type\":\"ping\",\"x\":{}}}", "[".repeat(100_000));
        assert!(detail(&deep).starts_with("NotJson"), "{}", detail(&deep));
        let huge = format!("{{\"type\":\"{}\"}}", "x".repeat(MAX_MESSAGE));
        assert!(detail(&huge).starts_with("TooLong"));
        let long = format!("{{\"type\":\"{}\"}}", "x".repeat(10_000));
        assert!(detail(&long).len() < 600);
        let bomb = serde_json::json!({
            "type": "offer", "call": "c", "session": 1, "epoch": 0, "sdp": "v".repeat(70_000)
        });
        assert!(detail(&bomb.to_string()).contains("at most 65536 characters"));
        for sdp in ["m=x\r\n".repeat(129), format!("v=0\na={}", "x".repeat(8200))] {
            let bomb = serde_json::json!({
                "type": "answer", "call": "c", "session": 1, "epoch": 0, "sdp": sdp
            });
            assert!(detail(&bomb.to_string()).contains("at most 128 sections"));
        }
    }
}
