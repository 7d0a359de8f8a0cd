//! Stands for a worker: fabricated packets on a real media socket, at real pace.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use stentor_protocol::media::{MediaBatch, MediaFlags, MediaHeader};

/// One rung: its track, and packets of 1200 bytes per frame behind which a shorter one follows.
#[derive(Debug, Clone, Copy)]
pub struct Rung {
    pub track: u16,
    pub packets: usize,
}

/// A worker that feeds until it is dropped.
pub struct Feeder {
    stop: Arc<AtomicBool>,
    /// A track whose next frame shall be a keyframe; 0 for none, and u16::MAX for all.
    keyframe: Arc<AtomicU16>,
    frames: Arc<Mutex<u32>>,
    thread: Option<JoinHandle<()>>,
}

/// What a fabricated payload says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub keyframe: bool,
    pub track: u16,
    pub frame: u32,
    /// Of the frame's packets, and how many there are.
    pub packet: u16,
    pub packets: u16,
}

pub const FRAME: Duration = Duration::from_millis(33);

/// The daemon's and the worker's end of a media socket.
pub fn media_socket() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

impl Feeder {
    /// Feeds `rungs` and audio. `clock` is where the RTP clock starts, `gop` the distance of
    /// keyframes in frames.
    pub fn start(media: OwnedFd, rungs: &[Rung], clock: u32, gop: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let keyframe = Arc::new(AtomicU16::new(0));
        let frames = Arc::new(Mutex::new(0));
        let (of_thread, wish, count) = (stop.clone(), keyframe.clone(), frames.clone());
        let rungs = rungs.to_vec();
        let thread = thread::spawn(move || {
            let start = Instant::now();
            let mut sequences = [clock as u16; 100];
            let mut frame = 0_u32;
            while !of_thread.load(Ordering::Relaxed) {
                let wished = wish.swap(0, Ordering::Relaxed);
                let timestamp = clock.wrapping_add(frame * 2970);
                for rung in &rungs {
                    let key =
                        frame.is_multiple_of(gop) || wished == rung.track || wished == u16::MAX;
                    let mut batch = MediaBatch::default();
                    let last = rung.packets;
                    for packet in 0..=last {
                        let sequence = &mut sequences[usize::from(rung.track)];
                        *sequence = sequence.wrapping_add(1);
                        let mut flags = MediaFlags::default();
                        if key && packet == 0 {
                            flags = flags.with(MediaFlags::KEYFRAME_START);
                        }
                        if packet == last {
                            flags = flags.with(MediaFlags::FRAME_END);
                        }
                        let mark = Mark {
                            keyframe: key,
                            track: rung.track,
                            frame,
                            packet: packet as u16,
                            packets: last as u16 + 1,
                        };
                        let size = if packet == last { 300 } else { 1188 };
                        let rtp = mark.packet(*sequence, timestamp, size, packet == last);
                        batch.push(header(rung.track, flags), &rtp);
                    }
                    if batch.send(media.as_fd()).is_err() {
                        return;
                    }
                }
                send_audio(&media, &mut sequences[0], clock, frame);
                frame += 1;
                *count.lock().unwrap() = frame;
                let next = start + FRAME * frame;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Self { stop, keyframe, frames, thread: Some(thread) }
    }

    /// The track's next frame is a keyframe.
    pub fn force_keyframe(&self, track: u16) {
        self.keyframe.store(track, Ordering::Relaxed);
    }

    /// Frames fed so far.
    pub fn frames(&self) -> u32 {
        *self.frames.lock().unwrap()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Mark {
    fn packet(&self, sequence: u16, timestamp: u32, size: usize, marker: bool) -> Vec<u8> {
        let mut rtp = vec![0x80, 96 | u8::from(marker) << 7];
        rtp.extend_from_slice(&sequence.to_be_bytes());
        rtp.extend_from_slice(&timestamp.to_be_bytes());
        rtp.extend_from_slice(b"ssrc");
        // Fragments of an IDR slice, or of another one.
        let kind = if self.keyframe { 5 } else { 1 };
        let start = if self.packet == 0 { 0x80 } else { 0 };
        rtp.extend_from_slice(&[0x7c, start | kind, u8::from(self.keyframe)]);
        rtp.extend_from_slice(&self.track.to_be_bytes());
        rtp.extend_from_slice(&self.frame.to_be_bytes());
        rtp.extend_from_slice(&self.packet.to_be_bytes());
        rtp.extend_from_slice(&self.packets.to_be_bytes());
        rtp.resize(size.max(rtp.len()), 0x55);
        rtp
    }

    pub fn read(payload: &[u8]) -> Option<Self> {
        let bytes = payload.get(2..13)?;
        Some(Self {
            keyframe: bytes[0] == 1,
            track: u16::from_be_bytes([bytes[1], bytes[2]]),
            frame: u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]),
            packet: u16::from_be_bytes([bytes[7], bytes[8]]),
            packets: u16::from_be_bytes([bytes[9], bytes[10]]),
        })
    }
}

fn header(track: u16, flags: MediaFlags) -> MediaHeader {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    MediaHeader { track, flags, capture_unix_us: since.as_micros() as u64 }
}

fn send_audio(media: &OwnedFd, sequence: &mut u16, clock: u32, frame: u32) {
    *sequence = sequence.wrapping_add(1);
    let mut rtp = vec![0x80, 111 | 0x80];
    rtp.extend_from_slice(&sequence.to_be_bytes());
    rtp.extend_from_slice(&clock.wrapping_add(frame * 1584).to_be_bytes());
    rtp.extend_from_slice(b"ssrcopus packet");
    let mut batch = MediaBatch::default();
    batch.push(header(0, MediaFlags::FRAME_END), &rtp);
    let _ = batch.send(media.as_fd());
}
