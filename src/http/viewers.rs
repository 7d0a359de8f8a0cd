//! Viewers who come and go, as events.

use std::time::Instant;

use aws_lc_rs::digest;

use super::sessions::Session;
use crate::channels::settings::is_call_channel;
use crate::events::Event;
use crate::events::kinds::{ViewerJoined, ViewerLeft};
use crate::fanout::{RenditionChoice, SessionId};
use crate::hex::hex;

/// Bytes of a hash that tell viewers apart.
const NAME: usize = 8;

/// None: of a call's channels the call's events tell.
pub fn joined(id: SessionId, session: &Session) -> Option<Event> {
    let rendition = match &session.choice {
        RenditionChoice::Auto => None,
        RenditionChoice::SoundOnly => Some("none".to_owned()),
        RenditionChoice::Pinned(name) => Some(name.clone()),
    };
    let location = session.location.clone();
    let event = Event::new(ViewerJoined { session: name_of(id), rendition, location });
    is_shown(session).then(|| event.of_channel(&session.channel))
}

pub fn left(id: SessionId, session: &Session, cause: &str) -> Option<Event> {
    let rendition = session.reports.as_ref().and_then(|reports| reports.borrow().active.clone());
    let lasted_ms = Instant::now().saturating_duration_since(session.since).as_millis() as u64;
    let event = Event::new(ViewerLeft { session: name_of(id), rendition, lasted_ms });
    is_shown(session).then(|| event.of_channel(&session.channel).because(cause))
}

fn is_shown(session: &Session) -> bool {
    !is_call_channel(&session.channel)
}

/// Not the id: whoever knows that may end the session.
fn name_of(id: SessionId) -> String {
    let hash = digest::digest(&digest::SHA256, id.to_string().as_bytes());
    hex(&hash.as_ref()[..NAME])
}
