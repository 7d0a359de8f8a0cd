//! Network namespaces joined by a veth pair, with random loss on request.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A namespace for a client, joined to this one by a veth pair. Removed on drop, with all in it.
pub struct Namespace {
    pub name: String,
    /// Our end of the pair, which the client reaches the daemon at.
    pub near: String,
    pub far: String,
    /// The same in IPv6.
    pub near6: String,
    pub far6: String,
    device: String,
}

// === impl Namespace ===

impl Namespace {
    /// Needs root.
    pub fn new() -> Self {
        // 65536 pairs of addresses, told apart by process and counter.
        let number = (std::process::id() * 8 + NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000;
        let (high, low) = (number / 63, number % 63 * 4);
        let namespace = Self {
            name: format!("stentor-{number}"),
            near: format!("10.213.{high}.{}", low + 1),
            far: format!("10.213.{high}.{}", low + 2),
            near6: format!("fd00:213::{number:x}:1"),
            far6: format!("fd00:213::{number:x}:2"),
            device: format!("stv{number}"),
        };
        let Self { name, near, far, near6, far6, device } = &namespace;
        ip(&["netns", "add", name]);
        ip(&["link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name]);
        ip(&["addr", "add", &format!("{near}/30"), "dev", device]);
        ip(&["addr", "add", &format!("{near6}/112"), "dev", device, "nodad"]);
        ip(&["link", "set", device, "up"]);
        namespace.inside(&["ip", "addr", "add", &format!("{far}/30"), "dev", "eth0"]);
        namespace.inside(&["ip", "addr", "add", &format!("{far6}/112"), "dev", "eth0", "nodad"]);
        namespace.inside(&["ip", "link", "set", "eth0", "up"]);
        namespace.inside(&["ip", "link", "set", "lo", "up"]);
        namespace.inside(&["ip", "route", "add", "default", "via", near]);
        namespace
    }

    /// A command that runs in the namespace.
    pub fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Drops this share of the UDP packets that come to the client, at random.
    pub fn lose(&self, percent: u32) {
        self.send_packets_one_by_one();
        let rule = format!(
            "add table inet loss; flush table inet loss; \
             add chain inet loss input {{ type filter hook input priority 0; }}; \
             add rule inet loss input meta l4proto udp numgen random mod 100 < {percent} counter drop"
        );
        self.inside(&["nft", &rule]);
    }

    /// Bounds what gets through to the client, in kilobits per second; None: no bound any more.
    pub fn limit(&self, kilobits: Option<u32>) {
        let Some(kilobits) = kilobits else {
            ip_tool("tc", &["qdisc", "del", "dev", &self.device, "root"]);
            return;
        };
        self.send_packets_one_by_one();
        let rate = format!("{kilobits}kbit");
        let shape = ["tbf", "rate", &rate, "burst", "10k", "latency", "300ms"];
        ip_tool("tc", &[&["qdisc", "replace", "dev", &self.device, "root"][..], &shape].concat());
    }

    /// A burst given to the kernel as one message (UDP GSO) crosses a veth pair in one piece and
    /// would be lost in one piece. On a real line its packets travel on their own.
    fn send_packets_one_by_one(&self) {
        ip(&["link", "set", &self.device, "gso_max_segs", "1"]);
    }

    /// Drops UDP packets from the client to this address.
    pub fn block(&self, address: &str) {
        let rule = format!(
            "add table inet block; add chain inet block output {{ type filter hook output priority 0; }}; \
             add rule inet block output ip daddr {address} meta l4proto udp drop"
        );
        self.inside(&["nft", &rule]);
    }

    /// Lets the client reach our end at another address, as behind a static NAT.
    pub fn translate(&self, public: &str) {
        let rule = format!(
            "add table ip nat; add chain ip nat output {{ type nat hook output priority -100; }}; \
             add rule ip nat output ip daddr {public} dnat to {}",
            self.near
        );
        self.inside(&["nft", &rule]);
    }

    /// From now on the client's packets come from another address, as after a change of network
    /// that the client itself doesn't see. Gives the address.
    pub fn move_client(&self) -> String {
        let moved = self.far.replacen("10.213.", "10.212.", 1);
        let far = &self.far;
        self.inside(&["ip", "addr", "add", &format!("{moved}/32"), "dev", "lo"]);
        ip(&["route", "add", &moved, "via", far, "dev", &self.device]);
        let rule = format!(
            "add table ip moved; \
             add chain ip moved out {{ type filter hook output priority 0; }}; \
             add rule ip moved out ip saddr {far} meta l4proto udp ip saddr set {moved}; \
             add chain ip moved in {{ type filter hook prerouting priority -300; }}; \
             add rule ip moved in ip daddr {moved} meta l4proto udp ip daddr set {far}"
        );
        self.inside(&["nft", &rule]);
        moved
    }

    /// Lets no UDP through, neither way, as some firewalls do.
    pub fn block_udp(&self) {
        let rule = "add table inet wall; \
            add chain inet wall input { type filter hook input priority 0; }; \
            add chain inet wall output { type filter hook output priority 0; }; \
            add rule inet wall input iif != lo meta l4proto udp drop; \
            add rule inet wall output oif != lo meta l4proto udp counter drop";
        self.inside(&["nft", rule]);
    }

    /// UDP packets that the client tried to send in spite of [`Self::block_udp`].
    pub fn blocked(&self) -> u64 {
        self.counted("wall")
    }

    /// UDP packets that were dropped on purpose.
    pub fn lost(&self) -> u64 {
        self.counted("loss")
    }

    fn counted(&self, table: &str) -> u64 {
        let output = self.inside(&["nft", "list", "table", "inet", table]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<_> = text.split_whitespace().collect();
        words.windows(2).find(|w| w[0] == "packets").and_then(|w| w[1].parse().ok()).unwrap_or(0)
    }

    fn inside(&self, words: &[&str]) -> Output {
        ip(&[&["netns", "exec", &self.name], words].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
        let _ = Command::new("ip").args(["link", "del", &self.device]).output();
    }
}

fn ip(words: &[&str]) -> Output {
    ip_tool("ip", words)
}

fn ip_tool(tool: &str, words: &[&str]) -> Output {
    let output = Command::new(tool).args(words).output().unwrap_or_else(|e| panic!("{tool}: {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {}: {said}(root is needed)", words.join(" "));
    output
}
