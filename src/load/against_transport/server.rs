//! A small WHEP server made of the fan-out's transport and signalling, with faults on demand.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use stentor_protocol::Codec;

use super::super::*;
use crate::fanout::sdp::{self, MediaKind, Negotiated};
use crate::fanout::transport::{
    Certificate, IceCreds, Outbox, Received, Transport, TransportConfig, stun_username,
};

const SSRC: u32 = 1000;
const RTX_SSRC: u32 = 2000;
const BETWEEN_PICTURES: Duration = Duration::from_millis(20);
const PACKETS_PER_PICTURE: u16 = 4;
/// 1 January 1970 in the era of NTP, in seconds.
const UNIX_IN_NTP: u64 = 2_208_988_800;

/// What a test server does wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Status of every response instead of 201.
    pub(super) status: Option<u16>,
    /// Sends nothing between these times after a viewer's first picture.
    pub(super) pause: Option<(Duration, Duration)>,
    /// Answers no NACK.
    pub(super) deaf: bool,
    /// Sends no keyframe, ever.
    pub(super) headless: bool,
}

pub(super) struct Server {
    pub(super) url: String,
    pub(super) http: SocketAddr,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) left: Arc<AtomicU32>,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

struct Session {
    ufrag: String,
    transport: Transport,
    offer: Negotiated,
    playing_since: Option<Instant>,
    sequence: u16,
    rtx_sequence: u16,
    wants_keyframe: bool,
    sent: HashMap<u16, (u32, bool, Vec<u8>)>,
}

struct Media {
    udp: UdpSocket,
    address: SocketAddr,
    faults: Faults,
    sessions: Vec<Session>,
    by_address: HashMap<SocketAddr, usize>,
    outbox: Outbox,
}

// === impl Server ===

impl Server {
    pub(super) fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = listener.local_addr().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let address = udp.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let left = Arc::new(AtomicU32::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (arrived, arrivals) = channel();
        let media = thread::spawn({
            let stop = stop.clone();
            let (sessions, by_address) = (Vec::new(), HashMap::new());
            let outbox = Outbox::default();
            let media = Media { udp, address, faults, sessions, by_address, outbox };
            move || media.run(&arrivals, &stop)
        });
        let signalling = thread::spawn({
            let (stop, left, requests) = (stop.clone(), left.clone(), requests.clone());
            let certificate = Certificate::generate().unwrap();
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (head, body) = read_request(stream.as_ref().unwrap());
                    requests.lock().unwrap().push(head.clone());
                    let response = if let Some(status) = faults.status {
                        format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")
                    } else if head.starts_with("DELETE /s/1") {
                        left.fetch_add(1, Ordering::Relaxed);
                        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()
                    } else {
                        let answer = join(&body, &certificate, address, &arrived);
                        format!(
                            "HTTP/1.1 201 Created\r\nlocation: /s/1\r\ncontent-length: {}\r\n\r\n\
                             {answer}",
                            answer.len()
                        )
                    };
                    let _ = stream.unwrap().write_all(response.as_bytes());
                }
            }
        });
        let url = format!("http://{http}/whep/test");
        Self { url, http, stop, left, requests, threads: vec![media, signalling] }
    }

    pub(super) fn run(
        &self,
        viewers: usize,
        seconds: f64,
        set: impl FnOnce(&mut LoadOptions),
    ) -> Summary {
        let duration = Duration::from_secs_f64(seconds);
        let mut options = LoadOptions::new(&self.url, viewers, duration).unwrap();
        set(&mut options);
        run(&options, |_| {}).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.http);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

fn read_request(mut stream: &TcpStream) -> (String, String) {
    let mut text = String::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |l| l.parse().unwrap()) {
                return (head.to_owned(), body.to_owned());
            }
        }
        match stream.read(&mut chunk).unwrap() {
            0 => return (text, String::new()),
            count => text.push_str(std::str::from_utf8(&chunk[..count]).unwrap()),
        }
    }
}

fn join(
    offer: &str,
    certificate: &Certificate,
    address: SocketAddr,
    arrived: &Sender<Session>,
) -> String {
    let offer = sdp::negotiate(offer, &sdp::Capabilities::default()).unwrap();
    let local = IceCreds::generate().unwrap();
    let (video, _, _) = offer.accepted(MediaKind::Video).next().unwrap();
    let params = sdp::AnswerParams {
        session_id: 1,
        local: &local,
        fingerprint: certificate.fingerprint(),
        candidates: &[address],
        tracks: &[sdp::TrackSource { media: video, ssrc: SSRC, rtx_ssrc: Some(RTX_SSRC) }],
        cname: "cname",
        stream: "stream",
    };
    let answer = sdp::answer(&offer, &params);
    let config = TransportConfig {
        local: local.clone(),
        remote: offer.remote.clone(),
        remote_fingerprint: offer.remote_fingerprint.clone(),
        role: offer.role,
        certificate: certificate.clone(),
    };
    let session = Session {
        ufrag: local.ufrag,
        transport: Transport::new(config, Instant::now()).unwrap(),
        offer,
        playing_since: None,
        sequence: 65_000,
        rtx_sequence: 0,
        wants_keyframe: false,
        sent: HashMap::new(),
    };
    arrived.send(session).unwrap();
    answer
}

// === impl Media ===

impl Media {
    fn run(mut self, arrivals: &Receiver<Session>, stop: &AtomicBool) {
        let start = Instant::now();
        let mut pictures = 0;
        let mut buffer = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            if let Ok((length, from)) = self.udp.recv_from(&mut buffer) {
                self.sessions.extend(arrivals.try_iter());
                self.handle(from, &mut buffer[..length]);
            }
            while start.elapsed() > BETWEEN_PICTURES * pictures {
                pictures += 1;
                for session in &mut self.sessions {
                    session.picture(pictures, self.faults, &self.udp);
                }
            }
            for datagram in self.outbox.iter() {
                let _ = self.udp.send_to(datagram.bytes, datagram.to);
            }
            self.outbox.clear();
        }
    }

    fn handle(&mut self, from: SocketAddr, bytes: &mut [u8]) {
        let by_name = |media: &Self| {
            let ufrag = stun_username(bytes)?;
            media.sessions.iter().position(|s| s.ufrag == ufrag)
        };
        let index = self.by_address.get(&from).copied().or_else(|| by_name(self));
        let Some(index) = index else {
            return;
        };
        self.by_address.insert(from, index);
        let session = &mut self.sessions[index];
        let now = Instant::now();
        let outbox = &mut self.outbox;
        let received = session.transport.handle_datagram(now, from, self.address, bytes, outbox);
        match received.unwrap() {
            Received::Connected => {
                session.playing_since = Some(now);
                session.wants_keyframe = true;
            }
            Received::Closed => session.playing_since = None,
            Received::Rtcp(packet) => session.feedback(packet, self.faults, &self.udp),
            _ => {}
        }
    }
}

// === impl Session ===

impl Session {
    fn picture(&mut self, number: u32, faults: Faults, udp: &UdpSocket) {
        let Some(since) = self.playing_since else {
            return;
        };
        let Some(to) = self.transport.remote() else {
            return;
        };
        let rtp_time = number * 1800;
        if let Some((from, until)) = faults.pause
            && (from..until).contains(&since.elapsed())
        {
            return;
        }
        self.report(rtp_time, udp, to);
        let key = std::mem::take(&mut self.wants_keyframe) && !faults.headless;
        for index in 0..PACKETS_PER_PICTURE {
            let mut payload: Vec<u8> = match (key, index) {
                (true, 0) => vec![24, 0, 2, 0x67, 1, 0, 1, 0x68],
                (true, _) => vec![0x7c, 0x85],
                (false, _) => vec![0x5c, 0x81],
            };
            payload.resize(400, 7);
            if key && index == 0 {
                payload.truncate(8);
            }
            self.sequence = self.sequence.wrapping_add(1);
            let marker = index + 1 == PACKETS_PER_PICTURE;
            self.sent.insert(self.sequence, (rtp_time, marker, payload));
            self.send(self.sequence, false, udp, to);
        }
    }

    fn send(&mut self, sequence: u16, is_rtx: bool, udp: &UdpSocket, to: SocketAddr) {
        let Some((rtp_time, marker, payload)) = self.sent.get(&sequence) else {
            return;
        };
        let (_, _, accepted) = self.offer.accepted(MediaKind::Video).next().unwrap();
        let format = accepted.format(Codec::H264).unwrap();
        let (number, ssrc, payload_type) = if is_rtx {
            self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
            (self.rtx_sequence, RTX_SSRC, format.rtx.unwrap())
        } else {
            (sequence, SSRC, format.payload_type)
        };
        let mut header = vec![0x80, u8::from(*marker) << 7 | payload_type];
        header.extend_from_slice(&number.to_be_bytes());
        header.extend_from_slice(&rtp_time.to_be_bytes());
        header.extend_from_slice(&ssrc.to_be_bytes());
        let mut out = Vec::new();
        let sender = self.transport.srtp().unwrap();
        // The count begins near the top, so that every test sees it wrap.
        let roc = u32::from(!is_rtx && sequence < 65_000);
        if is_rtx {
            sender.protect_rtx(&header, sequence, payload, 0, &mut out).unwrap();
        } else {
            sender.protect_rtp(&header, payload, roc, &mut out).unwrap();
        }
        let _ = udp.send_to(&out, to);
    }

    /// A sender report: captured 40 ms ago.
    fn report(&mut self, rtp_time: u32, udp: &UdpSocket, to: SocketAddr) {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let captured = unix - Duration::from_millis(40);
        let fraction = (u64::from(captured.subsec_nanos()) << 32) / 1_000_000_000;
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend_from_slice(&SSRC.to_be_bytes());
        packet.extend_from_slice(&((captured.as_secs() + UNIX_IN_NTP) as u32).to_be_bytes());
        packet.extend_from_slice(&(fraction as u32).to_be_bytes());
        packet.extend_from_slice(&rtp_time.to_be_bytes());
        packet.extend_from_slice(&[0; 8]);
        let mut out = Vec::new();
        self.transport.srtp().unwrap().protect_rtcp(&packet, &mut out).unwrap();
        let _ = udp.send_to(&out, to);
    }

    fn feedback(&mut self, compound: &[u8], faults: Faults, udp: &UdpSocket) {
        let Some(to) = self.transport.remote() else {
            return;
        };
        let mut rest = compound;
        while rest.len() >= 4 {
            let length = 4 * (1 + usize::from(u16::from_be_bytes([rest[2], rest[3]])));
            match (rest[0] & 0x1f, rest[1]) {
                (1, 205) if !faults.deaf => {
                    for pair in rest[12..length].chunks(4) {
                        let first = u16::from_be_bytes([pair[0], pair[1]]);
                        let mask = u16::from_be_bytes([pair[2], pair[3]]);
                        let others = (0..16).filter(|bit| mask >> bit & 1 == 1).map(|b| b + 1);
                        for offset in std::iter::once(0).chain(others) {
                            self.send(first.wrapping_add(offset), true, udp, to);
                        }
                    }
                }
                (1, 206) => self.wants_keyframe = true,
                _ => {}
            }
            rest = &rest[length..];
        }
    }
}
