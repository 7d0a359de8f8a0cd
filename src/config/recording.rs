//! `[recording]`: what is recorded, where it is kept, who is told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Faults;
use super::units::{Period, Size};
use crate::accounts::hook::Place;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// Default true, where there is a state directory.
    pub enabled: bool,
    /// Who in a call may have it recorded. Default: whoever started it.
    pub who: Who,
    /// The files that are made of a recording. Default: each sender's tracks.
    pub forms: BTreeSet<Form>,
    /// How long a chunk is about: what a crash costs at most. Default 2 s.
    pub chunk: Period,
    /// Where workers write. Default: recordings/spool in the state directory.
    pub spool: Option<PathBuf>,
    /// What may wait there. The newest chunks are left out past it. Default 10 GiB.
    pub spool_max_bytes: Size,
    /// Chunks that are shipped at the same time. Default 4.
    pub uploads: usize,
    /// A channel's recording that lasts so long is ended, and another begun. Default 4 h.
    pub channel_length: Period,
    /// Who makes files of chunks. Default: this daemon.
    pub creator: Creator,
    /// Where it works. Default: recordings/scratch in the state directory.
    pub scratch: Option<PathBuf>,
    /// A file that isn't made in that time isn't made. Default 2 h.
    pub compile_timeout: Period,
    /// How often a file is tried. Default 5.
    pub attempts: u32,
    /// A file creator that isn't heard of for so long is given up. Default 30 s.
    pub lease: Period,
    /// Recordings are deleted after so many days; 0: never. Default 0.
    pub keep_days: u32,
    /// Other servers have the same store of files, and each lists what all recorded. Default false.
    pub shared: bool,
    /// How long a link to a file is good. Default 4 h.
    pub link_life: Period,
    /// Where chunks wait until a file is made of them.
    pub chunks: ObjectStore,
    /// Where files stay.
    pub files: ObjectStore,
    pub webhook: Webhook,
    pub mail: Mail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    Anyone,
    /// Whoever started the call.
    Inviter,
    Nobody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A file for each sender, as it was sent.
    Tracks,
    /// One picture of all, and one sound.
    Composite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Creator {
    Here,
    /// `stentor archive` processes.
    Elsewhere,
}

/// A folder, or a bucket of S3 or of what speaks like it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectStore {
    /// Default: recordings/chunks, recordings/files and analytics/dump in the state directory.
    pub folder: Option<PathBuf>,
    /// S3, instead of the folder. Default none.
    pub bucket: Option<String>,
    /// Such as https://minio.example.net. Default: Amazon's of the region.
    pub endpoint: Option<String>,
    /// Default us-east-1.
    pub region: String,
    /// In front of every object's name. Default none.
    pub prefix: String,
    /// A file with lines `aws_access_key_id = …` and `aws_secret_access_key = …`. Default: the
    /// environment's `AWS_ACCESS_KEY_ID` and so on.
    pub credentials_file: Option<PathBuf>,
    /// The bucket stands in the path and not in the host's name. Default true.
    pub path_style: bool,
    /// How long a store may be silent: before its answer, and in it. Default 30 s.
    pub timeout: Period,
}

/// Who is told by a signed request that a recording is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// Default none.
    pub url: Option<String>,
    /// A file with the secret that signs, 16 bytes at least.
    pub secret_file: Option<PathBuf>,
    /// PEM certificates that are trusted. Default: those of the system.
    pub ca_file: PathBuf,
    /// For a request and its answer. Default 10 s.
    pub timeout: Period,
}

/// Mail to those who were in a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// SMTP server, `host:port`. Default none.
    pub server: Option<String>,
    /// Default starttls; none is for loopback alone.
    pub security: MailSecurity,
    /// PEM certificates that are trusted. Default: those of the system.
    pub ca_file: Option<PathBuf>,
    pub user: Option<String>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// Sender.
    pub from: Option<String>,
    /// Recipient, with the user's name in place of `{user}`, such as `{user}@example.net`.
    pub to: Option<String>,
    /// The page's address in mails, such as https://meet.example.net/. Default none.
    pub page: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    Tls,
    Starttls,
    None,
}

// === impl Recording ===

impl Default for Recording {
    fn default() -> Self {
        Self {
            enabled: true,
            who: Who::Inviter,
            forms: BTreeSet::from([Form::Tracks]),
            chunk: Period::from_secs(2),
            spool: None,
            spool_max_bytes: Size::from_gib(10),
            uploads: 4,
            channel_length: Period::from_secs(4 * 3600),
            creator: Creator::Here,
            scratch: None,
            compile_timeout: Period::from_secs(2 * 3600),
            attempts: 5,
            lease: Period::from_secs(30),
            keep_days: 0,
            shared: false,
            link_life: Period::from_secs(4 * 3600),
            chunks: ObjectStore::default(),
            files: ObjectStore::default(),
            webhook: Webhook::default(),
            mail: Mail::default(),
        }
    }
}

// === impl ObjectStore ===

impl Default for ObjectStore {
    fn default() -> Self {
        Self {
            folder: None,
            bucket: None,
            endpoint: None,
            region: "us-east-1".to_owned(),
            prefix: String::new(),
            credentials_file: None,
            path_style: true,
            timeout: Period::from_secs(30),
        }
    }
}

// === impl Webhook ===

impl Default for Webhook {
    fn default() -> Self {
        Self {
            url: None,
            secret_file: None,
            ca_file: "/etc/ssl/certs/ca-certificates.crt".into(),
            timeout: Period::from_secs(10),
        }
    }
}

// === impl Mail ===

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: None,
            security: MailSecurity::Starttls,
            ca_file: None,
            user: None,
            password_file: None,
            from: None,
            to: None,
            page: None,
        }
    }
}

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let recording = &config.recording;
    let s = Duration::from_secs;
    let ms = Duration::from_millis;
    faults.period("recording.chunk", recording.chunk, ms(500)..=s(30));
    faults.period("recording.channel_length", recording.channel_length, s(10)..=s(7 * 86_400));
    faults.period("recording.compile_timeout", recording.compile_timeout, s(1)..=s(2 * 86_400));
    faults.period("recording.lease", recording.lease, s(1)..=s(3600));
    faults.period("recording.link_life", recording.link_life, s(1)..=s(30 * 86_400));
    faults.period("recording.webhook.timeout", recording.webhook.timeout, ms(100)..=s(60));
    faults.require((1..=64).contains(&recording.uploads), "recording.uploads", "1 to 64");
    faults.require((1..=100).contains(&recording.attempts), "recording.attempts", "1 to 100");
    faults.require(!recording.forms.is_empty(), "recording.forms", "one form at least");
    let least = Size(1 << 20);
    let spool = recording.spool_max_bytes >= least;
    faults.require(spool, "recording.spool_max_bytes", "1MiB or more");
    for (name, store) in [("chunks", &recording.chunks), ("files", &recording.files)] {
        check_store(&format!("recording.{name}"), store, faults);
    }
    let webhook = &recording.webhook;
    if let Some(Err(error)) = webhook.url.as_deref().map(str::parse::<Place>) {
        faults.add("recording.webhook.url", format!("`url`: {error}"));
    }
    if webhook.url.is_some() != webhook.secret_file.is_some() {
        faults.add("recording.webhook", "expected `url` and `secret_file` together");
    }
    check_mail(&recording.mail, faults);
}

pub(super) fn check_store(key: &str, store: &ObjectStore, faults: &mut Faults) {
    faults.period(
        &format!("{key}.timeout"),
        store.timeout,
        Duration::from_millis(100)..=Duration::from_secs(600),
    );
    if store.bucket.is_none() && store.endpoint.is_some() {
        faults.add(format!("{key}.endpoint"), "expected a `bucket` with it");
    }
    if let Some(endpoint) = &store.endpoint {
        let place = endpoint.parse::<Place>();
        let expected = "such as \"https://minio.example.net\"; http:// is for loopback alone";
        faults.require(place.is_ok(), &format!("{key}.endpoint"), expected);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let fine = store.prefix.chars().all(plain) && !store.prefix.contains("..");
    faults.require(fine, &format!("{key}.prefix"), "letters, digits, `-`, `_`, `.` and `/`");
}

fn check_mail(mail: &Mail, faults: &mut Faults) {
    let Some(server) = &mail.server else { return };
    let host = server.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    faults.require(host.is_some(), "recording.mail.server", "`host:port`");
    let local = ["127.0.0.1", "localhost", "[::1]"];
    let is_local = host.is_some_and(|(host, _)| local.contains(&host));
    if mail.security == MailSecurity::None && !is_local {
        faults.add("recording.mail.security", "`security`: none is for loopback alone");
    }
    let fine = mail.from.is_some() && mail.to.as_deref().is_some_and(|to| to.contains("{user}"));
    faults.require(
        fine,
        "recording.mail.server",
        "`from`, and a `to` with `{user}` in it, with it",
    );
    if mail.user.is_some() != mail.password_file.is_some() {
        faults.add("recording.mail", "expected `user` and `password_file` together");
    }
}
