//! A daemon in this process, on ports that the system chose.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use stentor::app::{self, Daemon};
use stentor::config::{Config, Period};
use stentor::http::access::{self, Role};

/// The longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What browsers and players send, cut down to what the HTTP side looks at.
pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:abcd\r\na=mid:0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:abcd\r\na=mid:1\r\n\
    a=rtpmap:96 VP8/90000\r\n";

pub struct Server {
    pub daemon: Daemon,
    pub client: Client,
    pub folder: tempfile::TempDir,
    base: String,
    token: Option<String>,
}

/// Keys in files.
pub struct Keys {
    folder: tempfile::TempDir,
    private: String,
}

pub fn fake_worker() -> PathBuf {
    built("examples/fake_worker")
}

/// A program next to this test's own folder.
pub fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join(name)
}

pub fn config() -> Config {
    let mut config = Config::default();
    config.http.listen = vec![([127, 0, 0, 1], 0).into()];
    // What goes on at a test's end is not waited for.
    config.server.drain_grace = Period::from_secs(0);
    config.fanout.first_port = 0;
    config.fanout.shards = 1;
    config.worker.path = Some(fake_worker());
    config
}

// === impl Server ===

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::again(tempfile::tempdir().unwrap(), change).await
    }

    /// With the state that another one left.
    pub async fn again(folder: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        config.server.state_directory = Some(folder.path().to_owned());
        change(&mut config);
        let daemon = app::start(config, false).await.unwrap();
        let base = format!("http://{}", daemon.addresses()[0]);
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Self { daemon, client, folder, base, token: None }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends this token from here on.
    pub fn use_token(&mut self, token: String) {
        self.token = Some(token);
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    pub async fn put(&self, path: &str, body: &Value) -> Response {
        self.request(Method::PUT, path).json(body).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    pub async fn post_sdp(&self, path: &str, sdp: &str) -> Response {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/sdp");
        request.body(sdp.to_owned()).send().await.unwrap()
    }

    pub async fn make(&self, name: &str, source: Value) {
        let response =
            self.post("/api/v1/channels", &json!({"name": name, "source": source})).await;
        let status = response.status();
        assert_eq!(status, 201, "{}", response.text().await.unwrap());
    }

    /// Waits until a channel is as `holds` says; gives it.
    pub async fn wait_for(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let channel = self.json(&format!("/api/v1/channels/{name}")).await;
            if holds(&channel) {
                return channel;
            }
            assert!(Instant::now() < deadline, "{name} is not {what}: {channel:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The value of a metric's series; 0 where there is none.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").await.text().await.unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub async fn stop(self) -> tempfile::TempDir {
        self.daemon.stop(std::future::pending()).await;
        self.folder
    }
}

// === impl Keys ===

impl Keys {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = access::generate_keys().unwrap();
        std::fs::write(folder.path().join("key.pub"), &pair.public).unwrap();
        Self { folder, private: pair.private.0 }
    }

    pub fn public(&self) -> PathBuf {
        self.folder.path().join("key.pub")
    }

    /// PEM.
    pub fn private(&self) -> &str {
        &self.private
    }

    pub fn token(&self, role: Role, channel: &str) -> String {
        access::mint(&self.private, channel, role, Duration::from_secs(60)).unwrap()
    }
}

/// Checks that a response is a problem document of this status and kind.
pub async fn assert_problem(response: Response, status: u16, kind: &str) -> Value {
    let found = response.status();
    let content_type = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let problem: Value = response.json().await.unwrap();
    assert_eq!(found, StatusCode::from_u16(status).unwrap(), "{problem:#}");
    assert_eq!(content_type, "application/problem+json");
    assert_eq!(problem["status"], status, "{problem:#}");
    assert_eq!(problem["type"], kind, "{problem:#}");
    assert!(problem["detail"].as_str().is_some_and(|d| !d.is_empty()), "{problem:#}");
    problem
}
