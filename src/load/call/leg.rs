//! A device's sessions with the call server, each a task: what it watches, and what it publishes.
//!
//! As the product's own client does, a session that can't be had is asked for again: a camera's
//! channel has nothing before the camera is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::Uri;
use tokio::sync::watch;
use tokio::time::sleep;

use super::publisher::Publisher;
use super::reading::{Equipment, Peer, turn};
use super::summary::Shared;
use crate::calls::messages::Rendition;
use crate::load::histogram::Histogram;
use crate::load::socket::{Burst, Socket};
use crate::load::viewer::{Seen, Stage, Viewer};
use crate::load::whep::{Client, WhepError};

const BETWEEN_TRIES: Duration = Duration::from_millis(300);
/// Sessions of one leg that may break; then it is given up.
const MOST_BROKEN: u32 = 20;

/// How a leg fares, for the device's reports.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub plays: AtomicBool,
    pub bytes: AtomicU64,
}

/// What is wanted of a leg. A sender that is gone ends it.
pub(super) type Wanted = watch::Receiver<Rendition>;

/// What a leg came to.
#[derive(Default)]
pub(super) struct Watched {
    /// Of each session.
    pub seen: Vec<Seen>,
    pub played_at: Option<Instant>,
    /// It plays at the end.
    pub plays: bool,
    /// Why it doesn't.
    pub failed: Option<String>,
}

struct Watching<'a> {
    viewer: Viewer,
    live: &'a Live,
    shared: &'a Shared,
}

/// Watches until it isn't wanted any more.
pub(super) async fn watch(
    equipment: Arc<Equipment>,
    client: Client,
    mut wanted: Wanted,
    live: Arc<Live>,
) -> Watched {
    let mut watched = Watched::default();
    for _ in 0..MOST_BROKEN {
        let end = watch_once(&equipment, &client, &mut wanted, &live, &mut watched).await;
        watched.plays = live.set(false, &equipment.shared);
        match end {
            Ok(()) => {
                watched.failed = (!watched.plays).then(|| "no picture before the end".to_owned());
                return watched;
            }
            Err(reason) => watched.failed = Some(reason),
        }
        watched.plays = false;
        tokio::select! {
            () = sleep(BETWEEN_TRIES) => {}
            () = unwanted(&mut wanted) => break,
        }
    }
    watched
}

async fn watch_once(
    equipment: &Equipment,
    client: &Client,
    wanted: &mut Wanted,
    live: &Live,
    watched: &mut Watched,
) -> Result<(), String> {
    let mut rendition = *wanted.borrow_and_update();
    let named = client.with_rendition(name_of(rendition));
    let began = Instant::now();
    let (mut viewer, offer) = Viewer::new(&equipment.kit, 0, began)?;
    let accepted = tokio::select! {
        accepted = ask(&named, &offer, began + equipment.patience) => accepted?,
        () = unwanted(wanted) => return Ok(()),
    };
    {
        let mut latency = equipment.shared.latency();
        viewer.accept(Instant::now(), accepted, &mut latency);
    }
    let location = viewer.location.clone();
    // What was wanted otherwise while it was asked for.
    let asked = std::mem::replace(&mut rendition, *wanted.borrow_and_update());
    if asked != rendition {
        choose(client, location.as_ref(), rendition).await;
    }
    let mut peer = Watching { viewer, live, shared: &equipment.shared };
    let socket = equipment.watch(&peer).map_err(|error| format!("no socket: {error}"))?;
    let given_up = began + equipment.patience;
    loop {
        tokio::select! {
            () = turn(&mut peer, socket.as_ref(), equipment, given_up) => {
                if peer.is_over() || peer.gives_up(given_up) {
                    break;
                }
            }
            changed = wanted.changed() => {
                if changed.is_err() {
                    break;
                }
                rendition = *wanted.borrow_and_update();
                choose(client, location.as_ref(), rendition).await;
            }
        }
    }
    let mut viewer = peer.viewer;
    viewer.end(Instant::now(), &mut equipment.shared.latency());
    watched.played_at = watched.played_at.or(viewer.seen.playing_at);
    let end = match &viewer.stage {
        Stage::Failed(reason) => Err(reason.clone()),
        _ => Ok(()),
    };
    watched.seen.push(viewer.seen);
    end
}

/// What is refused leaves what there is.
async fn choose(client: &Client, location: Option<&Uri>, rendition: Rendition) {
    if let Some(location) = location {
        let _ = client.choose(location, name_of(rendition)).await;
    }
}

/// Publishes until it isn't wanted any more. Gives why it didn't to the end.
pub(super) async fn publish(
    equipment: Arc<Equipment>,
    client: Client,
    number: usize,
    mut wanted: Wanted,
) -> Result<(), String> {
    let mut failed = String::new();
    for _ in 0..MOST_BROKEN {
        match publish_once(&equipment, &client, number, &mut wanted).await {
            Ok(()) => return Ok(()),
            Err(reason) => failed = reason,
        }
        tokio::select! {
            () = sleep(BETWEEN_TRIES) => {}
            () = unwanted(&mut wanted) => break,
        }
    }
    Err(failed)
}

async fn publish_once(
    equipment: &Equipment,
    client: &Client,
    number: usize,
    wanted: &mut Wanted,
) -> Result<(), String> {
    let began = Instant::now();
    let studio = equipment.studio.clone();
    let (mut publisher, offer) = Publisher::new(&equipment.kit, studio, number, began)?;
    let accepted = tokio::select! {
        accepted = ask(client, &offer, began + equipment.patience) => accepted?,
        () = unwanted(wanted) => return Ok(()),
    };
    publisher.accept(Instant::now(), &accepted.answer);
    let socket = equipment.watch(&publisher).map_err(|error| format!("no socket: {error}"))?;
    let given_up = began + equipment.patience;
    loop {
        tokio::select! {
            () = turn(&mut publisher, socket.as_ref(), equipment, given_up) => match &publisher.stage {
                Stage::Failed(reason) => return Err(reason.clone()),
                Stage::Connecting if Instant::now() >= given_up => {
                    return Err("not connected in time".to_owned());
                }
                _ => {}
            },
            () = unwanted(wanted) => {
                publisher.end(Instant::now());
                return Ok(());
            }
        }
    }
}

/// Asks again while the answer may yet be another.
async fn ask(
    client: &Client,
    offer: &str,
    until: Instant,
) -> Result<crate::load::whep::Accepted, String> {
    loop {
        match client.join(offer.to_owned()).await {
            Ok(accepted) => return Ok(accepted),
            // Nothing is there yet, or too much was asked for.
            Err(WhepError::Status(404 | 409 | 422 | 429 | 503)) if Instant::now() < until => {}
            Err(error) => return Err(error.to_string()),
        }
        sleep(BETWEEN_TRIES).await;
    }
}

async fn unwanted(wanted: &mut Wanted) {
    while wanted.changed().await.is_ok() {}
}

/// What the product's client asks for: the original as it is, so that nothing is encoded for one
/// who is yet to be measured.
fn name_of(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::Original => "source",
        Rendition::Sd => "sd",
        Rendition::None => "none",
    }
}

// === impl Live ===

impl Live {
    /// Gives how it was.
    fn set(&self, plays: bool, shared: &Shared) -> bool {
        let before = self.plays.swap(plays, Ordering::Relaxed);
        match (before, plays) {
            (false, true) => shared.playing.fetch_add(1, Ordering::Relaxed),
            (true, false) => shared.playing.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
        before
    }
}

// === impl Watching ===

impl Watching<'_> {
    /// Nothing came in time.
    fn gives_up(&mut self, at: Instant) -> bool {
        let late = Instant::now() >= at;
        match self.viewer.stage {
            Stage::Connecting if late => self.viewer.fail("not connected in time"),
            // Sound alone may be what is wanted.
            _ => return false,
        }
        true
    }
}

impl Peer for Watching<'_> {
    fn socket(&self) -> &Socket {
        &self.viewer.socket
    }

    fn timeout(&self) -> Instant {
        self.viewer.timeout
    }

    fn is_over(&self) -> bool {
        matches!(self.viewer.stage, Stage::Failed(_))
    }

    fn handle_burst(&mut self, now: Instant, burst: Burst, buffer: &[u8], latency: &mut Histogram) {
        self.viewer.handle_burst(now, burst, buffer, latency);
    }

    fn handle_timeout(&mut self, now: Instant, latency: &mut Histogram) {
        self.viewer.handle_timeout(now, latency);
    }

    fn tell(&self) {
        self.live.bytes.store(self.viewer.seen.bytes, Ordering::Relaxed);
        self.live.set(self.viewer.stage == Stage::Playing, self.shared);
    }
}

// === impl Publisher ===

impl Peer for Publisher {
    fn socket(&self) -> &Socket {
        &self.socket
    }

    fn timeout(&self) -> Instant {
        self.due()
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Failed(_))
    }

    fn handle_burst(&mut self, now: Instant, burst: Burst, buffer: &[u8], _: &mut Histogram) {
        Publisher::handle_burst(self, now, burst, buffer);
    }

    fn handle_timeout(&mut self, now: Instant, _: &mut Histogram) {
        Publisher::handle_timeout(self, now);
    }
}
