//! A socket that hears this machine alone.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Has the kernel drop what comes by any device but loopback. Binding to that device would do for
/// receiving, but such a socket can't answer: to the routing, the machine's own addresses are on
/// other devices.
pub fn take_from_loopback_only(fd: &OwnedFd) -> io::Result<()> {
    let loopback = rustix::net::netdevice::name_to_index(fd, "lo")?;
    let device = (libc::SKF_AD_OFF + libc::SKF_AD_IFINDEX) as u32;
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, device),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, loopback),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the option takes a sock_fprog of the stated size. It and the program that it points
    // to live across the call, which copies both.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
