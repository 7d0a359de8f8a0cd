//! The event stream of a viewer's session (draft-ietf-wish-whep, 4.10.1).

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use warp::Reply as _;
use warp::http::HeaderValue;
use warp::http::header::CACHE_CONTROL;
use warp::sse::Event;

use super::reply::Answer;
use super::sessions::EventKind;
use super::state::{Life, State};
use super::whep;
use crate::channels::{ChannelState, ChannelStatus};
use crate::fanout::{RenditionChoice, SessionId, SessionReport, SessionState};
use stentor_protocol::control::SourceState;

/// Events that a slow reader may leave unread; the stream waits beyond.
const UNREAD: usize = 16;
/// How often viewers are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);

/// Follows a stream. Its URL is the token: an EventSource can't send a header.
pub fn follow(state: &Arc<State>, channel: &str, session: &str, stream: &str) -> Answer {
    let id = whep::parse_id(session)?;
    let kinds = state.sessions.stream(channel, id, stream).ok_or_else(whep::no_session)?;
    let report = state.fanout.watch(id).ok_or_else(whep::no_session)?;
    let status = state.channels.watch(channel).ok_or_else(whep::no_session)?;
    let video = state.sessions.find(channel, id, |s| s.video_index).ok_or_else(whep::no_session)?;
    let (events, unread) = mpsc::channel(UNREAD);
    let teller = Teller {
        kinds,
        events,
        channel: channel.to_owned(),
        session: id,
        stream: stream.to_owned(),
        video,
        said: Said::default(),
    };
    tokio::spawn(teller.run(state.clone(), report, status));
    let unread = ReceiverStream::new(unread).map(Ok::<_, Infallible>);
    let kept_alive = warp::sse::keep_alive().interval(Duration::from_secs(15)).stream(unread);
    let mut response = warp::sse::reply(kept_alive).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

struct Teller {
    kinds: BTreeSet<EventKind>,
    events: mpsc::Sender<Event>,
    channel: String,
    session: SessionId,
    stream: String,
    /// The video's place among the offer's media.
    video: usize,
    said: Said,
}

/// What was told last: only changes are told.
#[derive(Default)]
struct Said {
    active: Option<bool>,
    layers: Option<serde_json::Value>,
    layer: Option<serde_json::Value>,
    count: Option<usize>,
}

// === impl Teller ===

impl Teller {
    async fn run(
        mut self,
        state: Arc<State>,
        mut report: watch::Receiver<SessionReport>,
        mut status: watch::Receiver<Arc<ChannelStatus>>,
    ) {
        state.metrics.event_streams.inc();
        let mut life = state.life.clone();
        let mut count = tokio::time::interval(COUNT_INTERVAL);
        loop {
            let now = report.borrow_and_update().clone();
            let channel = status.borrow_and_update().clone();
            let viewers = state.sessions.count(&self.channel);
            let told = self.tell(&now, &channel, viewers).await;
            let ended = now.state == SessionState::Ended
                || state.sessions.stream(&self.channel, self.session, &self.stream).is_none();
            if !told || ended {
                break;
            }
            if *life.borrow_and_update() >= Life::Draining {
                self.send(EventKind::Reconnect, "reconnect", json!({})).await;
                break;
            }
            tokio::select! {
                changed = report.changed() => if changed.is_err() { break },
                changed = status.changed() => if changed.is_err() { break },
                _ = life.changed() => {}
                _ = count.tick() => {}
                () = self.events.closed() => break,
            }
        }
        state.metrics.event_streams.dec();
    }

    /// False: nobody listens any more.
    async fn tell(
        &mut self,
        report: &SessionReport,
        channel: &ChannelStatus,
        viewers: usize,
    ) -> bool {
        let active = channel.state == ChannelState::Running
            && channel.source_state == Some(SourceState::Live);
        // A stream doesn't begin with "inactive".
        let before = self.said.active.replace(active).unwrap_or(false);
        let mut listened = true;
        if active != before {
            let (kind, name) = if active {
                (EventKind::Active, "active")
            } else {
                (EventKind::Inactive, "inactive")
            };
            listened &= self.send(kind, name, json!({})).await;
        }
        let layers = json!({ self.video.to_string(): layers(report) });
        if self.said.layers.as_ref() != Some(&layers) {
            self.said.layers = Some(layers.clone());
            listened &= self.send(EventKind::Layers, "layers", layers).await;
        }
        let layer = json!({
            "rid": report.active,
            "auto": report.choice == RenditionChoice::Auto,
        });
        if self.said.layer.as_ref() != Some(&layer) {
            self.said.layer = Some(layer.clone());
            listened &= self.send(EventKind::Layer, "layer", layer).await;
        }
        if self.said.count != Some(viewers) {
            self.said.count = Some(viewers);
            let count = json!({ "viewercount": viewers });
            listened &= self.send(EventKind::ViewerCount, "viewercount", count).await;
        }
        listened
    }

    async fn send(&self, kind: EventKind, name: &str, data: serde_json::Value) -> bool {
        if !self.kinds.contains(&kind) {
            return !self.events.is_closed();
        }
        self.events.send(Event::default().event(name).data(data.to_string())).await.is_ok()
    }
}

/// In the draft's shape; what doesn't run has no `bitrate`.
fn layers(report: &SessionReport) -> Vec<serde_json::Value> {
    let layer = |layer: &crate::fanout::Layer| {
        let mut value = json!({
            "rid": layer.name,
            "targetBitrate": layer.bitrate,
            "width": layer.resolution.width,
            "height": layer.resolution.height,
            "active": layer.running,
        });
        if layer.running {
            value["bitrate"] = json!(layer.bitrate);
        }
        value
    };
    report.layers.iter().map(layer).collect()
}
