//! Receiving: many datagrams by one system call, and in one piece what the kernel has put together
//! (UDP GRO): a burst of one sender's then passes its network stack once.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::fanout::udp::read_name;

/// What was received last. Reused.
pub struct Intake {
    memory: Box<[u8]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    pieces: [Piece; PIECES],
}

/// One datagram, or several of one sender: all but the last of them are `segment` bytes long.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    length: usize,
    segment: usize,
}

/// Room for one control message with an int. Aligned as cmsghdr must be.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

const CONTROL_BYTES: usize = 24;
/// Pieces received at once.
pub const PIECES: usize = 32;
/// The longest piece: what an IPv4 or IPv6 datagram could hold.
const PIECE_BYTES: usize = 65_536;
/// From one piece's memory to the next one's: with a power of two their fronts, which is where
/// single datagrams lie, would share a few lines of the cache.
const STRIDE: usize = PIECE_BYTES + 21 * 64;

/// Asks the kernel to put datagrams together. One that can't gives them one by one.
pub fn coalesce(socket: BorrowedFd<'_>) {
    let on: libc::c_int = 1;
    // SAFETY: the option takes an int, which lives across the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "no GRO here");
    }
}

// === impl Intake ===

impl Default for Intake {
    fn default() -> Self {
        // SAFETY: sockaddr_storage is plain data for which zeroes are valid.
        let name: libc::sockaddr_storage = unsafe { mem::zeroed() };
        Self {
            memory: vec![0; STRIDE * PIECES].into(),
            names: vec![name; PIECES].into(),
            controls: vec![Control([0; CONTROL_BYTES]); PIECES].into(),
            pieces: [Piece::default(); PIECES],
        }
    }
}

impl Intake {
    /// Receives what is there, up to [`PIECES`]. Gives how many.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut slots = self.memory.chunks_exact_mut(STRIDE);
        let mut iovecs: [libc::iovec; PIECES] = std::array::from_fn(|_| {
            let slot = slots.next().unwrap_or_default();
            libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len().min(PIECE_BYTES) }
        });
        let mut messages: [libc::mmsghdr; PIECES] = std::array::from_fn(|n| {
            // SAFETY: an all-zero mmsghdr is a valid one: null pointers with zero lengths.
            let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
            message.msg_hdr.msg_name = (&raw mut self.names[n]).cast();
            message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            message.msg_hdr.msg_iov = &raw mut iovecs[n];
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = (&raw mut self.controls[n]).cast();
            message.msg_hdr.msg_controllen = CONTROL_BYTES as _;
            message
        });
        // SAFETY: each message points to one name, one control block and one iovec, and through
        // that to one slot of the stated length, all of which live across the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                PIECES as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        }
        for (n, message) in messages.iter().enumerate().take(count as usize) {
            let length = (message.msg_len as usize).min(PIECE_BYTES);
            let control = &self.controls[n].0[..(message.msg_hdr.msg_controllen as usize)];
            self.pieces[n] = Piece { length, segment: segment_of(control).unwrap_or(length) };
        }
        Ok(count as usize)
    }

    /// The datagrams of piece `n` of those received last, and where they came from.
    pub fn datagrams(&self, n: usize) -> Option<(SocketAddr, impl Iterator<Item = &[u8]>)> {
        let Piece { length, segment } = *self.pieces.get(n)?;
        let from = read_name(self.names.get(n)?)?;
        let bytes = self.memory.get(n * STRIDE..)?.get(..length)?;
        Some((from, bytes.chunks(segment.max(1))))
    }
}

/// The size of datagrams that were put together.
fn segment_of(control: &[u8]) -> Option<usize> {
    let field = |at: usize| {
        let bytes = control.get(at..)?.first_chunk::<4>()?;
        Some(libc::c_int::from_ne_bytes(*bytes))
    };
    let is_gro = field(mem::offset_of!(libc::cmsghdr, cmsg_level))? == libc::SOL_UDP
        && field(mem::offset_of!(libc::cmsghdr, cmsg_type))? == libc::UDP_GRO;
    let segment = field(size_of::<libc::cmsghdr>()).filter(|_| is_gro)?;
    usize::try_from(segment).ok().filter(|segment| *segment > 0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::fanout::udp::{Batch, SendArguments, Socket};

    #[test]
    fn a_burst_arrives_in_one_piece_and_is_taken_apart() {
        for ip in ["127.0.0.1", "::1"] {
            let any = SocketAddr::new(ip.parse().unwrap(), 0);
            let (mut from, to) = (Socket::bind(any).unwrap(), Socket::bind(any).unwrap());
            coalesce(to.as_fd());
            let mut batch = Batch::default();
            let sizes = [1200, 1200, 1200, 77, 50];
            for (n, size) in sizes.iter().enumerate() {
                batch.push(to.address(), &vec![n as u8; *size]);
            }
            from.send(&mut batch, &mut SendArguments::default());
            let mut intake = Intake::default();
            let (mut seen, mut pieces) = (Vec::new(), 0);
            let deadline = Instant::now() + Duration::from_secs(5);
            while seen.len() < sizes.len() && Instant::now() < deadline {
                let count = intake.receive(to.as_fd()).unwrap();
                for n in 0..count {
                    let (sender, datagrams) = intake.datagrams(n).unwrap();
                    assert_eq!(sender, from.address());
                    seen.extend(datagrams.map(<[u8]>::to_vec));
                }
                pieces += count;
            }
            let expected: Vec<_> =
                sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size]).collect();
            assert_eq!(seen, expected, "{ip}");
            assert_eq!(pieces, 2, "{ip}: the four that fit together came so");
        }
    }

    #[test]
    fn control_messages_of_other_kinds_say_nothing() {
        assert_eq!(segment_of(&[]), None);
        assert_eq!(segment_of(&[0; CONTROL_BYTES]), None);
        assert_eq!(segment_of(&[0xff; CONTROL_BYTES]), None);
    }
}
