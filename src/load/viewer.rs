//! One viewer: a whole WebRTC client and what it saw.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use hyper::Uri;
use stentor_protocol::Codec;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::config::DtlsCert;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind};
use str0m::net::{DatagramRecv, Protocol, Receive};
use str0m::rtp::{Extension, RtpPacket, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

use super::frames::{Content, Frames};
use super::histogram::Histogram;
use super::loss::Loss;
use super::smoothness::Smoothness;
use super::socket::{Burst, Socket};
use super::whep::Accepted;

/// A gap that lasts this long is given up and a keyframe asked for, as browsers do.
const PATIENCE: Duration = Duration::from_millis(500);
const LEAST_BETWEEN_REQUESTS: Duration = Duration::from_secs(1);
/// After the first picture: a joiner is given pictures that are some time old, to catch up.
const CATCHING_UP: Duration = Duration::from_secs(2);
const ABS_CAPTURE_TIME_ID: u8 = 12;
const VIDEO_CLOCK: f64 = 90_000.0;

/// What every viewer of a thread has in common.
pub(super) struct Kit {
    pub ip: IpAddr,
    pub certificate: DtlsCert,
    pub codec: Option<Codec>,
    pub receive_offload: bool,
    /// Of all random numbers, 0 to 2^32: dropped below this.
    pub drop_below: u64,
    pub seed: u64,
}

/// How far a viewer has come, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    Joining,
    /// The server has taken it.
    Connecting,
    /// ICE and DTLS are done.
    Connected,
    /// The first keyframe is complete.
    Playing,
    Failed(String),
}

pub(super) struct Viewer {
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    pub socket: Socket,
    pub stage: Stage,
    pub began: Instant,
    /// When the stack wants to be called.
    pub timeout: Instant,
    pub location: Option<Uri>,
    codecs: Vec<(u8, Codec)>,
    random: u64,
    drop_below: u64,
    video: Option<Ssrc>,
    frames: Frames,
    blocked_since: Option<Instant>,
    asked_at: Option<Instant>,
    clock: Option<CaptureClock>,
    pub seen: Seen,
}

/// What a viewer counted.
#[derive(Default)]
pub(super) struct Seen {
    pub connected_at: Option<Instant>,
    pub playing_at: Option<Instant>,
    pub smoothness: Smoothness,
    pub video: Loss,
    pub audio: Loss,
    /// Received media packets that were dropped on purpose.
    pub dropped: u64,
    /// Of media packets, headers and tags included.
    pub bytes: u64,
    pub keyframe_requests: u64,
}

/// Pairs a media timestamp with the wall clock of its capture.
#[derive(Debug, Clone, Copy)]
struct CaptureClock {
    rtp_time: u64,
    captured: SystemTime,
    /// From the header extension, which beats sender reports.
    exact: bool,
}

// === impl Viewer ===

impl Viewer {
    /// The viewer and its offer.
    pub fn new(kit: &Kit, number: usize, now: Instant) -> Result<(Self, String), String> {
        let socket = Socket::bind(kit.ip, kit.receive_offload)
            .map_err(|error| format!("no socket: {error}"))?;
        let offers = |codec| kit.codec.is_none_or(|only| only == codec);
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .set_stats_interval(None)
            .set_dtls_cert(kit.certificate.clone())
            .clear_codecs()
            .enable_opus(true, false)
            .enable_h264(offers(Codec::H264))
            .enable_vp8(offers(Codec::Vp8))
            .enable_av1(kit.codec == Some(Codec::Av1))
            .set_extension(ABS_CAPTURE_TIME_ID, Extension::AbsoluteCaptureTime)
            .build(now);
        let candidate = Candidate::host(socket.local(), Protocol::Udp)
            .map_err(|error| format!("no candidate: {error}"))?;
        rtc.add_local_candidate(candidate);
        let mut changes = rtc.sdp_api();
        changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        changes.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = changes.apply().ok_or("no offer")?;
        let codecs = rtc.codec_config().params().iter();
        let codecs = codecs.filter_map(|p| Some((*p.pt(), codec_of(p.spec().codec)?))).collect();
        let viewer = Self {
            rtc,
            pending: Some(pending),
            socket,
            stage: Stage::Joining,
            began: now,
            timeout: now,
            location: None,
            codecs,
            random: splitmix(kit.seed.wrapping_add(number as u64)),
            drop_below: kit.drop_below,
            video: None,
            frames: Frames::default(),
            blocked_since: None,
            asked_at: None,
            clock: None,
            seen: Seen::default(),
        };
        Ok((viewer, offer.to_sdp_string()))
    }

    /// The server has taken the viewer.
    pub fn accept(&mut self, now: Instant, accepted: Accepted, latency: &mut Histogram) {
        self.location = accepted.location;
        let Some(pending) = self.pending.take() else {
            return;
        };
        let answer = SdpAnswer::from_sdp_string(&accepted.answer).ok();
        match answer.map(|answer| self.rtc.sdp_api().accept_answer(pending, answer)) {
            Some(Ok(())) => {
                self.stage = Stage::Connecting;
                self.handle_timeout(now, latency);
            }
            _ => self.fail("answer"),
        }
    }

    pub fn fail(&mut self, reason: &str) {
        if !matches!(self.stage, Stage::Failed(_)) {
            self.stage = Stage::Failed(reason.to_owned());
        }
    }

    /// Takes the datagrams of one burst.
    pub fn handle_burst(
        &mut self,
        now: Instant,
        burst: Burst,
        buffer: &[u8],
        latency: &mut Histogram,
    ) {
        for datagram in buffer[..burst.length].chunks(burst.segment) {
            if !self.is_dropped(datagram) {
                self.handle_datagram(now, burst.from, datagram, latency);
            }
        }
        self.ask_for_keyframe(now);
    }

    pub fn handle_timeout(&mut self, now: Instant, latency: &mut Histogram) {
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.fail("webrtc");
        }
        self.ask_for_keyframe(now);
        self.drain(now, latency);
    }

    /// The run is over.
    pub fn end(&mut self, now: Instant, latency: &mut Histogram) {
        self.seen.smoothness.end(now);
        if self.rtc.close().is_ok() {
            let stage = self.stage.clone();
            self.drain(now, latency);
            self.stage = stage;
        }
    }

    fn is_dropped(&mut self, datagram: &[u8]) -> bool {
        let [first, second, ..] = datagram else {
            return false;
        };
        let is_rtp = (128..192).contains(first) && !(192..224).contains(second);
        if !is_rtp || self.drop_below == 0 {
            return false;
        }
        self.random = splitmix(self.random);
        let is_dropped = self.random >> 32 < self.drop_below;
        self.seen.dropped += u64::from(is_dropped);
        is_dropped
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        latency: &mut Histogram,
    ) {
        let Ok(contents) = DatagramRecv::try_from(datagram) else {
            return;
        };
        if (128..192).contains(&datagram[0]) {
            self.seen.bytes += datagram.len() as u64;
        }
        let destination = self.socket.local();
        let receive = Receive { proto: Protocol::Udp, source: from, destination, contents };
        if self.rtc.handle_input(Input::Receive(now, receive)).is_err() {
            self.fail("webrtc");
        }
        self.drain(now, latency);
    }

    fn drain(&mut self, now: Instant, latency: &mut Histogram) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.timeout = at;
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    self.socket.send(transmit.destination, &transmit.contents);
                }
                Ok(Output::Event(event)) => self.handle_event(now, event, latency),
                Err(_) => {
                    self.fail("webrtc");
                    self.timeout = now + Duration::from_secs(3600);
                    return;
                }
            }
        }
    }

    fn handle_event(&mut self, now: Instant, event: Event, latency: &mut Histogram) {
        match event {
            Event::Connected if self.stage == Stage::Connecting => {
                self.stage = Stage::Connected;
                self.seen.connected_at = Some(now);
            }
            Event::RtpPacket(packet) => self.handle_packet(now, &packet, latency),
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.fail("disconnected");
            }
            Event::Closed => self.fail("closed by the server"),
            _ => {}
        }
    }

    fn handle_packet(&mut self, now: Instant, packet: &RtpPacket, latency: &mut Histogram) {
        let payload_type = *packet.header.payload_type;
        let codec = self.codecs.iter().find(|(number, _)| *number == payload_type);
        let Some((_, codec)) = codec.copied() else {
            return;
        };
        let sequence = *packet.seq_no;
        if codec == Codec::Opus {
            self.seen.audio.push(sequence);
            return;
        }
        self.video = Some(packet.header.ssrc);
        self.seen.video.push(sequence);
        self.set_clock(packet);
        let content = Content::of(codec, &packet.payload);
        let Self { frames, seen, clock, .. } = self;
        let (time, marker) = (packet.time.numer(), packet.header.marker);
        frames.push(sequence, time, marker, content, |picture| {
            seen.smoothness.picture(now);
            let since = *seen.playing_at.get_or_insert(now);
            if now.duration_since(since) > CATCHING_UP
                && let Some(age) = clock.and_then(|clock| clock.age_of(picture.rtp_time))
            {
                latency.add(age);
            }
        });
        if self.stage == Stage::Connected && self.seen.playing_at.is_some() {
            self.stage = Stage::Playing;
        }
    }

    fn set_clock(&mut self, packet: &RtpPacket) {
        if let Some(capture) = &packet.header.ext_vals.abs_capture_time {
            let (rtp_time, captured) = (packet.time.numer(), capture.capture_time);
            self.clock = Some(CaptureClock { rtp_time, captured, exact: true });
        } else if self.clock.is_none_or(|clock| !clock.exact)
            && let Some(report) = &packet.last_sender_info
        {
            // The report's timestamp isn't extended; it is near the packet's.
            let now = packet.time.numer();
            let ahead = (now as u32).wrapping_sub(report.rtp_time.numer() as u32) as i32;
            let rtp_time = now.wrapping_sub_signed(ahead.into());
            self.clock = Some(CaptureClock { rtp_time, captured: report.ntp_time, exact: false });
        }
    }

    fn ask_for_keyframe(&mut self, now: Instant) {
        if !self.frames.is_blocked() {
            self.blocked_since = None;
            return;
        }
        let since = *self.blocked_since.get_or_insert(now);
        let asked_lately =
            self.asked_at.is_some_and(|at| now.duration_since(at) < LEAST_BETWEEN_REQUESTS);
        if now.duration_since(since) < PATIENCE || asked_lately {
            return;
        }
        let Some(ssrc) = self.video else {
            return;
        };
        if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            self.asked_at = Some(now);
            self.seen.keyframe_requests += 1;
        }
    }
}

// === impl CaptureClock ===

impl CaptureClock {
    /// How long ago the picture with this timestamp was captured.
    fn age_of(self, rtp_time: u64) -> Option<Duration> {
        let ahead = rtp_time as i64 - self.rtp_time as i64;
        let offset = Duration::try_from_secs_f64(ahead.unsigned_abs() as f64 / VIDEO_CLOCK).ok()?;
        let captured = if ahead >= 0 {
            self.captured.checked_add(offset)?
        } else {
            self.captured.checked_sub(offset)?
        };
        SystemTime::now().duration_since(captured).ok()
    }
}

fn codec_of(codec: str0m::format::Codec) -> Option<Codec> {
    match codec {
        str0m::format::Codec::H264 => Some(Codec::H264),
        str0m::format::Codec::Vp8 => Some(Codec::Vp8),
        str0m::format::Codec::Av1 => Some(Codec::Av1),
        str0m::format::Codec::Opus => Some(Codec::Opus),
        _ => None,
    }
}

/// Steele, Lea and Flood's generator: each output is the next state.
fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
