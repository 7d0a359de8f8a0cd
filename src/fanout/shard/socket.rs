//! One UDP socket of a shard: batched receive, batched send with GSO.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::batch::{Batch, Message};
use super::loopback::take_from_loopback_only;
use super::messages::{RECEIVE_BATCH, RECEIVE_BYTES, ReceiveBuffers, SendArguments};

pub struct Socket {
    fd: OwnedFd,
    address: SocketAddr,
    /// GSO messages are tried. Cleared where none has ever been taken.
    gso: bool,
    /// GSO messages refused since the last one that was taken.
    gso_refused: u32,
    /// Messages that the full socket didn't take, oldest first.
    backlog: VecDeque<Waiting>,
    backlog_bytes: usize,
    counters: SocketCounters,
}

/// What a socket has done since the counters were taken.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SocketCounters {
    pub messages: u64,
    pub bytes: u64,
    /// Messages dropped because the backlog was full.
    pub dropped_backlog: u64,
    /// Messages that the kernel refused: no route, too long, filtered.
    pub dropped_refused: u64,
}

/// A message kept for later.
struct Waiting {
    to: SocketAddr,
    bytes: Box<[u8]>,
    segment: u16,
}

/// Kernel buffers asked for, in bytes. The system's limit may cut them (net.core.wmem_max).
const SOCKET_BUFFER: usize = 8 << 20;
/// Bytes that wait for a full socket at most; a media moment older than that helps nobody.
const MAX_BACKLOG: usize = 4 << 20;
/// Refusals in a row that mean that this machine does no GSO.
const MAX_GSO_REFUSALS: u32 = 64;

// === impl SocketCounters ===

impl SocketCounters {
    /// Messages that were not sent.
    pub fn dropped(&self) -> u64 {
        self.dropped_backlog + self.dropped_refused
    }
}

// === impl Socket ===

impl Socket {
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, false, false)
    }

    /// Binds an address of this machine's for this machine alone: the kernel drops what doesn't
    /// come by the loopback device.
    pub fn bind_within_machine(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, false, true)
    }

    /// Binds one of several sockets with the same address. The kernel chooses among them by the
    /// sender's.
    pub fn bind_shared(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, true, false)
    }

    fn open(address: SocketAddr, shared: bool, within_machine: bool) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&fd, true)?;
        }
        if shared {
            sockopt::set_socket_reuseport(&fd, true)?;
        }
        // Cut to the system's limit without an error.
        sockopt::set_socket_recv_buffer_size(&fd, SOCKET_BUFFER)?;
        sockopt::set_socket_send_buffer_size(&fd, SOCKET_BUFFER)?;
        if within_machine {
            take_from_loopback_only(&fd)?;
        }
        rustix::net::bind(&fd, &address)?;
        let bound = rustix::net::getsockname(&fd)?;
        let address = SocketAddr::try_from(bound).map_err(|_| io::ErrorKind::AddrNotAvailable)?;
        Ok(Self {
            fd,
            address,
            gso: true,
            gso_refused: 0,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            counters: SocketCounters::default(),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether messages wait for room.
    pub fn is_blocked(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub fn take_counters(&mut self) -> SocketCounters {
        mem::take(&mut self.counters)
    }

    /// Receives what is there, up to [`RECEIVE_BATCH`] datagrams. Gives how many.
    pub fn receive(&self, buffers: &mut ReceiveBuffers) -> io::Result<usize> {
        let mut iovecs: [libc::iovec; RECEIVE_BATCH] = std::array::from_fn(|n| libc::iovec {
            iov_base: buffers.bytes[n].as_mut_ptr().cast(),
            iov_len: RECEIVE_BYTES,
        });
        let mut messages: [libc::mmsghdr; RECEIVE_BATCH] = std::array::from_fn(|n| {
            // SAFETY: an all-zero mmsghdr is a valid one: null pointers with zero lengths.
            let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
            message.msg_hdr.msg_name = (&raw mut buffers.names[n]).cast();
            message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            message.msg_hdr.msg_iov = &raw mut iovecs[n];
            message.msg_hdr.msg_iovlen = 1;
            message
        });
        // SAFETY: each message points to one name, one iovec and through it one buffer of the
        // stated lengths, all of which live across the call.
        let count = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                RECEIVE_BATCH as u32,
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
        for (message, length) in messages.iter().zip(&mut buffers.lengths).take(count as usize) {
            let cut = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            *length = (!cut).then_some((message.msg_len as usize).min(RECEIVE_BYTES));
        }
        Ok(count as usize)
    }

    /// Sends a batch and empties it. What a full socket doesn't take waits, within a bound.
    pub fn send(&mut self, batch: &mut Batch, arguments: &mut SendArguments) {
        let (messages, bytes) = batch.finish();
        if self.is_blocked() {
            for message in messages {
                self.keep(message, bytes);
            }
        } else {
            self.send_messages(messages, bytes, arguments);
        }
        batch.clear();
    }

    /// Sends what waits, as far as the socket takes it.
    pub fn flush(&mut self, arguments: &mut SendArguments) {
        while let Some(first) = self.backlog.front() {
            let whole =
                Message { to: first.to, bytes: 0..first.bytes.len(), segment: first.segment };
            let taken = self.send_some(std::slice::from_ref(&whole), &first.bytes, arguments);
            match taken {
                Taken::All => {}
                Taken::Blocked(_) => return,
                Taken::Refused(_, error) => self.note_refusal(&whole, &error),
            }
            if let Some(sent) = self.backlog.pop_front() {
                self.backlog_bytes -= sent.bytes.len();
                self.counters.messages += 1;
                self.counters.bytes += sent.bytes.len() as u64;
            }
        }
    }

    fn send_messages(&mut self, messages: &[Message], bytes: &[u8], arguments: &mut SendArguments) {
        let mut rest = messages;
        while !rest.is_empty() {
            if !self.gso && rest.iter().any(|m| m.segment != 0) {
                let single: Vec<Message> = rest.iter().flat_map(Message::datagrams).collect();
                self.send_messages(&single, bytes, arguments);
                return;
            }
            let taken = self.send_some(rest, bytes, arguments);
            let sent = match &taken {
                Taken::All => rest.len(),
                Taken::Blocked(sent) | Taken::Refused(sent, _) => *sent,
            };
            if sent > 0 {
                self.gso_refused = 0;
            }
            self.counters.messages += sent as u64;
            self.counters.bytes += rest[..sent].iter().map(|m| m.bytes.len() as u64).sum::<u64>();
            rest = &rest[sent..];
            match taken {
                Taken::All => {}
                Taken::Blocked(_) => {
                    for message in rest {
                        self.keep(message, bytes);
                    }
                    return;
                }
                Taken::Refused(_, error) => {
                    let Some((first, after)) = rest.split_first() else { return };
                    if first.segment != 0 && is_gso_refusal(&error) {
                        self.note_gso_refusal(&error);
                        let single: Vec<Message> = first.datagrams().collect();
                        self.send_messages(&single, bytes, arguments);
                    } else {
                        self.note_refusal(first, &error);
                    }
                    rest = after;
                }
            }
        }
    }

    /// One system call.
    fn send_some(
        &self,
        messages: &[Message],
        bytes: &[u8],
        arguments: &mut SendArguments,
    ) -> Taken {
        arguments.fill(messages, bytes);
        let mut sent = 0;
        while sent < messages.len() {
            let rest = &mut arguments.messages[sent..];
            // SAFETY: `fill` pointed each message to a name, an iovec and a control block that
            // `arguments` holds, and the iovecs into `bytes`; all live across the call and none
            // is moved.
            let count = unsafe {
                libc::sendmmsg(
                    self.fd.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as u32,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            };
            if count > 0 {
                sent += count as usize;
                continue;
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Taken::Blocked(sent),
                _ => return Taken::Refused(sent, error),
            }
        }
        Taken::All
    }

    fn keep(&mut self, message: &Message, bytes: &[u8]) {
        if self.backlog_bytes + message.bytes.len() > MAX_BACKLOG {
            self.counters.dropped_backlog += 1;
            return;
        }
        self.backlog_bytes += message.bytes.len();
        self.backlog.push_back(Waiting {
            to: message.to,
            bytes: bytes[message.bytes.clone()].into(),
            segment: message.segment,
        });
    }

    /// One path may refuse what others take: its MTU is small, or it is encrypted.
    fn note_gso_refusal(&mut self, error: &io::Error) {
        self.gso_refused += 1;
        if self.gso_refused == MAX_GSO_REFUSALS {
            tracing::info!(address = %self.address, %error, "no GSO here: sending packet by packet");
            self.gso = false;
        }
    }

    fn note_refusal(&mut self, message: &Message, error: &io::Error) {
        self.counters.dropped_refused += 1;
        tracing::debug!(to = %message.to, bytes = message.bytes.len(), %error, "datagram refused");
    }
}

/// How far a send came.
enum Taken {
    All,
    Blocked(usize),
    Refused(usize, io::Error),
}

/// Errors by which a kernel, a driver or a path says that it does no segmentation.
fn is_gso_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EOPNOTSUPP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(ip: &str) -> (Socket, Socket) {
        let any = SocketAddr::new(ip.parse().unwrap(), 0);
        (Socket::bind(any).unwrap(), Socket::bind(any).unwrap())
    }

    fn receive_all(socket: &Socket, count: usize) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        let mut buffers = ReceiveBuffers::default();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while seen.len() < count && std::time::Instant::now() < deadline {
            let count = socket.receive(&mut buffers).unwrap();
            seen.extend((0..count).map(|n| buffers.datagram(n).unwrap().1.to_vec()));
        }
        seen
    }

    #[test]
    fn a_gso_message_arrives_as_its_datagrams_and_so_it_does_without_gso() {
        for ip in ["127.0.0.1", "::1"] {
            for gso in [true, false] {
                let (mut from, to) = pair(ip);
                from.gso = gso;
                let mut batch = Batch::default();
                let sizes = [1200, 1200, 1200, 77, 50, 1200];
                for (n, size) in sizes.iter().enumerate() {
                    batch.push(to.address(), &vec![n as u8; *size]);
                }
                from.send(&mut batch, &mut SendArguments::default());
                let seen = receive_all(&to, sizes.len());
                let expected: Vec<_> =
                    sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size]).collect();
                assert_eq!(seen, expected, "{ip} {gso}");
                let expected = if gso { 3 } else { 6 };
                assert_eq!(from.take_counters().messages, expected);
            }
        }
    }

    #[test]
    fn a_blocked_socket_keeps_messages_within_its_bound_and_counts_the_rest() {
        let (mut from, to) = pair("127.0.0.1");
        let mut batch = Batch::default();
        from.keep(&Message { to: to.address(), bytes: 0..3, segment: 0 }, b"one");
        assert!(from.is_blocked());
        batch.push(to.address(), b"two");
        from.send(&mut batch, &mut SendArguments::default());
        from.flush(&mut SendArguments::default());
        assert_eq!(receive_all(&to, 2), [b"one".to_vec(), b"two".to_vec()]);
        let big = vec![0; 60_000];
        for _ in 0..100 {
            from.keep(&Message { to: to.address(), bytes: 0..big.len(), segment: 0 }, &big);
        }
        assert_eq!(from.take_counters().dropped_backlog, 100 - (MAX_BACKLOG / 60_000) as u64);
    }

    #[test]
    fn a_message_that_is_refused_does_not_hold_up_the_others() {
        let (mut from, to) = pair("127.0.0.1");
        let mut batch = Batch::default();
        // An IPv4 socket can't send there.
        batch.push("[::1]:9".parse().unwrap(), b"lost");
        batch.push(to.address(), b"there");
        from.send(&mut batch, &mut SendArguments::default());
        assert_eq!(receive_all(&to, 1), [b"there".to_vec()]);
        assert_eq!(from.take_counters().dropped_refused, 1);
    }
}
