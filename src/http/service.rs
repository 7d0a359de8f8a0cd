//! From a request to a response: limits, who may, what it names, the handler, and what every
//! response carries.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};
use hyper::upgrade::OnUpgrade;
use tokio_stream::{Stream, StreamExt as _};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::host::Authority;
use warp::http::header::{
    CONNECTION, IF_NONE_MATCH, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderName, HeaderValue, Method, StatusCode};
use warp::reply::Response;

use super::origin::{self, Origins};
use super::people::{self, Decider};
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::{Peer, Request, client_address};
use super::route::Route;
use super::state::State;
use super::{account, analytics, api, assets, events, recordings, server, users, whep, whip, ws};
use crate::directory::Origin;

/// What a token that isn't good costs of the rate limit: guessing is slow.
pub const BAD_TOKEN_COST: f64 = 20.0;

/// And what a question of another node costs that was answered, of which there are many from one
/// address. Until then it costs what others do, and one that isn't signed well as much as such a
/// token.
const QUESTION_COST: f64 = 0.01;

/// Everything that is served, as one filter. Paths are matched by [`Route`] and not by filters,
/// so that each resource knows its methods: a rejection can't say what would be allowed.
pub fn filter(state: Arc<State>) -> BoxedFilter<(Response,)> {
    filter_by(move |request| respond(state.clone(), request))
}

/// What a function answers, as a filter.
pub fn filter_by<A>(
    answer: impl Fn(Request) -> A + Clone + Send + Sync + 'static,
) -> BoxedFilter<(Response,)>
where
    A: Future<Output = Response> + Send,
{
    warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::host::optional().or(warp::any().map(|| None)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .then(
            move |method,
                  path: FullPath,
                  query,
                  host: Option<Authority>,
                  headers,
                  peer,
                  upgrade,
                  body| {
                let body = whole_parts(body);
                let request = Request {
                    method,
                    path: path.as_str().to_owned(),
                    query,
                    authority: host.map(|host| host.to_string()),
                    headers,
                    peer,
                    upgrade,
                    body: Box::pin(body),
                    is_begun: false,
                };
                answer(request)
            },
        )
        .boxed()
}

/// A part of a body may come in pieces.
fn whole_parts<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> impl Stream<Item = Result<Bytes, warp::Error>> {
    body.map(|part| part.map(|mut part| part.copy_to_bytes(part.remaining())))
}

async fn respond(state: Arc<State>, mut request: Request) -> Response {
    let began = Instant::now();
    let path = request.path.clone();
    let method = request.method.clone();
    let headers = request.headers.clone();
    let route = Route::of(&path);
    let client =
        client_address(request.peer.address.ip(), &headers, &state.settings.trusted_proxies);

    let answer = match state.limiter.take(client, 1.0) {
        Err(problem) => {
            state.metrics.rate_limited.inc();
            Err(problem)
        }
        Ok(()) => within_time(&state, &mut request, route).await,
    };
    let is_forwarded = |response: &Response| {
        // What another node says of a token.
        let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|c| c.to_str().ok());
        challenge.is_some_and(|challenge| challenge.contains("invalid_token"))
    };
    let is_bad_token = match &answer {
        Ok(response) => is_forwarded(response),
        Err(problem) => problem.kind == Kind::InvalidToken,
    };
    if is_bad_token {
        // Whether it could still pay doesn't matter: its next request will show.
        let _ = state.limiter.take(client, BAD_TOKEN_COST);
    }
    let is_answered = matches!(&answer, Ok(response) if response.status() == StatusCode::OK);
    if route == Route::Questions && is_answered {
        state.limiter.give_back(client, 1.0 - QUESTION_COST);
    }
    let mut response = answer.unwrap_or_else(Problem::into_response);
    if is_for_other_nodes(&state, route) {
        Origins::decorate_for_all(&mut response);
    } else {
        state.origins.decorate(&headers, &mut response);
    }
    let status = response.status();
    let fixed = response.headers_mut();
    // A body that took too long already is not waited for again. HTTP/2 knows no such header:
    // hyper leaves it out there and resets the stream alone.
    let is_late = status == StatusCode::REQUEST_TIMEOUT;
    if is_late || !request.discard_body().await {
        fixed.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    fixed.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fixed.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    count(&state, route, &method, status, began);
    response
}

async fn within_time(state: &Arc<State>, request: &mut Request, route: Route<'_>) -> Answer {
    let handled =
        tokio::time::timeout(state.settings.request_timeout, handle(state, request, route));
    handled.await.unwrap_or_else(|_| {
        let detail = "the request took too long to arrive or to be answered";
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Kind::Blank, detail))
    })
}

pub async fn handle(state: &Arc<State>, request: &mut Request, route: Route<'_>) -> Answer {
    if !is_for_other_nodes(state, route) {
        state.origins.check(&request.headers, request.authority.as_deref())?;
    }
    route.check()?;
    if request.method == Method::OPTIONS {
        return Ok(options(route));
    }
    if !route.methods().contains(&request.method) {
        return Err(Problem::method_not_allowed(route.allow()));
    }
    if let Decider::Elsewhere(node) = &state.people.decider
        && route.is_of_accounts()
    {
        return node.forward(state, request).await;
    }
    state.check_device(request).await?;
    match (route, request.method.as_str()) {
        (Route::Whip { channel }, _) => whip::publish(state, request, channel).await,
        (Route::WhipSession { channel, session }, "PATCH") => {
            whip::trickle(state, request, channel, session).await
        }
        (Route::WhipSession { channel, session }, _) => {
            whip::stop(state, request, channel, session).await
        }
        (Route::Whep { channel }, _) => whep::watch(state, request, channel).await,
        (Route::WhepSession { channel, session }, "PATCH") => {
            whep::trickle(state, request, channel, session).await
        }
        (Route::WhepSession { channel, session }, _) => {
            whep::leave(state, request, channel, session).await
        }
        (Route::WhepEvents { channel, session }, _) => {
            whep::make_stream(state, request, channel, session).await
        }
        (Route::WhepEventStream { channel, session, stream }, "DELETE") => {
            whep::end_stream(state, request, channel, session, stream)
        }
        (Route::WhepEventStream { channel, session, stream }, _) => {
            events::follow(state, channel, session, stream)
        }
        (Route::WhepLayer { channel, session }, _) => {
            whep::choose_layer(state, request, channel, session).await
        }
        (Route::Channels, "POST") => api::create(state, request).await,
        (Route::Channels, _) => api::list(state, request),
        (Route::Channel { name }, "PUT") => api::put(state, request, name).await,
        (Route::Channel { name }, "DELETE") => api::delete(state, request, name).await,
        (Route::Channel { name }, _) => api::get(state, request, name),
        (Route::Thumbnail { name }, _) => api::thumbnail(state, request, name),
        (Route::Viewers { name }, _) => api::viewers(state, request, name).await,
        (Route::ChannelRecording { name }, "POST") => recordings::start(state, request, name).await,
        (Route::ChannelRecording { name }, "DELETE") => {
            recordings::stop(state, request, name).await
        }
        (Route::ChannelRecording { name }, _) => recordings::of_channel(state, request, name).await,
        (Route::Recordings, _) => recordings::list(state, request).await,
        (Route::Recording { recording }, "DELETE") => {
            recordings::delete(state, request, recording).await
        }
        (Route::Recording { recording }, _) => recordings::get(state, request, recording).await,
        (Route::RecordingLinks { recording }, _) => {
            recordings::links(state, request, recording).await
        }
        (Route::RecordingFile { recording, file }, _) => {
            recordings::fetch(state, request, recording, file).await
        }
        (Route::Hardware, _) => server::hardware(state, request),
        (Route::Analytics, _) => analytics::list(state, request),
        (Route::AnalyticsReport { report }, _) => analytics::report(state, request, report).await,
        (Route::Server, _) => server::server(state, request),
        (Route::Me, _) => server::me(state, request),
        (Route::Users, _) => users::sign_up(state, request).await,
        (Route::User { user }, _) => users::person(state, request, user).await,
        (Route::SignIns, _) => users::sign_in(state, request).await,
        (Route::Account(own), _) => account::handle(state, request, own).await,
        (Route::Questions, _) => people::answer(state, request).await,
        (Route::OpenApi, _) => server::openapi(state),
        (Route::WebSocket, _) => ws::connect(state, request),
        (Route::Healthz, _) => server::healthz(),
        (Route::Readyz, _) => server::readyz(state),
        (Route::Metrics, _) => server::metrics(state, request),
        (Route::Asset { path }, _) => asset(state, request, path),
    }
}

/// A file of the web client. `?node=` is the node that a worker of the page is to speak to.
fn asset(state: &State, request: &Request, path: &str) -> Answer {
    let node = recordings::value(&request.query, "node");
    let node = node.and_then(|text| text.parse::<Origin>().ok());
    let node = node.filter(|at| state.calls.as_ref().is_some_and(|board| board.knows_node_at(at)));
    assets::serve(path, request.header(IF_NONE_MATCH), node.as_ref())
        .ok_or_else(|| Problem::not_found(Kind::Blank, format!("there is nothing at {path}")))
}

/// A call's media is for pages that were loaded from other nodes, too: what opens it is a pass, which
/// no foreign page has.
fn is_for_other_nodes(state: &State, route: Route<'_>) -> bool {
    state.settings.public_url.is_some() && route.is_of_call()
}

/// Preflight and self-description (RFC 9725, 4.2: Accept-Post).
fn options(route: Route<'_>) -> Response {
    let mut response = origin::preflight(&route.allow());
    if matches!(route, Route::Whip { .. } | Route::Whep { .. }) {
        reply::add(&mut response, HeaderName::from_static("accept-post"), "application/sdp");
    }
    response
}

fn count(state: &State, route: Route<'_>, method: &Method, status: StatusCode, began: Instant) {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    let method = if known.contains(method) { method.as_str() } else { "other" };
    let labels = &[route.name(), method, status.as_str()];
    state.metrics.requests.with_label_values(labels).inc();
    let seconds = state.metrics.seconds.with_label_values(&[route.name()]);
    seconds.observe(began.elapsed().as_secs_f64());
}
