//! Mail by SMTP, one for each who was in a call.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::news::News;
use crate::config::{Mail, MailSecurity};
use crate::recording::catalogue::State;

/// Sends mail.
pub struct Post {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// With `{user}` in it.
    to: String,
    page: Option<String>,
}

/// Why there is no mail. The operator's to mend, or the mail server's.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("`{0}` is no address")]
    Address(String),
    /// The password, or the certificates.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("expected PEM certificates in {}", .0.display())]
    Authorities(PathBuf),
    #[error("a mail can't be written: {0}")]
    Message(#[from] lettre::error::Error),
    #[error("the mail server: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

/// For all of a mail.
const TIMEOUT: Duration = Duration::from_secs(20);

// === impl Post ===

impl Post {
    /// None where no server is configured.
    pub fn open(config: &Mail) -> Result<Option<Self>, MailError> {
        let Some(server) = &config.server else { return Ok(None) };
        let (host, port) = server.rsplit_once(':').unwrap_or((server, "25"));
        let host = host.trim_matches(['[', ']']);
        // Without TLS nothing is sent, neither mail nor password, unless it says so.
        let tls = match config.security {
            MailSecurity::Tls => Tls::Wrapper(tls(host, config.ca_file.as_deref())?),
            MailSecurity::Starttls => Tls::Required(tls(host, config.ca_file.as_deref())?),
            MailSecurity::None => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).tls(tls);
        let mut builder = builder.port(port.parse().unwrap_or(25)).timeout(Some(TIMEOUT));
        if let (Some(user), Some(path)) = (&config.user, &config.password_file) {
            let password = read(path)?;
            let credentials = Credentials::new(user.clone(), password.trim().to_owned());
            builder = builder.credentials(credentials);
        }
        let from = address(config.from.as_deref().unwrap_or_default())?;
        let to = config.to.clone().unwrap_or_default();
        // A pattern that gives no address is found now and not at the first call's end.
        address(&to.replace("{user}", "someone"))?;
        Ok(Some(Self { transport: builder.build(), from, to, page: config.page.clone() }))
    }

    pub async fn send(&self, user: &str, news: &News) -> Result<(), MailError> {
        let to = address(&self.to.replace("{user}", user))?;
        let (subject, text) = written(news, self.page.as_deref());
        let message =
            Message::builder().from(self.from.clone()).to(to).subject(subject).body(text)?;
        self.transport.send(message).await?;
        Ok(())
    }
}

/// Trusts the system's authorities, or those in this file alone.
fn tls(host: &str, authorities: Option<&Path>) -> Result<TlsParameters, MailError> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(path) = authorities {
        let pem = read(path)?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(MailError::Authorities(path.to_owned()));
        }
        let trusted = Certificate::from_pem(pem.as_bytes())?;
        parameters =
            parameters.certificate_store(CertificateStore::None).add_root_certificate(trusted);
    }
    Ok(parameters.build()?)
}

fn read(path: &Path) -> Result<String, MailError> {
    let failed = |error| MailError::File { path: path.to_owned(), error };
    std::fs::read_to_string(path).map_err(failed)
}

fn address(text: &str) -> Result<Mailbox, MailError> {
    text.parse().map_err(|_| MailError::Address(text.to_owned()))
}

/// Subject and text.
fn written(news: &News, page: Option<&str>) -> (String, String) {
    let names: Vec<&str> = news.participants.iter().map(|who| who.name.as_str()).collect();
    let of = if news.kind == "call" { names.join(", ") } else { news.of.clone() };
    let began = &news.started_at;
    if news.state == State::Failed {
        let reason = news.reason.as_deref().unwrap_or("no reason is known");
        let text = format!("The recording of {of}, begun at {began}, has no file: {reason}.\n");
        return ("A recording has no file".to_owned(), text);
    }
    let mut text = format!("The recording of {of}, begun at {began}, is there:\n\n");
    for file in &news.files {
        let seconds = file.duration_ms / 1000;
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        text += &format!("  {} ({minutes}:{seconds:02})\n", file.name);
    }
    if let Some(page) = page {
        text += &format!("\nWatch it at {page}#/recordings\n\n({})\n", news.recording);
    }
    ("A recording is ready".to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::super::news::{Named, Who};
    use super::*;
    use crate::recording::ids::RecordingId;

    #[test]
    fn a_mail_says_whose_recording_it_is_and_where_it_can_be_watched() {
        let id = RecordingId::random().unwrap();
        let who = |name: &str| Who { user: None, name: name.to_owned() };
        let mut news = News {
            version: 1,
            recording: id.clone(),
            kind: "call",
            of: "c1".into(),
            state: State::Ready,
            started_at: "2026-11-28T08:00:00Z".into(),
            ended_at: None,
            participants: vec![who("Ann"), who("Bert")],
            files: vec![Named { name: "ann.mp4".into(), bytes: 9, duration_ms: 61_000 }],
            reason: None,
        };
        let (subject, text) = written(&news, Some("https://meet.example/"));
        assert_eq!(subject, "A recording is ready");
        for part in ["Ann, Bert", "ann.mp4 (1:01)", "/#/recordings", id.as_str()] {
            assert!(text.contains(part), "{part}: {text}");
        }
        news.state = State::Failed;
        news.reason = Some("as asked for".into());
        assert!(written(&news, None).1.contains("as asked for"));
    }

    #[test]
    fn a_server_that_cannot_be_used_is_refused_at_once() {
        let mail = |from: &str, to: &str| Mail {
            server: Some("127.0.0.1:25".into()),
            security: MailSecurity::None,
            from: Some(from.into()),
            to: Some(to.into()),
            ..Mail::default()
        };
        assert!(Post::open(&mail("a@b.example", "{user}@b.example")).is_ok());
        assert!(Post::open(&mail("nobody", "{user}@b.example")).is_err());
        assert!(Post::open(&mail("a@b.example", "{user}")).is_err());
        assert!(Post::open(&Mail::default()).unwrap().is_none());
    }
}
