//! An event: what it is about, and what happened; and as it stands in the log.

use serde::{Deserialize, Serialize};

use super::id::EventId;
use super::kinds::Data;
use crate::identity::NodeId;
use crate::rfc3339::Millis;

/// Something that happened. The log adds id, time and node.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub subject: Subject,
    pub cause: Option<String>,
    pub data: Data,
}

/// What an event is about, as far as that applies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// Everything about a logged event but its data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Envelope {
    pub id: EventId,
    /// When it happened, by its node's clock.
    pub time: Millis,
    pub node: String,
    /// Such as `call.started`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of the type's data.
    pub version: u32,
    #[serde(default)]
    pub call: Option<String>,
    #[serde(default)]
    pub recording: Option<String>,
    #[serde(default)]
    pub channel: Option<String>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub device: Option<String>,
    /// Why, as a word or a sentence.
    #[serde(default)]
    pub cause: Option<String>,
}

/// An event as it was logged. What is in it besides the envelope is read when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub envelope: Envelope,
    /// The event's line, JSON without the newline.
    pub line: String,
}

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("no event: {0}")]
    Json(#[from] serde_json::Error),
    /// Of a newer server: to be passed over.
    #[error("no event has the type {0}")]
    Unknown(String),
    /// Of a newer server: to be passed over.
    #[error("version {version} of {kind} isn't known")]
    Version { kind: String, version: u32 },
}

#[derive(Serialize)]
struct Written<'a> {
    id: EventId,
    time: Millis,
    node: &'a NodeId,
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    #[serde(flatten)]
    subject: &'a Subject,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    data: &'a Data,
}

/// What consumers see of an event at most; sentences that others wrote are cut to it.
const MAX_CAUSE: usize = 300;

// === impl Event ===

impl Event {
    pub fn new(data: impl Into<Data>) -> Self {
        Self { subject: Subject::default(), cause: None, data: data.into() }
    }

    pub fn of_call(mut self, call: impl ToString) -> Self {
        self.subject.call = Some(call.to_string());
        self
    }

    pub fn of_recording(mut self, recording: impl ToString) -> Self {
        self.subject.recording = Some(recording.to_string());
        self
    }

    pub fn of_channel(mut self, channel: impl ToString) -> Self {
        self.subject.channel = Some(channel.to_string());
        self
    }

    pub fn of_user(mut self, user: impl ToString) -> Self {
        self.subject.user = Some(user.to_string());
        self
    }

    pub fn of_device(mut self, device: impl ToString) -> Self {
        self.subject.device = Some(device.to_string());
        self
    }

    /// Why it happened, as a word or a sentence of at most 300 characters; more is cut off.
    pub fn because(mut self, cause: impl ToString) -> Self {
        let cause = cause.to_string();
        let end = cause.char_indices().nth(MAX_CAUSE).map_or(cause.len(), |(at, _)| at);
        self.cause = Some(cause[..end].to_owned());
        self
    }

    /// Adds its line, with the newline, to `to`.
    pub fn write(
        &self,
        id: EventId,
        time: Millis,
        node: &NodeId,
        to: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let (kind, version) = (self.data.kind(), self.data.version());
        let (subject, cause, data) = (&self.subject, self.cause.as_deref(), &self.data);
        let written = Written { id, time, node, kind, version, subject, cause, data };
        let before = to.len();
        // Half a line would be somebody else's problem.
        serde_json::to_writer(&mut *to, &written).inspect_err(|_| to.truncate(before))?;
        to.push(b'\n');
        Ok(())
    }
}

// === impl Logged ===

impl Logged {
    /// Reads a line; the newline at its end may be there.
    pub fn read(line: &[u8]) -> Result<Self, Unreadable> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let envelope = serde_json::from_slice(line)?;
        // It was JSON, so it is UTF-8.
        let mut text = String::from_utf8_lossy(line).into_owned();
        if text.contains(['\n', '\r']) {
            // Between tokens, where they stand for nothing: others may have written it.
            text = text.replace(['\n', '\r'], " ");
        }
        Ok(Self { envelope, line: text })
    }

    /// What happened.
    pub fn data(&self) -> Result<Data, Unreadable> {
        Data::read(&self.envelope, &self.line)
    }
}

// === impl Envelope ===

impl Envelope {
    /// What Kafka keeps in order: the call, or whatever else it is about.
    pub fn key(&self) -> &str {
        let subjects = [&self.call, &self.recording, &self.channel, &self.device, &self.user];
        subjects.into_iter().flatten().next().unwrap_or(&self.node)
    }
}
