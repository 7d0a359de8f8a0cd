//! What a node without accounts asks the one that has them, and what that answers. JSON, one
//! question in the body of a request that is signed.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::chat::Said;
use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{Few, ServerMessage};

/// Where questions are taken.
pub const PATH: &str = "/api/v1/internal/accounts";
/// Bytes of a question: the longest request that is passed on, with all of it escaped.
pub const MAX_QUESTION: usize = 512 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// Answered by a [`Greeting`].
    Greet {},
    /// A client's request about accounts, answered by what the client is to be [`Passed`].
    Request(Forwarded),
    /// Whether the device is the user's. `connects`: it is seen at this moment.
    SignedIn { address: Address, connects: bool },
    /// Whom of these the caller may ring. A list of refusals in their order, or null.
    MayRing { caller: Address, call: Option<CallId>, users: Few<UserId, 99> },
    /// What is around a user; null where nobody has contacts.
    Around { user: UserId },
    /// Answered by `Ok` with an outcome, or `Err` with a refusal.
    Said(Said),
    /// What there is for a device, after this message: a page, or null where that failed.
    Undelivered { address: Address, after: Option<i64> },
    /// A call of the asking node's is over.
    CallEnded { call: CallId },
}

/// What the node that has the accounts is like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Greeting {
    /// PEM of the key by which users sign in. None: operators sign users' tokens.
    pub key: Option<String>,
    /// As a client finds them: accounts, sign-up.
    pub features: Vec<String>,
}

/// A request as the client sent it, as far as accounts are concerned.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forwarded {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub content_type: Option<String>,
    pub body: String,
    /// Attempts that fail count against it.
    pub client: IpAddr,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Passed {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Messages that a device is to have, the last of them at `upto`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    pub messages: Vec<ServerMessage>,
    pub upto: i64,
    /// There may be more.
    pub full: bool,
}
