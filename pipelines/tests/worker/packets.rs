//! The daemon's end of a media socket, and waiting for what is to come.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stentor_protocol::media::{MediaFlags, MediaHeader, MediaReader};

/// How long a condition may take. The test machines are shared and slow.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One message of the media socket.
#[derive(Debug, Clone)]
pub struct Packet {
    pub track: u16,
    pub flags: MediaFlags,
    pub capture_unix_us: u64,
    pub arrival_unix_us: u64,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

/// Keeps every packet that comes.
pub struct Collector {
    packets: Arc<Mutex<Vec<Packet>>>,
    /// While set, nobody reads.
    paused: Arc<AtomicBool>,
}

// === impl Collector ===

impl Collector {
    pub fn start(media: OwnedFd) -> Self {
        let (packets, paused) = (Arc::default(), Arc::default());
        let collector = Self { packets: Arc::clone(&packets), paused: Arc::clone(&paused) };
        thread::spawn(move || keep(&media, &packets, &paused));
        collector
    }

    pub fn of(&self, track: u16) -> Vec<Packet> {
        let packets = self.packets.lock().unwrap();
        packets.iter().filter(|packet| packet.track == track).cloned().collect()
    }

    pub fn forget(&self) {
        self.packets.lock().unwrap().clear();
    }

    /// Waits until so many access units of the track are whole, and gives the track's packets.
    pub fn wait_units(&self, track: u16, units: usize) -> Vec<Packet> {
        wait_for(&format!("{units} units of track {track}"), || {
            let packets = self.of(track);
            let ends = packets.iter().filter(|p| p.flags.contains(MediaFlags::FRAME_END));
            (ends.count() >= units).then_some(packets)
        })
    }

    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Relaxed);
    }
}

fn keep(media: &OwnedFd, packets: &Mutex<Vec<Packet>>, paused: &AtomicBool) {
    let mut reader = MediaReader::default();
    loop {
        while paused.load(Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        let mut seen = Vec::new();
        let taken = reader.receive(media.as_fd(), |message| seen.push(parse(message)));
        packets.lock().unwrap().append(&mut seen);
        match taken {
            Ok(0) => return,
            Err(error) if error.raw_os_error() != Some(libc::ECONNRESET) => return,
            _ => {}
        }
    }
}

fn parse(message: &[u8]) -> Packet {
    let (header, rtp) = MediaHeader::parse(message).unwrap();
    Packet {
        track: header.track,
        flags: header.flags,
        capture_unix_us: header.capture_unix_us,
        arrival_unix_us: unix_us(),
        sequence: u16::from_be_bytes([rtp[2], rtp[3]]),
        timestamp: u32::from_be_bytes([rtp[4], rtp[5], rtp[6], rtp[7]]),
        payload: rtp[12..].to_vec(),
    }
}

/// Waits until `found` gives something.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

/// Since the machine's start.
pub fn monotonic_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
