//! `/api/v1/channels`.

use serde::Deserialize;
use serde_json::json;
use stentor_protocol::capacity::AdmissionError;
use stentor_protocol::spec::SourceSpec;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, LOCATION};

use super::access::Need;
use super::assets;
use super::problem::{Figure, Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::state::State;
use super::whip::no_channel;
use crate::channels::settings::{ChannelSettings, Invalid, Rung, is_channel_name};
use crate::channels::{ChangeError, ChannelStatus, Put};
use crate::fanout::{RenditionChoice, SessionReport, SessionState};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewChannel {
    name: String,
    source: SourceSpec,
    #[serde(default)]
    ladder: Option<Vec<Rung>>,
}

pub fn list(state: &State, request: &Request) -> Answer {
    let grant = state.authorize(request, Need::Any)?;
    let channels: Vec<ChannelStatus> = state
        .channels
        .list()
        .iter()
        .filter(|c| grant.may_read(&c.name))
        .map(|c| with_viewers(state, c))
        .collect();
    Ok(reply::json(StatusCode::OK, &json!({ "channels": channels })))
}

pub fn get(state: &State, request: &Request, name: &str) -> Answer {
    state.authorize(request, Need::Read(name))?;
    shown(state, name, StatusCode::OK)
}

pub async fn create(state: &State, request: &mut Request) -> Answer {
    // Whose channel it is to be is in the body; who may make none need not send one.
    state.authorize(request, Need::Any)?;
    let NewChannel { name, source, ladder } = request.json().await?;
    state.authorize(request, Need::Manage(&name))?;
    check_name(&name)?;
    let settings = ChannelSettings { source, ladder };
    state.channels.create(&name, settings).await.map_err(|e| problem(&name, e))?;
    made(state, &name)
}

pub async fn put(state: &State, request: &mut Request, name: &str) -> Answer {
    state.authorize(request, Need::Manage(name))?;
    let settings: ChannelSettings = request.json().await?;
    check_name(name)?;
    match state.channels.put(name, settings).await.map_err(|e| problem(name, e))? {
        Put::Made => made(state, name),
        Put::Replaced => shown(state, name, StatusCode::OK),
    }
}

pub async fn delete(state: &State, request: &Request, name: &str) -> Answer {
    state.authorize(request, Need::Manage(name))?;
    state.channels.delete(name).await.map_err(|e| problem(name, e))?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub fn thumbnail(state: &State, request: &Request, name: &str) -> Answer {
    state.authorize(request, Need::Read(name))?;
    let picture = state.channels.thumbnail(name).ok_or_else(|| no_channel(name))?;
    let Some(picture) = picture else {
        let detail = format!("channel {name} has no picture yet");
        return Err(Problem::not_found(Kind::Blank, detail));
    };
    // Numbers begin anew with the daemon, its start does not.
    let start = state.started_unix;
    let etag = format!("\"{start:x}-{:x}\"", picture.number);
    let mut response = if assets::matches(request.header(IF_NONE_MATCH), &etag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        reply::bytes(StatusCode::OK, "image/jpeg", picture.jpeg)
    };
    reply::add(&mut response, ETAG, etag);
    reply::add(&mut response, CACHE_CONTROL, "private, no-cache");
    Ok(response)
}

pub async fn viewers(state: &State, request: &Request, name: &str) -> Answer {
    state.authorize(request, Need::Manage(name))?;
    state.channels.status(name).ok_or_else(|| no_channel(name))?;
    let mut reports = state.fanout.viewers(Some(name)).await;
    reports.sort_by_key(|r| r.since);
    let viewers: Vec<_> = reports.iter().map(viewer).collect();
    Ok(reply::json(StatusCode::OK, &json!({ "viewers": viewers })))
}

fn viewer(report: &SessionReport) -> serde_json::Value {
    json!({
        "session": report.session,
        "rendition": report.active,
        "codec": report.codec,
        "auto": report.choice == RenditionChoice::Auto,
        "connected": report.state == SessionState::Connected,
        "address": report.remote,
        "seconds": report.since.elapsed().unwrap_or_default().as_secs_f64(),
        "bitrate": report.bitrate,
        "bytes": report.bytes,
        "packets": report.packets,
        "nacks": report.nacks,
        "retransmissions": report.retransmissions,
        "lost_fraction": f64::from(report.loss),
        "round_trip_ms": report.rtt.map(|t| t.as_secs_f64() * 1000.0),
        "estimate": report.estimate,
    })
}

fn shown(state: &State, name: &str, code: StatusCode) -> Answer {
    let channel = state.channels.status(name).ok_or_else(|| no_channel(name))?;
    Ok(reply::json(code, &with_viewers(state, &channel)))
}

fn made(state: &State, name: &str) -> Answer {
    let mut response = shown(state, name, StatusCode::CREATED)?;
    reply::add(&mut response, LOCATION, format!("/api/v1/channels/{name}"));
    Ok(response)
}

fn with_viewers(state: &State, channel: &ChannelStatus) -> ChannelStatus {
    let mut channel = channel.clone();
    channel.viewers = state.sessions.count(&channel.name);
    channel
}

fn check_name(name: &str) -> Result<(), Problem> {
    if is_channel_name(name) {
        return Ok(());
    }
    let detail = "expected 1 to 63 letters, digits, `_` or `-`, a letter or digit first";
    let invalid = Invalid { pointer: "/name".to_owned(), detail: detail.to_owned() };
    Err(Problem::invalid_settings(vec![invalid]))
}

fn problem(name: &str, error: ChangeError) -> Problem {
    let detail = error.to_string();
    let conflict = |kind| Problem::new(StatusCode::CONFLICT, kind, detail.clone());
    match error {
        ChangeError::NoChannel(_) => no_channel(name),
        ChangeError::Exists(_) => conflict(Kind::ChannelExists),
        ChangeError::Static(_) => conflict(Kind::StaticChannel),
        ChangeError::TooMany(_) => conflict(Kind::TooManyChannels),
        ChangeError::Invalid(errors) => Problem::invalid_settings(errors),
        ChangeError::OverBudget(error) => Problem::over_budget(detail, figures(&error)),
        ChangeError::Store(_) => {
            tracing::error!(channel = name, detail, "a change can't be kept");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Kind::Blank, detail)
        }
        ChangeError::Gone(_) => Problem::unavailable(Kind::WorkerUnavailable, detail),
    }
}

fn figures(error: &AdmissionError) -> Vec<Figure> {
    match error {
        AdmissionError::Refused(_) => Vec::new(),
        AdmissionError::Overloaded(overload) => vec![Figure {
            resource: overload.device.clone(),
            capacity: overload.total,
            used: overload.total - overload.free,
            asked: overload.needed,
            unit: overload.resource.as_str().to_owned(),
        }],
    }
}
