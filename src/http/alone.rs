//! What `stentor analytics` serves: reports, their page, health and metrics, and nothing else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{IntGauge, Registry, TextEncoder};
use serde_json::json;
use tokio::sync::watch;
use warp::http::header::{IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use warp::http::{HeaderValue, Method, StatusCode};
use warp::reply::Response;

use super::access::{Access, Need};
use super::listen::Service;
use super::origin::{self, Origins};
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::{Request, client_address};
use super::route::Route;
use super::service::{BAD_TOKEN_COST, filter_by};
use super::state::{Life, Limiter};
use super::{analytics, assets};
use crate::analytics::Desk;
use crate::telemetry::http::HttpMetrics;

pub struct Alone {
    pub desk: Desk,
    pub access: Access,
    pub origins: Origins,
    pub limiter: Limiter,
    pub metrics: HttpMetrics,
    pub registry: Registry,
    /// Whether a broker answers. None: events don't come from Kafka.
    pub kafka_up: Option<IntGauge>,
    /// Whether `/metrics` asks for an admin's token.
    pub metrics_token: bool,
    pub life: watch::Receiver<Life>,
    pub request_timeout: Duration,
    pub trusted_proxies: Vec<IpAddr>,
    pub started: Instant,
}

const NO_BROKER: &str = "degraded: no broker of Kafka answers, and reports stand still\n";

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

// === impl Alone ===

impl Alone {
    pub fn service(self) -> Service {
        let (metrics, life) = (self.metrics.clone(), self.life.clone());
        let alone = Arc::new(self);
        let filter = filter_by(move |request| {
            let alone = alone.clone();
            async move { alone.respond(request).await }
        });
        Service { filter, metrics, life }
    }

    async fn respond(&self, request: Request) -> Response {
        let began = Instant::now();
        let route = Route::of(&request.path);
        let peer = request.peer.address.ip();
        let client = client_address(peer, &request.headers, &self.trusted_proxies);
        let answer = match self.limiter.take(client, 1.0) {
            Err(problem) => {
                self.metrics.rate_limited.inc();
                Err(problem)
            }
            Ok(()) => {
                let handled = self.handle(&request, route);
                tokio::time::timeout(self.request_timeout, handled).await.unwrap_or_else(|_| {
                    let detail = "the request took too long to be answered";
                    Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Kind::Blank, detail))
                })
            }
        };
        if answer.as_ref().is_err_and(|problem| problem.kind == Kind::InvalidToken) {
            // Whether it could still pay doesn't matter: its next request will show.
            let _ = self.limiter.take(client, BAD_TOKEN_COST);
        }
        let mut response = answer.unwrap_or_else(Problem::into_response);
        self.origins.decorate(&request.headers, &mut response);
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        let known = [Method::GET, Method::HEAD, Method::OPTIONS];
        let method =
            if known.contains(&request.method) { request.method.as_str() } else { "other" };
        let status = response.status();
        let labels = &[route.name(), method, status.as_str()];
        self.metrics.requests.with_label_values(labels).inc();
        let seconds = self.metrics.seconds.with_label_values(&[route.name()]);
        seconds.observe(began.elapsed().as_secs_f64());
        response
    }

    async fn handle(&self, request: &Request, route: Route<'_>) -> Answer {
        self.origins.check(&request.headers, request.authority.as_deref())?;
        if request.method == Method::OPTIONS {
            return Ok(origin::preflight(&route.allow()));
        }
        if ![Method::GET, Method::HEAD].contains(&request.method) {
            return Err(Problem::method_not_allowed("GET, HEAD, OPTIONS".to_owned()));
        }
        let check = |need| self.access.check(request.authorization(), need);
        match route {
            Route::Analytics => {
                check(Need::Analyse)?;
                Ok(analytics::listed())
            }
            Route::AnalyticsReport { report } => {
                check(Need::Analyse)?;
                analytics::reported(&self.desk, report, &request.query).await
            }
            Route::Me => {
                check(Need::Analyse)?;
                Ok(self.me())
            }
            Route::Server => {
                check(Need::Analyse)?;
                Ok(self.server())
            }
            Route::Healthz => Ok(reply::bytes(StatusCode::OK, TEXT, "ok\n")),
            Route::Readyz => {
                // What was counted can be read.
                let is_cut_off = self.kafka_up.as_ref().is_some_and(|up| up.get() == 0);
                let text = if is_cut_off { NO_BROKER } else { "ready\n" };
                Ok(reply::bytes(StatusCode::OK, TEXT, text))
            }
            Route::Metrics => {
                if self.metrics_token {
                    check(Need::Server)?;
                }
                self.metrics()
            }
            _ => {
                let asset = assets::serve(&request.path, request.header(IF_NONE_MATCH), None);
                asset.ok_or_else(|| {
                    let detail = format!("there is nothing at {}", request.path);
                    Problem::not_found(Kind::Blank, detail)
                })
            }
        }
    }

    /// Whoever may read reports may do nothing else here.
    fn me(&self) -> Response {
        let open = self.access.is_open();
        let me = json!({
            "open": open,
            "role": "analytics",
            "channel": "*",
            "user": null,
            "expires_at": null,
        });
        reply::json(StatusCode::OK, &me)
    }

    fn server(&self) -> Response {
        let server = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs_f64(),
            "features": ["analytics"],
        });
        reply::json(StatusCode::OK, &server)
    }

    fn metrics(&self) -> Answer {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather());
        let text = text.map_err(|error| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(status, Kind::Blank, format!("metrics can't be written: {error}"))
        })?;
        Ok(reply::bytes(StatusCode::OK, TEXT, text))
    }
}
