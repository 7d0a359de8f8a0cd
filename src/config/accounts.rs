//! `[accounts]`: users with names and passwords, contacts and chat; or an operator's own service
//! in place of the first two; or the node that has all of it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Faults;
use super::units::Period;
use crate::accounts::hook::Place;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    /// Default false: whoever calls is known to everybody, and nothing is stored.
    pub enabled: bool,
    /// The SQLite file. Default: accounts.db in the state directory.
    pub database: Option<PathBuf>,
    /// Who makes accounts. Default: an operator.
    pub sign_up: SignUp,
    /// How long a sign-in lasts without a renewal. Default 12 h.
    pub token_life: Period,
    /// A file with the secret by which other nodes ask about accounts, 16 bytes at least. Default:
    /// none do.
    pub nodes_secret_file: Option<PathBuf>,
    /// The node that has the accounts, where that is another one, and its secret for others. With
    /// it, what else there is of accounts in this file counts for nothing.
    pub at: Asked,
    /// The operator's own user service, in place of this server's users.
    pub hook: Asked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignUp {
    /// Anybody.
    Open,
    /// Whoever has an admin token.
    Operator,
}

/// A server that is asked: the operator's own user service, or the node that has the accounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    /// Default none: nobody is asked.
    pub url: Option<String>,
    /// A file with the secret by which questions are signed, 16 bytes at least.
    pub secret_file: Option<PathBuf>,
    /// PEM certificates that are trusted. Default: those of the system.
    pub ca_file: PathBuf,
    /// For a question and its answer; after it the answer is no. Default 3 s.
    pub timeout: Period,
}

// === impl Accounts ===

impl Default for Accounts {
    fn default() -> Self {
        Self {
            enabled: false,
            database: None,
            sign_up: SignUp::Operator,
            token_life: Period::from_secs(12 * 3600),
            nodes_secret_file: None,
            at: Asked::default(),
            hook: Asked::default(),
        }
    }
}

// === impl Asked ===

impl Default for Asked {
    fn default() -> Self {
        Self {
            url: None,
            secret_file: None,
            ca_file: "/etc/ssl/certs/ca-certificates.crt".into(),
            timeout: Period::from_secs(3),
        }
    }
}

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let accounts = &config.accounts;
    let s = Duration::from_secs;
    faults.period("accounts.token_life", accounts.token_life, s(60)..=s(90 * 86_400));
    faults.period("accounts.hook.timeout", accounts.hook.timeout, s(1)..=s(10));
    faults.period("accounts.at.timeout", accounts.at.timeout, s(1)..=s(10));
    for (name, asked) in [("accounts.at", &accounts.at), ("accounts.hook", &accounts.hook)] {
        if let Some(Err(error)) = asked.url.as_deref().map(str::parse::<Place>) {
            faults.add(format!("{name}.url"), format!("`url`: {error}"));
        }
        if asked.url.is_some() != asked.secret_file.is_some() {
            faults.add(name, "expected `url` and `secret_file` together");
        }
    }
    if accounts.enabled && !config.calls.enabled {
        faults.add("accounts.enabled", "expected `calls.enabled` with it");
    }
}
