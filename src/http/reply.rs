//! Responses in few words.

use serde::Serialize;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use super::problem::Problem;

/// What a handler gives.
pub type Answer = Result<Response, Problem>;

pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Vec::new().into());
    *response.status_mut() = status;
    response
}

pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Our own types: they have no map with keys that aren't strings.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = bytes(status, "application/json", body);
    // What is true now may not be so at the next glance.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub fn bytes(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<bytes::Bytes>,
) -> Response {
    let mut response = Response::new(body.into().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Adds a header line. What can't be a header value is left out: it came from a client.
pub fn add(response: &mut Response, name: HeaderName, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        response.headers_mut().append(name, value);
    }
}

#[cfg(test)]
pub async fn collect(response: Response) -> Vec<u8> {
    use hyper::body::Body as _;
    use std::pin::Pin;

    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.unwrap().into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes
}
