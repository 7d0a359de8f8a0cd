//! What a packet costs on the seam between worker and daemon, each side in a process of its own.
//!
//! The parent sends access units of seven 1,200-byte packets as the worker does; the child reads
//! them as the daemon does. Both report the CPU time of their whole process per packet.

use std::error::Error;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
use stentor_protocol::media::{MediaBatch, MediaReader, SOCKET_BUFFER_BYTES};
use stentor_protocol::{MediaFlags, MediaHeader};

const UNITS: usize = 100_000;
const PACKETS_PER_UNIT: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("receive"), Some(descriptor)) => receive(descriptor.parse()?),
        _ => send(),
    }
}

fn send() -> Result<(), Box<dyn Error>> {
    let (near, far) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_send_buffer_size(&near, SOCKET_BUFFER_BYTES)?;
    fcntl_setfd(&far, FdFlags::empty())?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["receive", &far.as_raw_fd().to_string()])
        .stdout(Stdio::inherit())
        .spawn()?;
    drop(far);
    let header = MediaHeader { track: 1, flags: MediaFlags::default(), capture_unix_us: 0 };
    let packet = [0x80; 1200];
    let before = cpu_seconds()?;
    let mut sent = 0usize;
    for _ in 0..UNITS {
        let mut batch = MediaBatch::default();
        for _ in 0..PACKETS_PER_UNIT {
            batch.push(header, &packet);
        }
        let taken = batch.send(near.as_fd())?;
        sent += taken;
        if taken < PACKETS_PER_UNIT {
            // The reader is behind: wait until there is room, as a live worker would be idle.
            let mut room = [rustix::event::PollFd::new(&near, rustix::event::PollFlags::OUT)];
            rustix::event::poll(&mut room, None)?;
        }
    }
    let spent = cpu_seconds()? - before;
    drop(near);
    child.wait()?;
    print("send", spent, sent)
}

fn receive(descriptor: i32) -> Result<(), Box<dyn Error>> {
    // SAFETY: the parent left this descriptor open for us, and nothing here closes it.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let mut reader = MediaReader::default();
    let before = cpu_seconds()?;
    let mut received = 0usize;
    let mut bytes = 0usize;
    loop {
        let count = match reader.receive(socket, |packet| {
            if let Ok((_, packet)) = MediaHeader::parse(packet) {
                received += 1;
                bytes += packet.len();
            }
        }) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => continue,
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            break;
        }
    }
    if bytes != received * 1200 {
        return Err(format!("{received} packets had {bytes} bytes").into());
    }
    print("receive", cpu_seconds()? - before, received)
}

fn print(side: &str, seconds: f64, packets: usize) -> Result<(), Box<dyn Error>> {
    let microseconds = seconds * 1e6 / packets.max(1) as f64;
    writeln!(std::io::stdout(), "{side} {microseconds:.3} {packets}")?;
    Ok(())
}

fn cpu_seconds() -> Result<f64, std::io::Error> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a rusage, which the call fills; zeroes are a valid one anyway.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        usage.assume_init()
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    Ok(seconds(usage.ru_utime) + seconds(usage.ru_stime))
}
