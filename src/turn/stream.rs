//! A client over TCP or TLS: bytes in and out without blocking, within bounds both ways.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};

pub struct Connection {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    pub peer: SocketAddr,
    /// Bytes that are not handled yet, in the clear. Whoever handles them takes them out.
    pub input: Vec<u8>,
    /// Bytes for the wire, and how many of them are gone.
    output: Vec<u8>,
    sent: usize,
    /// The client's place, once it has an allocation.
    pub client: Option<usize>,
    /// Since when it has had none.
    pub since: Instant,
    /// Since when the peer takes nothing.
    stuck: Option<Instant>,
    /// Whether it is watched for room.
    pub watched: bool,
}

/// Whether the peer is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alive {
    Yes,
    /// It has closed.
    No,
}

/// Bytes that wait for a slow reader at most: a second of 2 Mb/s. What doesn't fit is dropped,
/// as a network would.
const MAX_OUTPUT: usize = 256 * 1024;
/// The kernel's buffer, which Linux doubles. A large one makes live media late.
const SEND_BUFFER: usize = 128 * 1024;
/// A reader that takes nothing for so long is closed.
const MAX_STUCK: Duration = Duration::from_secs(10);
/// Read per turn, so that one client doesn't hold up the others.
const MAX_READ: usize = 128 * 1024;

// === impl Connection ===

impl Connection {
    pub fn new(
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        now: Instant,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER)?;
        let tls = tls.map(ServerConnection::new).transpose().map_err(io::Error::other)?;
        Ok(Self {
            stream,
            tls: tls.map(Box::new),
            peer,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            client: None,
            since: now,
            stuck: None,
            watched: false,
        })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Appends what has arrived to `input`.
    pub fn read(&mut self, scratch: &mut [u8]) -> io::Result<Alive> {
        let mut left = MAX_READ;
        while left > 0 {
            let count = match &mut self.tls {
                None => match read_some(&mut self.stream, scratch)? {
                    None => return Ok(Alive::Yes),
                    Some(count) => {
                        self.input.extend_from_slice(&scratch[..count]);
                        count
                    }
                },
                Some(tls) => match unless_blocked(tls.read_tls(&mut self.stream))? {
                    None => return Ok(Alive::Yes),
                    Some(count) => {
                        let state = tls.process_new_packets().map_err(io::Error::other)?;
                        let clear = state.plaintext_bytes_to_read();
                        let at = self.input.len();
                        self.input.resize(at + clear, 0);
                        tls.reader().read_exact(&mut self.input[at..])?;
                        while tls.wants_write() {
                            tls.write_tls(&mut self.output)?;
                        }
                        count
                    }
                },
            };
            if count == 0 {
                return Ok(Alive::No);
            }
            left = left.saturating_sub(count);
        }
        Ok(Alive::Yes)
    }

    /// Queues one frame of a stream, whose parts are padded to a multiple of four. False: the
    /// reader is too slow, and it was dropped.
    pub fn send(&mut self, head: &[u8], body: &[u8]) -> bool {
        let length = head.len() + body.len();
        if self.output.len() - self.sent + length > MAX_OUTPUT {
            return false;
        }
        let padding = &[0; 3][..length.next_multiple_of(4) - length];
        match &mut self.tls {
            None => {
                for part in [head, body, padding] {
                    self.output.extend_from_slice(part);
                }
                true
            }
            Some(tls) => {
                let mut frame = Vec::with_capacity(length + padding.len());
                for part in [head, body, padding] {
                    frame.extend_from_slice(part);
                }
                // A memory buffer takes all.
                let written = tls.writer().write_all(&frame);
                let mut flushed = Ok(0);
                while tls.wants_write() && flushed.is_ok() {
                    flushed = tls.write_tls(&mut self.output);
                }
                written.is_ok() && flushed.is_ok()
            }
        }
    }

    /// Whether something waits to be sent.
    pub fn is_pending(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Sends what the peer takes.
    pub fn flush(&mut self, now: Instant) -> io::Result<()> {
        while self.is_pending() {
            match unless_blocked(self.stream.write(&self.output[self.sent..]))? {
                None => {
                    self.stuck.get_or_insert(now);
                    // The front is given back when it is most of the buffer.
                    if self.sent > self.output.len() / 2 {
                        self.output.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Ok(());
                }
                Some(count) => {
                    self.sent += count;
                    self.stuck = None;
                }
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    pub fn is_stuck(&self, now: Instant) -> bool {
        self.stuck.is_some_and(|since| now.duration_since(since) >= MAX_STUCK)
    }
}

fn read_some(stream: &mut TcpStream, into: &mut [u8]) -> io::Result<Option<usize>> {
    unless_blocked(stream.read(into))
}

/// None: there is nothing to do now.
fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, peer) = listener.accept().unwrap();
        (Connection::new(near, peer, None, Instant::now()).unwrap(), far)
    }

    #[test]
    fn a_slow_reader_loses_packets_within_a_bound_and_is_found_out() {
        let (mut connection, mut far) = pair();
        let now = Instant::now();
        let mut taken = 0;
        while connection.send(&[1; 4], &[2; 1000]) {
            connection.flush(now).unwrap();
            taken += 1;
            assert!(taken < 100_000, "nothing bounds it");
        }
        assert!(connection.output.len() - connection.sent <= MAX_OUTPUT);
        assert!(!connection.is_stuck(now + MAX_STUCK / 2));
        assert!(connection.is_stuck(now + MAX_STUCK));
        // It reads again: all that was taken arrives.
        far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (mut left, mut buffer) = (taken * 1004, vec![0; 65_536]);
        while left > 0 {
            left -= far.read(&mut buffer).unwrap();
            connection.flush(now).unwrap();
        }
        assert!(!connection.is_pending() && !connection.is_stuck(now + 2 * MAX_STUCK));
    }

    #[test]
    fn frames_are_padded() {
        let (mut connection, mut far) = pair();
        assert!(connection.send(b"head", b"bodys"));
        connection.flush(Instant::now()).unwrap();
        let mut seen = [0xff; 12];
        far.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"headbodys\0\0\0");
    }
}
