//! Threads that are waited for when they are to end, and not for ever: what they are at may wait for
//! somebody who is away.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(5);

/// Waits until the thread has ended, but not longer than that: it is then left to itself.
pub fn wait(thread: JoinHandle<()>, at_most: Duration) {
    let deadline = Instant::now() + at_most;
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            tracing::debug!(name = thread.thread().name(), "a thread is left to itself");
            return;
        }
        std::thread::sleep(LOOK);
    }
    // One that panicked has ended, too.
    let _ = thread.join();
}
