//! Reports: who may read them, what they say of a log, and that a process which is killed anywhere
//! counts every event once.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use stentor::config::{ObjectStore, Period};
use stentor::http::access::Role;
use stentor::rfc3339::Millis;

use crate::bucket::{Bucket, files_in};
use crate::recordings::until;
use crate::support::{Keys, PATIENCE, Server, assert_problem};

/// 2026-11-23T16:07:00Z.
const NOON: u64 = 1_795_450_020_000;

/// Lines of events, one a millisecond: a call each.
fn lines(numbers: std::ops::Range<u64>) -> Vec<String> {
    let line = |number: u64| {
        let at = NOON + number;
        let id = format!("{at:012x}");
        let (id, time) = (format!("{}-{}", &id[..8], &id[8..]), Millis(at));
        format!(
            "{{\"id\":\"{id}-7000-8000-{number:012x}\",\"time\":\"{time}\",\"node\":\"n1\",\
             \"type\":\"call.started\",\"version\":1,\"call\":\"c{number}\",\"user\":\"anna\",\
             \"data\":{{}}}}\n"
        )
    };
    numbers.map(line).collect()
}

fn log_in(state: &Path) -> PathBuf {
    let log = state.join("events");
    std::fs::create_dir_all(&log).unwrap();
    log.join(format!("{:020}.jsonl", 0))
}

const CALLS: &str =
    "/api/v1/analytics/calls?from=2026-11-23T16:00:00Z&to=2026-11-23T17:00:00Z&step=1h";

fn begun(table: &Value) -> u64 {
    let columns = table["columns"].as_array().unwrap();
    let at = columns.iter().position(|column| column["key"] == "started").unwrap();
    table["rows"][0][at].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_for_admins_and_for_those_who_may_read_nothing_else() {
    let keys = Keys::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(log_in(folder.path()), lines(0..100).concat()).unwrap();
    let mut server = Server::again(folder, |config| {
        config.access.keys = vec![keys.public()];
        // What is read here is as old as its author.
        config.analytics.keep_hours = Period::from_secs(3650 * 86_400);
    })
    .await;
    assert_problem(server.get(CALLS).await, 401, "/problems/no-token").await;
    for (role, channel, status) in [
        (Role::View, "*", 403),
        (Role::Admin, "a", 403),
        (Role::Analytics, "a", 403),
        (Role::Analytics, "*", 200),
        (Role::Admin, "*", 200),
    ] {
        server.use_token(keys.token(role, channel));
        assert_eq!(server.get(CALLS).await.status(), status, "{role:?} {channel}");
    }
    server.use_token(keys.token(Role::Analytics, "*"));
    assert_eq!(server.get("/api/v1/hardware").await.status(), 403);
    let deadline = Instant::now() + PATIENCE;
    while begun(&server.json(CALLS).await) < 100 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let csv = server.get(&format!("{CALLS}&format=csv")).await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    let text = csv.text().await.unwrap();
    let line = text.lines().nth(1).unwrap();
    assert!(line.starts_with("2026-11-23T16:00:00.000Z,100,0,0,0"), "{text}");
    let listed = server.json("/api/v1/analytics").await;
    assert!(listed["reports"].as_array().unwrap().len() > 15);
    for (query, status) in [
        ("calls?from=yesterday", 422),
        ("calls?step=1s", 422),
        ("calls?from=2026-11-23T16:00:00Z&to=2026-11-22T16:00:00Z", 422),
        ("calls?more=1", 422),
        ("nothing", 404),
    ] {
        let path = format!("/api/v1/analytics/{query}");
        assert_eq!(server.get(&path).await.status(), status, "{query}");
    }
    assert!(server.metric("stentor_analytics_events_total").await >= 100.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_analytics_there_are_no_reports_and_it_is_said_why() {
    let server = Server::with(|config| config.analytics.enabled = false).await;
    let problem = assert_problem(server.get(CALLS).await, 404, "/problems/no-analytics").await;
    assert!(problem["detail"].as_str().unwrap().contains("analytics.enabled"));
}

/// `stentor analytics` on a state folder.
struct Alone {
    child: Child,
    url: String,
}

impl Alone {
    fn start(folder: &Path, more: &str) -> Self {
        // Free a moment ago; another process may take it, and the start then fails.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.join("stentor.toml");
        let state = folder.join("state");
        let text = format!(
            "[server]\nstate_directory = {state:?}\n[analytics]\nkeep_hours = \"3650d\"\n\
             listen = [\"127.0.0.1:{port}\"]\n{more}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
        command.args(["analytics", "--config"]).arg(config).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), url: format!("http://127.0.0.1:{port}") }
    }

    /// What it has counted. None: it doesn't answer yet.
    async fn begun(&self, report: &str) -> Option<u64> {
        let answer = reqwest::get(format!("{}{report}", self.url)).await.ok()?;
        let answer = answer.error_for_status().ok()?;
        Some(begun(&answer.json().await.ok()?))
    }

    async fn counts(&self, report: &str, count: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.begun(report).await.is_none_or(|found| found < count) {
            assert!(Instant::now() < deadline, "{:?} of {count}", self.begun(report).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_while_events_come_every_event_counts_once() {
    const EVENTS: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder.path().join("state"));
    std::fs::write(&path, "").unwrap();
    let written = path.clone();
    let writing = std::thread::spawn(move || {
        let mut log = std::fs::OpenOptions::new().append(true).open(written).unwrap();
        let all = lines(0..EVENTS);
        for (at, some) in all.chunks(250).enumerate() {
            log.write_all(some.concat().as_bytes()).unwrap();
            // What a shipper that was killed sends again.
            let from = (at * 250).saturating_sub(100);
            log.write_all(all[from..at * 250 + 50].concat().as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    // Any number will do; another at each run, and never the same moment of a batch.
    let mut random = std::process::id() as u64;
    for turn in 1..=6 {
        let alone = Alone::start(folder.path(), "");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        alone.counts(CALLS, (turn - 1) * 3000 + random % 3000).await;
        drop(alone);
    }
    writing.join().unwrap();
    let alone = Alone::start(folder.path(), "");
    alone.counts(CALLS, EVENTS).await;
    // And no more than that, when what was repeated last is read: something later then is, too.
    let two_hours = 7_200_000;
    let mut log = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    log.write_all(lines(two_hours..two_hours + 1).concat().as_bytes()).unwrap();
    let later = CALLS.replace("T16", "T18").replace("T17", "T19");
    alone.counts(&later, 1).await;
    assert_eq!(alone.begun(CALLS).await, Some(EVENTS));
    let page = reqwest::get(format!("{}/", alone.url)).await.unwrap();
    assert!(page.text().await.unwrap().contains("<title>Stentor"));
    let me: Value =
        reqwest::get(format!("{}/api/v1/me", alone.url)).await.unwrap().json().await.unwrap();
    assert_eq!(me["role"], "analytics");
    for path in ["/api/v1/channels", "/api/v1/hardware", "/ws"] {
        let answer = reqwest::get(format!("{}{path}", alone.url)).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}

/// Events of two hours, and one of each type.
fn write_two_hours(folder: &Path) -> usize {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/events/examples");
    let mut text = lines(0..1000).concat() + &lines(3_600_000..3_600_500).concat();
    let mut examples: Vec<PathBuf> =
        std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    examples.sort();
    for (at, example) in examples.iter().enumerate() {
        // All have the same id, as examples.
        let line = std::fs::read_to_string(example).unwrap();
        text += &line.replace("-000000000001\"", &format!("-{:012x}\"", 0xff00 + at));
    }
    std::fs::write(log_in(&folder.join("state")), &text).unwrap();
    examples.len()
}

/// What others find in the dump of [`write_two_hours`].
fn read(reader: &str, place: &str, examples: usize) {
    let python = PathBuf::from(std::env::var_os("STENTOR_TEST_VENV").unwrap()).join("bin/python");
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/analytics/dump.py"))
        .args([reader, place])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (all, hour) = (1500 + examples, 1000 + examples);
    assert_eq!((&found["events"], &found["ids"]), (&all.into(), &all.into()));
    assert_eq!((&found["hour"], &found["calls"]), (&hour.into(), &1501.into()));
    assert!(found["first"].as_str().unwrap().starts_with("2026-11-23T16:07:00"), "{found}");
    assert_eq!(found["data"], serde_json::json!({}));
}

fn reader() -> String {
    std::env::var("STENTOR_DUMP_READER").unwrap_or_else(|_| "arrow".to_owned())
}

const DUMP: &str = "dump = true\ndump_delay = \"1s\"\n";

/// Apache Arrow by default; Spark where STENTOR_DUMP_READER says so (`make test-spark`).
#[tokio::test(flavor = "multi_thread")]
async fn others_read_the_dump() {
    let folder = tempfile::tempdir().unwrap();
    let examples = write_two_hours(folder.path());
    let alone = Alone::start(folder.path(), DUMP);
    let dump = folder.path().join("state/analytics/dump");
    until("both hours", async || {
        let is_whole = |path: &PathBuf| path.extension().is_some_and(|end| end == "parquet");
        let parts = files_in(&dump).into_iter().filter(is_whole).count();
        (parts == 2).then_some(())
    })
    .await;
    drop(alone);
    read(&reader(), dump.to_str().unwrap(), examples);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_in_a_bucket_is_read_over_s3_though_its_writer_was_killed() {
    let bucket = Bucket::start().await;
    let folder = tempfile::tempdir().unwrap();
    let examples = write_two_hours(folder.path());
    let store =
        ObjectStore { timeout: "10s".parse().unwrap(), ..bucket.store(folder.path(), "of/events") };
    let store = toml::to_string(&store).unwrap();
    let more = format!("{DUMP}[analytics.dump_store]\n{store}");
    let parts = || {
        let names = bucket.entries().into_iter().filter(|name| name.ends_with(".parquet"));
        names.collect::<Vec<_>>()
    };
    let there = |hour: &str| parts().iter().any(|name| name.contains(hour));
    let alone = Alone::start(folder.path(), &more);
    until("the first hour", async || there("/hr=16/").then_some(())).await;
    drop(alone);
    let _alone = Alone::start(folder.path(), &more);
    until("the second hour", async || there("/hr=17/").then_some(())).await;
    let parts = parts();
    assert!(parts.iter().all(|name| name.contains("of/events/dt=2026-11-23/")), "{parts:?}");
    assert_eq!(parts.len(), 2, "{parts:?}");
    read(&reader(), &bucket.uri(), examples);
}
