//! The floor of any fan-out: AES-128-GCM and one GSO message per frame, and nothing else.
//!
//! `floor send` takes RTP from a feeder on two UDP ports and sends every frame to every receiver:
//! twelve bytes of header copied, the payload encrypted, one `sendmsg` with `UDP_SEGMENT`. There
//! is no session, no history, no RTCP and no timer. `floor receive` reads what arrives and
//! throws it away. What a real server costs above this is what it does for its viewers.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const RTP_HEADER_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const MAX_GSO_BYTES: usize = 60_000;

/// One access unit's packets as they came from the feeder.
#[derive(Default)]
struct Frame {
    packets: Vec<Vec<u8>>,
}

/// A live receiver: its address and its own key.
struct Receiver {
    to: SocketAddrV4,
    key: LessSafeKey,
}

/// Packets of equal size, the last one shorter, ready to be sent as one message.
#[derive(Default)]
struct Segments {
    bytes: Vec<u8>,
    segment_bytes: usize,
    last_bytes: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |name: &str| -> Result<&str, String> {
        let at = arguments.iter().position(|a| a == name).ok_or(format!("{name} is missing"))?;
        arguments.get(at + 1).map(String::as_str).ok_or(format!("{name} has no value"))
    };
    let seconds = Duration::from_secs(text("--seconds")?.parse()?);
    let count: u16 = text("--count")?.parse()?;
    let base: u16 = text("--base-port")?.parse()?;
    let address: Ipv4Addr = text("--address")?.parse()?;
    match arguments.first().map(String::as_str) {
        Some("send") => send(
            address,
            base,
            count,
            text("--video-port")?.parse()?,
            text("--audio-port")?.parse()?,
            seconds,
        ),
        Some("receive") => receive(address, base, count, seconds),
        _ => Err("usage: floor send|receive --address A --base-port P --count N --seconds S \
                  [--video-port V --audio-port A]"
            .into()),
    }
}

fn send(
    address: Ipv4Addr,
    base: u16,
    count: u16,
    video_port: u16,
    audio_port: u16,
    seconds: Duration,
) -> Result<(), Box<dyn Error>> {
    let video = UdpSocket::bind((Ipv4Addr::LOCALHOST, video_port))?;
    let audio = UdpSocket::bind((Ipv4Addr::LOCALHOST, audio_port))?;
    let out = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    set_buffer(&video, libc::SO_RCVBUF)?;
    set_buffer(&out, libc::SO_SNDBUF)?;
    let receivers = (0..count)
        .map(|i| {
            let key = UnboundKey::new(&AES_128_GCM, &[i as u8; 16]).map_err(|_| "key")?;
            Ok(Receiver { to: SocketAddrV4::new(address, base + i), key: LessSafeKey::new(key) })
        })
        .collect::<Result<Vec<_>, &str>>()?;
    let mut frame = Frame::default();
    let mut segments = Segments::default();
    let mut buffer = [0; 2048];
    let mut packets = 0u64;
    let until = Instant::now() + seconds;
    while Instant::now() < until {
        let mut polled = [&video, &audio].map(|s| libc::pollfd {
            fd: s.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: `polled` is an array of two, as stated, and lives across the call.
        if unsafe { libc::poll(polled.as_mut_ptr(), 2, 200) } <= 0 {
            continue;
        }
        if polled[0].revents != 0 {
            let length = video.recv(&mut buffer)?;
            let marker = length > 1 && buffer[1] & 0x80 != 0;
            frame.packets.push(buffer[..length].to_vec());
            if marker {
                packets += fan_out(&frame, &receivers, &out, &mut segments)?;
                frame.packets.clear();
            }
        }
        if polled[1].revents != 0 {
            let length = audio.recv(&mut buffer)?;
            let single = Frame { packets: vec![buffer[..length].to_vec()] };
            packets += fan_out(&single, &receivers, &out, &mut segments)?;
        }
    }
    report(&format!("sent {packets}"))
}

fn fan_out(
    frame: &Frame,
    receivers: &[Receiver],
    out: &UdpSocket,
    segments: &mut Segments,
) -> Result<u64, Box<dyn Error>> {
    for (index, receiver) in receivers.iter().enumerate() {
        for packet in &frame.packets {
            let size = packet.len() + TAG_BYTES;
            if !segments.takes(size) {
                segments.flush(out, receiver.to)?;
            }
            segments.push(packet, index as u32, &receiver.key)?;
        }
        segments.flush(out, receiver.to)?;
    }
    Ok((frame.packets.len() * receivers.len()) as u64)
}

fn receive(
    address: Ipv4Addr,
    base: u16,
    count: u16,
    seconds: Duration,
) -> Result<(), Box<dyn Error>> {
    let sockets = (0..count)
        .map(|i| {
            let socket = UdpSocket::bind((address, base + i))?;
            socket.set_nonblocking(true)?;
            set_buffer(&socket, libc::SO_RCVBUF)?;
            Ok(socket)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let mut buffer = [0; 2048];
    let mut packets = 0u64;
    let until = Instant::now() + seconds;
    while Instant::now() < until {
        let mut polled: Vec<_> = sockets
            .iter()
            .map(|s| libc::pollfd { fd: s.as_raw_fd(), events: libc::POLLIN, revents: 0 })
            .collect();
        // SAFETY: `polled` has the length given and lives across the call.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as u64, 0) };
        for (socket, state) in sockets.iter().zip(&polled) {
            while state.revents != 0 && socket.recv(&mut buffer).is_ok() {
                packets += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    report(&format!("received {packets}"))
}

fn report(line: &str) -> Result<(), Box<dyn Error>> {
    use io::Write as _;
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

fn set_buffer(socket: &UdpSocket, option: libc::c_int) -> io::Result<()> {
    let size: libc::c_int = 4 << 20;
    // SAFETY: the option's value is a c_int, whose address and size are given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

// === impl Segments ===

impl Segments {
    fn takes(&self, size: usize) -> bool {
        self.bytes.is_empty()
            || (self.last_bytes == self.segment_bytes
                && size <= self.segment_bytes
                && self.bytes.len() + size <= MAX_GSO_BYTES)
    }

    fn push(&mut self, packet: &[u8], ssrc: u32, key: &LessSafeKey) -> Result<(), &'static str> {
        if self.bytes.is_empty() {
            self.segment_bytes = packet.len() + TAG_BYTES;
        }
        self.last_bytes = packet.len() + TAG_BYTES;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet);
        self.bytes[start + 8..start + 12].copy_from_slice(&ssrc.to_be_bytes());
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.bytes[start + 2..start + 6]);
        let (header, payload) = self.bytes[start..].split_at_mut(RTP_HEADER_BYTES);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&*header),
                payload,
            )
            .map_err(|_| "seal")?;
        self.bytes.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn flush(&mut self, out: &UdpSocket, to: SocketAddrV4) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: to.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*to.ip()).to_be() },
            sin_zero: [0; 8],
        };
        let mut part =
            libc::iovec { iov_base: self.bytes.as_mut_ptr().cast(), iov_len: self.bytes.len() };
        let mut control = [0u64; 4];
        // SAFETY: an all-zero msghdr is valid: null pointers with zero lengths.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = (&raw const address).cast_mut().cast();
        message.msg_namelen = size_of_val(&address) as u32;
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        if self.bytes.len() > self.segment_bytes {
            message.msg_control = control.as_mut_ptr().cast();
            // SAFETY: `control` has room for one header with two bytes of data; CMSG_FIRSTHDR
            // gives a pointer into it because msg_controllen says so.
            unsafe {
                message.msg_controllen = libc::CMSG_SPACE(2) as usize;
                let header = libc::CMSG_FIRSTHDR(&message);
                (*header).cmsg_level = libc::SOL_UDP;
                (*header).cmsg_type = libc::UDP_SEGMENT;
                (*header).cmsg_len = libc::CMSG_LEN(2) as usize;
                libc::CMSG_DATA(header).cast::<u16>().write_unaligned(self.segment_bytes as u16);
            }
        }
        // SAFETY: the message points to `address`, `part` and `control`, which live here.
        let sent = unsafe { libc::sendmsg(out.as_raw_fd(), &message, 0) };
        self.bytes.clear();
        if sent >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
