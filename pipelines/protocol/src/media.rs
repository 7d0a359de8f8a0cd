//! RTP packets from a worker to the daemon, an access unit at a time.
//!
//! A packet is a 16-byte [`MediaHeader`] and one RTP packet without header extensions. A message
//! is as many of them as fit: a message costs the kernel ten times what a packet in it does. The
//! worker sends one access unit per `sendmmsg`. The socket is bounded: where it is full the
//! worker drops the rest of the track up to its next keyframe and marks that one
//! [`MediaFlags::GAP`].

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes in front of every RTP packet.
pub const HEADER_BYTES: usize = 16;
/// The longest RTP packet on the seam, in bytes.
pub const MAX_PACKET_BYTES: usize = 1400;
/// Size asked for with `SO_SNDBUF` and `SO_RCVBUF`, in bytes: the default holds 93 packets.
pub const SOCKET_BUFFER_BYTES: usize = 1 << 20;
/// The longest message, in bytes: an access unit of 2 Mb/s at 25 a second fits.
pub const MAX_MESSAGE_BYTES: usize = 16 << 10;
/// Messages received per system call.
const BATCH: usize = 16;

const VERSION: u8 = 1;
/// Where the packet's length is in its header: two bytes.
const LENGTH_AT: usize = 4;

/// In front of every RTP packet. Little endian on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaHeader {
    pub track: u16,
    pub flags: MediaFlags,
    /// When the picture or sound was captured: microseconds since the Unix epoch. One base for
    /// all tracks, so that sender reports made from it keep lip-sync.
    pub capture_unix_us: u64,
}

/// What the fan-out must know of a packet without parsing its codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MediaFlags(pub u8);

/// Gathers packets and sends them with one system call.
#[derive(Debug, Default)]
pub struct MediaBatch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Receives several messages with one system call.
pub struct MediaReader {
    buffers: Box<[[u8; MAX_MESSAGE_BYTES]]>,
}

/// A message that is not of this protocol.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MediaError {
    #[error("media message of {0} bytes is too short")]
    Short(usize),
    #[error("media message has version {0}, expected {VERSION}")]
    Version(u8),
}

// === impl MediaFlags ===

impl MediaFlags {
    /// First packet of an access unit from which decoding can start.
    pub const KEYFRAME_START: Self = Self(1);
    /// Last packet of an access unit.
    pub const FRAME_END: Self = Self(2);
    /// Packets of this track were dropped before this one.
    pub const GAP: Self = Self(4);

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

// === impl MediaHeader ===

impl MediaHeader {
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = VERSION;
        bytes[1] = self.flags.0;
        bytes[2..4].copy_from_slice(&self.track.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.capture_unix_us.to_le_bytes());
        bytes
    }

    /// Splits what a [`MediaReader`] hands over into header and RTP packet.
    pub fn parse(message: &[u8]) -> Result<(Self, &[u8]), MediaError> {
        let Some((head, packet)) = message.split_first_chunk::<HEADER_BYTES>() else {
            return Err(MediaError::Short(message.len()));
        };
        if head[0] != VERSION {
            return Err(MediaError::Version(head[0]));
        }
        let mut time = [0; 8];
        time.copy_from_slice(&head[8..]);
        let header = Self {
            track: u16::from_le_bytes([head[2], head[3]]),
            flags: MediaFlags(head[1]),
            capture_unix_us: u64::from_le_bytes(time),
        };
        Ok((header, packet))
    }
}

// === impl MediaBatch ===

impl MediaBatch {
    pub fn push(&mut self, header: MediaHeader, packet: &[u8]) {
        self.push_parts(header, &[packet]);
    }

    /// One packet given in pieces (RTP header, payload header, a slice of the access unit), so
    /// that a payloader copies the payload once only.
    pub fn push_parts(&mut self, header: MediaHeader, parts: &[&[u8]]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&header.to_bytes());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        let length = (self.bytes.len() - start - HEADER_BYTES) as u16;
        self.bytes[start + LENGTH_AT..][..2].copy_from_slice(&length.to_le_bytes());
        self.ends.push(self.bytes.len());
    }

    /// The packets, header included.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Sends all packets without blocking and empties the batch. Gives how many were taken;
    /// fewer than [`len`](Self::len) were means that the socket is full.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let (mut iovecs, counts) = self.gather();
        let mut messages: Vec<libc::mmsghdr> = iovecs.iter_mut().map(message_of).collect();
        let mut sent = 0;
        let result = loop {
            if sent == messages.len() {
                break Ok(());
            }
            let rest = &mut messages[sent..];
            // SAFETY: `rest` and the iovecs and bytes it points to live across the call, and
            // the length given is its own.
            let taken = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as u32,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            };
            if taken >= 0 {
                sent += taken as usize;
                continue;
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => break Ok(()),
                _ => break Err(error),
            }
        };
        self.clear();
        result.map(|()| counts[..sent].iter().sum())
    }

    /// The messages, and how many packets each has.
    fn gather(&self) -> (Vec<libc::iovec>, Vec<usize>) {
        let (mut iovecs, mut counts) = (Vec::<libc::iovec>::new(), Vec::<usize>::new());
        for packet in self.packets() {
            match (iovecs.last_mut(), counts.last_mut()) {
                (Some(message), Some(count))
                    if message.iov_len + packet.len() <= MAX_MESSAGE_BYTES =>
                {
                    message.iov_len += packet.len();
                    *count += 1;
                }
                _ => {
                    let iov_base = packet.as_ptr() as *mut _;
                    iovecs.push(libc::iovec { iov_base, iov_len: packet.len() });
                    counts.push(1);
                }
            }
        }
        (iovecs, counts)
    }
}

// === impl MediaReader ===

impl Default for MediaReader {
    fn default() -> Self {
        Self { buffers: vec![[0; MAX_MESSAGE_BYTES]; BATCH].into_boxed_slice() }
    }
}

impl MediaReader {
    /// Waits for messages and hands each of their packets to `take`. Gives how many messages there
    /// were; 0 is the end of the stream. A first `ECONNRESET` may precede it: read on.
    pub fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<usize> {
        let mut iovecs: Vec<libc::iovec> = self
            .buffers
            .iter_mut()
            .map(|b| libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: b.len() })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = iovecs.iter_mut().map(message_of).collect();
        // SAFETY: every message points to one iovec and every iovec to one buffer of its
        // stated length; all of them live across the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                messages.len() as u32,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut taken = 0;
        for (message, buffer) in messages.iter().zip(self.buffers.iter()).take(count as usize) {
            let length = message.msg_len as usize;
            if length == 0 {
                break;
            }
            packets_of(&buffer[..length.min(buffer.len())]).for_each(&mut take);
            taken += 1;
        }
        Ok(taken)
    }
}

/// A message's packets, header included. What follows a header that promises too much is left to
/// its reader to refuse.
pub fn packets_of(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length =
            rest.get(LENGTH_AT..LENGTH_AT + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
        let end = match usize::from(length) {
            // The only packet may leave it out.
            0 => rest.len(),
            length => (HEADER_BYTES + length).min(rest.len()),
        };
        let (packet, after) = rest.split_at(end);
        rest = after;
        Some(packet)
    })
}

fn message_of(iovec: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: an all-zero mmsghdr is a valid one: null pointers with zero lengths.
    let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
    message.msg_hdr.msg_iov = iovec;
    message.msg_hdr.msg_iovlen = 1;
    message
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn header(track: u16) -> MediaHeader {
        MediaHeader { track, flags: MediaFlags::FRAME_END, capture_unix_us: 1_700_000_000_000_000 }
    }

    #[test]
    fn a_batch_arrives_packet_by_packet() {
        let (near, far) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let mut batch = MediaBatch::default();
        batch.push(header(1), b"one");
        batch.push_parts(header(2), &[b"t", b"", b"wo"]);
        assert_eq!(batch.packets().count(), 2);
        assert_eq!(batch.send(near.as_fd()).unwrap(), 2);
        let mut seen = Vec::new();
        let count = MediaReader::default()
            .receive(far.as_fd(), |m| {
                let (header, packet) = MediaHeader::parse(m).unwrap();
                seen.push((header.track, packet.to_vec()));
            })
            .unwrap();
        assert_eq!(count, 1);
        assert_eq!(seen, [(1, b"one".to_vec()), (2, b"two".to_vec())]);
        drop(near);
        assert_eq!(MediaReader::default().receive(far.as_fd(), |_| {}).unwrap(), 0);
    }

    #[test]
    fn a_full_socket_takes_fewer_and_never_blocks() {
        let (near, _far) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let mut taken = usize::MAX;
        for _ in 0..100 {
            let mut batch = MediaBatch::default();
            for _ in 0..64 {
                batch.push(header(1), &[0; 1200]);
            }
            taken = batch.send(near.as_fd()).unwrap();
            if taken < 64 {
                break;
            }
        }
        // Whole messages of 13 packets.
        assert!(taken < 64 && taken % 13 == 0, "{taken}");
    }

    #[test]
    fn a_long_unit_is_several_messages_and_arrives_whole() {
        let (near, far) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let sizes: Vec<usize> = (0..60).map(|n| if n % 7 == 3 { n + 1 } else { 1_384 }).collect();
        let mut batch = MediaBatch::default();
        for (n, size) in sizes.iter().enumerate() {
            batch.push(header(n as u16), &vec![n as u8; *size]);
        }
        assert_eq!(batch.send(near.as_fd()).unwrap(), 60);
        drop(near);
        let (mut seen, mut reader) = (Vec::new(), MediaReader::default());
        while reader
            .receive(far.as_fd(), |m| {
                let (header, packet) = MediaHeader::parse(m).unwrap();
                assert!(packet.iter().all(|byte| u16::from(*byte) == header.track));
                seen.push(packet.len());
            })
            .unwrap()
            > 0
        {}
        assert_eq!(seen, sizes);
    }

    #[test]
    fn lengths_that_lie_end_with_the_message() {
        let mut message = header(1).to_bytes().to_vec();
        message[LENGTH_AT] = 200;
        message.extend_from_slice(b"short");
        assert_eq!(packets_of(&message).collect::<Vec<_>>(), [&message[..]]);
        for cut in 1..HEADER_BYTES {
            let all: Vec<_> = packets_of(&message[..cut]).collect();
            assert_eq!(all.concat(), message[..cut]);
        }
    }

    #[test]
    fn a_foreign_message_is_refused() {
        assert_eq!(MediaHeader::parse(&[9; 20]), Err(MediaError::Version(9)));
        assert_eq!(MediaHeader::parse(&[1; 3]), Err(MediaError::Short(3)));
    }
}
