//! Recordings that are there, told on devices that are connected.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::board::Board;
use crate::calls::ids::UserId;
use crate::calls::messages::{Sentence, ServerMessage, Text256};
use crate::http::state::State;
use crate::recording::State as Stage;
use crate::recording::notify::{Bell, News};

/// Tells users of recordings.
pub struct Herald {
    pub board: Arc<Board>,
    pub state: Arc<State>,
}

// === impl Herald ===

impl Bell for Herald {
    fn name_of(&self, user: UserId) -> BoxFuture<'_, String> {
        Box::pin(async move { self.state.people.login_of(&user).await })
    }

    fn tell(&self, user: &UserId, news: &News) -> bool {
        // Of a call: a channel's recording is nobody's own.
        let Ok(call) = news.of.parse() else { return false };
        let message = ServerMessage::RecordingFinished {
            recording: Text256::cut(news.recording.as_str()),
            call,
            ready: news.state == Stage::Ready,
            reason: news.reason.as_deref().map(Sentence::cut),
        };
        self.board.with(|hub, now| {
            let told = hub.reach(user, &message);
            hub.wake(now);
            told
        })
    }
}
