//! Who takes from Kafka what a daemon ships there, killed in the middle: analytics count every event
//! once, and of file creators one makes what the other was at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::daemon::free_port;
use crate::support::kafka::{Kafka, Topic};
use crate::support::wait::check;
use crate::support::{Daemon, process, program, until};

const SOON: Duration = Duration::from_secs(60);
/// How long who takes events may take to end: systemd waits for 10 s at least.
const END: Duration = Duration::from_secs(5);

/// A `stentor COMMAND` with a configuration of its own. Killed when dropped.
struct Program {
    command: &'static str,
    config: PathBuf,
    child: Child,
}

// === impl Program ===

impl Program {
    fn start(command: &'static str, config: &Path) -> Self {
        let child = spawn(command, config);
        Self { command, config: config.to_owned(), child }
    }

    /// As a power cut would.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = spawn(self.command, &self.config);
    }

    /// Asks it to end, and waits for that.
    async fn terminate(&mut self) {
        let asked = Instant::now();
        process::signal(self.child.id(), Signal::TERM);
        let status = until(&format!("{} ends", self.command), END, async || {
            self.child.try_wait().unwrap().ok_or("it runs on")
        })
        .await;
        assert!(status.success(), "{}: {status}", self.command);
        println!("{} ended {:.1?} after it was asked", self.command, asked.elapsed());
    }

    /// Waits until it has said that the broker is away, and sees that it runs on.
    async fn waits_for_the_broker(&mut self) {
        until("it says that it waits", SOON, async || {
            let log = fs::read_to_string(self.config.with_extension("log")).unwrap_or_default();
            check(log.contains("no broker of Kafka answers"), log)
        })
        .await;
        assert_eq!(self.child.try_wait().unwrap(), None, "{} ended", self.command);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.config.with_extension("log")).unwrap_or_default();
            log.lines().rev().take(20).for_each(|line| eprintln!("{}: {line}", self.command));
        }
    }
}

fn spawn(command: &str, config: &Path) -> Child {
    let log = config.with_extension("log");
    let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut program = Command::new(program("stentor"));
    program.args([command, "--config"]).arg(config).env_remove("NOTIFY_SOCKET");
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// `stentor analytics`, which reads all of the topic.
pub struct Analytics {
    program: Program,
    url: String,
    _folder: tempfile::TempDir,
}

// === impl Analytics ===

impl Analytics {
    pub fn start(kafka: &Kafka) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("analytics.toml");
        let port = free_port("127.0.0.1");
        let text = format!(
            "[server]\nstate_directory = {:?}\n[analytics]\nlisten = [\"127.0.0.1:{port}\"]\n{}",
            folder.path().join("state"),
            kafka.config()
        );
        fs::write(&config, text).unwrap();
        let program = Program::start("analytics", &config);
        Self { program, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }

    pub async fn counts(&self, at_least: u64) {
        until("analytics count", SOON, async || {
            let counted = self.counted().await.unwrap_or_default();
            check(counted >= at_least, format!("{counted} of {at_least}"))
        })
        .await;
    }

    /// Killed while it counts, or reads what it has not counted yet.
    pub async fn kill_while_it_counts(&mut self, at_least: u64) {
        self.counts(at_least).await;
        self.program.kill();
    }

    pub async fn terminate(&mut self) {
        self.program.terminate().await;
    }

    /// Without a broker it says so, everywhere, and serves what it has; and ends when it is told to.
    pub async fn waits_and_ends(&mut self) {
        self.program.waits_for_the_broker().await;
        let ready = self.text("readyz").await.unwrap();
        assert!(ready.starts_with("degraded: no broker"), "{ready}");
        assert_eq!(self.metric("kafka_up").await, Some(0.0));
        assert!(self.counted().await.unwrap() > 0);
        self.terminate().await;
    }

    /// There is a broker, and nothing more to be had from it.
    pub async fn is_well(&self) {
        until("nothing waits", SOON, async || {
            let found = (self.metric("kafka_up").await, self.metric("waiting").await);
            check(found == (Some(1.0), Some(0.0)), format!("{found:?}"))
        })
        .await;
        assert_eq!(self.text("readyz").await.as_deref(), Some("ready\n"));
    }

    async fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.text("metrics").await?;
        let name = format!("stentor_analytics_{name} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
    }

    /// None: it doesn't answer.
    async fn text(&self, path: &str) -> Option<String> {
        let answer = reqwest::get(format!("{}/{path}", self.url)).await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    pub fn start_again(&mut self) {
        self.program.start_again();
    }

    /// Each event of the topic once, whatever is there twice.
    pub async fn count_all(&self, topic: &mut Topic) {
        let counted = until("every event is counted once", SOON, async || {
            topic.read(Duration::from_millis(100));
            let ids: BTreeSet<&str> = topic
                .events
                .values()
                .flatten()
                .map(|event| event["id"].as_str().unwrap())
                .collect();
            let counted = self.counted().await.ok_or("it doesn't answer")?;
            let there = ids.len() as u64;
            if counted == there { Ok(counted) } else { Err(format!("{counted} of {there}")) }
        })
        .await;
        println!("analytics counted {counted} events; the topic has {}", topic.count());
    }

    /// None: it doesn't answer yet.
    async fn counted(&self) -> Option<u64> {
        let url = format!("{}/api/v1/analytics/totals", self.url);
        let answer = reqwest::get(url).await.ok()?.error_for_status().ok()?;
        let table: Value = answer.json().await.ok()?;
        let columns = table["columns"].as_array()?;
        let at = columns.iter().position(|column| column["key"] == "events")?;
        table["rows"][0][at].as_f64().map(|count| count as u64)
    }
}

/// `stentor archive` with nothing to do.
pub struct Archive {
    program: Program,
    _folder: tempfile::TempDir,
}

// === impl Archive ===

impl Archive {
    pub fn start(kafka: &Kafka) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("archive.toml");
        let state = folder.path().join("state");
        let text = format!("[server]\nstate_directory = {state:?}\n{}", kafka.config());
        fs::write(&config, text).unwrap();
        Self { program: Program::start("archive", &config), _folder: folder }
    }

    /// Without a broker it says so; and ends when it is told to.
    pub async fn waits_and_ends(&mut self) {
        self.program.waits_for_the_broker().await;
        self.program.terminate().await;
    }
}

/// Two file creators of one group, beside a daemon that makes no files itself. Whoever begins with
/// the file never ends: its worker sleeps.
pub async fn one_of_two_creators_finishes(daemon: &Daemon, kafka: &Kafka) {
    let folder = daemon.folder();
    let first = folder.join("first");
    let worker = folder.join("worker");
    let text = format!(
        "#!/bin/sh\nif mkdir {first:?} 2>/dev/null; then\n\
         echo $PPID >{first:?}/new && mv {first:?}/new {first:?}/pid && exec sleep 600\nfi\n\
         exec {:?} \"$@\"\n",
        program("stentor-worker")
    );
    // Another process writes it: a fork of another test would keep it from being started.
    let write = "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"";
    assert!(
        Command::new("sh")
            .args(["-c", write, "sh", &text])
            .arg(&worker)
            .status()
            .unwrap()
            .success()
    );
    let config = folder.join("archive.toml");
    let text = format!(
        "[server]\nstate_directory = {:?}\n[worker]\npath = {worker:?}\n\
         [recording]\nlease = \"1s\"\n{}",
        folder.join("state"),
        kafka.config()
    );
    fs::write(&config, text).unwrap();
    let started = Instant::now();
    let mut creators = [(); 2].map(|()| Program::start("archive", &config));
    kafka.shared_by("stentor-archive", 2).await;

    let path = record(daemon).await;
    let pid: u32 = until("one of them works", SOON, async || {
        let pid = fs::read_to_string(first.join("pid")).map_err(|error| error.to_string())?;
        pid.trim().parse().map_err(|_| pid)
    })
    .await;
    let heard = started.elapsed();
    let killed = creators.iter_mut().find(|creator| creator.child.id() == pid).unwrap();
    killed.kill();
    let at = Instant::now();
    let recording: Value = until("the other makes the file", SOON, async || {
        let recording = daemon.get(&path).await;
        if recording["state"] == "ready" { Ok(recording) } else { Err(recording) }
    })
    .await;
    println!("heard {heard:.1?} after the start, made {:.1?} after the kill", at.elapsed());
    // Both looked by themselves when they were started, and would after a minute.
    assert!(started.elapsed() < Duration::from_secs(55), "nobody told it: {:?}", started.elapsed());
    assert_eq!(recording["files"].as_array().unwrap().len(), 1);
    let id = recording["id"].as_str().unwrap();
    let files = fs::read_dir(folder.join("state/recordings/files").join(id)).unwrap().count();
    assert_eq!(files, 2, "a file and its manifest");
    until("it is told once", SOON, async || {
        let events = daemon.events();
        let is_ready =
            |event: &&Value| event["type"] == "recording.file-ready" && event["recording"] == id;
        let told = events.iter().filter(is_ready).count();
        check(told == 1, told)
    })
    .await;
}

/// Records a channel for a moment. Gives the recording's path.
async fn record(daemon: &Daemon) -> String {
    let source = json!({"kind": "synthetic", "resolution": {"width": 320, "height": 180}});
    let channel = json!({"name": "cam", "source": source});
    let (status, said) = daemon.call(Method::POST, "/api/v1/channels", Some(channel)).await;
    assert_eq!(status, 201, "{said}");
    daemon.source_state("cam", "live", SOON).await;
    let path = "/api/v1/channels/cam/recording";
    let (status, begun) = daemon.call(Method::POST, path, None).await;
    assert_eq!(status, 201, "{begun}");
    until("a chunk is in the store", SOON, async || {
        let shipped = daemon.metric("stentor_recording_chunks_shipped_total", &[]).await;
        check(shipped >= 1.0, shipped)
    })
    .await;
    assert_eq!(daemon.call(Method::DELETE, path, None).await.0, 200);
    format!("/api/v1/recordings/{}", begun["id"].as_str().unwrap())
}
