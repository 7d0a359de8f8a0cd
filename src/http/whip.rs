//! Publishing over HTTP (RFC 9725). The peer connection itself is the channel's worker's.

use stentor_protocol::Codec;
use stentor_protocol::control::Fault;
use tracing::debug;
use warp::http::StatusCode;
use warp::http::header::{ETAG, HeaderName, IF_MATCH, LINK, LOCATION};
use warp::reply::Response;

use super::access::Need;
use super::patch::{self, Patch};
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::sdp;
use super::state::State;
use crate::channels::{WhipError, WhipRequestError};
use crate::hex::hex;

const OFFER: &str = "application/sdp";
pub const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

pub async fn publish(state: &State, request: &mut Request, channel: &str) -> Answer {
    let grant = state.authorize(request, Need::Publish(channel))?;
    state.check_welcome_to(channel)?;
    let offer = read_offer(request).await?;
    let offer = agreed(state, request, offer)?;
    let ice_ufrag = sdp::ice_ufrag(&offer).unwrap_or_default().to_owned();
    let session = new_id()?;
    let answer = state
        .channels
        .whip_offer(channel, &session, ice_ufrag, offer)
        .await
        .map_err(|error| refusal(channel, error))?;
    debug!(channel, "publisher let in");
    let location = format!("/whip/{channel}/{session}");
    let mut response = created(&location, &session, answer);
    for link in state.ice_links(request, &grant) {
        reply::add(&mut response, LINK, link);
    }
    Ok(response)
}

/// Of an offer to a call's channel, what the call agreed on: others may be unable to show the rest.
fn agreed(state: &State, request: &Request, offer: String) -> Result<String, Problem> {
    let call = state.passes.call_of(request.authorization());
    let Some((board, (call, pass))) = state.calls.as_ref().zip(call) else { return Ok(offer) };
    let codec = match board.with(|hub, _| hub.agreed_video(&call, &pass)) {
        Some(Some(Codec::H264)) => "H264",
        Some(Some(Codec::Vp8)) => "VP8",
        Some(None) => return Ok(sdp::without_video(&offer)),
        // Between devices alone: through the server goes what it reads.
        Some(Some(_)) | None => return Ok(offer),
    };
    sdp::with_video(&offer, codec).ok_or_else(|| {
        let detail = format!("the call agreed on {codec} video, which the offer hasn't got");
        Problem::new(StatusCode::NOT_ACCEPTABLE, Kind::NoCommonCodec, detail)
    })
}

pub async fn trickle(state: &State, request: &mut Request, channel: &str, session: &str) -> Answer {
    state.authorize(request, Need::Publish(channel))?;
    let fragment = request.text(FRAGMENT).await?;
    let gone = |error| refusal(channel, error);
    let ice_ufrag = state.channels.whip_ice_ufrag(channel, session).await.map_err(gone)?;
    let if_match = request.header(IF_MATCH);
    if patch::check(if_match, &patch::etag(session, 0), &fragment, &ice_ufrag)? == Patch::IceRestart
    {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            Kind::IceRestart,
            "ICE restarts are not supported: make a new session; this one goes on",
        ));
    }
    state.channels.whip_trickle(channel, session, fragment).await.map_err(gone)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub async fn stop(state: &State, request: &Request, channel: &str, session: &str) -> Answer {
    state.authorize(request, Need::Publish(channel))?;
    let closed = state.channels.whip_close(channel, session).await;
    closed.map_err(|error| refusal(channel, error))?;
    Ok(reply::empty(StatusCode::OK))
}

/// An offer's text, or what is wrong with the body.
pub async fn read_offer(request: &mut Request) -> Result<String, Problem> {
    let offer = request.text(OFFER).await?;
    if sdp::is_offer(&offer) {
        Ok(offer)
    } else {
        Err(Problem::bad_request(Kind::BadOffer, "the body is not an SDP offer"))
    }
}

/// 201 for a new session.
pub fn created(location: &str, session: &str, answer: String) -> Response {
    let mut response = reply::bytes(StatusCode::CREATED, OFFER, answer);
    reply::add(&mut response, LOCATION, location);
    reply::add(&mut response, ETAG, patch::etag(session, 0));
    reply::add(&mut response, HeaderName::from_static("accept-patch"), FRAGMENT);
    response
}

/// 128 random bits: whoever knows a session's URL may end it.
pub fn new_id() -> Result<String, Problem> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, Kind::Blank, "the system has no random numbers")
    })?;
    Ok(hex(&random))
}

fn refusal(channel: &str, error: WhipRequestError) -> Problem {
    let detail = error.to_string();
    let error = match error {
        WhipRequestError::NoChannel => return no_channel(channel),
        WhipRequestError::Whip(error) => error,
    };
    let (status, kind) = match error {
        WhipError::NotWhip(_) => (StatusCode::CONFLICT, Kind::NotWhip),
        WhipError::NoSession => (StatusCode::NOT_FOUND, Kind::NoSession),
        WhipError::Refused { fault, .. } => match fault {
            Fault::Client => (StatusCode::BAD_REQUEST, Kind::BadOffer),
            Fault::NoCommonCodec => (StatusCode::NOT_ACCEPTABLE, Kind::NoCommonCodec),
            Fault::Busy => (StatusCode::CONFLICT, Kind::Busy),
            Fault::NoSession => (StatusCode::NOT_FOUND, Kind::NoSession),
            Fault::Server => return Problem::unavailable(Kind::WorkerUnavailable, detail),
        },
        WhipError::Timeout | WhipError::WorkerGone | WhipError::TooMany => {
            return Problem::unavailable(Kind::WorkerUnavailable, detail);
        }
    };
    Problem::new(status, kind, detail)
}

pub fn no_channel(channel: &str) -> Problem {
    Problem::not_found(Kind::NoChannel, format!("there is no channel {channel}"))
}
