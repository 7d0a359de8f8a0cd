//! A worker never outlives its daemon.
//!
//! The closed control socket says it at once, and is all that's needed while threads run. The
//! kernel's parent-death signal is the net under it. That signal also comes when only the thread
//! that started us ends, so what it asks is whether the parent is still the same.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

static PARENT: AtomicI32 = AtomicI32::new(0);

/// Ends this process when its parent ends. Termination is left to the daemon: what a service
/// manager or a terminal sends to the whole group would cut off viewers that are to be drained.
pub fn tie_to_parent() {
    let handler: extern "C" fn(libc::c_int) = parent_signal;
    // SAFETY: the handler only calls getppid and _exit and reads an atomic, all allowed in a
    // signal handler; ignoring a signal and prctl(PR_SET_PDEATHSIG) have no preconditions.
    unsafe {
        PARENT.store(libc::getppid(), Relaxed);
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGUSR2, handler as libc::sighandler_t);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR2);
    }
}

extern "C" fn parent_signal(_: libc::c_int) {
    // SAFETY: both are async-signal-safe and have no preconditions.
    unsafe {
        if libc::getppid() != PARENT.load(Relaxed) {
            libc::_exit(1);
        }
    }
}
