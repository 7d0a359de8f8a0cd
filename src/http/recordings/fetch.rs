//! A file of a recording, or a part of it (RFC 9110, 14), as the store gives it and the client
//! takes it.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use warp::Reply as _;
use warp::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::{archive, no_recording, seen, unavailable};
use crate::http::problem::{Kind, Problem};
use crate::http::reply::{self, Answer};
use crate::http::request::Request;
use crate::http::state::State;
use crate::http::{access, assets};
use crate::recording::{FileEntry, RecordingId, object};

/// What of a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Whole,
    Range(Range<u64>),
    /// Nothing of it is there.
    None,
}

pub async fn fetch(state: &State, request: &Request, id: &str, name: &str) -> Answer {
    let archive = archive(state)?;
    let recording: RecordingId = id.parse().map_err(|_| no_recording())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Whoever has a good link needs no token; whoever has a bad one is told nothing.
    if !archive.links.check(&recording, name, &request.query, now) {
        if request.query.contains("signature=") && request.authorization().is_none() {
            return Err(access::bad_token("the link has expired, or was never good"));
        }
        seen(state, archive, request, id).await?;
    }
    let files = archive.recordings.catalogue().files(&recording).await;
    let files = files.map_err(|error| unavailable(state, &error))?;
    let file = files.iter().find(|file| file.name == name).ok_or_else(no_recording)?;
    let etag = format!("\"{}\"", file.sha256);
    if assets::matches(request.header(IF_NONE_MATCH), &etag) {
        let mut response = reply::empty(StatusCode::NOT_MODIFIED);
        reply::add(&mut response, ETAG, etag);
        return Ok(response);
    }
    let part = part(request, &etag, file.bytes);
    let (status, range) = match part {
        Part::Whole => (StatusCode::OK, 0..file.bytes),
        Part::Range(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::None => return Ok(unsatisfiable(file.bytes)),
    };
    let mut response = if request.method == Method::HEAD || range.is_empty() {
        reply::empty(status)
    } else {
        let name = object(&recording, &file.object);
        let stream = archive.recordings.files().stream(&name, range.clone()).await;
        let stream = stream.map_err(|error| {
            tracing::warn!(%recording, %error, "a file can't be fetched");
            Problem::unavailable(Kind::Busy, "the store of recordings doesn't answer")
        })?;
        let mut response = warp::reply::stream(Synchronous::new(stream)).into_response();
        *response.status_mut() = status;
        response
    };
    describe(&mut response, file, &etag, &range);
    Ok(response)
}

fn describe(response: &mut Response, file: &FileEntry, etag: &str, range: &Range<u64>) {
    let length = range.end - range.start;
    let disposition = format!("inline; filename=\"{}\"", file.name);
    for (name, value) in [
        (CONTENT_TYPE, "video/mp4"),
        (ACCEPT_RANGES, "bytes"),
        (CACHE_CONTROL, "private, max-age=3600"),
        (ETAG, etag),
        (CONTENT_DISPOSITION, &disposition),
    ] {
        reply::add(response, name, value);
    }
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    if response.status() == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        let text = format!("bytes {}-{last}/{}", range.start, file.bytes);
        reply::add(response, CONTENT_RANGE, text);
    }
}

fn unsatisfiable(bytes: u64) -> Response {
    let detail = "the file is shorter";
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, Kind::Blank, detail);
    let mut response = problem.into_response();
    reply::add(&mut response, CONTENT_RANGE, format!("bytes */{bytes}"));
    response
}

fn part(request: &Request, etag: &str, bytes: u64) -> Part {
    let Some(range) = request.header(RANGE) else { return Part::Whole };
    // A part of another file is of no use: then all of this one.
    if request.header(IF_RANGE).is_some_and(|known| known != etag) {
        return Part::Whole;
    }
    parse(range, bytes)
}

/// One range. Of several, and of what isn't understood, the whole is given.
fn parse(range: &str, bytes: u64) -> Part {
    let Some((unit, range)) = range.split_once('=') else { return Part::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return Part::Whole;
    }
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
    let range = match (first, last) {
        ("", count) => match number(count) {
            Some(count) => bytes.saturating_sub(count)..bytes,
            None => return Part::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => first..bytes,
            None => return Part::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(bytes),
            _ => return Part::Whole,
        },
    };
    if range.start < range.end { Part::Range(range) } else { Part::None }
}

/// A stream that may be shared among threads, which warp asks for: nobody but its owner gets at it.
struct Synchronous(std::sync::Mutex<BoxStream<'static, Result<Bytes, object_store::Error>>>);

// === impl Synchronous ===

impl Synchronous {
    fn new(stream: BoxStream<'static, Result<Bytes, object_store::Error>>) -> Self {
        Self(std::sync::Mutex::new(stream))
    }
}

impl Stream for Synchronous {
    type Item = Result<Bytes, object_store::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut().0.get_mut();
        stream.unwrap_or_else(std::sync::PoisonError::into_inner).poll_next_unpin(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_the_standard_says() {
        for (text, expected) in [
            ("bytes=0-0", Part::Range(0..1)),
            ("bytes=0-99", Part::Range(0..100)),
            ("bytes=10-", Part::Range(10..100)),
            ("bytes=-10", Part::Range(90..100)),
            ("bytes=-1000", Part::Range(0..100)),
            ("bytes=50-1000", Part::Range(50..100)),
            ("Bytes=1-2", Part::Range(1..3)),
            ("bytes=100-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=100-200", Part::None),
            ("bytes=2-1", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=0-18446744073709551615", Part::Range(0..100)),
            ("bytes=18446744073709551616-", Part::Whole),
        ] {
            assert_eq!(parse(text, 100), expected, "{text}");
        }
        assert_eq!(parse("bytes=0-", 0), Part::None);
    }
}
