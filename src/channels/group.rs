//! A control group for each worker, and for each process that makes a file, below the one that the
//! service manager gave the daemon: what one takes is bounded by itself, and whoever outgrows its
//! memory ends alone.
//!
//! In cgroup v2 processes live in leaves, so the daemon moves into a leaf of its own, beside those
//! of its workers. systemd marks a group that it delegates (`Delegate=`) with an attribute. Without
//! the mark nothing is touched: workers then share what bounds the daemon.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::{info, warn};

/// What one worker, with its helpers, may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Memory in bytes; beyond it the kernel kills the worker.
    pub memory_bytes: u64,
    /// Processes and threads together; beyond it no further one can be made.
    pub tasks: u32,
}

/// Where groups of one kind are made.
#[derive(Debug)]
pub struct Groups {
    /// The delegated group.
    base: PathBuf,
    kind: Kind,
    limits: WorkerLimits,
    made: AtomicU64,
}

/// Whose groups they are.
#[derive(Debug, Clone, Copy)]
struct Kind {
    prefix: &'static str,
    cpu_weight: u32,
}

/// One worker's group, entered by writing to `entrance`.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    pub entrance: File,
}

/// Share of the CPUs in proportion to other groups, 1 to 10000. The daemon feeds every viewer, a
/// worker only those of its channel; nobody waits for a file as for a call.
const DAEMON_CPU_WEIGHT: u32 = 400;
const WORKERS: Kind = Kind { prefix: "worker-", cpu_weight: 100 };
const FILES: Kind = Kind { prefix: "file-", cpu_weight: 20 };

const DAEMON: &str = "daemon";

// === impl Groups ===

impl Groups {
    /// Moves this process into its leaf. None where no group was delegated to it.
    pub fn delegated(limits: WorkerLimits) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let base = Path::new("/sys/fs/cgroup").join(own_group(&own)?);
        if !is_delegated(&base) {
            return None;
        }
        match Self::below(base, limits) {
            Ok(groups) => {
                info!(group = %groups.base.display(), "each worker has limits of its own");
                Some(groups)
            }
            Err(error) => {
                warn!(%error, "workers share the daemon's limits: no groups can be made for them");
                None
            }
        }
    }

    fn below(base: PathBuf, limits: WorkerLimits) -> io::Result<Self> {
        let offer = base.join("cgroup.controllers");
        let there = fs::read_to_string(&offer).map_err(|e| named(&offer, e))?;
        let daemon = base.join(DAEMON);
        make(&daemon)?;
        put(&daemon.join("cgroup.procs"), "0")?;
        for controller in ["memory", "pids", "cpu"] {
            if there.split_whitespace().any(|name| name == controller) {
                put(&base.join("cgroup.subtree_control"), &format!("+{controller}"))?;
            } else {
                warn!(
                    controller,
                    "the kernel doesn't offer it to groups: workers have no such limit"
                );
            }
        }
        set(&daemon, "cpu.weight", &DAEMON_CPU_WEIGHT.to_string())?;
        Ok(Self { base, kind: WORKERS, limits, made: AtomicU64::new(0) })
    }

    /// Others beside them, for processes that make files of recordings.
    pub fn for_files(&self) -> Self {
        Self { base: self.base.clone(), kind: FILES, limits: self.limits, made: AtomicU64::new(0) }
    }

    /// A group for the process that is about to start. Of a kind one starts at a time, so that a
    /// group without processes is one that is done with.
    pub fn make(&self) -> io::Result<Group> {
        self.sweep();
        let number = self.made.fetch_add(1, Relaxed) + 1;
        let folder = self.base.join(format!("{}{number}", self.kind.prefix));
        make(&folder)?;
        let group = Group { entrance: open(&folder.join("cgroup.procs"))?, folder };
        set(&group.folder, "memory.max", &self.limits.memory_bytes.to_string())?;
        // Swapping would stall the channel for longer than a new start takes.
        set(&group.folder, "memory.swap.max", "0")?;
        // The worker's helpers go with it.
        set(&group.folder, "memory.oom.group", "1")?;
        set(&group.folder, "pids.max", &self.limits.tasks.to_string())?;
        set(&group.folder, "cpu.weight", &self.kind.cpu_weight.to_string())?;
        Ok(group)
    }

    /// Removes groups whose processes were not quite gone when their guards went.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.base).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_name().to_string_lossy().starts_with(self.kind.prefix) {
                // The kernel refuses where a process is left.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

// === impl Group ===

impl Group {
    /// Whether the kernel killed it because it took more memory than it may.
    pub fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.is_some_and(|count| count.trim() != "0")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// In a child, between fork and exec: it enters the group. Makes a system call and nothing else.
pub fn enter(entrance: RawFd) -> io::Result<()> {
    // SAFETY: the parent holds it open until the child has been started.
    let entrance = unsafe { BorrowedFd::borrow_raw(entrance) };
    // 0 is the process that writes.
    match rustix::io::write(entrance, b"0")? {
        1 => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// The v2 line of `/proc/self/cgroup`, without its leading slash.
fn own_group(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::/"))
}

fn is_delegated(group: &Path) -> bool {
    let mut value = [0_u8; 1];
    matches!(rustix::fs::getxattr(group, "user.delegate", &mut value), Ok(1) if value == *b"1")
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(named(folder, error)),
        _ => Ok(()),
    }
}

/// Sets a limit where the kernel offers its controller.
fn set(folder: &Path, key: &str, value: &str) -> io::Result<()> {
    let file = folder.join(key);
    if file.exists() { put(&file, value) } else { Ok(()) }
}

fn put(file: &Path, value: &str) -> io::Result<()> {
    fs::write(file, value).map_err(|e| named(file, e))
}

fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(file).map_err(|e| named(file, e))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const LIMITS: WorkerLimits = WorkerLimits { memory_bytes: 1 << 30, tasks: 300 };

    /// Groups for files, as far as a plain folder can look like one in which there is the first.
    pub fn pretended(base: &Path) -> Groups {
        let first = base.join("file-1");
        fs::create_dir_all(&first).unwrap();
        for name in ["cgroup.procs", "memory.max", "pids.max", "cpu.weight", "memory.events"] {
            fs::write(first.join(name), "").unwrap();
        }
        let made = AtomicU64::new(0);
        let workers = Groups { base: base.to_owned(), kind: WORKERS, limits: LIMITS, made };
        workers.for_files()
    }

    #[test]
    fn whoever_makes_a_file_has_limits_and_goes_behind_workers() {
        let folder = tempfile::tempdir().unwrap();
        let group = pretended(folder.path()).make().unwrap();
        let first = folder.path().join("file-1");
        let of = |name: &str| fs::read_to_string(first.join(name)).unwrap();
        assert_eq!((of("memory.max").as_str(), of("pids.max").as_str()), ("1073741824", "300"));
        assert!(of("cpu.weight").parse::<u32>().unwrap() < WORKERS.cpu_weight);
        for (events, expected) in
            [("", false), ("oom 3\noom_kill 0\n", false), ("oom_kill 1\n", true)]
        {
            fs::write(first.join("memory.events"), events).unwrap();
            assert_eq!(group.ran_out_of_memory(), expected, "{events}");
        }
    }

    #[test]
    fn the_daemon_s_own_group_is_the_one_of_version_2() {
        assert_eq!(
            own_group("0::/system.slice/stentor.service\n"),
            Some("system.slice/stentor.service")
        );
        assert_eq!(own_group("8:pids:/x\n1:cpu:/y\n0::/\n"), Some(""));
        assert_eq!(own_group("8:pids:/x\n"), None);
    }

    #[test]
    fn a_group_that_nobody_marked_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_delegated(folder.path()));
    }

    #[test]
    fn a_folder_that_is_no_control_group_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = Groups::below(folder.path().to_owned(), LIMITS).unwrap_err();
        assert!(error.to_string().contains("cgroup.controllers"), "{error}");
    }
}
