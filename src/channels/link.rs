//! The control socket to a worker: whole events in, commands out, never waiting.

use std::collections::VecDeque;
use std::io;

use stentor_protocol::control::{Command, Event, FrameError, FrameReader, encode};
use tokio::net::UnixStream;

/// Commands that a worker leaves unread for so long that they fill this have no reader.
const MAX_UNSENT_BYTES: usize = 4 << 20;

pub struct Link {
    socket: UnixStream,
    reader: FrameReader,
    unsent: VecDeque<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the worker closed its control socket")]
    Closed,
    #[error("the worker's control socket failed: {0}")]
    Socket(#[from] io::Error),
    #[error("the worker can't be understood: {0}")]
    Frame(#[from] FrameError),
    #[error("the worker doesn't read its commands")]
    Stuck,
}

// === impl Link ===

impl Link {
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, reader: FrameReader::default(), unsent: VecDeque::new() }
    }

    /// Queues a command and writes what the socket takes.
    pub fn send(&mut self, command: &Command) -> Result<(), LinkError> {
        self.unsent.extend(encode(command)?);
        if self.unsent.len() > MAX_UNSENT_BYTES {
            return Err(LinkError::Stuck);
        }
        self.flush()
    }

    /// The next event; writes queued commands meanwhile. Nothing is lost when it is dropped
    /// and called again.
    pub async fn next(&mut self) -> Result<Event, LinkError> {
        loop {
            if let Some(event) = self.reader.poll_message()? {
                return Ok(event);
            }
            if self.unsent.is_empty() {
                self.socket.readable().await?;
            } else {
                tokio::select! {
                    result = self.socket.readable() => result?,
                    result = self.socket.writable() => result?,
                }
                self.flush()?;
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), LinkError> {
        let mut bytes = [0; 16 * 1024];
        match self.socket.try_read(&mut bytes) {
            Ok(0) => Err(LinkError::Closed),
            Ok(count) => {
                self.reader.handle_bytes(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        while !self.unsent.is_empty() {
            match self.socket.try_write(self.unsent.as_slices().0) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stentor_protocol::units::TrackId;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn commands_that_do_not_fit_are_sent_while_events_are_awaited() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut link = Link::new(near);
        let offer = Command::WhipOffer { session: "s".into(), sdp: "v".repeat(600_000) };
        link.send(&offer).unwrap();
        assert!(!link.unsent.is_empty(), "more than a socket holds");
        let reading = tokio::spawn(async move {
            let mut reader = FrameReader::default();
            let mut bytes = vec![0; 65536];
            loop {
                let count = far.read(&mut bytes).await.unwrap();
                reader.handle_bytes(&bytes[..count]);
                if let Some(command) = reader.poll_message::<Command>().unwrap() {
                    let event = Event::RungStopped { track: TrackId(1) };
                    far.write_all(&encode(&event).unwrap()).await.unwrap();
                    return command;
                }
            }
        });
        let event = link.next().await.unwrap();
        assert_eq!(event, Event::RungStopped { track: TrackId(1) });
        assert_eq!(reading.await.unwrap(), offer);
        assert!(matches!(link.next().await, Err(LinkError::Closed)));
    }

    #[tokio::test]
    async fn a_worker_that_reads_nothing_is_given_up() {
        let (near, _far) = UnixStream::pair().unwrap();
        let mut link = Link::new(near);
        let offer = Command::WhipOffer { session: "s".into(), sdp: "v".repeat(1_000_000) };
        let result = (0..8).try_for_each(|_| link.send(&offer));
        assert!(matches!(result, Err(LinkError::Stuck)));
    }
}
