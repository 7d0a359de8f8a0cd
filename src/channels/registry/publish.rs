//! Publishers' wishes, handed to the worker of the channel that they name.

use std::sync::PoisonError;

use stentor_protocol::spec::SourceSpec;
use tokio::sync::oneshot;

use super::Channels;
use crate::channels::channel::Request;
use crate::channels::whip::WhipError;

/// Why a publisher's wish was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum WhipRequestError {
    #[error("there is no such channel")]
    NoChannel,
    #[error(transparent)]
    Whip(#[from] WhipError),
}

// === impl Channels ===

impl Channels {
    /// Hands a publisher's offer to the channel's worker; gives the answer.
    pub async fn whip_offer(
        &self,
        channel: &str,
        session: &str,
        ice_ufrag: String,
        sdp: String,
    ) -> Result<String, WhipRequestError> {
        let entry = self.entry(channel).ok_or(WhipRequestError::NoChannel)?;
        let source = entry.settings.read().unwrap_or_else(PoisonError::into_inner).source.clone();
        if !matches!(source, SourceSpec::Whip { .. }) {
            return Err(WhipError::NotWhip(channel.to_owned()).into());
        }
        let session = session.to_owned();
        let offer = |reply| Request::WhipOffer { session: session.clone(), ice_ufrag, sdp, reply };
        let answer = self.ask(channel, offer);
        match tokio::time::timeout(self.inner.context.tuning.whip_answer_timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) => Err(WhipRequestError::NoChannel),
            Err(_) => {
                // The worker may yet answer: it is to forget the session.
                let _ = self.whip_close(channel, &session).await;
                Err(WhipError::Timeout.into())
            }
        }
    }

    /// The `ice-ufrag` that a publisher's offer had.
    pub async fn whip_ice_ufrag(
        &self,
        channel: &str,
        session: &str,
    ) -> Result<String, WhipRequestError> {
        let session = session.to_owned();
        self.ask_whip(channel, |reply| Request::WhipLookup { session, reply }).await
    }

    pub async fn whip_trickle(
        &self,
        channel: &str,
        session: &str,
        fragment: String,
    ) -> Result<(), WhipRequestError> {
        let session = session.to_owned();
        self.ask_whip(channel, |reply| Request::WhipTrickle { session, fragment, reply }).await
    }

    pub async fn whip_close(&self, channel: &str, session: &str) -> Result<(), WhipRequestError> {
        let session = session.to_owned();
        self.ask_whip(channel, |reply| Request::WhipClose { session, reply }).await
    }

    async fn ask_whip<T>(
        &self,
        channel: &str,
        request: impl FnOnce(oneshot::Sender<Result<T, WhipError>>) -> Request,
    ) -> Result<T, WhipRequestError> {
        let answer = self.ask(channel, request).await;
        Ok(answer.map_err(|_| WhipRequestError::NoChannel)??)
    }
}
