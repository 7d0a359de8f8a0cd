//! The arguments of recvmmsg and sendmmsg: buffers, names, and the size of GSO segments.

use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::batch::Message;

/// Reused for every receive.
pub struct ReceiveBuffers {
    pub(super) bytes: Box<[[u8; RECEIVE_BYTES]]>,
    pub(super) names: Box<[libc::sockaddr_storage]>,
    /// Of the datagrams received last. None: cut off.
    pub(super) lengths: [Option<usize>; RECEIVE_BATCH],
}

/// The arguments of a sendmmsg, reused.
#[derive(Default)]
pub struct SendArguments {
    names: Vec<libc::sockaddr_storage>,
    iovecs: Vec<libc::iovec>,
    controls: Vec<Control>,
    pub(super) messages: Vec<libc::mmsghdr>,
}

/// Room for one control message with a u16. Aligned as cmsghdr must be.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

const CONTROL_BYTES: usize = 24;
/// Datagrams per receive.
pub const RECEIVE_BATCH: usize = 64;
/// Viewers send RTCP, STUN and DTLS flights, all below an Ethernet frame.
pub const RECEIVE_BYTES: usize = 1600;

// === impl ReceiveBuffers ===

impl Default for ReceiveBuffers {
    fn default() -> Self {
        // SAFETY: sockaddr_storage is plain data for which zeroes are valid.
        let name: libc::sockaddr_storage = unsafe { mem::zeroed() };
        Self {
            bytes: vec![[0; RECEIVE_BYTES]; RECEIVE_BATCH].into(),
            names: vec![name; RECEIVE_BATCH].into(),
            lengths: [None; RECEIVE_BATCH],
        }
    }
}

impl ReceiveBuffers {
    /// Datagram `n` of those received last, and where it came from.
    pub fn datagram(&mut self, n: usize) -> Option<(SocketAddr, &mut [u8])> {
        let length = (*self.lengths.get(n)?)?;
        let from = read_name(&self.names[n])?;
        Some((from, &mut self.bytes[n][..length]))
    }
}

// SAFETY: the pointers in it are written by `fill` for the one system call that follows, and read
// by nothing else.
unsafe impl Send for SendArguments {}

// === impl SendArguments ===

impl SendArguments {
    /// Points to the messages and their bytes for one sendmmsg.
    pub fn fill(&mut self, messages: &[Message], bytes: &[u8]) {
        self.names.clear();
        self.iovecs.clear();
        self.controls.clear();
        self.messages.clear();
        for message in messages {
            let part = &bytes[message.bytes.clone()];
            self.names.push(write_name(message.to));
            self.iovecs.push(libc::iovec {
                iov_base: part.as_ptr().cast_mut().cast(),
                iov_len: part.len(),
            });
            self.controls.push(segment_control(message.segment));
        }
        // The vectors don't grow any more: pointers into them stay.
        for (n, message) in messages.iter().enumerate() {
            // SAFETY: an all-zero mmsghdr is a valid one: null pointers with zero lengths.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = (&raw mut self.names[n]).cast();
            header.msg_hdr.msg_namelen = match message.to {
                SocketAddr::V4(_) => size_of::<libc::sockaddr_in>() as u32,
                SocketAddr::V6(_) => size_of::<libc::sockaddr_in6>() as u32,
            };
            header.msg_hdr.msg_iov = &raw mut self.iovecs[n];
            header.msg_hdr.msg_iovlen = 1;
            if message.segment != 0 {
                header.msg_hdr.msg_control = (&raw mut self.controls[n]).cast();
                header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
            }
            self.messages.push(header);
        }
    }
}

fn segment_control(segment: u16) -> Control {
    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: CMSG_LEN only computes.
    let length = unsafe { libc::CMSG_LEN(size_of::<u16>() as u32) } as usize;
    let header = size_of::<libc::cmsghdr>();
    control.0[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
    let level = mem::offset_of!(libc::cmsghdr, cmsg_level);
    control.0[level..level + 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
    let kind = mem::offset_of!(libc::cmsghdr, cmsg_type);
    control.0[kind..kind + 4].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    control.0[header..header + 2].copy_from_slice(&segment.to_ne_bytes());
    control
}

fn write_name(address: SocketAddr) -> libc::sockaddr_storage {
    // SAFETY: sockaddr_storage is plain data for which zeroes are valid.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    match address {
        SocketAddr::V4(v4) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is larger than sockaddr_in and aligned for it.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(name) };
        }
        SocketAddr::V6(v6) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as u16,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: sockaddr_storage is larger than sockaddr_in6 and aligned for it.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(name) };
        }
    }
    storage
}

/// The address that the kernel wrote.
pub fn read_name(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, as the family says.
            let name = unsafe { (&raw const *storage).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel wrote a sockaddr_in6, as the family says.
            let name = unsafe { (&raw const *storage).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id).into())
        }
        _ => None,
    }
}
