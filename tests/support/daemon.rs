//! One running `stentor`, with its own ports and its own folder.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::machine::succeed;
use super::{process, program, until};

/// How long a start may take on a busy machine: the hardware probe is part of it.
const START: Duration = Duration::from_secs(60);

/// A running daemon. Dropping it ends it and its workers.
pub struct Daemon {
    child: Child,
    /// Such as `http://127.0.0.1:40123`.
    pub url: String,
    pub http: reqwest::Client,
    /// An admin's, where the daemon asks for tokens.
    pub token: Option<String>,
    folder: tempfile::TempDir,
    _room: SemaphorePermit<'static>,
}

/// Daemons that may run at a time. What is measured is not measured beside another test's: its
/// daemon takes all the room.
const ROOM: u32 = 2;
static FREE: Semaphore = Semaphore::const_new(ROOM as usize);

/// How to start one.
pub struct Options {
    /// More of the configuration file: tables other than `[http]`, `[server]` and `[fanout]`.
    pub config: String,
    pub demo: bool,
    /// Times or frames are measured: no other test's daemon runs beside it.
    pub alone: bool,
    /// Address that HTTP and media are bound to. Other than loopback, tokens are asked for.
    pub address: String,
    /// Addresses that media is bound to, where they are others.
    pub media: Vec<String>,
    /// More lines of `[http]`, `[server]` and `[fanout]`.
    pub http: String,
    pub server: String,
    pub fanout: String,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            config: String::new(),
            demo: false,
            alone: false,
            address: "127.0.0.1".to_owned(),
            media: Vec::new(),
            http: String::new(),
            server: String::new(),
            fanout: String::new(),
        }
    }
}

// === impl Daemon ===

impl Daemon {
    /// With the demo channel, on the loopback interface.
    pub async fn demo() -> Self {
        Self::start(Options { demo: true, ..Options::default() }).await
    }

    /// Starts and waits until viewers are welcome.
    pub async fn start(options: Options) -> Self {
        let room = if options.alone { ROOM } else { 1 };
        let room = FREE.acquire_many(room).await.unwrap();
        Self::start_in(room, options).await
    }

    /// Two of them. Their places are taken at once: two tests with one each would wait for ever.
    pub async fn pair(options: impl Fn() -> Options) -> (Self, Self) {
        let mut room = FREE.acquire_many(2).await.unwrap();
        let other = room.split(1).unwrap();
        tokio::join!(Self::start_in(room, options()), Self::start_in(other, options()))
    }

    /// The same where the second's options depend on the first.
    pub async fn pair_of(first: Options, second: impl FnOnce(&Self) -> Options) -> (Self, Self) {
        let mut room = FREE.acquire_many(2).await.unwrap();
        let other = room.split(1).unwrap();
        let first = Self::start_in(room, first).await;
        let options = second(&first);
        let second = Self::start_in(other, options).await;
        (first, second)
    }

    async fn start_in(room: SemaphorePermit<'static>, options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, state) = (folder.path().join("stentor.toml"), folder.path().join("state"));
        fs::create_dir(&state).unwrap();
        let Options { address, http, server, fanout, .. } = &options;
        let port = free_port(address);
        let media =
            if options.media.is_empty() { vec![address.clone()] } else { options.media.clone() };
        let mut text = format!(
            "[server]\nstate_directory = {state:?}\n{server}\n\
             [http]\nlisten = [\"{address}:{port}\"]\n{http}\n\
             [fanout]\nshards = 1\nfirst_port = 0\nbind = {media:?}\n{fanout}\n"
        );
        let token = (address != "127.0.0.1").then(|| {
            let key = folder.path().join("key.pem");
            succeed(Command::new(program("stentor")).args(["token", "keygen"]).arg(&key));
            text += &format!("[access]\nkeys = [\"{}.pub\"]\n", key.display());
            let mut mint = Command::new(program("stentor"));
            mint.args(["token", "mint", "--role", "admin", "--channel", "*", "--for", "2h"]);
            succeed(mint.arg("--key").arg(&key)).trim().to_owned()
        });
        text += &options.config;
        fs::write(&config, text).unwrap();
        let child = spawn(&folder, options.demo);
        let mut headers = HeaderMap::new();
        if let Some(token) = &token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .default_headers(headers)
            // A test that waits on something else doesn't see its idle connection close.
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        let url = format!("http://{address}:{port}");
        let mut daemon = Self { child, url, http, token, folder, _room: room };
        daemon.ready().await;
        daemon
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills it as a power cut would, and starts it again on what it kept.
    pub async fn kill_and_start_again(&mut self) {
        self.kill();
        self.child = spawn(&self.folder, false);
        self.ready().await;
    }

    /// Asks it to end, waits for that, and starts it again on what it kept.
    pub async fn terminate_and_start_again(&mut self, deadline: Duration) {
        let status = self.terminate(deadline).await;
        assert!(status.success(), "{status}");
        self.child = spawn(&self.folder, false);
        self.ready().await;
    }

    async fn ready(&mut self) {
        let url = format!("{}/readyz", self.url);
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}:\n{}", self.log());
            }
            let answer = self.http.get(&url).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                return;
            }
            assert!(begin.elapsed() < START, "not ready within {START:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its own folder: the configuration file, the state and the log are in it.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn workers(&self) -> Vec<u32> {
        process::children(self.pid(), "stentor-worker")
    }

    pub fn whep(&self, channel: &str) -> String {
        format!("{}/whep/{channel}", self.url)
    }

    pub fn whip(&self, channel: &str) -> String {
        format!("{}/whip/{channel}", self.url)
    }

    /// One request with a JSON body, or none; gives the status and the answer's JSON, Null where
    /// it is none.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, json) = self.call(Method::GET, path, None).await;
        assert!(status.is_success(), "GET {path}: {status} {json}");
        json
    }

    /// What it has logged of what happened.
    pub fn events(&self) -> Vec<Value> {
        let folder = self.folder.path().join("state/events");
        let mut segments: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|suffix| suffix == "jsonl"));
        segments.sort();
        let text: String = segments.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        // The last line may be half written.
        text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub async fn metrics(&self) -> String {
        let answer = self.http.get(format!("{}/metrics", self.url)).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// The sum of a metric's samples whose line holds every one of `labels`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics().await;
        text.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter(|line| labels.iter().all(|l| line.contains(l)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until the channel's source is in this state.
    pub async fn source_state(&self, channel: &str, wanted: &str, deadline: Duration) {
        let path = format!("/api/v1/channels/{channel}");
        until(&format!("{channel} is {wanted}"), deadline, async || {
            let json = self.get(&path).await;
            let state = json["source_state"].as_str().unwrap_or_default().to_owned();
            if state == wanted { Ok(()) } else { Err(json) }
        })
        .await;
    }

    /// Asks it to end, and waits for that.
    pub async fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        process::signal(self.pid(), Signal::TERM);
        until("the daemon ends", deadline, async || {
            self.child.try_wait().unwrap().ok_or("it runs on")
        })
        .await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let workers = self.workers();
        if self.child.try_wait().ok().flatten().is_none() {
            process::signal(self.pid(), Signal::TERM);
            let begin = Instant::now();
            while self.child.try_wait().ok().flatten().is_none()
                && begin.elapsed() < Duration::from_secs(4)
            {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let groups = workers.into_iter().chain([self.pid()]);
        for group in groups.filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            for line in tail.iter().rev() {
                eprintln!("daemon: {line}");
            }
        }
    }
}

/// Runs the daemon on the folder's configuration; its log is appended to.
fn spawn(folder: &tempfile::TempDir, demo: bool) -> Child {
    let log = folder.path().join("log");
    let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(program("stentor"));
    command
        .args(["serve", "--config"])
        .arg(folder.path().join("stentor.toml"))
        .args(demo.then_some("--demo"))
        .env("STENTOR_LOG", "info")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0);
    // SAFETY: one system call between fork and exec, which allocates nothing.
    unsafe {
        command.pre_exec(|| {
            // A test that is killed takes its daemon with it.
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(Into::into)
        });
    }
    command.spawn().unwrap()
}

/// A TCP port of the address that nothing listens on now.
pub fn free_port(address: &str) -> u16 {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port()
}
