//! One viewer's session, as its shard holds it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stentor_protocol::{BitsPerSecond, Codec};
use tokio::sync::watch;

use super::super::burst::Burst;
use super::super::bwe::{Estimator, ProbePlan};
use super::super::channel::{Channel, Offered};
use super::super::join::NewSession;
use super::super::registry::Place;
use super::super::rtcp::{self, ReportBlock, sender_report};
use super::super::select::{CALM, Candidate, Path, Selector};
use super::super::transport::Transport;
use super::super::{Layer, RenditionChoice, SessionId, SessionReport, SessionState, join};
use super::batch::Batch;
use super::stream::{Outlet, SentAmount, Stream};
use super::thin::{STRAINED, Thinning};
use super::video::Video;

/// What each burst needs comes first, in as few cache lines as there are.
#[repr(C)]
pub struct Session {
    /// Where media goes, and by which of the shard's sockets.
    pub path: Option<(SocketAddr, usize)>,
    pub totals: Totals,
    pub estimator: Estimator,
    pub video: Option<Video>,
    pub audio: Option<(u8, Stream)>,
    pub transport: Transport,
    /// When its timer goes off. Timers that say otherwise are stale.
    pub wake_at: Instant,
    pub first_frame: Option<Duration>,
    pub id: SessionId,
    pub channel: Arc<Channel>,
    pub state: SessionState,
    pub local_ufrag: String,
    /// Addresses that are routed to this session.
    pub addresses: Vec<SocketAddr>,
    pub choice: RenditionChoice,
    pub selector: Selector,
    /// A probe that is being sent.
    pub probe: Option<Probe>,
    /// Version of the channel's renditions that the choice was made from.
    pub renditions_seen: u32,
    pub report: Arc<watch::Sender<SessionReport>>,
    pub asked: Instant,
    pub since: SystemTime,
    pub next_report: Instant,
    pub next_choice: Instant,
    /// Share of packets lost, as last reported.
    pub loss: f32,
    last_interval: (Instant, u64),
    pub bitrate: BitsPerSecond,
    _place: Place,
}

/// Since the session began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    pub packets: u64,
    pub bytes: u64,
    pub nacks: u64,
    pub retransmissions: u64,
    pub plis: u64,
    pub switches: u64,
}

/// A probe that is being sent.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    pub plan: ProbePlan,
    pub began: Instant,
    /// Bytes that were sent before it.
    pub before: u64,
}

/// What a shard lends a session for sending.
pub struct Tools<'a> {
    pub batches: &'a mut [Batch],
    pub scratch: &'a mut Vec<u8>,
    pub now: Instant,
    pub wall_us: u64,
}

/// Reports and sender reports go out this often.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// An audio stream's share, with headers, where it isn't measured.
const OVERHEAD: BitsPerSecond = BitsPerSecond(70_000);
/// Round-trip times above this are clocks that jumped.
const MAX_RTT: Duration = Duration::from_secs(10);

// === impl Session ===

impl Session {
    pub fn new(new: NewSession, now: Instant) -> Self {
        let estimator = Estimator::new(new.media.is_transport_wide(), now);
        Self {
            id: new.id,
            channel: new.channel,
            transport: new.transport,
            state: SessionState::Connecting,
            local_ufrag: new.local_ufrag,
            addresses: Vec::new(),
            path: None,
            choice: new.choice,
            audio: new.media.audio.map(|(pt, params)| (pt, Stream::new(params, 48_000, 1))),
            video: new.media.video.map(|params| Video::new(params, now)),
            estimator,
            selector: Selector::default(),
            probe: None,
            renditions_seen: 0,
            report: new.report,
            asked: new.asked,
            since: new.since,
            first_frame: None,
            totals: Totals::default(),
            wake_at: now,
            next_report: now + REPORT_INTERVAL,
            next_choice: now,
            loss: 0.0,
            last_interval: (now, 0),
            bitrate: BitsPerSecond(0),
            _place: new.place,
        }
    }

    /// Lends out what sending needs. None while there are no keys or no path.
    pub fn outlet<'a>(
        transport: &'a mut Transport,
        estimator: &'a mut Estimator,
        path: Option<(SocketAddr, usize)>,
        tools: &'a mut Tools<'_>,
    ) -> Option<Outlet<'a>> {
        let (to, socket) = path?;
        Some(Outlet {
            srtp: transport.srtp()?,
            estimator,
            batch: tools.batches.get_mut(socket)?,
            scratch: tools.scratch,
            to,
            now: tools.now,
            wall_us: tools.wall_us,
        })
    }

    pub fn send_audio(&mut self, burst: &Burst, tools: &mut Tools<'_>) -> SentAmount {
        let Some((payload_type, stream)) = &mut self.audio else { return SentAmount::default() };
        let outlet = Self::outlet(&mut self.transport, &mut self.estimator, self.path, tools);
        let Some(mut outlet) = outlet else { return SentAmount::default() };
        let placement = stream.out.place(burst, burst.time);
        let sent = stream.send(&mut outlet, *payload_type, burst, &placement, 0..burst.len());
        self.totals.add(sent);
        sent
    }

    pub fn send_video(&mut self, burst: &Burst, tools: &mut Tools<'_>) -> SentAmount {
        let Some(video) = &mut self.video else { return SentAmount::default() };
        let outlet = Self::outlet(&mut self.transport, &mut self.estimator, self.path, tools);
        let Some(mut outlet) = outlet else { return SentAmount::default() };
        let sent = video.send_live(&mut outlet, burst).unwrap_or_default();
        self.totals.add(sent);
        sent
    }

    /// Appends sender reports of its streams and protects them.
    pub fn send_reports(&mut self, tools: &mut Tools<'_>) {
        let wall_us = tools.wall_us;
        let streams = self.audio.iter().map(|(_, stream)| stream);
        let streams = streams.chain(self.video.iter().map(|video| &video.stream));
        tools.scratch.clear();
        for info in streams.filter_map(|stream| stream.sender_info(wall_us)) {
            sender_report(tools.scratch, &info, join::CNAME);
        }
        if !tools.scratch.is_empty() {
            self.send_rtcp(tools);
        }
    }

    /// Says good-bye on all streams (RFC 3550, 6.6).
    pub fn send_bye(&mut self, tools: &mut Tools<'_>) {
        let audio = self.audio.as_ref().map(|(_, stream)| stream.params.ssrc);
        let video = self.video.as_ref().map(|video| video.params.stream.ssrc);
        let ssrcs: Vec<u32> = [audio, video].into_iter().flatten().collect();
        tools.scratch.clear();
        rtcp::bye(tools.scratch, &ssrcs);
        self.send_rtcp(tools);
    }

    /// Sends the compound in the scratch buffer.
    fn send_rtcp(&mut self, tools: &mut Tools<'_>) {
        let outlet = Self::outlet(&mut self.transport, &mut self.estimator, self.path, tools);
        let Some(outlet) = outlet else { return };
        let start = outlet.batch.buffer().len();
        if outlet.srtp.protect_rtcp(outlet.scratch, outlet.batch.buffer()).is_ok() {
            outlet.batch.commit(outlet.to, start);
        }
    }

    /// A receiver report on one of our streams.
    pub fn handle_report_block(&mut self, block: &ReportBlock, wall_us: u64, now: Instant) {
        let audio = self.audio.as_mut().map(|(_, stream)| stream);
        let video = self.video.as_mut().map(|video| &mut video.stream);
        let is_video = video.as_ref().is_some_and(|stream| stream.params.ssrc == block.ssrc);
        let streams = [audio, video].into_iter().flatten();
        let Some(stream) = streams.into_iter().find(|s| s.params.ssrc == block.ssrc) else {
            return;
        };
        stream.set_known();
        if let Some(rtt) = round_trip(block, wall_us) {
            self.estimator.handle_rtt(rtt);
        }
        if is_video {
            self.loss = f32::from(block.fraction_lost) / 256.0;
            self.estimator.handle_report(f64::from(self.loss), self.bitrate.0 as f64, now);
        }
    }

    /// Renditions that this viewer can be given, best first: those of the best codec that it and
    /// the channel have in common.
    pub fn offered(&self) -> Vec<Offered> {
        let renditions = self.channel.renditions();
        let Some(codec) = self.codec(&renditions) else { return Vec::new() };
        renditions.iter().filter(|o| o.track.codec == codec).cloned().collect()
    }

    fn codec(&self, renditions: &[Offered]) -> Option<Codec> {
        let formats = &self.video.as_ref()?.params.formats;
        let codecs = formats.iter().map(|format| format.codec);
        codecs.into_iter().find(|codec| renditions.iter().any(|o| o.track.codec == *codec))
    }

    /// The rendition that is pinned, by name; also one in another codec that the viewer takes.
    pub fn pinned(&self, name: &str) -> Option<Offered> {
        let formats = &self.video.as_ref()?.params.formats;
        let renditions = self.channel.renditions();
        formats.iter().find_map(|format| {
            renditions
                .iter()
                .find(|o| o.track.codec == format.codec && o.rendition.name == name)
                .cloned()
        })
    }

    pub fn candidates(&self, offered: &[Offered], now: Instant) -> Vec<Candidate> {
        offered
            .iter()
            .map(|o| Candidate {
                track: o.rendition.track,
                nominal: o.rendition.bitrate,
                measured: o.track.rate(now),
            })
            .collect()
    }

    pub fn path_state(&self, now: Instant) -> Path {
        let can_probe = self.estimator.is_transport_wide();
        Path {
            estimate: self.estimator.estimate(now),
            congested: self.estimator.was_congested(CALM, now),
            can_probe,
            overhead: if self.audio.is_some() { OVERHEAD } else { BitsPerSecond(0) },
        }
    }

    /// Bounds video to what the path carries, for as long as that is less than what is sent. Gives
    /// whether a keyframe is to be asked for.
    pub fn thin_out(&mut self, now: Instant) -> bool {
        let path = self.path_state(now);
        let strained = self.estimator.was_congested(STRAINED, now);
        let Some(video) = &mut self.video else { return false };
        let needed = video.current.as_ref().and_then(|current| current.track.rate(now));
        let budget = path.estimate.map(|bps| bps.0.saturating_sub(path.overhead.0));
        let tight = needed.zip(budget).filter(|(needed, budget)| strained && needed.0 > *budget);
        let Some((_, budget)) = tight else {
            video.thinning = None;
            return false;
        };
        let thinning =
            video.thinning.get_or_insert_with(|| Box::new(Thinning::new(budget as f64, now)));
        thinning.set_rate(budget as f64);
        let current = video.current.as_ref();
        thinning.wants_keyframe(now) && current.is_some_and(|c| c.track.plan_switch(now, now).1)
    }

    /// Closes a measuring interval.
    pub fn measure(&mut self, now: Instant) {
        let (since, bytes) = self.last_interval;
        let elapsed = now.saturating_duration_since(since).as_secs_f64();
        if elapsed > 0.05 {
            let sent = self.totals.bytes - bytes;
            self.bitrate = BitsPerSecond((sent as f64 * 8.0 / elapsed) as u64);
            self.last_interval = (now, self.totals.bytes);
        }
    }

    pub fn make_report(&self, now: Instant) -> SessionReport {
        let offered = self.offered();
        let current = self.video.as_ref().and_then(|video| video.current.as_ref());
        let renditions = self.channel.renditions();
        let active = current.and_then(|current| {
            renditions.iter().find(|o| o.track.key == current.track.key).map(|o| &o.rendition)
        });
        SessionReport {
            session: self.id,
            channel: self.channel.name.to_string(),
            state: self.state,
            choice: self.choice.clone(),
            active: active.map(|rendition| rendition.name.clone()),
            track: current.map(|current| current.track.id),
            codec: current.map(|current| current.track.codec),
            layers: offered.iter().map(|o| layer(o, now)).collect(),
            remote: self.path.map(|(remote, _)| remote),
            since: self.since,
            bitrate: self.bitrate,
            estimate: self.estimator.estimate(now),
            loss: self.loss,
            rtt: self.estimator.rtt(),
            packets: self.totals.packets,
            bytes: self.totals.bytes,
            nacks: self.totals.nacks,
            retransmissions: self.totals.retransmissions,
            plis: self.totals.plis,
            switches: self.totals.switches,
            first_frame: self.first_frame,
        }
    }

    /// Hands a report to whoever follows the session. Nobody does: costs nothing.
    pub fn publish_report(&self, now: Instant) {
        if self.report.receiver_count() > 0 {
            self.report.send_replace(self.make_report(now));
        }
    }
}

fn layer(offered: &Offered, now: Instant) -> Layer {
    let rendition = &offered.rendition;
    Layer {
        name: rendition.name.clone(),
        track: rendition.track,
        codec: rendition.codec,
        resolution: rendition.resolution,
        bitrate: offered.track.rate(now).unwrap_or(rendition.bitrate),
        running: offered.track.is_running(now),
    }
}

/// Time from a sender report to its echo, less what the viewer held it.
fn round_trip(block: &ReportBlock, wall_us: u64) -> Option<Duration> {
    if block.last_sr == 0 {
        return None;
    }
    let now = (rtcp::ntp_from_unix_us(wall_us) >> 16) as u32;
    let units = now.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
    let rtt = Duration::from_nanos(u64::from(units) * 1_000_000_000 / 65_536);
    (rtt < MAX_RTT).then_some(rtt)
}

// === impl Totals ===

impl Totals {
    pub fn add(&mut self, sent: SentAmount) {
        self.packets += sent.packets;
        self.bytes += sent.bytes;
    }
}
