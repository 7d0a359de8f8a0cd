//! `/api/v1/recordings`: those one took part in, or may look after; and `/recording` of a channel.

use std::ops::RangeInclusive;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use warp::http::StatusCode;
use warp::http::header::LOCATION;

use super::access::{Need, Role};
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::state::{Archive, State};
use super::whip::no_channel;
use crate::accounts::DatabaseError;
use crate::channels::RecordError;
use crate::recording::notify::time;
use crate::recording::{Entry, RecordingId, StartError, Viewer};

mod fetch;

pub use fetch::fetch;

/// Recordings in an answer.
const MOST: i64 = 200;
const USUAL: i64 = 50;

pub async fn list(state: &State, request: &Request) -> Answer {
    let archive = archive(state)?;
    let viewer = viewer(state, request)?;
    let before = number(&request.query, "before", 0..=i64::MAX)?;
    let limit = number(&request.query, "limit", 1..=MOST)?.unwrap_or(USUAL);
    let limit = u32::try_from(limit).unwrap_or_default();
    let page = archive.recordings.catalogue().list(viewer, before, limit).await;
    let page = page.map_err(|error| unavailable(state, &error))?;
    let mut recordings = Vec::new();
    for entry in &page.entries {
        recordings.push(shown(state, archive, entry).await?);
    }
    Ok(reply::json(StatusCode::OK, &json!({"recordings": recordings, "next": page.next})))
}

pub async fn get(state: &State, request: &Request, id: &str) -> Answer {
    let archive = archive(state)?;
    let entry = seen(state, archive, request, id).await?;
    Ok(reply::json(StatusCode::OK, &shown(state, archive, &entry).await?))
}

/// Whoever took part may not delete what is the others', too.
pub async fn delete(state: &State, request: &Request, id: &str) -> Answer {
    let archive = archive(state)?;
    let entry = seen(state, archive, request, id).await?;
    if !may_delete(&viewer(state, request)?, &entry) {
        let detail = "expected whoever had the call recorded, or an administrator";
        return Err(Problem::forbidden(detail));
    }
    match archive.recordings.delete(&entry).await {
        Ok(true) => Ok(reply::empty(StatusCode::NO_CONTENT)),
        Ok(false) => {
            let detail = "the recording isn't finished: end it, and wait for its files";
            Err(Problem::new(StatusCode::CONFLICT, Kind::RecordingGoesOn, detail))
        }
        Err(error) => Err(Problem::unavailable(Kind::Busy, error.to_string())),
    }
}

/// Links that are good for a while, to whoever has them.
pub async fn links(state: &State, request: &Request, id: &str) -> Answer {
    let archive = archive(state)?;
    let entry = seen(state, archive, request, id).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let expires = (now + archive.link_life).as_secs();
    let files = archive.recordings.catalogue().files(&entry.id).await;
    let files = files.map_err(|error| unavailable(state, &error))?;
    let link = |name: &str| {
        let query = archive.links.sign(&entry.id, name, expires);
        let url = format!("/api/v1/recordings/{}/files/{name}?{query}", entry.id);
        json!({"name": name, "url": url})
    };
    let files: Vec<Value> = files.iter().map(|file| link(&file.name)).collect();
    let expires = i64::try_from(expires).unwrap_or(i64::MAX).saturating_mul(1000);
    let answer = json!({"expires_at": time(expires), "files": files});
    Ok(reply::json(StatusCode::CREATED, &answer))
}

pub async fn of_channel(state: &State, request: &Request, name: &str) -> Answer {
    state.authorize(request, Need::Publish(name))?;
    let archive = archive(state)?;
    let found = archive.recordings.of_channel(name).await;
    let Some(entry) = found.map_err(|error| problem(state, name, &error))? else {
        nothing(state, name)?;
        return Err(Problem::not_found(Kind::NoRecording, "the channel isn't recorded"));
    };
    Ok(reply::json(StatusCode::OK, &shown(state, archive, &entry).await?))
}

pub async fn start(state: &State, request: &Request, name: &str) -> Answer {
    state.authorize(request, Need::Publish(name))?;
    let archive = archive(state)?;
    state.check_welcome()?;
    let started = archive.recordings.start_channel(name, None, false).await;
    let (entry, is_new) = started.map_err(|error| problem(state, name, &error))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = reply::json(status, &shown(state, archive, &entry).await?);
    reply::add(&mut response, LOCATION, format!("/api/v1/recordings/{}", entry.id));
    Ok(response)
}

pub async fn stop(state: &State, request: &Request, name: &str) -> Answer {
    state.authorize(request, Need::Publish(name))?;
    let archive = archive(state)?;
    let stopped = archive.recordings.stop_channel(name).await;
    let entry = stopped.map_err(|error| problem(state, name, &error))?;
    let Some(entry) = entry else {
        nothing(state, name)?;
        return Ok(reply::empty(StatusCode::NO_CONTENT));
    };
    Ok(reply::json(StatusCode::OK, &shown(state, archive, &entry).await?))
}

/// The channel isn't recorded, if it is there.
fn nothing(state: &State, name: &str) -> Result<(), Problem> {
    state.channels.status(name).map(drop).ok_or_else(|| no_channel(name))
}

/// Who looks. A call is its people's alone, so nobody sees one without saying who they are.
pub fn viewer(state: &State, request: &Request) -> Result<Viewer, Problem> {
    let access = &state.access;
    let is_anonymous = request.authorization().is_none();
    if access.is_open() && (is_anonymous || !access.has_accounts()) {
        // With accounts an open server's channels are everybody's, and calls are not.
        return Ok(if access.has_accounts() { Viewer::Channels } else { Viewer::All });
    }
    let claims = access.claims(request.authorization())?;
    match (claims.role, claims.user) {
        (Role::User, Some(user)) => Ok(Viewer::User(user.to_string())),
        (Role::Admin, _) if claims.channel == "*" => Ok(Viewer::All),
        (Role::Publish, _) if claims.channel == "*" => Ok(Viewer::Channels),
        (Role::Admin | Role::Publish, _) => Ok(Viewer::Channel(claims.channel)),
        _ => Err(Problem::forbidden("the token doesn't allow to see recordings")),
    }
}

fn may_delete(viewer: &Viewer, entry: &Entry) -> bool {
    match viewer {
        Viewer::User(user) => entry.started_by.as_ref() == Some(user),
        Viewer::All | Viewer::Channel(_) | Viewer::Channels => true,
    }
}

/// One that isn't there and one that isn't one's own look the same.
async fn seen(
    state: &State,
    archive: &Archive,
    request: &Request,
    id: &str,
) -> Result<Entry, Problem> {
    let viewer = viewer(state, request)?;
    let id: RecordingId = id.parse().map_err(|_| no_recording())?;
    let found = archive.recordings.catalogue().seen(&viewer, &id).await;
    found.map_err(|error| unavailable(state, &error))?.ok_or_else(no_recording)
}

async fn shown(state: &State, archive: &Archive, entry: &Entry) -> Result<Value, Problem> {
    let catalogue = archive.recordings.catalogue();
    let failed = |error: DatabaseError| unavailable(state, &error);
    let participants = catalogue.participants(&entry.id).await.map_err(failed)?;
    let files = catalogue.files(&entry.id).await.map_err(failed)?;
    let participants: Vec<Value> = participants
        .iter()
        .map(|who| {
            json!({
                "user": who.user,
                "name": who.name,
                "joined_at": time(who.joined_ms),
                "left_at": who.left_ms.map(time),
            })
        })
        .collect();
    let files: Vec<Value> = files
        .iter()
        .map(|file| {
            json!({
                "name": file.name,
                "form": file.form,
                "bytes": file.bytes,
                "begin_ms": file.begin_ms,
                "duration_ms": file.duration_ms,
                "video": file.video,
                "audio": file.audio,
                "width": file.width,
                "height": file.height,
                "gaps": file.gaps,
            })
        })
        .collect();
    Ok(json!({
        "id": entry.id,
        "kind": entry.subject.kind(),
        "of": entry.subject.of(),
        "state": entry.state,
        "reason": entry.reason,
        "node": entry.node,
        "troubles": entry.troubles,
        "started_by": entry.started_by,
        "started_at": time(entry.started_ms),
        "started_ms": entry.started_ms,
        "ended_at": entry.ended_ms.map(time),
        "duration_ms": entry.ended_ms.map(|ended| ended.saturating_sub(entry.started_ms).max(0)),
        "participants": participants,
        "files": files,
    }))
}

pub fn archive(state: &State) -> Result<&Archive, Problem> {
    let detail = "this server records nothing";
    state.archive.as_ref().ok_or_else(|| Problem::not_found(Kind::NoRecordings, detail))
}

pub fn no_recording() -> Problem {
    Problem::not_found(Kind::NoRecording, "there is no such recording")
}

/// A number in a query, where there is one.
fn number(query: &str, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Problem> {
    let Some(text) = value(query, name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (first, last) = (range.start(), range.end());
    let expected = || format!("`{name}`: expected a number from {first} to {last}");
    number.map(Some).ok_or_else(|| Problem::bad_request(Kind::Blank, expected()))
}

/// A query's value, as it is written.
pub fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

pub fn unavailable(state: &State, error: &DatabaseError) -> Problem {
    if let Some(archive) = &state.archive {
        archive.recordings.metrics().database_errors.inc();
    }
    tracing::warn!(%error, "recordings can't be looked up");
    Problem::unavailable(Kind::Busy, "the server can't look that up at present")
}

fn problem(state: &State, channel: &str, error: &StartError) -> Problem {
    match error {
        StartError::NoChannel(_) => no_channel(channel),
        StartError::Database(error) => unavailable(state, error),
        StartError::Channel(RecordError::TooMany) => {
            Problem::new(StatusCode::CONFLICT, Kind::Full, error.to_string())
        }
        StartError::Channel(RecordError::Channel(_)) => {
            Problem::unavailable(Kind::WorkerUnavailable, error.to_string())
        }
    }
}
