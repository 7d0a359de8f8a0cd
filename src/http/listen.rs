//! Listening, accepting, and what bounds a connection: how long its handshake, its first request
//! and its headers may take, and when it must end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::places::{Place, Places};
use super::request::Peer;
use super::service;
use super::state::{Life, State};
use super::tls::Tls;
use crate::telemetry::http::HttpMetrics;

/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// How often a silent HTTP/2 connection is asked whether it lives.
const PING: Duration = Duration::from_secs(20);
/// How long a client may leave unread what it is sent, but for what the system holds for it.
const UNREAD: Duration = Duration::from_secs(60);
/// How long connections may finish what they are at, once the server ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Addresses that are bound and not yet served.
pub struct Listeners {
    listeners: Vec<TcpListener>,
    unread: Duration,
}

/// The operator's to mend: the port is taken, or may not be had.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {error}")]
pub struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

/// What connections share.
struct Server {
    service: Service,
    tls: Option<Arc<Tls>>,
    header_timeout: Duration,
    unread: Duration,
}

/// What is served.
pub struct Service {
    pub filter: BoxedFilter<(Response,)>,
    pub metrics: HttpMetrics,
    pub life: watch::Receiver<Life>,
}

// === impl Service ===

impl Service {
    /// Everything that a daemon serves.
    pub fn of(state: Arc<State>) -> Self {
        let (metrics, life) = (state.metrics.clone(), state.life.clone());
        Self { filter: service::filter(state), metrics, life }
    }
}

// === impl Listeners ===

impl Listeners {
    pub async fn bind(addresses: &[SocketAddr]) -> Result<Self, ListenError> {
        let mut listeners = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let bound = TcpListener::bind(address).await;
            listeners.push(bound.map_err(|error| ListenError { address, error })?);
        }
        Ok(Self { listeners, unread: UNREAD })
    }

    /// Where they listen: the ports that the system chose, too.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|l| l.local_addr().ok()).collect()
    }

    /// Serves until the life ends, then waits a moment for connections to finish.
    pub async fn serve(
        self,
        service: Service,
        tls: Option<Arc<Tls>>,
        places: Arc<Places>,
        header_timeout: Duration,
    ) {
        let server = Arc::new(Server { service, tls, header_timeout, unread: self.unread });
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            accepting.spawn(accept(listener, server.clone(), places.clone()));
        }
        while accepting.join_next().await.is_some() {}
        // Each connection holds a place; with all of them back, all connections are closed.
        if timeout(FAREWELL, places.all_back()).await.is_err() {
            debug!("some connections did not finish in time");
        }
    }
}

async fn accept(listener: TcpListener, server: Arc<Server>, places: Arc<Places>) {
    let mut life = server.service.life.clone();
    let mut ended = pin!(end_of(&mut life));
    loop {
        let accepted = async {
            let free = places.free().await?;
            Some((listener.accept().await, free))
        };
        let (accepted, free) = tokio::select! {
            () = &mut ended => return,
            accepted = accepted => match accepted {
                Some(accepted) => accepted,
                None => return,
            },
        };
        match accepted {
            Ok((stream, address)) => match places.take(free, address.ip()) {
                Some(place) => {
                    tokio::spawn(server.clone().connection(stream, address, place));
                }
                None => {
                    debug!(%address, "as many connections already as one address may have");
                    server.count_failure("address_full");
                }
            },
            Err(error) => {
                // Out of descriptors, most likely: others must end first.
                warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

// === impl Server ===

impl Server {
    async fn connection(self: Arc<Self>, stream: TcpStream, address: SocketAddr, place: Place) {
        let _place = place;
        // Answers are small and awaited.
        let _ = stream.set_nodelay(true);
        // Neither protocol gives up a client that doesn't read.
        let unread = u32::try_from(self.unread.as_millis()).unwrap_or(u32::MAX);
        let _ = sockopt::set_tcp_user_timeout(&stream, unread);
        let Some(tls) = &self.tls else {
            let peer = Peer { address, is_tls: false };
            return self.serve(stream, peer).await;
        };
        let handshake = tls.acceptor().accept(stream);
        match timeout(self.header_timeout, handshake).await {
            Ok(Ok(stream)) => self.serve(stream, Peer { address, is_tls: true }).await,
            Ok(Err(error)) => {
                debug!(%address, %error, "no TLS");
                self.count_failure("tls");
            }
            Err(_) => self.count_failure("tls_timeout"),
        }
    }

    async fn serve<S>(&self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.service.metrics.connections.inc();
        let filter = TowerToHyperService::new(warp::service(self.service.filter.clone()));
        let begun = Arc::new(Notify::new());
        let begins = begun.clone();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            begins.notify_one();
            request.extensions_mut().insert(peer);
            filter.call(request)
        });
        let builder = self.protocols();
        let mut connection =
            pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        // The protocols' own limits begin when it is known which one is spoken, and HTTP/2 is
        // content with a client that asks for nothing.
        let silent = async {
            if timeout(self.header_timeout, begun.notified()).await.is_ok() {
                std::future::pending().await
            }
        };
        let mut life = self.service.life.clone();
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = silent => {
                self.count_failure("header_timeout");
                Ok(())
            }
            () = end_of(&mut life) => {
                connection.as_mut().graceful_shutdown();
                match timeout(FAREWELL, connection).await {
                    Ok(result) => result,
                    Err(_) => Ok(()),
                }
            }
        };
        if let Err(error) = result {
            debug!(address = %peer.address, error, "connection failed");
            let timeout = error.downcast_ref().is_some_and(hyper::Error::is_timeout);
            self.count_failure(if timeout { "header_timeout" } else { "protocol" });
        }
        self.service.metrics.connections.dec();
    }

    fn protocols(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(64 * 1024);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(16 * 1024)
            .keep_alive_interval(PING)
            .keep_alive_timeout(self.header_timeout);
        builder
    }

    fn count_failure(&self, reason: &str) {
        self.service.metrics.connections_failed.with_label_values(&[reason]).inc();
    }
}

async fn end_of(life: &mut watch::Receiver<Life>) {
    // An error means that the daemon is gone.
    let _ = life.wait_for(|life| *life == Life::Ended).await;
}

#[cfg(test)]
mod tests;
