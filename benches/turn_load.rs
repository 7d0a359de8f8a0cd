//! Load for a TURN server: clients over UDP with a channel each, and a peer for each of them. Media
//! goes both ways; what arrives is counted and thrown away.
//!
//! `--frames F` sends F times a second, at each end, so many packets at once as a frame of video
//! has. `--window W` keeps W packets under way at each end, so that the server is never idle.

#![allow(clippy::unwrap_used, reason = "a load that can't be made ends")]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[allow(dead_code, reason = "a load needs a part of it")]
#[path = "../tests/turn/client.rs"]
mod client;

use client::{Client, Wire};

/// Bytes of a packet, as the ends see it.
const PACKET: usize = 1200;
/// The header of ChannelData.
const HEADER: usize = 4;
const CHANNEL: u16 = 0x4000;
/// Packets that a frame of video has.
const FRAME: usize = 8;
const BATCH: usize = 64;
const BUFFER: usize = 2048;
/// How often sockets are looked at where packets are paced.
const LOOK: Duration = Duration::from_millis(1);
/// Packets under way that don't arrive for so long are taken for lost.
const LOST_AFTER: Duration = Duration::from_millis(100);
/// What is under way at the end may still arrive.
const REST: Duration = Duration::from_millis(200);

/// A client, or the peer of one. Both are connected sockets.
struct End {
    socket: UdpSocket,
    /// Bytes of a datagram that it sends, and of one that it gets.
    sends: usize,
    gets: usize,
    /// When its next frame is due.
    due: Instant,
    /// Packets under way to it, and when one arrived last.
    under_way: usize,
    heard: Instant,
}

/// What is given to the kernel: the same packet many times, and one buffer for all that arrives.
struct Batch {
    packet: Vec<u8>,
    buffer: Vec<u8>,
}

#[derive(Default)]
struct Counts {
    sent: u64,
    arrived: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let find = |name: &str| -> Option<&str> {
        let at = arguments.iter().position(|a| a == name)?;
        Some(arguments.get(at + 1).map(String::as_str).unwrap_or_default())
    };
    let text = |name: &str| find(name).unwrap_or_else(|| panic!("{name} is missing"));
    let server: SocketAddr = text("--server").parse().unwrap();
    let address: IpAddr = text("--address").parse().unwrap();
    let count: usize = text("--clients").parse().unwrap();
    let seconds = Duration::from_secs(text("--seconds").parse().unwrap());
    let mut ends = allocate(server, address, count, text("--secret"));
    say("running");
    let begin = Instant::now();
    let counts = match find("--window") {
        Some(window) => flood(&mut ends, window.parse().unwrap(), seconds),
        None => pace(&mut ends, text("--frames").parse().unwrap(), seconds),
    };
    let took = begin.elapsed().as_secs_f64();
    let Counts { sent, arrived } = counts;
    say(&format!("{{\"sent\": {sent}, \"arrived\": {arrived}, \"seconds\": {took}}}"));
}

#[allow(clippy::print_stdout, reason = "that is where the bench reads it")]
fn say(line: &str) {
    println!("{line}");
}

/// Clients and peers, one after the other.
fn allocate(server: SocketAddr, address: IpAddr, count: usize, secret: &str) -> Vec<End> {
    let credentials = issue(secret);
    let mut ends = Vec::new();
    for _ in 0..count {
        let peer = UdpSocket::bind((address, 0)).unwrap();
        let mut client = Client::new(Wire::connect(server, false), &credentials);
        let relayed = client.allocate().unwrap();
        client.channel_bind(CHANNEL, peer.local_addr().unwrap()).unwrap();
        peer.connect(relayed).unwrap();
        let Wire::Udp(socket) = &client.wire else { panic!("it is over UDP") };
        ends.push(End::new(socket.try_clone().unwrap(), HEADER));
        ends.push(End::new(peer, 0));
    }
    ends
}

/// TURN REST.
fn issue(secret: &str) -> (String, String) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let username = format!("{}:load", now + 3600);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let password = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
    (username, password)
}

/// Frames at a steady rate, each end's between those of the others.
fn pace(ends: &mut [End], frames: u32, seconds: Duration) -> Counts {
    let mut batch = Batch::new();
    let mut counts = Counts::default();
    let between = Duration::from_secs(1) / frames;
    let begin = Instant::now();
    let count = ends.len() as u32;
    for (end, n) in ends.iter_mut().zip(0..) {
        end.due = begin + between * n / count;
    }
    let over = begin + seconds;
    let mut now = begin;
    while now < over + REST {
        for end in ends.iter_mut() {
            if end.due <= now && now < over {
                counts.sent += batch.send(end, FRAME) as u64;
                end.due += between;
            }
        }
        counts.arrived += ends.iter().map(|end| batch.receive(end) as u64).sum::<u64>();
        std::thread::sleep(LOOK);
        now = Instant::now();
    }
    counts
}

/// As many packets as come through.
fn flood(ends: &mut [End], window: usize, seconds: Duration) -> Counts {
    let mut batch = Batch::new();
    let mut counts = Counts::default();
    let over = Instant::now() + seconds;
    loop {
        let now = Instant::now();
        if now >= over {
            return counts;
        }
        for n in 0..ends.len() {
            let arrived = batch.receive(&ends[n]);
            counts.arrived += arrived as u64;
            let end = &mut ends[n];
            if arrived > 0 {
                end.heard = now;
            }
            end.under_way = end.under_way.saturating_sub(arrived);
            if now.duration_since(end.heard) > LOST_AFTER {
                (end.under_way, end.heard) = (0, now);
            }
            let missing = window - end.under_way;
            // Not for a packet or two: whoever sends media sends a few at once.
            if missing >= FRAME.min(window) {
                // Client and peer stand side by side.
                let sent = batch.send(&ends[n ^ 1], missing);
                ends[n].under_way += sent;
                counts.sent += sent as u64;
            }
        }
    }
}

// === impl End ===

impl End {
    fn new(socket: UdpSocket, header: usize) -> Self {
        socket.set_nonblocking(true).unwrap();
        let now = Instant::now();
        let length = PACKET + header;
        Self { socket, sends: length, gets: length, due: now, under_way: 0, heard: now }
    }
}

// === impl Batch ===

impl Batch {
    fn new() -> Self {
        let [a, b] = CHANNEL.to_be_bytes();
        let [c, d] = (PACKET as u16).to_be_bytes();
        let mut packet = vec![a, b, c, d];
        packet.resize(HEADER + PACKET, 7);
        Self { packet, buffer: vec![0; BUFFER] }
    }

    /// Sends datagrams, each on its own, by one system call. Gives how many were taken.
    fn send(&mut self, end: &End, count: usize) -> usize {
        // A peer sends what a client has behind the header.
        let start = self.packet.len() - end.sends;
        let bytes = &mut self.packet[start..];
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let count = count.min(BATCH);
        let mut messages = messages(&mut part);
        // SAFETY: the messages have no name, and all point to the one part, which lives here and
        // points to bytes that do.
        let sent = unsafe {
            let fd = end.socket.as_raw_fd();
            libc::sendmmsg(fd, messages.as_mut_ptr(), count as u32, libc::MSG_DONTWAIT)
        };
        usize::try_from(sent).unwrap_or(0)
    }

    /// Takes what is there. Gives how many were whole.
    fn receive(&mut self, end: &End) -> usize {
        let mut whole = 0;
        loop {
            let buffer = self.buffer.as_mut_ptr().cast();
            let mut part = libc::iovec { iov_base: buffer, iov_len: self.buffer.len() };
            let mut messages = messages(&mut part);
            let count = take(end.socket.as_raw_fd(), &mut messages);
            let is_whole = |message: &&libc::mmsghdr| message.msg_len as usize == end.gets;
            whole += messages[..count].iter().filter(is_whole).count();
            if count < BATCH {
                return whole;
            }
        }
    }
}

fn take(fd: RawFd, messages: &mut [libc::mmsghdr; BATCH]) -> usize {
    // SAFETY: each message points to the one part and through it to one buffer of the stated
    // length, which live in the caller; what one datagram writes there, the next overwrites.
    let count = unsafe {
        let nothing = std::ptr::null_mut();
        libc::recvmmsg(fd, messages.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT, nothing)
    };
    if count < 0 {
        let error = io::Error::last_os_error();
        let nothing = [io::ErrorKind::WouldBlock, io::ErrorKind::ConnectionRefused];
        assert!(nothing.contains(&error.kind()), "receiving: {error}");
    }
    usize::try_from(count).unwrap_or(0)
}

fn messages(part: &mut libc::iovec) -> [libc::mmsghdr; BATCH] {
    // SAFETY: an all-zero mmsghdr is a valid one: null pointers with zero lengths.
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    message.msg_hdr.msg_iov = part;
    message.msg_hdr.msg_iovlen = 1;
    [message; BATCH]
}
