//! A camera and its microphone: one WHIP publisher, on a WebRTC stack that isn't the server's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{DatagramRecv, Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

use super::clip::Clip;
use crate::load::socket::{Burst, Socket};
use crate::load::viewer::{Kit, Stage};

/// Of one Opus packet.
const AUDIO_EVERY: Duration = Duration::from_millis(20);
const AUDIO_SAMPLES: u64 = 960;
const VIDEO_CLOCK: u64 = 90_000;
/// Each camera talks for so long, one after the other.
const TURN_SECONDS: u64 = 5;
/// In decibels below the loudest: one who talks, and one who doesn't.
const LOUD: i8 = -20;
const SILENT: i8 = -127;
/// A picture that others wait for is begun anew at most so often.
const BETWEEN_KEYFRAMES: Duration = Duration::from_millis(500);

/// What all cameras have in common.
pub(super) struct Studio {
    pub clip: Clip,
    pub voice: Arc<[u8]>,
    pub cameras: usize,
}

pub(super) struct Publisher {
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    pub socket: Socket,
    pub stage: Stage,
    /// When the stack wants to be called.
    timeout: Instant,
    studio: Arc<Studio>,
    number: usize,
    video: (Mid, Option<Pt>),
    audio: (Mid, Option<Pt>),
    /// When the first picture was sent.
    began: Option<Instant>,
    /// Of the clip, the next.
    picture: usize,
    /// Sent by now.
    pictures: u64,
    packets: u64,
    restarted: Option<Instant>,
}

// === impl Publisher ===

impl Publisher {
    /// The `number`th camera, and its offer.
    pub fn new(
        kit: &Kit,
        studio: Arc<Studio>,
        number: usize,
        now: Instant,
    ) -> Result<(Self, String), String> {
        let socket = Socket::bind(kit.ip, kit.receive_offload)
            .map_err(|error| format!("no socket: {error}"))?;
        let mut rtc = Rtc::builder()
            .set_stats_interval(None)
            .set_dtls_cert(kit.certificate.clone())
            .clear_codecs()
            .enable_opus(true, false)
            .enable_h264(true)
            .build(now);
        let candidate = Candidate::host(socket.local(), Protocol::Udp)
            .map_err(|error| format!("no candidate: {error}"))?;
        rtc.add_local_candidate(candidate);
        let mut changes = rtc.sdp_api();
        let mut add = |kind| changes.add_media(kind, Direction::SendOnly, None, None, None);
        let (video, audio) = (add(MediaKind::Video), add(MediaKind::Audio));
        let (offer, pending) = changes.apply().ok_or("no offer")?;
        let publisher = Self {
            rtc,
            pending: Some(pending),
            socket,
            stage: Stage::Joining,
            timeout: now,
            studio,
            number,
            video: (video, None),
            audio: (audio, None),
            began: None,
            picture: 0,
            pictures: 0,
            packets: 0,
            restarted: None,
        };
        Ok((publisher, offer.to_sdp_string()))
    }

    /// The server has taken it.
    pub fn accept(&mut self, now: Instant, answer: &str) {
        let Some(pending) = self.pending.take() else { return };
        // str0m 0.25 reads one line of bandwidth at most, and goes by its own estimate.
        let lines = answer.lines().filter(|line| !line.starts_with("b="));
        let answer: String = lines.flat_map(|line| [line, "\r\n"]).collect();
        let answered = match SdpAnswer::from_sdp_string(&answer) {
            Ok(answer) => self.rtc.sdp_api().accept_answer(pending, answer),
            Err(error) => Err(error.into()),
        };
        match answered {
            Ok(()) => {
                self.stage = Stage::Connecting;
                self.video.1 = self.payload_type(self.video.0, Codec::H264);
                self.audio.1 = self.payload_type(self.audio.0, Codec::Opus);
                self.handle_timeout(now);
            }
            Err(error) => self.fail(&format!("the answer can't be taken: {error}")),
        }
    }

    pub fn handle_burst(&mut self, now: Instant, burst: Burst, buffer: &[u8]) {
        for datagram in buffer[..burst.length].chunks(burst.segment) {
            let Ok(contents) = DatagramRecv::try_from(datagram) else { continue };
            let destination = self.socket.local();
            let receive =
                Receive { proto: Protocol::Udp, source: burst.from, destination, contents };
            if self.rtc.handle_input(Input::Receive(now, receive)).is_err() {
                self.fail("webrtc");
            }
            self.drain(now);
        }
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.turn(now);
        while let Some(began) = self.began.filter(|_| self.stage == Stage::Playing) {
            if self.next_picture(began) <= now {
                self.send_picture(now);
            } else if self.next_packet(began) <= now {
                self.send_sound(now, began);
            } else {
                break;
            }
            self.turn(now);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn due(&self) -> Instant {
        match self.began {
            Some(began) => self.timeout.min(self.next_picture(began)).min(self.next_packet(began)),
            None => self.timeout,
        }
    }

    /// The call is over.
    pub fn end(&mut self, now: Instant) {
        if self.rtc.close().is_ok() {
            let stage = self.stage.clone();
            self.drain(now);
            self.stage = stage;
        }
    }

    fn next_picture(&self, began: Instant) -> Instant {
        let rate = u64::from(self.studio.clip.rate);
        began + Duration::from_nanos(self.pictures * 1_000_000_000 / rate)
    }

    fn next_packet(&self, began: Instant) -> Instant {
        began + AUDIO_EVERY * u32::try_from(self.packets).unwrap_or(u32::MAX)
    }

    fn send_picture(&mut self, now: Instant) {
        let clip = &self.studio.clip;
        let picture = clip.pictures[self.picture].clone();
        let time = self.pictures * VIDEO_CLOCK / u64::from(clip.rate);
        self.picture = (self.picture + 1) % clip.pictures.len();
        self.pictures += 1;
        let (mid, Some(pt)) = self.video else { return };
        let Some(writer) = self.rtc.writer(mid) else { return };
        if writer.write(pt, now, MediaTime::from_90khz(time), picture).is_err() {
            self.fail("a picture can't be sent");
        }
    }

    fn send_sound(&mut self, now: Instant, began: Instant) {
        let time = self.packets * AUDIO_SAMPLES;
        self.packets += 1;
        let turn = now.saturating_duration_since(began).as_secs() / TURN_SECONDS;
        let talks = turn % self.studio.cameras.max(1) as u64 == self.number as u64;
        let (mid, Some(pt)) = self.audio else { return };
        let Some(writer) = self.rtc.writer(mid) else { return };
        let writer = writer.audio_level(if talks { LOUD } else { SILENT }, talks);
        let time = MediaTime::new(time, Frequency::FORTY_EIGHT_KHZ);
        if writer.write(pt, now, time, self.studio.voice.clone()).is_err() {
            self.fail("sound can't be sent");
        }
    }

    fn payload_type(&mut self, mid: Mid, codec: Codec) -> Option<Pt> {
        let writer = self.rtc.writer(mid)?;
        let mut params = writer.payload_params().filter(|p| p.spec().codec == codec);
        params.next().map(|params| params.pt())
    }

    fn turn(&mut self, now: Instant) {
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.fail("webrtc");
        }
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.timeout = at;
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    self.socket.send(transmit.destination, &transmit.contents);
                }
                Ok(Output::Event(event)) => self.handle_event(now, &event),
                Err(_) => {
                    self.fail("webrtc");
                    self.timeout = now + Duration::from_secs(3600);
                    return;
                }
            }
        }
    }

    fn handle_event(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Connected if self.stage == Stage::Connecting => {
                self.stage = Stage::Playing;
                self.began = Some(now);
            }
            Event::KeyframeRequest(_) => {
                let since = self.restarted.map(|at| now.saturating_duration_since(at));
                if since.is_none_or(|since| since >= BETWEEN_KEYFRAMES) {
                    self.restarted = Some(now);
                    self.picture = 0;
                }
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.fail("disconnected");
            }
            Event::Closed => self.fail("closed by the server"),
            _ => {}
        }
    }

    fn fail(&mut self, reason: &str) {
        if !matches!(self.stage, Stage::Failed(_)) {
            self.stage = Stage::Failed(reason.to_owned());
        }
    }
}
