//! Errors as clients see them: problem documents (RFC 9457) with the right status and a clear
//! sentence.

use std::time::Duration;

use serde::Serialize;
use warp::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use crate::channels::settings::Invalid;

/// What went wrong. Turned into a response by [`Problem::into_response`].
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub kind: Kind,
    pub detail: String,
    retry_after: Option<Duration>,
    /// Boxed, since few problems have one and every result holds the room for it.
    header: Option<Box<(&'static str, String)>>,
    errors: Vec<Invalid>,
    figures: Vec<Figure>,
}

/// The stable name of a problem, the end of its `type`. [`Kind::Blank`] says no more than its
/// status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Blank,
    NoToken,
    InvalidToken,
    Forbidden,
    ForeignOrigin,
    NoChannel,
    NoSession,
    InvalidBody,
    InvalidSettings,
    ChannelExists,
    StaticChannel,
    TooManyChannels,
    NotWhip,
    Busy,
    NoCommonCodec,
    NoRendition,
    BadOffer,
    BadFragment,
    IceRestart,
    Precondition,
    Draining,
    Full,
    WorkerUnavailable,
    OverBudget,
    RateLimited,
    NoRecordings,
    NoRecording,
    RecordingGoesOn,
    NoAccounts,
    AccountsAway,
    NoAnalytics,
    NoUser,
    NoDevice,
    NameTaken,
    WrongPassword,
    // Why contacts stay as they are.
    Yourself,
    AlreadyContacts,
    AlreadyAsked,
    Declined,
    BlockedByThem,
    BlockedByYou,
    NoRequest,
    NotContacts,
    TooManyContacts,
}

/// What a refusal for want of capacity is based on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub resource: String,
    pub capacity: f64,
    pub used: f64,
    pub asked: f64,
    pub unit: String,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Invalid],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    figures: &'a [Figure],
}

// === impl Kind ===

impl Kind {
    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Blank => return None,
            Self::NoToken => "no-token",
            Self::InvalidToken => "invalid-token",
            Self::Forbidden => "forbidden",
            Self::ForeignOrigin => "foreign-origin",
            Self::NoChannel => "no-channel",
            Self::NoSession => "no-session",
            Self::InvalidBody => "invalid-body",
            Self::InvalidSettings => "invalid-settings",
            Self::ChannelExists => "channel-exists",
            Self::StaticChannel => "static-channel",
            Self::TooManyChannels => "too-many-channels",
            Self::NotWhip => "not-whip",
            Self::Busy => "busy",
            Self::NoCommonCodec => "no-common-codec",
            Self::NoRendition => "no-rendition",
            Self::BadOffer => "bad-offer",
            Self::BadFragment => "bad-fragment",
            Self::IceRestart => "ice-restart",
            Self::Precondition => "precondition",
            Self::Draining => "draining",
            Self::Full => "full",
            Self::WorkerUnavailable => "worker-unavailable",
            Self::OverBudget => "over-budget",
            Self::RateLimited => "rate-limited",
            Self::NoRecordings => "no-recordings",
            Self::NoRecording => "no-recording",
            Self::RecordingGoesOn => "recording-goes-on",
            Self::NoAccounts => "no-accounts",
            Self::AccountsAway => "accounts-away",
            Self::NoAnalytics => "no-analytics",
            Self::NoUser => "no-user",
            Self::NoDevice => "no-device",
            Self::NameTaken => "name-taken",
            Self::WrongPassword => "wrong-password",
            Self::Yourself => "yourself",
            Self::AlreadyContacts => "already-contacts",
            Self::AlreadyAsked => "already-asked",
            Self::Declined => "declined",
            Self::BlockedByThem => "blocked-by-them",
            Self::BlockedByYou => "blocked-by-you",
            Self::NoRequest => "no-request",
            Self::NotContacts => "not-contacts",
            Self::TooManyContacts => "too-many-contacts",
        })
    }
}

// === impl Problem ===

impl Problem {
    pub fn new(status: StatusCode, kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            detail: detail.into(),
            retry_after: None,
            header: None,
            errors: Vec::new(),
            figures: Vec::new(),
        }
    }

    pub fn bad_request(kind: Kind, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, detail)
    }

    pub fn not_found(kind: Kind, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, kind, detail)
    }

    /// `allow` as the header has it.
    pub fn method_not_allowed(allow: String) -> Self {
        let detail = format!("expected one of {allow}");
        Self {
            header: Some(Box::new((ALLOW.as_str(), allow))),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, Kind::Blank, detail)
        }
    }

    pub fn upgrade_required(detail: impl Into<String>) -> Self {
        Self {
            header: Some(Box::new((UPGRADE.as_str(), "websocket".to_owned()))),
            ..Self::new(StatusCode::UPGRADE_REQUIRED, Kind::Blank, detail)
        }
    }

    pub fn unsupported_media_type(expected: &str) -> Self {
        let detail = format!("expected a body of type {expected}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Kind::Blank, detail)
    }

    /// `challenge` as WWW-Authenticate has it (RFC 6750).
    pub fn unauthorized(kind: Kind, challenge: String, detail: impl Into<String>) -> Self {
        Self {
            header: Some(Box::new((WWW_AUTHENTICATE.as_str(), challenge))),
            ..Self::new(StatusCode::UNAUTHORIZED, kind, detail)
        }
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        let challenge = "Bearer realm=\"stentor\", error=\"insufficient_scope\"".to_owned();
        Self {
            header: Some(Box::new((WWW_AUTHENTICATE.as_str(), challenge))),
            ..Self::new(StatusCode::FORBIDDEN, Kind::Forbidden, detail)
        }
    }

    pub fn unavailable(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail)
        }
    }

    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::too_often(retry_after, "too many requests from this address")
    }

    pub fn too_often(retry_after: Duration, detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::RateLimited, detail)
        }
    }

    pub fn invalid_settings(errors: Vec<Invalid>) -> Self {
        let first = errors.first().map_or_else(String::new, |e| match e.pointer.as_str() {
            "" => e.detail.clone(),
            pointer => format!("{pointer}: {}", e.detail),
        });
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, Kind::InvalidSettings, first) }
    }

    pub fn over_budget(detail: impl Into<String>, figures: Vec<Figure>) -> Self {
        Self { figures, ..Self::new(StatusCode::INSUFFICIENT_STORAGE, Kind::OverBudget, detail) }
    }

    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    pub fn into_response(self) -> Response {
        let document = Document {
            kind: self
                .kind
                .name()
                .map_or_else(|| "about:blank".to_owned(), |name| format!("/problems/{name}")),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            figures: &self.figures,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(pause) = self.retry_after {
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some((name, value)) = self.header.map(|header| *header)
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            headers.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> serde_json::Value {
        let bytes = super::super::reply::collect(response).await;
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_problem_says_what_where_and_when_to_try_again() {
        let errors = vec![Invalid { pointer: "/ladder".into(), detail: "expected less".into() }];
        let response = Problem::invalid_settings(errors).into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let document = body(response).await;
        assert_eq!(
            document,
            serde_json::json!({
                "type": "/problems/invalid-settings",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "/ladder: expected less",
                "errors": [{"pointer": "/ladder", "detail": "expected less"}],
            })
        );

        let limited = Problem::rate_limited(Duration::from_millis(1200)).into_response();
        assert_eq!(limited.headers()[RETRY_AFTER], "2");
        let refused = Problem::method_not_allowed("GET, PUT".into()).into_response();
        assert_eq!(refused.headers()[ALLOW], "GET, PUT");
        assert_eq!(body(refused).await["type"], "about:blank");
    }
}
