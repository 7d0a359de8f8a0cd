//! A Debian 12 machine: its own systemd, booted in namespaces from a debootstrapped root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::network::Namespace;
use super::{root, until};

/// A running machine. Dropping it switches it off; its disk is a scratch overlay.
pub struct Machine {
    pub network: Namespace,
    init: Child,
    group: Group,
    scratch: tempfile::TempDir,
}

/// The machine's control group, the root of what its systemd sees. Removed on drop.
struct Group(PathBuf);

// === impl Machine ===

impl Machine {
    /// Boots, and waits until the machine is up and takes SSH connections.
    pub async fn boot() -> Self {
        let base = target().join("install/root");
        fs::create_dir_all(target().join("install")).unwrap();
        succeed(Command::new(root().join("tests/install/root")).arg(&base));
        let network = Namespace::new();
        // On the disk that the target folder is on: /tmp may be small.
        let scratch = tempfile::tempdir_in(target().join("install")).unwrap();
        let folder = scratch.path();
        succeed(
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join("key")),
        );
        let ssh = folder.join("upper/root/.ssh");
        fs::create_dir_all(&ssh).unwrap();
        for private in [&folder.join("upper/root"), &ssh] {
            fs::set_permissions(private, fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::copy(folder.join("key.pub"), ssh.join("authorized_keys")).unwrap();
        let group = Group::new(&network.name);
        let init = Command::new("sh")
            .args(["-c", "echo 0 >\"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&group.0)
            .args(["ip", "netns", "exec", &network.name])
            .args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc"])
            .arg("--cgroup")
            .arg(root().join("tests/install/boot"))
            .args([&base, &folder.to_owned()])
            .stdin(Stdio::null())
            .stdout(fs::File::create(folder.join("console")).unwrap())
            .stderr(fs::File::create(folder.join("console")).unwrap())
            .spawn()
            .unwrap();
        let machine = Self { network, init, group, scratch };
        until("the machine is up", Duration::from_secs(60), async || {
            let state = machine.try_run("systemctl is-system-running --wait");
            let said = String::from_utf8_lossy(&state.stdout).into_owned();
            if said.trim() == "running" {
                return Ok(());
            }
            let failed = machine.try_run("systemctl --failed --no-legend");
            Err(format!(
                "{said}{}{}",
                String::from_utf8_lossy(&state.stderr),
                String::from_utf8_lossy(&failed.stdout)
            ))
        })
        .await;
        machine
    }

    /// The key that root takes, and the options that go with a machine met for the first time.
    pub fn ssh_options(&self) -> String {
        format!(
            "-i {} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
             -o LogLevel=ERROR -o ControlMaster=auto -o ControlPersist=20 -o ControlPath={}/ssh-%C",
            self.scratch.path().join("key").display(),
            self.scratch.path().display(),
        )
    }

    /// Runs a command line; the test fails with what it said where it fails.
    pub fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {}\n{said}{wrong}", output.status);
        said
    }

    pub fn try_run(&self, line: &str) -> Output {
        Command::new("ssh")
            .args(self.ssh_options().split(' '))
            .arg(format!("root@{}", self.network.far))
            .arg(line)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Copies a file to the machine's /root.
    pub fn put(&self, file: &Path) -> String {
        let name = format!("/root/{}", file.file_name().unwrap().to_str().unwrap());
        let to = format!("root@{}:{name}", self.network.far);
        succeed(Command::new("scp").args(self.ssh_options().split(' ')).arg(file).arg(to));
        name
    }

    pub fn scratch(&self) -> PathBuf {
        self.scratch.path().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.try_run("journalctl --no-pager --lines 80 -o short-monotonic");
            eprintln!("{}", String::from_utf8_lossy(&journal.stdout));
        }
        let _ = Command::new("ssh")
            .args(self.ssh_options().split(' '))
            .args(["-O", "exit", &format!("root@{}", self.network.far)])
            .stdin(Stdio::null())
            .output();
        // The first process of the pid namespace takes everything in it along.
        let _ = self.init.kill();
        let _ = self.init.wait();
        self.group.remove();
    }
}

// === impl Group ===

impl Group {
    fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mount = mounts.find(|m| m[2] == "cgroup2").expect("missing: a cgroup2 file system");
        let top = Path::new(mount[1]);
        for controller in ["+memory", "+pids", "+cpu"] {
            // What the kernel has given to the hierarchies of version 1 isn't to be had here.
            let _ = fs::write(top.join("cgroup.subtree_control"), controller);
        }
        let folder = top.join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// With every group that the machine has made below it. They empty out as the kernel ends
    /// the machine's processes.
    fn remove(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while remove_folders(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A control group is removed with its files, but not with groups below it.
fn remove_folders(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_folders(&path)?;
        }
    }
    fs::remove_dir(folder)
}

/// Runs a command of the test's own, which has to succeed.
pub fn succeed(command: &mut Command) -> String {
    let output =
        command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}{wrong}", output.status);
    said
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    let here = std::env::current_exe().expect("a running test has a path");
    here.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").to_owned()
}
