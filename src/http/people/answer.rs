//! What the node that has the accounts answers others: whoever has the secret.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::Serialize;
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use warp::http::{HeaderMap, HeaderValue, Method, StatusCode};
use warp::reply::Response;

use super::Decider;
use super::question::{Forwarded, Greeting, MAX_QUESTION, Page, Passed, Question};
use crate::accounts::hook::{SIGNATURE, TIMESTAMP};
use crate::calls::ids::Address;
use crate::http::problem::{Kind, Problem};
use crate::http::reply::{self, Answer};
use crate::http::request::{Peer, Request};
use crate::http::route::Route;
use crate::http::service;
use crate::http::state::State;

/// What a client is passed of an answer's headers.
const HEADERS: [HeaderName; 6] = [
    CONTENT_TYPE,
    warp::http::header::LOCATION,
    warp::http::header::WWW_AUTHENTICATE,
    warp::http::header::RETRY_AFTER,
    warp::http::header::CACHE_CONTROL,
    warp::http::header::ALLOW,
];

pub async fn answer(state: &Arc<State>, request: &mut Request) -> Answer {
    let question = read(state, request).await?;
    let people = &state.people;
    Ok(match question {
        Question::Greet {} => given(&greeting(state)),
        Question::Request(forwarded) => given(&Box::pin(pass(state, forwarded)).await?),
        Question::SignedIn { address, connects } => {
            let known = people.knows_device(&address, connects).await;
            given(&known.map_err(|error| state.database_problem(&error))?)
        }
        Question::MayRing { caller, call, users } => {
            let invitees = people.invitees(&caller, call.as_ref(), users.into_vec()).await;
            let refusals = invitees.into_iter().map(|invitee| invitee.allowed.err());
            given(&refusals.collect::<Vec<_>>())
        }
        Question::Around { user } => {
            let around = people.around_here(&user).await;
            given(&around.map_err(|error| state.database_problem(&error))?)
        }
        Question::Said(said) => given(&people.chat(said).await),
        Question::Undelivered { address, after } => {
            given(&undelivered(state, &address, after).await)
        }
        Question::CallEnded { call } => {
            people.call_ended(&call).await;
            given(&())
        }
    })
}

/// The question, of whoever knows the secret. This node must have the accounts itself, so that two
/// that name each other don't ask on and on.
async fn read(state: &State, request: &mut Request) -> Result<Question, Problem> {
    let signer = state.people.others.as_ref();
    let has_accounts = !matches!(state.people.decider, Decider::Elsewhere(_));
    let Some(signer) = signer.filter(|_| has_accounts) else {
        let detail = "this server answers no other one's questions about accounts";
        return Err(Problem::not_found(Kind::NoAccounts, detail));
    };
    let text = |request: &Request, name| {
        request.header(HeaderName::from_static(name)).unwrap_or_default().to_owned()
    };
    let (timestamp, signature) = (text(request, TIMESTAMP), text(request, SIGNATURE));
    let unsigned = |detail: &str| {
        Problem::unauthorized(Kind::InvalidToken, "Stentor-Signature".to_owned(), detail)
    };
    if signature.is_empty() {
        return Err(unsigned("expected a signature"));
    }
    let body = request.bytes_up_to(MAX_QUESTION).await?;
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let verified = signer.verify(&timestamp, &signature, &body, unix);
    verified.map_err(|error| unsigned(&error.to_string()))?;
    serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(Kind::InvalidBody, format!("not a question: {error}"))
    })
}

fn greeting(state: &State) -> Greeting {
    Greeting {
        key: state.people.desk().map(|desk| desk.key.public_pem().to_owned()),
        features: state.people.features(),
    }
}

/// Answers as if the client had asked here.
async fn pass(state: &Arc<State>, forwarded: Forwarded) -> Result<Passed, Problem> {
    let Forwarded { method, path, authorization, content_type, body, client } = forwarded;
    let method = Method::from_bytes(method.as_bytes());
    let method = method.map_err(|_| Problem::bad_request(Kind::InvalidBody, "not a method"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in [(AUTHORIZATION, authorization), (CONTENT_TYPE, content_type)] {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
    let mut request = Request {
        method,
        path: path.clone(),
        query: String::new(),
        authority: None,
        headers,
        peer: Peer { address: (client, 0).into(), is_tls: false },
        upgrade: None,
        body: Box::pin(tokio_stream::iter([Ok(Bytes::from(body))])),
        is_begun: false,
    };
    let route = Route::of(&path);
    if !route.is_of_accounts() {
        return Err(Problem::bad_request(Kind::InvalidBody, "not about accounts"));
    }
    let answer = match check_passed(state, route) {
        Ok(()) => service::handle(state, &mut request, route).await,
        Err(problem) => Err(problem),
    };
    passed(answer.unwrap_or_else(Problem::into_response)).await
}

/// A server without tokens takes whoever is on its machine for its operator. Whose request another
/// node passes on may be anybody.
fn check_passed(state: &State, route: Route<'_>) -> Result<(), Problem> {
    let is_open_to_all = state.people.desk().is_some_and(|desk| desk.is_open);
    if route == Route::Users && state.access.is_open() && !is_open_to_all {
        return Err(Problem::forbidden("accounts are made by this service's operator alone"));
    }
    Ok(())
}

async fn passed(response: Response) -> Result<Passed, Problem> {
    let status = response.status().as_u16();
    let text = |name: &HeaderName| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    let headers = HEADERS.iter().filter_map(text).collect();
    let broken =
        |detail: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Kind::Blank, detail);
    let body = response.into_body().collect().await;
    let body = body.map_err(|error| broken(error.to_string()))?.to_bytes();
    let body = String::from_utf8(body.into()).map_err(|error| broken(error.to_string()))?;
    Ok(Passed { status, headers, body })
}

async fn undelivered(state: &State, address: &Address, after: Option<i64>) -> Option<Page> {
    state.people.undelivered(address, after).await.ok()
}

fn given(value: &impl Serialize) -> Response {
    reply::json(StatusCode::OK, value)
}
