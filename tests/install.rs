//! What operators install: the unit, the Debian package, the Ansible role, each for real.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use support::machine::{Machine, succeed, target};
use support::{program, python_tool, root, until};

/// The package, built once from the programs that lie beside this test.
fn package() -> &'static Path {
    static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
        let out = target().join("install");
        fs::create_dir_all(&out).unwrap();
        let binaries = program("stentor");
        let mut build = Command::new(root().join("systemd/build-deb"));
        let path = succeed(build.arg(binaries.parent().unwrap()).arg(&out));
        PathBuf::from(path.trim())
    });
    &PACKAGE
}

#[test]
fn the_units_are_valid_and_expose_little() {
    unit_exposes("stentor.service", 30);
    unit_exposes("stentor-analytics.service", 20);
    unit_exposes("stentor-archive.service", 20);
}

/// At most so much, of 100.
fn unit_exposes(name: &str, most: u32) {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join(name);
    let text = fs::read_to_string(root().join("systemd").join(name)).unwrap();
    // What it starts isn't installed here.
    fs::write(&unit, text.replace("/usr/bin/stentor", program("stentor").to_str().unwrap()))
        .unwrap();
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&unit)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verify.stderr);
    assert!(verify.status.success() && said.is_empty(), "{said}");
    succeed(
        Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={most}"))
            .arg(&unit),
    );
}

#[test]
fn the_man_page_is_well_formed() {
    let page = Command::new("man")
        .args(["--warnings", "--local-file", "--encoding=UTF-8"])
        .arg(root().join("systemd/stentor.8"))
        .env("MANROFFSEQ", "")
        .env("MANWIDTH", "80")
        .output()
        .unwrap();
    let wrong = String::from_utf8_lossy(&page.stderr);
    assert!(page.status.success() && wrong.is_empty(), "{wrong}");
    let help = succeed(Command::new(program("stentor")).arg("--help"));
    let text = String::from_utf8_lossy(&page.stdout);
    for line in help.lines().skip_while(|l| *l != "Commands:").skip(1) {
        let Some(command) = line.strip_prefix("  ").and_then(|l| l.split(' ').next()) else {
            break;
        };
        assert!(command == "help" || text.contains(&format!("stentor {command}")), "{command}");
    }
}

#[test]
fn lintian_finds_no_error_in_the_package() {
    let found = Command::new("lintian")
        .args(["--fail-on", "error", "--tag-display-limit", "0"])
        .arg(package())
        .output()
        .unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
}

#[test]
fn the_role_passes_ansible_lint_at_the_production_profile() {
    let venv = python_tool("ansible-lint").parent().unwrap().to_owned();
    let path = format!("{}:{}", venv.display(), std::env::var("PATH").unwrap());
    succeed(
        Command::new(venv.join("ansible-lint"))
            .args(["--offline", "--profile", "production", "--nocolor", "-q"])
            .current_dir(root().join("ansible"))
            .env("PATH", path),
    );
}

#[test]
fn what_a_machine_lacks_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for tool in ["bash", "cat", "cut", "sed", "head", "sort", "dirname"] {
        let found = succeed(Command::new("sh").args(["-c", &format!("command -v {tool}")]));
        std::os::unix::fs::symlink(found.trim(), folder.path().join(tool)).unwrap();
    }
    let list = folder.path().join("list");
    fs::write(&list, "# comment\nno-such-package\nbash unless bash\n").unwrap();
    let cases = [
        (".ci/toolchain", vec![], "missing: cargo. Install Rust"),
        (".ci/packages", vec![list.clone()], "missing: apt-get."),
    ];
    for (script, arguments, said) in cases {
        let output = Command::new(root().join(script))
            .args(arguments)
            .current_dir(root())
            .env_clear()
            .env("PATH", folder.path())
            .output()
            .unwrap();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && wrong.starts_with(said), "{script}: {wrong}");
        assert_eq!(wrong.lines().count(), 1, "{script}: {wrong}");
    }
}

#[tokio::test]
async fn the_role_makes_a_machine_serve_and_changes_nothing_the_second_time() {
    let package = package();
    let machine = Machine::boot().await;
    let inventory = machine.scratch().join("hosts.yml");
    fs::write(&inventory, inventory_of(&machine, package)).unwrap();

    // The one thing that this machine can't: it lives in a chroot, where nobody gets namespaces of
    // users.
    for name in ["archive", "analytics"] {
        let more = format!("/etc/systemd/system/stentor-{name}.service.d");
        machine.run(&format!(
            "mkdir -p {more} && printf '[Service]\\nPrivateUsers=no\\n' >{more}/chroot.conf"
        ));
    }
    // Somebody else's rules, as Docker's.
    machine.run("nft add table ip others");
    machine.run("echo net.ipv4.ip_local_reserved_ports=8443 >/etc/sysctl.d/10-own.conf");
    let first = playbook(&machine, &inventory, &[]);
    let second = playbook(&machine, &inventory, &[]);
    assert!(!first.contains("changed=0"), "{first}");
    assert!(second.contains("changed=0"), "{second}");

    serves_in_its_sandbox(&machine).await;
    those_beside_it_see_nothing_that_it_keeps(&machine).await;
    makes_files_in_its_sandbox(&machine).await;
    counts_in_its_sandbox(&machine).await;
    is_started_again_when_it_hangs(&machine).await;
    gpus_are_told_apart(&machine, &inventory);
    other_rules_stay(&machine, &inventory).await;
    what_the_file_says_is_what_was_asked(&machine);

    // A machine without /etc/protocols lists their numbers.
    let rules = machine.run("nft list table inet filter").replace("{ 6, 17 }", "{ tcp, udp }");
    let far = &machine.network.far;
    for opened in [
        "udp dport { 50000-50001, 51000-51999 } accept",
        "udp dport 52000-52999 accept",
        "meta l4proto { tcp, udp } th dport 3478 accept",
        &format!("ip daddr {far} meta l4proto {{ tcp, udp }} th dport 443 accept"),
    ] {
        assert!(rules.contains(opened), "{opened}: {rules}");
    }
    // The service may have a port below 1024.
    for port in [3478, 443] {
        let answers = std::net::TcpStream::connect(format!("{far}:{port}"));
        assert!(answers.is_ok(), "TURN at {port}: {answers:?}");
    }
    assert_eq!(machine.run("systemctl show -P LimitNOFILE stentor.service").trim(), "65536");
    // A container's root can't go beyond what it was given itself.
    let given = open_files(&machine, "1");
    let held = open_files(&machine, "$(systemctl show -P MainPID stentor.service)");
    assert_eq!(held, given.min(65_536));
    machine.run("promtool check config /etc/prometheus/prometheus.yml");
    machine.run("man --version >/dev/null 2>&1; test -f /usr/share/man/man8/stentor.8.gz");

    // A configuration that the server refuses never replaces the one that works.
    let wrong = ["--tags", "config", "--extra-vars", "stentor_whip_ports=fifty"];
    let refused = run_playbook(&machine, &inventory, &wrong);
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && said.contains("`fifty` is not a port range"), "{said}");
    machine.run("systemctl is-active stentor.service");
    a_key_that_the_service_may_not_read_is_refused(&machine, &inventory);
    an_upgrade_reaches_every_service(&machine);
    drains_for_longer_than_the_unit_waits(&machine).await;

    // A machine that is to run other services alone stops this one.
    let off = ["--tags", "service", "--extra-vars", "{\"stentor_service_enabled\": false}"];
    playbook(&machine, &inventory, &off);
    let stopped =
        machine.run("systemctl show stentor.service -p ActiveState,Result | sort | xargs");
    assert_eq!(stopped.trim(), "ActiveState=inactive Result=success");
    machine.run("DEBIAN_FRONTEND=noninteractive apt-get -q -y purge stentor");
    machine.run("! test -e /usr/bin/stentor && ! test -e /etc/stentor/stentor.toml");
    machine.run("! find /etc/systemd/system -type l -name 'stentor-a*' | grep .");
}

/// The openings come to the machine's own rules, once, however often those are loaded; and where
/// something else filters, the role leaves it alone.
async fn other_rules_stay(machine: &Machine, inventory: &Path) {
    machine.run("nft list table ip others");
    machine.run("systemctl restart stentor-firewall && systemctl restart stentor-firewall");
    let jumps = "nft list chain inet filter input | grep -c 'jump stentor$' || true";
    assert_eq!(machine.run(jumps).trim(), "1");
    // Debian's file begins with `flush ruleset`.
    for load in ["start", "reload"] {
        machine.run(&format!("systemctl {load} nftables"));
        until("the openings are there again", Duration::from_secs(20), async || {
            let rules = machine.try_run("nft list chain inet filter stentor | grep -c accept");
            let said = machine.run(jumps);
            if rules.status.success() && said.trim() == "1" { Ok(()) } else { Err(said) }
        })
        .await;
    }
    machine.run(
        "nft 'table ip filter { chain INPUT { type filter hook input priority filter; \
         policy drop; tcp dport 22 accept; }; }'",
    );
    let said = playbook(machine, inventory, &["--tags", "firewall"]);
    machine.run("nft delete table ip filter");
    assert!(said.contains("the nftables table ip filter: nothing was opened"), "{said}");
}

/// Keys without a variable of their own, and what follows from those that have one.
fn what_the_file_says_is_what_was_asked(machine: &Machine) {
    let file = machine.run("cat /etc/stentor/stentor.toml");
    let far = &machine.network.far;
    for line in [
        &format!("public_address = \"{far}\""),
        "trusted_proxies = [\"192.0.2.1\"]",
        "max_allocations = 500",
        "source = { kind = \"synthetic\" }",
    ] {
        assert!(file.lines().any(|l| l == line), "{line}: {file}");
    }
    // A folder that the units let nobody write to by themselves.
    machine.run("find /srv/recordings -type f | grep .");
    // The kernel gives none of these ports to others; the operator's own stay.
    machine.run("sysctl -p /etc/sysctl.d/60-stentor.conf /etc/sysctl.d/99-zz-stentor.conf || true");
    let reserved = machine.run("cat /proc/sys/net/ipv4/ip_local_reserved_ports");
    assert_eq!(reserved.trim(), "8443,50000-50001,51000-52999");
}

/// What root may read the service may not: that is found before the new file is in place.
fn a_key_that_the_service_may_not_read_is_refused(machine: &Machine, inventory: &Path) {
    let pid = || machine.run("systemctl show -P MainPID stentor.service");
    let before = (pid(), machine.run("md5sum /etc/stentor/stentor.toml"));
    machine.run("stentor token keygen /etc/stentor/key && chmod 600 /etc/stentor/key.pub");
    let keys = ["--tags", "config", "-e", "{\"stentor_access_keys\": [\"/etc/stentor/key.pub\"]}"];
    let refused = run_playbook(machine, inventory, &keys);
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && said.contains("/etc/stentor/key.pub: "), "{said}");
    assert_eq!((pid(), machine.run("md5sum /etc/stentor/stentor.toml")), before);
}

/// The services that run are those of the new package.
fn an_upgrade_reaches_every_service(machine: &Machine) {
    let pids = || {
        ["stentor", "stentor-analytics", "stentor-archive"]
            .map(|name| machine.run(&format!("systemctl show -P MainPID {name}.service")))
    };
    let before = pids();
    machine.run("dpkg -i /var/cache/apt/archives/stentor_*.deb");
    let after = pids();
    for (old, new) in before.iter().zip(&after) {
        assert!(old != new && new.trim() != "0", "{before:?} {after:?}");
    }
}

/// Someone watches, and is waited for.
async fn drains_for_longer_than_the_unit_waits(machine: &Machine) {
    machine.run(
        "printf '[Service]\\nTimeoutStopSec=2\\n' \
         >/etc/systemd/system/stentor.service.d/test.conf && systemctl daemon-reload",
    );
    channel_is_live(machine).await;
    machine.run(
        "systemd-run --quiet --unit watcher \
         stentor load whep http://127.0.0.1:8080/whep/demo --viewers 1 --for 60s",
    );
    until("someone watches", Duration::from_secs(20), async || {
        let said = machine.run("curl -s http://127.0.0.1:8080/metrics | grep _viewers{ || true");
        if said.lines().any(|line| line.ends_with(" 1")) { Ok(()) } else { Err(said) }
    })
    .await;
    let began = std::time::Instant::now();
    machine.run("systemctl stop stentor.service");
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(machine.run("systemctl show -P Result stentor.service").trim(), "success");
    machine.run("systemctl stop watcher");
}

/// The hard limit that a process of the machine has.
fn open_files(machine: &Machine, pid: &str) -> u64 {
    let limits = machine.run(&format!("cat /proc/{pid}/limits"));
    let line = limits.lines().find(|l| l.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(4).unwrap().parse().unwrap()
}

/// The service runs in its sandbox and under its limits, and so does its worker.
async fn serves_in_its_sandbox(machine: &Machine) {
    machine.run("systemctl is-active stentor.service");
    channel_is_live(machine).await;
    let shown =
        machine.run("systemctl show stentor.service -p NRestarts,WatchdogUSec,User,SubState");
    for wanted in ["NRestarts=0", "WatchdogUSec=10s", "User=stentor", "SubState=running"] {
        assert!(shown.contains(wanted), "{shown}");
    }
    let owner = machine.run("ps -o user= -C stentor-worker");
    assert_eq!(owner.trim(), "stentor");

    let group = |pid: &str| {
        let text = machine.run(&format!("cat /proc/$({pid})/cgroup"));
        text.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or_default().to_owned()
    };
    let service = "/system.slice/stentor.service";
    assert_eq!(group("systemctl show -P MainPID stentor.service"), format!("{service}/daemon"));
    let worker = group("pidof stentor-worker");
    assert!(worker.starts_with(&format!("{service}/worker-")), "{worker}");
    let offered = machine.run(&format!("cat /sys/fs/cgroup{service}/cgroup.controllers"));
    for (controller, limit, value) in
        [("memory", "memory.max", "4294967296"), ("pids", "pids.max", "1000")]
    {
        if offered.split_whitespace().any(|name| name == controller) {
            let set = machine.run(&format!("cat /sys/fs/cgroup{worker}/{limit}"));
            assert_eq!(set.trim(), value, "{limit}");
        } else {
            eprintln!("SKIPPED {limit}: this kernel has {controller} in cgroup version 1");
        }
    }
    // A worker that ended leaves no group behind.
    machine.run("kill -9 $(pidof stentor-worker)");
    until("one other worker has a group", Duration::from_secs(20), async || {
        // The old one may go while they are listed.
        let groups = machine.run(&format!("cd /sys/fs/cgroup{service}; ls -d worker-* || true"));
        let moved = machine.try_run("pidof stentor-worker").status.success();
        let new = format!("/{}", groups.trim());
        if moved && groups.lines().count() == 1 && !worker.ends_with(&new) {
            Ok(())
        } else {
            Err(groups)
        }
    })
    .await;
}

async fn channel_is_live(machine: &Machine) {
    until("the channel is live", Duration::from_secs(60), async || {
        let output = machine.try_run("curl -s http://127.0.0.1:8080/api/v1/channels/demo");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if said.contains("\"live\"") { Ok(()) } else { Err(said) }
    })
    .await;
}

/// What the server makes after the file creator and analytics have started isn't there for them,
/// whoever asks: they see their own folders, and nothing else of its state.
async fn those_beside_it_see_nothing_that_it_keeps(machine: &Machine) {
    let beside = "stentor-archive.service stentor-analytics.service";
    machine.run(&format!("systemctl stop {beside} stentor.service && rm -r /var/lib/stentor"));
    // As at boot.
    machine.run("systemd-tmpfiles --create stentor.conf");
    machine.run(&format!("systemctl start {beside}"));
    machine.run("systemctl start stentor.service");
    channel_is_live(machine).await;
    // As accounts make them, and channels that were made over the API.
    let later = ["accounts.db", "accounts-key.pem", "channels.json", "recordings/later.db"];
    for name in later {
        let made = "install -o stentor -g stentor -m 600 /dev/stdin /var/lib/stentor";
        machine.run(&format!("echo secret | {made}/{name}"));
    }
    // By a process of the same user, in what the unit's own process has for a file system.
    let within = |unit: &str, command: &str| {
        let root = format!("/proc/$(systemctl show -P MainPID {unit}.service)/root");
        machine.try_run(&format!("chroot --userspec=stentor:stentor {root} {command}"))
    };
    let list = |unit: &str, folder: &str| {
        let listed = within(unit, &format!("ls -A /var/lib/stentor{folder}"));
        String::from_utf8_lossy(&listed.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list("stentor-archive", ""), "events recordings");
    assert_eq!(list("stentor-archive", "/recordings"), "chunks files scratch");
    assert_eq!(list("stentor-analytics", ""), "analytics events");
    let made = ["recordings/recordings.db", "recordings/links-key"];
    for name in later.iter().chain(&made) {
        let read = format!("cat /var/lib/stentor/{name}");
        assert!(within("stentor", &read).status.success(), "the server reads {name}");
        for unit in ["stentor-archive", "stentor-analytics"] {
            let output = within(unit, &read);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("No such file"), "{unit}, {name}: {said}");
        }
    }
    let names = later.join(" ");
    machine.run(&format!("cd /var/lib/stentor && rm {names}"));
}

/// The file creator is a service of its own.
async fn makes_files_in_its_sandbox(machine: &Machine) {
    let shown = machine.run("systemctl show stentor-archive.service -p NRestarts,User,SubState");
    for wanted in ["NRestarts=0", "User=stentor", "SubState=running"] {
        assert!(shown.contains(wanted), "{shown}");
    }
    let process = "/proc/$(systemctl show -P MainPID stentor-archive.service)";
    // Beside it there is room for those who make files.
    let groups = machine.run(&format!("cat {process}/cgroup"));
    let is_leaf = |line: &str| line.ends_with("/stentor-archive.service/daemon");
    assert!(groups.lines().any(is_leaf), "{groups}");
    let api = "http://127.0.0.1:8080/api/v1";
    machine.run(&format!("curl -sf -X POST {api}/channels/demo/recording"));
    until("a chunk is in the store", Duration::from_secs(60), async || {
        let chunks = machine.try_run("ls /var/lib/stentor/recordings/chunks/chunks/*/*/*");
        if chunks.status.success() { Ok(()) } else { Err("there is none") }
    })
    .await;
    machine.run(&format!("curl -sf -X DELETE {api}/channels/demo/recording"));
    until("there is a file", Duration::from_secs(60), async || {
        let said = machine.run(&format!("curl -sf {api}/recordings"));
        if said.contains("\"ready\"") { Ok(()) } else { Err(said) }
    })
    .await;
}

/// Analytics are a service of their own.
async fn counts_in_its_sandbox(machine: &Machine) {
    until("events are counted", Duration::from_secs(20), async || {
        let said = machine.run("curl -s http://127.0.0.1:8090/metrics");
        let line = said.lines().find(|line| line.starts_with("stentor_analytics_events_total"));
        let count = line.and_then(|line| line.split(' ').nth(1)?.parse::<f64>().ok());
        if count.is_some_and(|count| count > 0.0) { Ok(()) } else { Err(said) }
    })
    .await;
}

/// systemd's watchdog ends a daemon that no longer turns, and starts it again.
async fn is_started_again_when_it_hangs(machine: &Machine) {
    machine.run("kill -STOP $(systemctl show -P MainPID stentor.service)");
    until("systemd has started it again", Duration::from_secs(40), async || {
        let shown = machine.run("systemctl show stentor.service -p NRestarts,SubState");
        let again = shown.contains("NRestarts=1") && shown.contains("SubState=running");
        if again { Ok(()) } else { Err(shown) }
    })
    .await;
    channel_is_live(machine).await;
}

/// What the role says of GPUs that this machine only pretends to have.
fn gpus_are_told_apart(machine: &Machine, inventory: &Path) {
    let pretend = |lines: &str, status: u8| {
        let file = machine.scratch().join("nvidia-smi");
        fs::write(&file, format!("#!/bin/sh\ncat <<END\n{lines}\nEND\nexit {status}\n")).unwrap();
        let there = machine.put(&file);
        machine.run(&format!("install -m 755 {there} /usr/bin/nvidia-smi"));
    };
    let gpu = ["--tags", "gpu"];
    let hopper = "NVIDIA H100 80GB HBM3, 550.54.15";

    pretend(&format!("{hopper}\nNVIDIA L4, 550.54.15"), 0);
    let said = playbook(machine, inventory, &gpu);
    let no_nvenc =
        |name: &str| format!("{name} has no NVENC: it decodes and scales, and the CPU encodes");
    assert!(said.contains(&no_nvenc("NVIDIA H100 80GB HBM3")), "{said}");
    assert!(!said.contains(&no_nvenc("NVIDIA L4")), "{said}");
    machine.run("grep -x nvidia-uvm /etc/modules-load.d/stentor.conf");

    let refused = [
        (hopper, 0, "stentor_require_hardware is set and no GPU here has a video encoder"),
        ("NVIDIA L4, 470.57.02", 0, "the driver is older than 522.25"),
        ("couldn't communicate with the NVIDIA driver", 9, "nvidia-smi fails: couldn"),
    ];
    for (lines, status, why) in refused {
        pretend(lines, status);
        let more = [&gpu[..], &["--extra-vars", "{\"stentor_require_hardware\": true}"]].concat();
        let output = run_playbook(machine, inventory, &more);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains(why), "{why}: {said}");
    }
    machine.run("rm /usr/bin/nvidia-smi");
}

fn inventory_of(machine: &Machine, package: &Path) -> String {
    format!(
        "stentor:\n  hosts:\n    media:\n  vars:\n    stentor_package: {package:?}\n    \
         stentor_fanout_shards: 2\n    stentor_turn: true\n    stentor_archive: true\n    \
         stentor_analytics: process\n    stentor_recording_creator: elsewhere\n    \
         stentor_public_addresses: [\"{host}\"]\n    \
         stentor_recording_files: {{folder: /srv/recordings}}\n    \
         stentor_config:\n      http: {{trusted_proxies: [192.0.2.1]}}\n      \
         turn: {{max_allocations: 500}}\n      \
         fanout: {{public_addresses: []}}\n      server: {{drain_grace: 6s}}\n    \
         stentor_turn_listen: [\"0.0.0.0:3478\", \"{host}:443\"]\n    stentor_channels:\n      - name: demo\n        \
         source: {{kind: synthetic}}\nprometheus:\n  hosts:\n    media:\nall:\n  vars:\n    \
         ansible_host: {host}\n    ansible_user: root\n    ansible_become: false\n    \
         ansible_python_interpreter: /usr/bin/python3\n    ansible_ssh_common_args: \"{ssh}\"\n",
        host = machine.network.far,
        ssh = machine.ssh_options(),
    )
}

fn playbook(machine: &Machine, inventory: &Path, more: &[&str]) -> String {
    let output = run_playbook(machine, inventory, more);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{wrong}");
    said
}

fn run_playbook(machine: &Machine, inventory: &Path, more: &[&str]) -> std::process::Output {
    Command::new(python_tool("ansible-playbook"))
        .args(["site.yml", "--inventory"])
        .arg(inventory)
        .args(more)
        .current_dir(root().join("ansible"))
        .env("ANSIBLE_LOCAL_TEMP", machine.scratch())
        .env("ANSIBLE_NOCOLOR", "1")
        // Facts of the one machine are gathered once.
        .env("ANSIBLE_GATHERING", "smart")
        .env("ANSIBLE_CACHE_PLUGIN", "jsonfile")
        .env("ANSIBLE_CACHE_PLUGIN_CONNECTION", machine.scratch().join("facts"))
        .env("ANSIBLE_PIPELINING", "1")
        .output()
        .unwrap()
}
