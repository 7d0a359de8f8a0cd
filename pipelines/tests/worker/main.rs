//! The real worker, driven over its two sockets as the daemon drives it; and its program stage,
//! driven by a camera in the test's hands.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod checks;
mod compile;
mod faults;
mod harness;
mod ladder;
mod life;
mod packets;
mod pass_through;
mod program;
mod recording;
mod thumbnails;
