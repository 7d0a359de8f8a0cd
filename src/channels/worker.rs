//! A worker process: its sockets, its start and its end.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc as blocking;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
use rustix::process::{Pid, Signal, kill_process_group};
use stentor_protocol::media::SOCKET_BUFFER_BYTES;
use stentor_protocol::{CONTROL_FD, MEDIA_FD};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::group::{Group, Groups, enter};
use crate::child::restrict;

/// A running worker. Dropping it kills its process group.
pub struct WorkerProcess {
    child: Child,
    pid: Pid,
    /// Where workers have limits of their own.
    _group: Option<Group>,
}

/// What a start gives.
pub struct Started {
    pub process: WorkerProcess,
    /// Commands down, events up.
    pub control: UnixStream,
    /// RTP packets up, for the fan-out.
    pub media: OwnedFd,
}

#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The operator's to mend; a restart won't.
    #[error("the worker {} can't be started: {error}", path.display())]
    Program { path: PathBuf, error: io::Error },
    #[error("no sockets for a worker: {0}")]
    Sockets(io::Error),
    #[error("no control group for a worker: {0}")]
    Group(io::Error),
    #[error("the thread that starts workers is gone")]
    Thread,
}

/// Starts workers, all from one thread that lives as long as it does: a worker asks the kernel
/// to be killed when the thread that made it ends.
#[derive(Clone)]
pub struct Spawner {
    requests: blocking::Sender<(PathBuf, oneshot::Sender<Result<Started, SpawnError>>)>,
}

// === impl Spawner ===

impl Spawner {
    /// Must be called within a tokio runtime, which will wait for the workers.
    pub fn start(groups: Option<Groups>) -> io::Result<Self> {
        let (requests, queue) = blocking::channel::<(PathBuf, oneshot::Sender<_>)>();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let _guard = runtime.enter();
            for (path, reply) in queue {
                // Nobody waits any more: the worker is dropped, and with that killed.
                let _ = reply.send(spawn(&path, groups.as_ref()));
            }
        })?;
        Ok(Self { requests })
    }

    pub async fn spawn(&self, program: &Path) -> Result<Started, SpawnError> {
        let (reply, answer) = oneshot::channel();
        let request = (program.to_owned(), reply);
        self.requests.send(request).map_err(|_| SpawnError::Thread)?;
        answer.await.map_err(|_| SpawnError::Thread)?
    }
}

fn spawn(program: &Path, groups: Option<&Groups>) -> Result<Started, SpawnError> {
    let group = groups.map(Groups::make).transpose().map_err(SpawnError::Group)?;
    let pair = |kind| {
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
            .map_err(|e| SpawnError::Sockets(e.into()))
    };
    let (control, worker_control) = pair(SocketType::STREAM)?;
    let (media, worker_media) = pair(SocketType::SEQPACKET)?;
    for socket in [&media, &worker_media] {
        // Where the system allows less, less it is: a full socket drops, and counts it.
        let _ = sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER_BYTES);
        let _ = sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER_BYTES);
    }
    let control = StdUnixStream::from(control);
    control.set_nonblocking(true).map_err(SpawnError::Sockets)?;
    let control = UnixStream::from_std(control).map_err(SpawnError::Sockets)?;

    let fds = (worker_control.as_raw_fd(), worker_media.as_raw_fd());
    let daemon = rustix::process::getpid();
    let entrance = group.as_ref().map(|group| group.entrance.as_raw_fd());
    let mut command = Command::new(program);
    restrict(&mut command)
        .arg("run")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    // SAFETY: between fork and exec `hand_over` makes system calls only: it neither allocates
    // nor takes a lock.
    unsafe {
        command.pre_exec(move || hand_over(fds, entrance, daemon));
    }
    let program_error = |error| SpawnError::Program { path: program.to_owned(), error };
    let child = command.spawn().map_err(program_error)?;
    let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let Some(pid) = id else {
        return Err(program_error(io::Error::from(io::ErrorKind::NotFound)));
    };
    Ok(Started { process: WorkerProcess { child, pid, _group: group }, control, media })
}

/// In the child: it enters its group, and the two sockets become fds 3 and 4, which exec keeps.
fn hand_over(
    (control, media): (RawFd, RawFd),
    entrance: Option<RawFd>,
    daemon: Pid,
) -> io::Result<()> {
    let check = |result: libc::c_int| {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    };
    entrance.map_or(Ok(()), enter)?;
    // SAFETY: plain system calls on descriptors that this process owns. Both are moved out of
    // the way first, since one of them may be 3 or 4 itself.
    unsafe {
        let control = check(libc::fcntl(control, libc::F_DUPFD_CLOEXEC, 10))?;
        let media = check(libc::fcntl(media, libc::F_DUPFD_CLOEXEC, 10))?;
        check(libc::dup2(control, CONTROL_FD))?;
        check(libc::dup2(media, MEDIA_FD))?;
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        // The daemon may have gone before the line above.
        if libc::getppid() != daemon.as_raw_nonzero().get() {
            libc::_exit(1);
        }
    }
    Ok(())
}

// === impl WorkerProcess ===

impl WorkerProcess {
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Waits for the end, then ends what helpers are left. Can be dropped and called again.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let is_first = self.child.id().is_some();
        let status = self.child.wait().await?;
        if is_first {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        Ok(status)
    }

    /// Ends the worker and its helpers at once.
    pub fn kill(&mut self) {
        // After the child was waited for its number may be another's.
        if self.child.id().is_some() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Waits for the end, and after `grace` brings it about.
    pub async fn end(mut self, grace: Duration) {
        if tokio::time::timeout(grace, self.wait()).await.is_err() {
            self.kill();
            let _ = self.wait().await;
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;

    use stentor_protocol::media::MediaReader;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    /// A file that was just written may still be open for writing in a fork of another test.
    async fn start(spawner: &Spawner, path: &Path) -> Started {
        for _ in 0..100 {
            match spawner.spawn(path).await {
                Err(SpawnError::Program { error, .. })
                    if error.kind() == io::ErrorKind::ExecutableFileBusy =>
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => return other.unwrap(),
            }
        }
        panic!("the script stays busy");
    }

    #[tokio::test]
    async fn a_worker_talks_on_descriptors_three_and_four() {
        let (_folder, path) = script(
            "read line <&3; echo \"$1 $line\" >&3; readlink /proc/$$/fd/* | grep socket >&3; \
             printf 0123456789abcdef >&4; exit 7",
        );
        let spawner = Spawner::start(None).unwrap();
        let mut started = start(&spawner, &path).await;
        started.control.write_all(b"hello\n").await.unwrap();
        let mut said = String::new();
        started.control.read_to_string(&mut said).await.unwrap();
        let mut lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.remove(0), "run hello");
        let count = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert!(count >= 2 && lines.len() == count, "a socket is there twice: {said}");
        let mut count = 0;
        let media = started.media;
        MediaReader::default().receive(media.as_fd(), |m| count += m.len()).unwrap();
        assert_eq!(count, 16);
        assert_eq!(started.process.wait().await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn a_worker_that_is_dropped_or_killed_takes_its_helpers_along() {
        for dropped in [true, false] {
            helpers_end(dropped).await;
        }
    }

    async fn helpers_end(dropped: bool) {
        let (_folder, path) = script("sleep 60 & echo $! >&3; wait");
        let spawner = Spawner::start(None).unwrap();
        let mut started = start(&spawner, &path).await;
        let mut said = [0; 16];
        let length = started.control.read(&mut said).await.unwrap();
        let helper = String::from_utf8_lossy(&said[..length]).trim().to_owned();
        assert!(!helper.is_empty());
        let stat = format!("/proc/{helper}/stat");
        assert!(Path::new(&stat).exists());
        if dropped {
            drop(started);
        } else {
            rustix::process::kill_process(started.process.pid, Signal::KILL).unwrap();
            started.process.wait().await.unwrap();
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|s| !s.contains(") Z"));
        while lives() {
            assert!(std::time::Instant::now() < deadline, "the helper lives on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error =
            Spawner::start(None).unwrap().spawn(Path::new("/nowhere/worker")).await.err().unwrap();
        assert!(error.to_string().contains("/nowhere/worker"), "{error}");
    }
}
