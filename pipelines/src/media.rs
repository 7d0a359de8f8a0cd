//! The worker's end of the media socket.
//!
//! One access unit is one system call. The socket never blocks: where the daemon doesn't keep up,
//! the track is silent up to its next keyframe, which is marked as coming after a gap. Sequence
//! numbers of packets that the socket didn't take stay used, so that what is missing shows.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::net::sockopt;
use stentor_protocol::media::{MediaBatch, SOCKET_BUFFER_BYTES};
use stentor_protocol::{Codec, TrackId};

use crate::packetise::{NoFormat, Packetiser, Unit};

/// The socket, shared by all tracks. Each sends its own batches; the kernel keeps messages whole.
#[derive(Debug)]
pub struct MediaSocket {
    fd: OwnedFd,
    totals: Totals,
}

/// Since the worker's start.
#[derive(Debug, Default)]
struct Totals {
    packets: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MediaTotals {
    /// Packets that the socket took.
    pub packets: u64,
    /// Bytes of the units that were sent.
    pub bytes: u64,
    /// Packets that the socket didn't take, and units that waited for a keyframe.
    pub dropped: u64,
}

/// One track's way onto the socket.
#[derive(Debug)]
pub struct TrackSender {
    socket: Arc<MediaSocket>,
    packetiser: Packetiser,
    batch: MediaBatch,
    /// Something was dropped: only a keyframe may come next.
    broken: bool,
}

/// What became of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Whole,
    /// Dropped, and nothing more of the track is sent before a keyframe.
    WaitsForKeyframe,
}

// === impl MediaSocket ===

impl MediaSocket {
    pub fn new(fd: OwnedFd) -> Self {
        // The limit on unprivileged buffers is often below what is asked for.
        let forced = sockopt::set_socket_send_buffer_size_force(&fd, SOCKET_BUFFER_BYTES);
        if forced.is_err() {
            let asked = sockopt::set_socket_send_buffer_size(&fd, SOCKET_BUFFER_BYTES);
            // The kernel doubles what is asked for, and reads back the double.
            let got = sockopt::socket_send_buffer_size(&fd).unwrap_or(0) / 2;
            if asked.is_err() || got < SOCKET_BUFFER_BYTES {
                tracing::warn!(
                    got,
                    wanted = SOCKET_BUFFER_BYTES,
                    "the media socket's buffer is small: raise net.core.wmem_max"
                );
            }
        }
        Self { fd, totals: Totals::default() }
    }

    pub fn totals(&self) -> MediaTotals {
        MediaTotals {
            packets: self.totals.packets.load(Relaxed),
            bytes: self.totals.bytes.load(Relaxed),
            dropped: self.totals.dropped.load(Relaxed),
        }
    }

    /// Gives how many of the batch's packets were taken.
    fn send(&self, batch: &mut MediaBatch) -> usize {
        match batch.send(self.fd.as_fd()) {
            Ok(taken) => taken,
            Err(error) => {
                // The daemon's end is gone: its control socket says so too, and ends us.
                if !matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) {
                    tracing::warn!(%error, "the media socket doesn't take packets");
                }
                0
            }
        }
    }
}

// === impl TrackSender ===

impl TrackSender {
    pub fn new(socket: &Arc<MediaSocket>, track: TrackId, codec: Codec) -> Result<Self, NoFormat> {
        Ok(Self {
            socket: Arc::clone(socket),
            packetiser: Packetiser::new(track, codec)?,
            batch: MediaBatch::default(),
            broken: false,
        })
    }

    /// Sends one access unit, without blocking.
    pub fn send(&mut self, unit: Unit<'_>) -> Sent {
        let totals = &self.socket.totals;
        if self.broken && !unit.keyframe {
            totals.dropped.fetch_add(1, Relaxed);
            return Sent::WaitsForKeyframe;
        }
        self.packetiser.packetise(unit, self.broken, &mut self.batch);
        let packets = self.batch.len();
        let taken = self.socket.send(&mut self.batch);
        totals.packets.fetch_add(taken as u64, Relaxed);
        if taken < packets {
            totals.dropped.fetch_add((packets - taken) as u64, Relaxed);
            self.broken = true;
            return Sent::WaitsForKeyframe;
        }
        totals.bytes.fetch_add(unit.data.len() as u64, Relaxed);
        self.broken = false;
        Sent::Whole
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use stentor_protocol::media::{MediaFlags, MediaHeader, MediaReader};

    use super::*;

    const SLICE: [u8; 4] = [0, 0, 1, 0x41];
    const IDR: [u8; 4] = [0, 0, 1, 0x65];

    fn unit(data: &[u8], keyframe: bool) -> Unit<'_> {
        Unit { data, timestamp: 0, keyframe, capture_unix_us: 0 }
    }

    fn socket() -> (Arc<MediaSocket>, OwnedFd) {
        let (near, far) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        (Arc::new(MediaSocket::new(near)), far)
    }

    /// Fills the socket, then gives what the other end reads.
    fn fill(sender: &mut TrackSender, far: &OwnedFd) -> Vec<(MediaFlags, u16)> {
        let slice = [&SLICE[..], &[0x9a; 4000]].concat();
        for _ in 0..10_000 {
            if sender.send(unit(&slice, false)) == Sent::WaitsForKeyframe {
                return drain(far);
            }
        }
        panic!("the socket never filled");
    }

    fn drain(far: &OwnedFd) -> Vec<(MediaFlags, u16)> {
        let mut packets = Vec::new();
        rustix::io::ioctl_fionbio(far, true).unwrap();
        let mut reader = MediaReader::default();
        while let Ok(1..) = reader.receive(far.as_fd(), |message| {
            let (header, packet) = MediaHeader::parse(message).unwrap();
            packets.push((header.flags, u16::from_be_bytes([packet[2], packet[3]])));
        }) {}
        packets
    }

    #[test]
    fn a_full_socket_silences_the_track_up_to_a_keyframe_marked_as_after_a_gap() {
        let (socket, far) = socket();
        let mut sender = TrackSender::new(&socket, TrackId(1), Codec::H264).unwrap();
        assert_eq!(sender.send(unit(&IDR, true)), Sent::Whole);
        let before = fill(&mut sender, &far);
        assert_eq!(sender.send(unit(&SLICE, false)), Sent::WaitsForKeyframe);
        assert_eq!(drain(&far), []);
        assert_eq!(sender.send(unit(&IDR, true)), Sent::Whole);
        assert_eq!(sender.send(unit(&SLICE, false)), Sent::Whole);

        let after = drain(&far);
        let key = MediaFlags::GAP.with(MediaFlags::KEYFRAME_START).with(MediaFlags::FRAME_END);
        assert_eq!(after[0].0, key);
        assert_eq!(after[1].0, MediaFlags::FRAME_END);
        let last = before[before.len() - 1].1;
        assert!(after[0].1 > last + 1, "the lost packets' numbers stay used");
        assert!(socket.totals().dropped >= 2);
        assert_eq!(socket.totals().packets, before.len() as u64 + 2);
    }

    #[test]
    fn a_full_socket_costs_audio_only_the_packets_that_found_it_full() {
        let (socket, far) = socket();
        let mut video = TrackSender::new(&socket, TrackId(1), Codec::H264).unwrap();
        let mut audio = TrackSender::new(&socket, TrackId::AUDIO, Codec::Opus).unwrap();
        video.send(unit(&IDR, true));
        let opus = [0xf8; 1000];
        let slice = [&SLICE[..], &[0x9a; 4000]].concat();
        while video.send(unit(&slice, false)) == Sent::Whole {}
        while audio.send(unit(&opus, true)) == Sent::Whole {}
        drain(&far);
        assert_eq!(audio.send(unit(&opus, true)), Sent::Whole);
        assert_eq!(drain(&far)[0].0, MediaFlags::GAP.with(MediaFlags::FRAME_END));
    }

    #[test]
    fn a_daemon_that_is_gone_is_no_error_of_ours() {
        let (socket, far) = socket();
        drop(far);
        let mut sender = TrackSender::new(&socket, TrackId(1), Codec::H264).unwrap();
        assert_eq!(sender.send(unit(&IDR, true)), Sent::WaitsForKeyframe);
    }
}
