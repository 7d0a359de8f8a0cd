//! Packets on their way to the kernel: one message per viewer and frame (GSO), many messages per
//! system call.
//!
//! Packets are written straight into one buffer. Those of one viewer that follow each other with
//! equal sizes, the last one shorter or not, become one message.

use std::net::SocketAddr;
use std::ops::Range;

/// Messages to be sent from one socket.
#[derive(Debug, Default)]
pub struct Batch {
    buffer: Vec<u8>,
    messages: Vec<Message>,
    /// A message under construction, and where its last packet began.
    open: Option<Open>,
}

/// One message: a datagram, or several of equal size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub to: SocketAddr,
    pub bytes: Range<usize>,
    /// Size of each datagram but the last. 0: the message is one datagram.
    pub segment: u16,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    to: SocketAddr,
    start: usize,
    segment: usize,
    count: usize,
    /// A shorter packet closed it.
    closed: bool,
}

/// The kernel's UDP_MAX_SEGMENTS is 64 on all kernels that have GSO.
const MAX_SEGMENTS: usize = 64;
/// An IPv4 datagram's payload.
const MAX_MESSAGE: usize = 65_507;
/// A batch is sent when it has grown to this: it stays in the second-level cache.
const FULL_BYTES: usize = 192 * 1024;
const FULL_MESSAGES: usize = 64;

// === impl Batch ===

impl Batch {
    /// Where to append a packet. Follow with [`Self::commit`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Takes what was appended to the buffer since `start` as one packet to `to`.
    pub fn commit(&mut self, to: SocketAddr, start: usize) {
        let size = self.buffer.len() - start;
        if size == 0 {
            return;
        }
        if let Some(open) = &mut self.open {
            let joins = open.to == to
                && !open.closed
                && size <= open.segment
                && open.count < MAX_SEGMENTS
                && self.buffer.len() - open.start <= MAX_MESSAGE;
            if joins {
                open.count += 1;
                open.closed = size < open.segment;
                return;
            }
            self.close(start);
        }
        self.open = Some(Open { to, start, segment: size, count: 1, closed: false });
    }

    /// Ends the message under construction, so that the next packet begins another.
    pub fn end_message(&mut self) {
        self.close(self.buffer.len());
    }

    pub fn push(&mut self, to: SocketAddr, packet: &[u8]) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(packet);
        self.commit(to, start);
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.open.is_none()
    }

    pub fn is_full(&self) -> bool {
        self.buffer.len() >= FULL_BYTES || self.messages.len() >= FULL_MESSAGES
    }

    /// The messages, and the bytes that their ranges are of.
    pub fn finish(&mut self) -> (&[Message], &[u8]) {
        self.end_message();
        (&self.messages, &self.buffer)
    }

    /// Forgets all and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.messages.clear();
        self.open = None;
    }

    fn close(&mut self, end: usize) {
        let Some(open) = self.open.take() else { return };
        let segment = if open.count > 1 { open.segment as u16 } else { 0 };
        self.messages.push(Message { to: open.to, bytes: open.start..end, segment });
    }
}

// === impl Message ===

impl Message {
    /// Its datagrams, for where GSO is refused.
    pub fn datagrams(&self) -> impl Iterator<Item = Message> + '_ {
        let step = match self.segment {
            0 => self.bytes.len().max(1),
            segment => usize::from(segment),
        };
        self.bytes.clone().step_by(step).map(move |start| Message {
            to: self.to,
            bytes: start..(start + step).min(self.bytes.end),
            segment: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn batch(packets: &[(u16, usize)]) -> Vec<(u16, usize, u16)> {
        let mut batch = Batch::default();
        for (port, size) in packets {
            batch.push(address(*port), &vec![0; *size]);
        }
        let (messages, _) = batch.finish();
        messages.iter().map(|m| (m.to.port(), m.bytes.len(), m.segment)).collect()
    }

    #[test]
    fn a_frame_is_one_message() {
        let sent = batch(&[(1, 1200), (1, 1200), (1, 1200), (1, 300)]);
        assert_eq!(sent, [(1, 3900, 1200)]);
    }

    #[test]
    fn a_packet_behind_a_shorter_one_begins_another_message() {
        let sent = batch(&[(1, 1200), (1, 300), (1, 300), (1, 1200), (1, 1200)]);
        assert_eq!(sent, [(1, 1500, 1200), (1, 300, 0), (1, 2400, 1200)]);
    }

    #[test]
    fn viewers_do_not_share_messages() {
        let sent = batch(&[(1, 100), (2, 100), (2, 100), (1, 100)]);
        assert_eq!(sent, [(1, 100, 0), (2, 200, 100), (1, 100, 0)]);
    }

    #[test]
    fn a_message_stays_within_what_the_kernel_takes() {
        let sent = batch(&[(1, 1200); 100]);
        assert_eq!(sent, [(1, 54 * 1200, 1200), (1, 46 * 1200, 1200)]);
        let sent = batch(&[(1, 50); 100]);
        assert_eq!(sent, [(1, 64 * 50, 50), (1, 36 * 50, 50)]);
    }

    #[test]
    fn a_message_can_be_taken_apart_again() {
        let message = Message { to: address(1), bytes: 100..3600, segment: 1200 };
        let sizes: Vec<_> = message.datagrams().map(|d| d.bytes).collect();
        assert_eq!(sizes, [100..1300, 1300..2500, 2500..3600]);
    }
}
