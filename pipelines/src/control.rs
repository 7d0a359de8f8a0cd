//! The worker's end of the control socket: commands in on one thread, events out on another.
//!
//! Events never hold up media: they wait in a bounded queue, where a thumbnail or a second's
//! statistics gives way to an event that tells a turn.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use stentor_protocol::control::{self, Command, Event, FrameError, FrameReader};

use crate::queue::Queue;

/// Events that wait for the daemon to read them.
const WAITING_EVENTS: usize = 512;

/// Sends events to the daemon. Clones share one queue.
#[derive(Debug, Clone)]
pub struct Events {
    queue: Arc<Queue<Event>>,
}

/// Why no more commands come.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the daemon closed the control socket")]
    Closed,
    #[error("the control socket failed: {0}")]
    Socket(#[from] io::Error),
    #[error("the daemon sent what is no command: {0}")]
    Frame(#[from] FrameError),
}

// === impl Events ===

impl Events {
    /// Starts the thread that writes to the socket. It ends when the socket fails.
    pub fn start(mut socket: UnixStream) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(WAITING_EVENTS));
        let events = Self { queue: Arc::clone(&queue) };
        thread::Builder::new().name("events".into()).spawn(move || {
            while let Some(event) = queue.pop() {
                let written = match control::encode(&event) {
                    Ok(frame) => socket.write_all(&frame),
                    Err(error) => {
                        tracing::error!(%error, "an event can't be written");
                        continue;
                    }
                };
                if written.is_err() {
                    // The reader of commands sees the same end and acts on it.
                    queue.close();
                    return;
                }
            }
        })?;
        Ok(events)
    }

    /// Events without a daemon, for tests: they wait where [`Self::take`] finds them.
    #[cfg(test)]
    pub fn detached() -> Self {
        Self { queue: Arc::new(Queue::new(WAITING_EVENTS)) }
    }

    #[cfg(test)]
    pub fn take(&self) -> Vec<Event> {
        let now = std::time::Instant::now();
        std::iter::from_fn(|| match self.queue.pop_until(now) {
            crate::queue::Popped::Item(event) => Some(event),
            _ => None,
        })
        .collect()
    }

    pub fn send(&self, event: Event) {
        let dropped = self.queue.push_evicting(event, gives_way);
        if dropped.is_some_and(|event| !gives_way(&event)) {
            tracing::warn!("the daemon doesn't read events: one is dropped");
        }
    }
}

fn gives_way(event: &Event) -> bool {
    matches!(event, Event::Thumbnail { .. } | Event::Stats(_))
}

/// Reads commands and hands each to `take`, until there are no more.
pub fn read_commands(mut socket: UnixStream, mut take: impl FnMut(Command)) -> ControlError {
    let mut reader = FrameReader::default();
    let mut bytes = vec![0; 16 * 1024];
    loop {
        match socket.read(&mut bytes) {
            Ok(0) => return ControlError::Closed,
            Ok(count) => reader.handle_bytes(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return error.into(),
        }
        loop {
            match reader.poll_message() {
                Ok(Some(command)) => take(command),
                Ok(None) => break,
                Err(error) => return error.into(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stentor_protocol::{TrackId, WorkerStats};

    use super::*;

    #[test]
    fn commands_arrive_in_order_until_the_daemon_hangs_up() {
        let (mut daemon, worker) = UnixStream::pair().unwrap();
        let sent = [Command::Keyframe { track: TrackId(1) }, Command::Shutdown];
        for command in &sent {
            daemon.write_all(&control::encode(command).unwrap()).unwrap();
        }
        drop(daemon);
        let mut seen = Vec::new();
        let end = read_commands(worker, |command| seen.push(command));
        assert_eq!(seen, sent);
        assert!(matches!(end, ControlError::Closed));
    }

    #[test]
    fn garbage_on_the_control_socket_is_an_error_with_words() {
        let (mut daemon, worker) = UnixStream::pair().unwrap();
        daemon.write_all(&[3, 0, 0, 0, b'{', b'x', b'}']).unwrap();
        let end = read_commands(worker, |_| panic!("no command"));
        assert!(matches!(end, ControlError::Frame(_)), "{end}");
    }

    #[test]
    fn events_reach_the_daemon() {
        let (mut daemon, worker) = UnixStream::pair().unwrap();
        let events = Events::start(worker).unwrap();
        let event = Event::RungStopped { track: TrackId(7) };
        events.send(event.clone());
        let expected = control::encode(&event).unwrap();
        let mut got = vec![0; expected.len()];
        daemon.read_exact(&mut got).unwrap();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_daemon_that_does_not_read_costs_statistics_and_not_turns() {
        let events = Events::detached();
        let turn = |n| Event::RungStopped { track: TrackId(n) };
        for n in 0..WAITING_EVENTS as u16 {
            events.send(if n == 5 { Event::Stats(WorkerStats::default()) } else { turn(n) });
        }
        events.send(turn(1000));
        let left = events.take();
        assert_eq!(left.len(), WAITING_EVENTS);
        assert_eq!(left[WAITING_EVENTS - 1], turn(1000));
        assert!(left.iter().all(|event| !gives_way(event)));
    }
}
