//! A viewer's UDP socket: the kernel hands over a burst of equal datagrams in one call (GRO).

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Room for the largest burst.
pub(super) const BURST_BYTES: usize = 1 << 16;

/// Bytes of the kernel's receive queue. A joiner gets a whole group of pictures at once.
const RECEIVE_BUFFER_BYTES: libc::c_int = 1 << 20;

#[derive(Debug)]
pub(super) struct Socket {
    inner: UdpSocket,
    local: SocketAddr,
}

/// What one call brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Burst {
    pub from: SocketAddr,
    pub length: usize,
    /// Bytes of each datagram; the last one may be shorter.
    pub segment: usize,
}

/// Space for one control message that carries an int.
#[repr(C, align(8))]
struct Control([u8; 64]);

// === impl Socket ===

impl Socket {
    /// `offload`: a burst of equal datagrams comes in one call.
    pub fn bind(ip: IpAddr, offload: bool) -> io::Result<Self> {
        let inner = UdpSocket::bind((ip, 0))?;
        inner.set_nonblocking(true)?;
        set_option(&inner, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER_BYTES)?;
        if offload {
            set_option(&inner, libc::SOL_UDP, libc::UDP_GRO, 1)?;
        }
        let local = inner.local_addr()?;
        Ok(Self { inner, local })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// A datagram that the kernel doesn't take is lost, as it might be on the way.
    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let _ = self.inner.send_to(bytes, to);
    }

    /// None when nothing waits.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Burst>> {
        // SAFETY: an all-zero sockaddr_storage is a valid one: family AF_UNSPEC.
        let mut address: libc::sockaddr_storage = unsafe { mem::zeroed() };
        let mut control = Control([0; 64]);
        let mut iovec = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: an all-zero msghdr is a valid one: null pointers with zero lengths.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_name = (&raw mut address).cast();
        message.msg_namelen = size_of_val(&address) as libc::socklen_t;
        message.msg_iov = &raw mut iovec;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        // SAFETY: every pointer in the message points to a local of the stated length that
        // lives across the call.
        let count = unsafe { libc::recvmsg(self.inner.as_raw_fd(), &raw mut message, 0) };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                // An ICMP error about an earlier datagram of ours.
                io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            };
        }
        let length = count as usize;
        let segment = segment_bytes(&message).filter(|s| *s > 0).unwrap_or(length.max(1));
        let Some(from) = socket_address(&address) else {
            return Ok(None);
        };
        Ok(Some(Burst { from, length, segment }))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

fn set_option(
    socket: &UdpSocket,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the value is an int that lives across the call, and its size is stated.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The UDP_GRO control message of a received message.
fn segment_bytes(message: &libc::msghdr) -> Option<usize> {
    // SAFETY: recvmsg has filled in the message; its control buffer is still there, and
    // CMSG_FIRSTHDR gives null when no whole header is in it.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_UDP, libc::UDP_GRO) {
        return None;
    }
    // SAFETY: a control message of this type carries an int; CMSG_DATA may be unaligned.
    let bytes = unsafe { libc::CMSG_DATA(header).cast::<libc::c_int>().read_unaligned() };
    usize::try_from(bytes).ok()
}

fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which variant the storage holds, and it has room for all.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = u32::from_be(v4.sin_addr.s_addr);
            Some(SocketAddr::new(IpAddr::V4(ip.into()), u16::from_be(v4.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            Some(SocketAddr::new(
                IpAddr::V6(v6.sin6_addr.s6_addr.into()),
                u16::from_be(v6.sin6_port),
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn wait_for(socket: &Socket, buffer: &mut [u8]) -> Burst {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(burst) = socket.receive(buffer).unwrap() {
                return burst;
            }
            assert!(Instant::now() < deadline, "nothing came");
            std::thread::yield_now();
        }
    }

    #[test]
    fn datagrams_arrive_with_their_sender() {
        for ip in ["127.0.0.1", "::1"] {
            let ip: IpAddr = ip.parse().unwrap();
            let socket = Socket::bind(ip, true).unwrap();
            let peer = Socket::bind(ip, true).unwrap();
            peer.send(socket.local(), b"hello");
            let mut buffer = vec![0; BURST_BYTES];
            let burst = wait_for(&socket, &mut buffer);
            assert_eq!((burst.from, &buffer[..burst.length]), (peer.local(), &b"hello"[..]));
            assert_eq!(socket.receive(&mut buffer).unwrap(), None);
        }
    }

    #[test]
    fn a_segmented_send_arrives_as_one_burst() {
        let ip: IpAddr = "127.0.0.1".parse().unwrap();
        let (socket, peer) = (Socket::bind(ip, true).unwrap(), Socket::bind(ip, true).unwrap());
        set_option(&peer.inner, libc::SOL_UDP, libc::UDP_SEGMENT, 100).unwrap();
        peer.send(socket.local(), &[7; 350]);
        let mut buffer = vec![0; BURST_BYTES];
        let burst = wait_for(&socket, &mut buffer);
        assert_eq!((burst.length, burst.segment), (350, 100));
    }
}
