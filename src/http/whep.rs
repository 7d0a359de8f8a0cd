//! Watching over HTTP (draft-ietf-wish-whep), with its event and layer extensions.

use std::collections::BTreeSet;

use serde::Deserialize;
use warp::http::StatusCode;
use warp::http::header::{ETAG, IF_MATCH, LINK, LOCATION};
use warp::reply::Response;

use super::access::{self, Need};
use super::patch;
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::sdp;
use super::sessions::{EventKind, Session};
use super::state::State;
use super::whip::{self, FRAGMENT};
use crate::channels::settings::{Invalid, is_call_channel};
use crate::fanout::{JoinError, JoinRequest, RenditionChoice, SessionError, SessionId};

/// The body of a layer choice. What it doesn't name is left to the server.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LayerChoice {
    /// m-line index; there is one video, so it says nothing new.
    #[serde(rename = "mediaId")]
    _media_id: Option<String>,
    /// The rendition's name, or `none`: sound alone.
    rid: Option<String>,
    max_width: Option<u32>,
    max_height: Option<u32>,
}

pub async fn watch(state: &State, request: &mut Request, channel: &str) -> Answer {
    let grant = state.authorize(request, Need::View(channel))?;
    state.check_welcome_to(channel)?;
    if state.channels.status(channel).is_none() {
        return Err(whip::no_channel(channel));
    }
    let choice = choice_of(&request.query)?;
    let offer = whip::read_offer(request).await?;
    let mut session = Session::new(
        channel,
        access::bearer(request.authorization()),
        sdp::ice_ufrag(&offer).unwrap_or_default(),
        sdp::video_index(&offer).unwrap_or(0),
    );
    session.choice = choice.clone();
    session.location = state.geo.as_ref().and_then(|geo| geo.find(state.client(request)));
    let join = JoinRequest {
        channel: channel.to_owned(),
        offer,
        choice,
        despite_drain: is_call_channel(channel),
    };
    let joined = state.fanout.join(join).await.map_err(refusal)?;
    state.sessions.add(joined.session, session);
    // It may have ended before it was added; then nobody else removes it.
    match state.fanout.watch(joined.session) {
        Some(reports) => state.sessions.follow(joined.session, reports),
        None => state.sessions.remove(joined.session, "failed"),
    }
    // Whoever had to leave a call meanwhile was not among its sessions yet.
    if let Err(problem) = state.authorize(request, Need::View(channel)) {
        state.fanout.leave(joined.session).await;
        state.sessions.remove(joined.session, "not_allowed");
        return Err(problem);
    }
    let id = joined.session.to_string();
    let location = format!("/whep/{channel}/{id}");
    let mut response = whip::created(&location, &id, joined.answer);
    for link in state.ice_links(request, &grant) {
        reply::add(&mut response, LINK, link);
    }
    add_links(&mut response, &location);
    Ok(response)
}

fn add_links(response: &mut Response, location: &str) {
    let extension = "urn:ietf:params:whep:ext:core";
    let events = "active,inactive,layers,layer,reconnect,viewercount";
    let link =
        format!("<{location}/sse>; rel=\"{extension}:server-sent-events\"; events=\"{events}\"");
    reply::add(response, LINK, link);
    reply::add(response, LINK, format!("<{location}/layer>; rel=\"{extension}:layer\""));
}

/// `?rendition=`; automatic where it is missing.
fn choice_of(query: &str) -> Result<RenditionChoice, Problem> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("rendition="));
    match values.next() {
        None | Some("auto") => Ok(RenditionChoice::Auto),
        Some("none") => Ok(RenditionChoice::SoundOnly),
        Some(name) if is_rendition_name(name) => Ok(RenditionChoice::Pinned(name.to_owned())),
        Some(_) => Err(no_rendition("expected `auto`, `none` or a rendition's name".to_owned())),
    }
}

fn is_rendition_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

pub async fn trickle(state: &State, request: &mut Request, channel: &str, session: &str) -> Answer {
    state.authorize(request, Need::View(channel))?;
    let fragment = request.text(FRAGMENT).await?;
    let id = parse_id(session)?;
    let found = state.sessions.find(channel, id, |s| (s.ice_ufrag.clone(), s.restarts));
    let (ice_ufrag, restarts) = found.ok_or_else(no_session)?;
    let etag = patch::etag(session, restarts);
    patch::check(request.header(IF_MATCH), &etag, &fragment, &ice_ufrag)?;
    // The fan-out sees a restart by the same sign.
    match state.fanout.trickle(id, &fragment).await.map_err(session_problem)? {
        None => Ok(reply::empty(StatusCode::NO_CONTENT)),
        Some(answer) => {
            let ice_ufrag = sdp::ice_ufrag(&fragment).unwrap_or_default();
            let restarts = state.sessions.restart(id, ice_ufrag).ok_or_else(no_session)?;
            let mut response = reply::bytes(StatusCode::OK, FRAGMENT, answer);
            reply::add(&mut response, ETAG, patch::etag(session, restarts));
            Ok(response)
        }
    }
}

/// Idempotent: a session that is over already is over.
pub async fn leave(state: &State, request: &Request, channel: &str, session: &str) -> Answer {
    state.authorize(request, Need::View(channel))?;
    let id = parse_id(session)?;
    // A token for one channel must not end another's sessions.
    if state.sessions.find(channel, id, |_| ()).is_some() {
        state.fanout.leave(id).await;
        state.sessions.remove(id, "left");
    }
    Ok(reply::empty(StatusCode::OK))
}

pub async fn choose_layer(
    state: &State,
    request: &mut Request,
    channel: &str,
    session: &str,
) -> Answer {
    state.authorize(request, Need::View(channel))?;
    let wanted: LayerChoice = request.json().await?;
    let id = parse_id(session)?;
    state.sessions.find(channel, id, |_| ()).ok_or_else(no_session)?;
    let report = state.fanout.watch(id).ok_or_else(no_session)?;
    let choice = match wanted {
        LayerChoice { rid: Some(rid), .. } if rid == "auto" => RenditionChoice::Auto,
        LayerChoice { rid: Some(rid), .. } if rid == "none" => RenditionChoice::SoundOnly,
        LayerChoice { rid: Some(rid), .. } => RenditionChoice::Pinned(rid),
        LayerChoice { max_width: None, max_height: None, .. } => RenditionChoice::Auto,
        LayerChoice { max_width, max_height, .. } => {
            let fits = |size: u32, most: Option<u32>| most.is_none_or(|most| size <= most);
            let report = report.borrow();
            let layers = report.layers.iter();
            let largest = layers
                .filter(|l| fits(l.resolution.width, max_width))
                .filter(|l| fits(l.resolution.height, max_height))
                .max_by_key(|l| l.resolution.pixels());
            // Nothing is that small: the smallest then.
            let smallest = || report.layers.iter().min_by_key(|l| l.resolution.pixels());
            let layer = largest.or_else(smallest).map(|l| l.name.clone());
            layer.map_or(RenditionChoice::Auto, RenditionChoice::Pinned)
        }
    };
    state.fanout.select(id, choice).await.map_err(session_problem)?;
    Ok(reply::empty(StatusCode::OK))
}

/// Makes an event stream.
pub async fn make_stream(
    state: &State,
    request: &mut Request,
    channel: &str,
    session: &str,
) -> Answer {
    state.authorize(request, Need::View(channel))?;
    let kinds: Option<Vec<EventKind>> = request.optional_json().await?;
    let kinds = kinds.unwrap_or_else(|| EventKind::ALL.to_vec());
    if kinds.len() > 8 {
        let detail = "expected at most 8 events".to_owned();
        let invalid = Invalid { pointer: String::new(), detail };
        return Err(Problem::invalid_settings(vec![invalid]));
    }
    let id = parse_id(session)?;
    let stream = whip::new_id()?;
    match state.sessions.add_stream(channel, id, &stream, BTreeSet::from_iter(kinds)) {
        None => Err(no_session()),
        Some(false) => Err(Problem::new(
            StatusCode::CONFLICT,
            Kind::Full,
            "the session has as many event streams as it may have",
        )),
        Some(true) => {
            let mut response = reply::empty(StatusCode::CREATED);
            let location = format!("/whep/{channel}/{session}/sse/{stream}");
            reply::add(&mut response, LOCATION, location);
            Ok(response)
        }
    }
}

pub fn end_stream(
    state: &State,
    request: &Request,
    channel: &str,
    session: &str,
    stream: &str,
) -> Answer {
    state.authorize(request, Need::View(channel))?;
    if state.sessions.remove_stream(channel, parse_id(session)?, stream) {
        Ok(reply::empty(StatusCode::OK))
    } else {
        Err(no_session())
    }
}

pub fn parse_id(session: &str) -> Result<SessionId, Problem> {
    session.parse().map_err(|_| no_session())
}

pub fn no_session() -> Problem {
    Problem::not_found(Kind::NoSession, "there is no such session")
}

fn no_rendition(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Kind::NoRendition, detail)
}

fn refusal(error: JoinError) -> Problem {
    let detail = error.to_string();
    match error {
        // The channel exists, but its place in the fan-out doesn't yet, or no more.
        JoinError::NoChannel(_) => Problem::unavailable(Kind::WorkerUnavailable, detail),
        JoinError::NoRendition { .. } => no_rendition(detail),
        JoinError::Full(_) => Problem::unavailable(Kind::Full, detail),
        JoinError::Busy => Problem::unavailable(Kind::Full, detail),
        JoinError::Draining => Problem::unavailable(Kind::Draining, detail),
        JoinError::Sdp(_) => Problem::bad_request(Kind::BadOffer, detail),
        JoinError::NoCommonCodec(_) => {
            Problem::new(StatusCode::NOT_ACCEPTABLE, Kind::NoCommonCodec, detail)
        }
    }
}

fn session_problem(error: SessionError) -> Problem {
    let detail = error.to_string();
    match error {
        SessionError::NoSession(_) => no_session(),
        SessionError::NoRendition { .. } => no_rendition(detail),
        SessionError::Trickle(_) => Problem::bad_request(Kind::BadFragment, detail),
        SessionError::Busy(_) => Problem::unavailable(Kind::Full, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_pins_a_rendition_or_leaves_it_to_the_server() {
        let pinned = |name: &str| RenditionChoice::Pinned(name.to_owned());
        for (query, expected) in [
            ("", Some(RenditionChoice::Auto)),
            ("rendition=auto", Some(RenditionChoice::Auto)),
            ("rendition=none", Some(RenditionChoice::SoundOnly)),
            ("x=1&rendition=720p", Some(pinned("720p"))),
            ("rendition=", None),
            ("rendition=a%20b", None),
        ] {
            assert_eq!(choice_of(query).ok(), expected, "{query}");
        }
    }
}
