//! The arrows of the house, held by a test: who may depend on whom, who may name what.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[path = "architecture/deny.rs"]
mod deny;

/// What may stand at the top level of the repository, beside files whose names begin with a dot.
const TOP_LEVEL: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "ansible",
    "benches",
    "clippy.toml",
    "deny.toml",
    "hardware",
    "pipelines",
    "rustfmt.toml",
    "src",
    "systemd",
    "tests",
];

/// A source file is one idea. Past this many lines it is two.
const MOST_LINES: usize = 400;

/// Files that are tables, which may be long.
const TABLES: &[&str] = &[];

/// Crates that no tree of ours may hold, and why not.
const BANNED: &[(&str, &str)] = &[
    ("ring", "aws-lc-rs is the one crypto provider"),
    ("openssl-sys", "aws-lc-rs is the one crypto provider"),
    ("native-tls", "rustls is the one TLS"),
    ("protobuf", "Prometheus' text format needs none"),
];

/// Encoders' names are known in one place, the hardware crate.
const ENCODERS: &[&str] =
    &["libx264", "h264_nvenc", "h264_vaapi", "av1_nvenc", "av1_vaapi", "libvpx", "x264enc"];

/// Decisions, and protocols without I/O: functions of plain data and of the time they are given.
const PURE: &[&str] = &[
    "pipelines/protocol/src/",
    "src/accounts/hook/sign.rs",
    "src/accounts/hook/verdict.rs",
    "src/accounts/profile.rs",
    "src/accounts/ringing.rs",
    "src/analytics/client.rs",
    "src/analytics/dump/rows.rs",
    "src/analytics/fold/",
    "src/analytics/histogram.rs",
    "src/analytics/measure.rs",
    "src/analytics/report/levels.rs",
    "src/analytics/report/span.rs",
    "src/analytics/report/table.rs",
    "src/analytics/rollup.rs",
    "src/analytics/seen.rs",
    "src/analytics/sketch.rs",
    "src/analytics/words.rs",
    "src/bucket.rs",
    "src/calls/",
    "src/channels/admission.rs",
    "src/channels/backoff.rs",
    "src/channels/ladder.rs",
    "src/channels/rungs.rs",
    "src/channels/settings.rs",
    "src/directory/link.rs",
    "src/directory/origin.rs",
    "src/directory/roster.rs",
    "src/directory/wire.rs",
    "src/events/calls.rs",
    "src/events/event.rs",
    "src/events/id.rs",
    "src/events/kafka/progress.rs",
    "src/events/kafka/window.rs",
    "src/events/kinds/",
    "src/fanout/bwe/",
    "src/fanout/gop.rs",
    "src/fanout/history.rs",
    "src/fanout/rtcp/",
    "src/fanout/sdp/",
    "src/fanout/select.rs",
    "src/fanout/shard/gather.rs",
    "src/fanout/switch",
    "src/fanout/timeline.rs",
    "src/fanout/transport/",
    "src/fanout/vp8.rs",
    "src/http/limit.rs",
    "src/limit.rs",
    "src/load/call/script.rs",
    "src/recording/creator/found.rs",
    "src/recording/line.rs",
    "src/recording/papers.rs",
    "src/recording/pauses.rs",
    "src/stun.rs",
    "src/turn/allocation.rs",
    "src/turn/answer.rs",
    "src/turn/credentials.rs",
    "src/turn/desk.rs",
    "src/turn/frame.rs",
    "src/turn/policy.rs",
    "src/turn/quota.rs",
    "src/turn/refusal.rs",
    "src/turn/request.rs",
    "pipelines/src/contribution/backoff.rs",
    "pipelines/src/contribution/bitstream/",
    "pipelines/src/compile/composite/layout.rs",
    "pipelines/src/compile/timing.rs",
    "pipelines/src/container/",
    "pipelines/src/packetise/",
    "pipelines/src/program/clock.rs",
    "pipelines/src/program/keyframes.rs",
    "pipelines/src/recording/cut.rs",
    "pipelines/src/transcode/recovery.rs",
];

/// What reads a clock, opens a socket or starts something.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "clock_gettime",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "thread::spawn",
    "tokio::",
    "std::process::",
];

/// Longer than agreed and to be split: none of them may grow.
const TO_SPLIT: &[(&str, usize)] = &[];

#[test]
fn the_daemon_links_neither_gstreamer_nor_ffmpeg() {
    let found: Vec<_> = under("stentor")
        .into_iter()
        .filter(|n| is_media_library(n) || n == "stentor-pipelines" || n == "stentor-hardware")
        .collect();
    assert!(found.is_empty(), "the daemon's tree holds {found:?}");
}

#[test]
fn only_hardware_names_ffmpeg_and_only_pipelines_names_gstreamer() {
    for member in members() {
        for dependency in direct(&member) {
            let owner = if dependency.starts_with("ffmpeg") {
                "stentor-hardware"
            } else if dependency.starts_with("gst") {
                "stentor-pipelines"
            } else {
                continue;
            };
            assert_eq!(member, owner, "{member} depends on {dependency}");
        }
    }
}

#[test]
fn the_seam_depends_on_neither_side() {
    let ours = members();
    let found: Vec<_> = under("stentor-protocol")
        .into_iter()
        .filter(|n| is_media_library(n) || ours.contains(n) || n == "tokio")
        .collect();
    assert!(found.is_empty(), "stentor-protocol's tree holds {found:?}");
}

#[test]
fn no_tree_holds_a_banned_crate() {
    for member in members() {
        let below = under(&member);
        for (name, why) in BANNED {
            assert!(!below.contains(*name), "{member} brings in {name}: {why}");
        }
    }
}

#[test]
fn every_crate_that_deny_toml_bans_is_banned_here_too() {
    let deny: toml::Table = read("deny.toml").parse().unwrap();
    let listed: BTreeSet<&str> = deny["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|b| b.get("wrappers").is_none())
        .map(|b| b["crate"].as_str().unwrap())
        .collect();
    let here: BTreeSet<&str> = BANNED.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, here);
}

#[test]
fn only_agreed_names_stand_at_the_top_level() {
    let unknown: BTreeSet<_> = tracked_files()
        .iter()
        .filter_map(|path| path.iter().next()?.to_str().map(str::to_owned))
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} at the top level: is there a room for it?");
}

#[test]
fn every_test_program_has_a_lane() {
    let lanes = read("tests/lanes");
    for package in packages() {
        for target in package["targets"].as_array().unwrap() {
            let name = target["name"].as_str().unwrap();
            let named = lanes.split_whitespace().any(|word| word == name);
            assert!(target["kind"][0] != "test" || named, "tests/lanes doesn't run {name}");
        }
    }
}

#[test]
fn a_source_file_is_one_idea() {
    for path in sources() {
        let name = path.to_str().unwrap();
        let lines = read(name).lines().count();
        let ceiling = TO_SPLIT.iter().find(|(file, _)| *file == name).map_or(MOST_LINES, |f| f.1);
        assert!(
            lines <= ceiling || TABLES.contains(&name),
            "{name} has {lines} lines, at most {ceiling} are agreed"
        );
    }
}

#[test]
fn a_source_file_begins_with_why_it_is_there() {
    for path in sources() {
        let name = path.to_str().unwrap();
        assert!(read(name).starts_with("//!"), "{name} doesn't begin with a //! line");
    }
}

#[test]
fn only_hardware_knows_an_encoder_by_name() {
    for path in sources() {
        let name = path.to_str().unwrap();
        let is_test = name.ends_with("tests.rs") || name.contains("tests/");
        // The synthetic camera is a source: it encodes as a camera does, whatever the rungs use.
        let is_camera = name == "pipelines/src/contribution/synthetic/pipeline.rs";
        if name.starts_with("hardware/") || is_test || is_camera {
            continue;
        }
        let text = read(name);
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for encoder in ENCODERS {
            assert!(!text.contains(&format!("\"{encoder}\"")), "{name} names {encoder}");
        }
    }
}

#[test]
fn decisions_take_the_time_and_do_nothing() {
    for path in sources() {
        let name = path.to_str().unwrap();
        let is_test = name.contains("tests") || name.contains("/against_");
        if is_test || !PURE.iter().any(|room| name.starts_with(room)) {
            continue;
        }
        let text = read(name);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in code.lines().enumerate().filter(|(_, l)| !l.trim().starts_with("//")) {
            for call in IMPURE {
                assert!(!line.contains(call), "{name}:{} has {call}: {line}", at + 1);
            }
        }
    }
    let missing: Vec<_> = PURE
        .iter()
        .filter(|room| !sources().iter().any(|path| path.to_str().unwrap().starts_with(*room)))
        .collect();
    assert!(missing.is_empty(), "nothing is at {missing:?} any more");
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    for path in sources() {
        let name = path.to_str().unwrap();
        let text = read(name);
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("unsafe {") || code.contains("unsafe impl") {
                let above = text.lines().take(at).collect::<Vec<_>>();
                let told = above.iter().rev().take(8).any(|l| l.contains("SAFETY:"));
                assert!(told, "{name}:{} has no SAFETY line", at + 1);
            }
        }
    }
}

fn is_media_library(name: &str) -> bool {
    name.starts_with("gst") || name.starts_with("ffmpeg") || name.starts_with("glib")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn tracked_files() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout)
        .unwrap()
        .split('\0')
        .filter(|name| !name.is_empty() && root().join(name).exists())
        .map(PathBuf::from)
        .collect()
}

/// The product's own sources: tests, benches and examples have looser rules.
fn sources() -> Vec<PathBuf> {
    tracked_files()
        .into_iter()
        .filter(|path| {
            let name = path.to_str().unwrap_or_default();
            name.ends_with(".rs")
                && ["src/", "pipelines/src/", "pipelines/protocol/src/", "hardware/src/"]
                    .iter()
                    .any(|room| name.starts_with(room))
        })
        .collect()
}

/// The workspace's packages.
fn members() -> BTreeSet<String> {
    packages().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
}

fn packages() -> Vec<Value> {
    let text = cargo(&["metadata", "--format-version=1", "--no-deps"]);
    let mut metadata: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

/// What the package names in its manifest, beside test and build dependencies.
fn direct(package: &str) -> BTreeSet<String> {
    tree(package, &["--depth=1"])
}

/// Everything that the package links.
fn under(package: &str) -> BTreeSet<String> {
    tree(package, &[])
}

/// `cargo metadata` also lists what a weak feature names and nobody builds, so cargo's own tree
/// is asked.
fn tree(package: &str, more: &[&str]) -> BTreeSet<String> {
    let arguments = ["tree", "--package", package, "--edges=normal", "--prefix=none"];
    let target = ["--target=x86_64-unknown-linux-gnu", "--format={p}"];
    let text = cargo(&[&arguments[..], &target[..], more].concat());
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != package).map(str::to_owned).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
