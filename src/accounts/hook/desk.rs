//! The operator's user service as the daemon's rooms ask it: reached by TCP or TLS, a bounded
//! number of questions at a time, and of each user so many.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use stentor_protocol::units::Secret;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::place::{NotAPlace, Place};
use super::remembered::Remembered;
use super::{Heard, Question, Service, Signer, ask, verdict};
use crate::accounts::{Moment, RingRefusal};
use crate::calls::ids::{Address, CallId};
use crate::identity::UserId;
use crate::limit::Limit;

pub struct UserService {
    service: Service,
    place: Place,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Questions that are asked at present.
    turns: Semaphore,
    /// Locked for itself, and never across an await.
    questions: Mutex<Limit<UserId>>,
    /// The same.
    remembered: Mutex<Remembered>,
}

/// Why the service can't be asked. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Place(#[from] NotAPlace),
    #[error("{}: {error}", path.display())]
    Authorities { path: PathBuf, error: rustls::pki_types::pem::Error },
    #[error("{host}: no name that a certificate could have")]
    Name { host: String },
    #[error("no TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// More wait.
const TURNS: usize = 64;

// === impl UserService ===

impl UserService {
    /// `authorities` is a PEM file with the certificates that are trusted.
    pub fn new(
        url: &str,
        secret: &Secret,
        authorities: &Path,
        timeout: Duration,
        questions: Limit<UserId>,
    ) -> Result<Self, ServiceError> {
        let place: Place = url.parse()?;
        let tls = if place.is_tls { Some(client(&place, authorities)?) } else { None };
        let service = Service {
            authority: place.authority.clone(),
            path: place.path.clone(),
            signer: Signer::new(secret.0.as_bytes()),
            timeout,
        };
        let (turns, questions) = (Semaphore::new(TURNS), Mutex::new(questions));
        Ok(Self { service, place, tls, turns, questions, remembered: Mutex::default() })
    }

    /// Whether the caller may ring the callee now.
    pub async fn may_ring(
        &self,
        call: Option<&CallId>,
        caller: &Address,
        callee: &UserId,
        moment: Moment,
    ) -> Result<(), RingRefusal> {
        let Address { user, device } = caller.clone();
        let (call, callee) = (call.cloned(), callee.clone());
        let version = Question::VERSION;
        self.ask(Question::Ring { version, call, caller: user, device, callee }, moment).await
    }

    /// Whether one may write to the other now.
    pub async fn may_write(
        &self,
        sender: &Address,
        recipient: &UserId,
        moment: Moment,
    ) -> Result<(), RingRefusal> {
        let Address { user, device } = sender.clone();
        let version = Question::VERSION;
        let question =
            Question::Write { version, sender: user, device, recipient: recipient.clone() };
        let verdict = self.ask(question, moment).await;
        self.remembered().note(&sender.user, recipient, &verdict, moment.now);
        verdict
    }

    /// Whether the other may see that one writes: by what the service said of the two a moment
    /// ago, and only where it said nothing by asking.
    pub async fn may_show_typing(
        &self,
        sender: &Address,
        recipient: &UserId,
        moment: Moment,
    ) -> Result<(), RingRefusal> {
        let known = self.remembered().get(&sender.user, recipient, moment.now);
        match known {
            Some(verdict) => verdict,
            None => self.may_write(sender, recipient, moment).await,
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, question: Question, moment: Moment) -> Result<(), RingRefusal> {
        {
            let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = questions.take(question.asker().clone(), 1.0, moment.now);
            taken.map_err(|wait| RingRefusal::TooOften { wait })?;
        }
        let turn = tokio::time::timeout(self.service.timeout, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(RingRefusal::Undecided) };
        verdict(&self.hear(&question, moment).await)
    }

    async fn hear(&self, question: &Question, moment: Moment) -> Heard {
        let connect = TcpStream::connect((self.place.host.as_str(), self.place.port));
        match &self.tls {
            None => ask(&self.service, question, moment.wall, connect).await,
            Some((connector, name)) => {
                let connect = async {
                    let stream = connect.await?;
                    connector.connect(name.clone(), stream).await
                };
                ask(&self.service, question, moment.wall, connect).await
            }
        }
    }
}

/// Who is reached there by TLS, and under which name.
pub(in crate::accounts) fn client(
    place: &Place,
    authorities: &Path,
) -> Result<(TlsConnector, ServerName<'static>), ServiceError> {
    let failed = |error| ServiceError::Authorities { path: authorities.to_owned(), error };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(authorities)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>());
    // Those of a system's collection that can't be read are none that could be trusted.
    roots.add_parsable_certificates(certificates.map_err(failed)?);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(place.host.clone())
        .map_err(|_| ServiceError::Name { host: place.host.clone() })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
