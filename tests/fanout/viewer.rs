//! A viewer: str0m's full stack on a real socket, in a thread of its own.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use stentor::fanout::{Fanout, JoinError, JoinRequest, RenditionChoice, SessionId};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::feeder::Mark;

/// A viewer that has joined.
pub struct Viewer {
    pub session: SessionId,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Packets of a hundred that are lost on the way in.
    loss_percent: AtomicU32,
    /// Ask for a keyframe.
    ask_keyframe: AtomicBool,
    connected: AtomicBool,
    closed: AtomicBool,
    video: Mutex<Vec<Seen>>,
    audio: Mutex<Vec<Seen>>,
}

/// A packet that came in.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub sequence: u64,
    pub timestamp: u64,
    pub mark: Option<Mark>,
    pub marker: bool,
    pub at: Instant,
    /// NTP time and RTP time of the last sender report.
    pub sender_info: Option<(SystemTime, u64)>,
}

/// A peer connection before it has its answer.
pub struct Offering {
    rtc: Rtc,
    pending: SdpPendingOffer,
    pub offer: String,
    socket: UdpSocket,
}

impl Offering {
    pub fn new(local: &str) -> Self {
        Self::with(local, |config| config)
    }

    pub fn with(local: &str, change: impl FnOnce(RtcConfig) -> RtcConfig) -> Self {
        str0m::crypto::from_feature_flags().install_process_default();
        let config = RtcConfig::new()
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false)
            .set_rtp_mode(true);
        let mut rtc = change(config).build(Instant::now());
        let socket = UdpSocket::bind((local, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap()).unwrap();
        let mut changes = rtc.sdp_api();
        for kind in [MediaKind::Audio, MediaKind::Video] {
            changes.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = changes.apply().unwrap();
        Self { rtc, pending, offer: offer.to_sdp_string(), socket }
    }

    pub async fn join(
        self,
        fanout: &Fanout,
        channel: &str,
        choice: RenditionChoice,
    ) -> Result<Viewer, JoinError> {
        let Self { mut rtc, pending, offer, socket } = self;
        let request = JoinRequest { channel: channel.into(), offer, choice, despite_drain: false };
        let joined = fanout.join(request).await?;
        let answer = SdpAnswer::from_sdp_string(&joined.answer).unwrap();
        rtc.sdp_api().accept_answer(pending, answer).unwrap();
        let state = Arc::new(State::default());
        let of_thread = state.clone();
        let thread = thread::spawn(move || run(rtc, &socket, &of_thread));
        let session = joined.session;
        Ok(Viewer { session, state, thread: Some(thread) })
    }
}

impl Viewer {
    pub async fn join(fanout: &Fanout, channel: &str) -> Self {
        let offering = Offering::new("127.0.0.1");
        offering.join(fanout, channel, RenditionChoice::Auto).await.unwrap()
    }

    pub fn is_connected(&self) -> bool {
        self.state.connected.load(Ordering::Relaxed)
    }

    pub fn is_closed(&self) -> bool {
        self.state.closed.load(Ordering::Relaxed)
    }

    pub fn set_loss(&self, percent: u32) {
        self.state.loss_percent.store(percent, Ordering::Relaxed);
    }

    pub fn ask_keyframe(&self) {
        self.state.ask_keyframe.store(true, Ordering::Relaxed);
    }

    /// Packets in the order they came, retransmitted ones where they came.
    pub fn video(&self) -> Vec<Seen> {
        self.state.video.lock().unwrap().clone()
    }

    pub fn audio(&self) -> Vec<Seen> {
        self.state.audio.lock().unwrap().clone()
    }

    /// The same by sequence number.
    pub fn sorted_video(&self) -> Vec<Seen> {
        let mut video = self.video();
        video.sort_by_key(|seen| seen.sequence);
        video
    }

    /// Numbers of the frames that are whole, in order of their packets.
    pub fn frames(&self) -> Vec<(u16, u32, bool)> {
        let video = self.sorted_video();
        let marks: Vec<Mark> = video.iter().filter_map(|seen| seen.mark).collect();
        marks
            .chunk_by(|a, b| (a.track, a.frame, a.packet + 1) == (b.track, b.frame, b.packet))
            .filter(|frame| frame[0].packet == 0 && frame.len() == usize::from(frame[0].packets))
            .map(|frame| (frame[0].track, frame[0].frame, frame[0].keyframe))
            .collect()
    }

    /// Stops without a word.
    pub fn vanish(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(mut rtc: Rtc, socket: &UdpSocket, state: &State) {
    let mut buffer = vec![0; 2000];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let local = socket.local_addr().unwrap();
    while !state.stop.load(Ordering::Relaxed) {
        let timeout = match rtc.poll_output() {
            Ok(Output::Timeout(timeout)) => timeout,
            Ok(Output::Transmit(transmit)) => {
                let _ = socket.send_to(&transmit.contents, transmit.destination);
                continue;
            }
            Ok(Output::Event(event)) => {
                note(state, &event);
                if let Event::RtpPacket(packet) = event
                    && state.ask_keyframe.load(Ordering::Relaxed)
                    && Mark::read(&packet.payload).is_some()
                {
                    let ssrc = packet.header.ssrc;
                    if let Some(stream) = rtc.direct_api().stream_rx(&ssrc) {
                        stream.request_keyframe(KeyframeRequestKind::Pli);
                        state.ask_keyframe.store(false, Ordering::Relaxed);
                    }
                }
                continue;
            }
            Err(_) => return,
        };
        let wait = timeout.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(20));
        socket.set_read_timeout(Some(wait)).unwrap();
        let input = match socket.recv_from(&mut buffer) {
            Ok((length, source)) => {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let is_media = buffer[0] & 0xc0 == 0x80;
                if is_media && random % 100 < u64::from(state.loss_percent.load(Ordering::Relaxed))
                {
                    continue;
                }
                receive(&buffer[..length], source, local)
            }
            Err(_) => Some(Input::Timeout(Instant::now())),
        };
        if let Some(input) = input
            && rtc.handle_input(input).is_err()
        {
            return;
        }
    }
}

fn receive(bytes: &[u8], source: SocketAddr, destination: SocketAddr) -> Option<Input<'_>> {
    let contents = bytes.try_into().ok()?;
    let receive = Receive { proto: Protocol::Udp, source, destination, contents };
    Some(Input::Receive(Instant::now(), receive))
}

fn note(state: &State, event: &Event) {
    match event {
        Event::Connected => state.connected.store(true, Ordering::Relaxed),
        Event::Closed => state.closed.store(true, Ordering::Relaxed),
        Event::RtpPacket(packet) => {
            let seen = Seen {
                sequence: *packet.seq_no,
                timestamp: packet.time.numer(),
                mark: Mark::read(&packet.payload),
                marker: packet.header.marker,
                at: Instant::now(),
                sender_info: packet
                    .last_sender_info
                    .as_ref()
                    .map(|info| (info.ntp_time, info.rtp_time.numer())),
            };
            let video = packet.time.frequency().get() == 90_000;
            let to = if video { &state.video } else { &state.audio };
            to.lock().unwrap().push(seen);
        }
        _ => {}
    }
}
