//! What people are told of a recording.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::accounts::DatabaseError;
use crate::recording::catalogue::{Catalogue, State};
use crate::recording::ids::RecordingId;
use crate::rfc3339;

/// A recording that is there, or won't be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct News {
    pub version: u32,
    pub recording: RecordingId,
    /// `channel` or `call`.
    pub kind: &'static str,
    /// The channel's name, or the call's.
    pub of: String,
    /// `ready` or `failed`.
    pub state: State,
    pub started_at: String,
    pub ended_at: Option<String>,
    pub participants: Vec<Who>,
    pub files: Vec<Named>,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Who {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    pub name: String,
    pub bytes: u64,
    pub duration_ms: u64,
}

// === impl News ===

impl News {
    /// None: the recording is gone.
    pub async fn of(
        catalogue: &Catalogue,
        id: &RecordingId,
    ) -> Result<Option<Self>, DatabaseError> {
        let Some(entry) = catalogue.get(id).await? else { return Ok(None) };
        let participants = catalogue.participants(id).await?;
        let files = catalogue.files(id).await?;
        Ok(Some(Self {
            version: 1,
            recording: entry.id,
            kind: entry.subject.kind(),
            of: entry.subject.of().to_owned(),
            state: entry.state,
            started_at: time(entry.started_ms),
            ended_at: entry.ended_ms.map(time),
            participants: participants
                .into_iter()
                .map(|who| Who { user: who.user, name: who.name })
                .collect(),
            files: files
                .into_iter()
                .map(|file| {
                    let (bytes, duration_ms) = (file.bytes, file.duration_ms);
                    Named { name: file.name, bytes, duration_ms }
                })
                .collect(),
            reason: entry.reason,
        }))
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Ours: it has no map with keys that aren't strings.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Milliseconds since 1970, for people.
pub fn time(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    rfc3339::format(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH))
}
