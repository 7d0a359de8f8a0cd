//! Which resource a path names, and which methods it has. `openapi.json` says the same in
//! public; a test holds the two together.

use warp::http::Method;

use super::problem::Problem;
use super::whip::no_channel;
use crate::channels::settings::{is_call_channel, is_channel_name};

/// A resource. What is borrowed is part of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    Whip {
        channel: &'a str,
    },
    WhipSession {
        channel: &'a str,
        session: &'a str,
    },
    Whep {
        channel: &'a str,
    },
    WhepSession {
        channel: &'a str,
        session: &'a str,
    },
    WhepEvents {
        channel: &'a str,
        session: &'a str,
    },
    WhepEventStream {
        channel: &'a str,
        session: &'a str,
        stream: &'a str,
    },
    WhepLayer {
        channel: &'a str,
        session: &'a str,
    },
    Channels,
    Channel {
        name: &'a str,
    },
    Thumbnail {
        name: &'a str,
    },
    Viewers {
        name: &'a str,
    },
    /// What is recorded of a channel at present.
    ChannelRecording {
        name: &'a str,
    },
    Recordings,
    Recording {
        recording: &'a str,
    },
    /// Where links to its files are made.
    RecordingLinks {
        recording: &'a str,
    },
    RecordingFile {
        recording: &'a str,
        file: &'a str,
    },
    Hardware,
    /// Reports that there are.
    Analytics,
    AnalyticsReport {
        report: &'a str,
    },
    /// Where devices that call are connected.
    WebSocket,
    Server,
    Me,
    /// Where accounts are made.
    Users,
    User {
        user: &'a str,
    },
    /// Where one signs in.
    SignIns,
    /// The user whose token it is, and what is theirs.
    Account(Own<'a>),
    /// Where other nodes ask about accounts.
    Questions,
    OpenApi,
    Healthz,
    Readyz,
    Metrics,
    /// A file of the web client, or nothing.
    Asset {
        path: &'a str,
    },
}

/// What belongs to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own<'a> {
    Profile,
    Token,
    Password,
    DisplayName,
    DoNotDisturb,
    Devices,
    Device(&'a str),
    Contacts,
    Contact(&'a str),
    Blocks,
    Block(&'a str),
}

const READ: &[Method] = &[Method::GET, Method::HEAD];

// === impl Route ===

impl<'a> Route<'a> {
    /// Paths are taken as they are written: nothing of ours needs percent-encoding.
    pub fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        match parts[..] {
            ["whip", channel] => Self::Whip { channel },
            ["whip", channel, session] => Self::WhipSession { channel, session },
            ["whep", channel] => Self::Whep { channel },
            ["whep", channel, session] => Self::WhepSession { channel, session },
            ["whep", channel, session, "sse"] => Self::WhepEvents { channel, session },
            ["whep", channel, session, "sse", stream] => {
                Self::WhepEventStream { channel, session, stream }
            }
            ["whep", channel, session, "layer"] => Self::WhepLayer { channel, session },
            ["api", "v1", "channels"] => Self::Channels,
            ["api", "v1", "channels", name] => Self::Channel { name },
            ["api", "v1", "channels", name, "thumbnail.jpg"] => Self::Thumbnail { name },
            ["api", "v1", "channels", name, "viewers"] => Self::Viewers { name },
            ["api", "v1", "channels", name, "recording"] => Self::ChannelRecording { name },
            ["api", "v1", "recordings"] => Self::Recordings,
            ["api", "v1", "recordings", recording] => Self::Recording { recording },
            ["api", "v1", "recordings", recording, "links"] => Self::RecordingLinks { recording },
            ["api", "v1", "recordings", recording, "files", file] => {
                Self::RecordingFile { recording, file }
            }
            ["api", "v1", "hardware"] => Self::Hardware,
            ["api", "v1", "analytics"] => Self::Analytics,
            ["api", "v1", "analytics", report] => Self::AnalyticsReport { report },
            ["api", "v1", "server"] => Self::Server,
            ["api", "v1", "me"] => Self::Me,
            ["api", "v1", "users"] => Self::Users,
            ["api", "v1", "users", user] => Self::User { user },
            ["api", "v1", "sign-ins"] => Self::SignIns,
            ["api", "v1", "account", ref rest @ ..] => {
                Own::of(rest).map_or(Self::Asset { path }, Self::Account)
            }
            ["api", "v1", "internal", "accounts"] => Self::Questions,
            ["api", "v1", "openapi.json"] => Self::OpenApi,
            ["ws"] => Self::WebSocket,
            ["healthz"] => Self::Healthz,
            ["readyz"] => Self::Readyz,
            ["metrics"] => Self::Metrics,
            _ => Self::Asset { path },
        }
    }

    /// Whether its name can be one at all: what can't be has no methods, and nothing to end.
    pub fn check(&self) -> Result<(), Problem> {
        match self {
            Self::Whip { channel }
            | Self::WhipSession { channel, .. }
            | Self::Whep { channel }
            | Self::WhepSession { channel, .. }
            | Self::WhepEvents { channel, .. }
            | Self::WhepEventStream { channel, .. }
            | Self::WhepLayer { channel, .. }
                if !is_channel_name(channel) =>
            {
                Err(no_channel(channel))
            }
            _ => Ok(()),
        }
    }

    /// Besides OPTIONS, which everything has.
    pub const fn methods(&self) -> &'static [Method] {
        match self {
            Self::Whip { .. }
            | Self::Whep { .. }
            | Self::WhepEvents { .. }
            | Self::WhepLayer { .. } => &[Method::POST],
            Self::WhipSession { .. } | Self::WhepSession { .. } => &[Method::PATCH, Method::DELETE],
            Self::WhepEventStream { .. } => &[Method::GET, Method::HEAD, Method::DELETE],
            Self::WebSocket => &[Method::GET],
            Self::Users | Self::SignIns | Self::Questions | Self::RecordingLinks { .. } => {
                &[Method::POST]
            }
            Self::ChannelRecording { .. } => {
                &[Method::GET, Method::HEAD, Method::POST, Method::DELETE]
            }
            Self::Recording { .. } => &[Method::GET, Method::HEAD, Method::DELETE],
            Self::Account(own) => own.methods(),
            Self::Channels => &[Method::GET, Method::HEAD, Method::POST],
            Self::Channel { .. } => &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE],
            Self::Thumbnail { .. }
            | Self::Viewers { .. }
            | Self::Recordings
            | Self::RecordingFile { .. }
            | Self::Hardware
            | Self::Analytics
            | Self::AnalyticsReport { .. }
            | Self::Server
            | Self::Me
            | Self::User { .. }
            | Self::OpenApi
            | Self::Healthz
            | Self::Readyz
            | Self::Metrics
            | Self::Asset { .. } => READ,
        }
    }

    /// Whether it is a way through the call server: passes alone open those, whoever's page it is.
    pub fn is_of_call(&self) -> bool {
        match self {
            Self::Whip { channel }
            | Self::WhipSession { channel, .. }
            | Self::Whep { channel }
            | Self::WhepSession { channel, .. }
            | Self::WhepEvents { channel, .. }
            | Self::WhepEventStream { channel, .. }
            | Self::WhepLayer { channel, .. } => is_call_channel(channel),
            _ => false,
        }
    }

    /// Whether the node that has the accounts is to answer.
    pub const fn is_of_accounts(&self) -> bool {
        matches!(self, Self::Users | Self::User { .. } | Self::SignIns | Self::Account(_))
    }

    /// As the Allow header has it.
    pub fn allow(&self) -> String {
        let methods = self.methods().iter().map(Method::as_str);
        methods.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
    }

    /// The metric label.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Whip { .. } => "whip",
            Self::WhipSession { .. } => "whip_session",
            Self::Whep { .. } => "whep",
            Self::WhepSession { .. } => "whep_session",
            Self::WhepEvents { .. } | Self::WhepEventStream { .. } => "whep_events",
            Self::WhepLayer { .. } => "whep_layer",
            Self::Channels => "channels",
            Self::Channel { .. } => "channel",
            Self::Thumbnail { .. } => "thumbnail",
            Self::Viewers { .. } => "viewers",
            Self::ChannelRecording { .. } => "channel_recording",
            Self::Recordings | Self::Recording { .. } | Self::RecordingLinks { .. } => "recordings",
            Self::RecordingFile { .. } => "recording_file",
            Self::Hardware => "hardware",
            Self::Analytics | Self::AnalyticsReport { .. } => "analytics",
            Self::WebSocket => "ws",
            Self::Server => "server",
            Self::Me => "me",
            Self::Users | Self::User { .. } => "users",
            Self::SignIns => "sign_ins",
            Self::Account(_) => "account",
            Self::Questions => "questions",
            Self::OpenApi => "openapi",
            Self::Healthz | Self::Readyz => "health",
            Self::Metrics => "metrics",
            Self::Asset { .. } => "asset",
        }
    }
}

// === impl Own ===

impl<'a> Own<'a> {
    fn of(parts: &[&'a str]) -> Option<Self> {
        Some(match *parts {
            [] => Self::Profile,
            ["token"] => Self::Token,
            ["password"] => Self::Password,
            ["display-name"] => Self::DisplayName,
            ["do-not-disturb"] => Self::DoNotDisturb,
            ["devices"] => Self::Devices,
            ["devices", device] => Self::Device(device),
            ["contacts"] => Self::Contacts,
            ["contacts", user] => Self::Contact(user),
            ["blocks"] => Self::Blocks,
            ["blocks", user] => Self::Block(user),
            _ => return None,
        })
    }

    const fn methods(self) -> &'static [Method] {
        match self {
            Self::Profile | Self::Devices | Self::Blocks => READ,
            Self::Token => &[Method::POST, Method::DELETE],
            Self::Password | Self::DisplayName => &[Method::PUT],
            Self::DoNotDisturb | Self::Contact(_) | Self::Block(_) => {
                &[Method::PUT, Method::DELETE]
            }
            Self::Device(_) => &[Method::DELETE],
            Self::Contacts => &[Method::GET, Method::HEAD, Method::POST],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_openapi_document_has_the_same_resources_and_methods() {
        let document: serde_json::Value =
            serde_json::from_str(include_str!("openapi.json")).unwrap();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let route = Route::of(path);
            assert!(!matches!(route, Route::Asset { .. }), "{path} is not served");
            names.insert(format!("{route:?}"));
            let documented: BTreeSet<String> = item
                .as_object()
                .unwrap()
                .keys()
                .filter(|key| *key != "parameters" && *key != "options")
                .map(|key| key.to_uppercase())
                .collect();
            let served: BTreeSet<String> = route
                .methods()
                .iter()
                .filter(|m| *m != Method::HEAD)
                .map(ToString::to_string)
                .collect();
            assert_eq!(served, documented, "{path}");
        }
        assert_eq!(names.len(), 41, "every resource is documented");
    }

    #[test]
    fn questions_are_taken_where_they_are_asked() {
        assert_eq!(Route::of(crate::http::people::QUESTIONS), Route::Questions);
    }

    #[test]
    fn what_is_not_a_resource_is_left_to_the_web_clients_files() {
        for path in ["/", "/app.js", "/whip", "/whip/", "/api/v1/", "/whep/a/b/c", "//", ""] {
            let is_asset =
                matches!(Route::of(path), Route::Asset { .. } | Route::Whip { channel: "" });
            assert!(is_asset, "{path}");
        }
    }
}
