//! The real Redis of the tests: started, killed, held up.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::*;

/// A Redis that keeps nothing. Killed when dropped.
pub struct Server {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

// === impl Server ===

impl Server {
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder: tempfile::tempdir().unwrap(), port, process: None };
        server.start_again().await;
        server
    }

    pub async fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.arg("--dir").arg(self.folder.path()).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server runs"));
        until("Redis answers", async || self.ask(redis::cmd("PING")).await.is_ok()).await;
    }

    /// As a crash does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Holds it up, or lets it go on.
    pub fn signal(&self, name: &str) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub async fn ask(&self, command: redis::Cmd) -> redis::RedisResult<redis::Value> {
        let client = Client::open(self.config().url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    }

    pub async fn exists(&self, key: &str) -> redis::Value {
        let mut command = redis::cmd("EXISTS");
        command.arg(key);
        self.ask(command).await.unwrap()
    }

    pub fn config(&self) -> RedisConfig {
        let url = format!("redis://127.0.0.1:{}", self.port);
        RedisConfig { url, prefix: "test".into(), origin: None }
    }

    pub fn node(&self) -> Node {
        self.node_with(64)
    }

    pub fn node_with(&self, queue: usize) -> Node {
        self.start_node(&self.config(), queue, Lease::default())
    }

    /// One whose entries are kept so long.
    pub fn node_of(&self, lease: Lease) -> Node {
        self.start_node(&self.config(), 64, lease)
    }

    /// One that pages reach there.
    pub fn node_at(&self, origin: &Origin) -> Node {
        let config = RedisConfig { origin: Some(origin.clone()), ..self.config() };
        self.start_node(&config, 64, Lease::default())
    }

    fn start_node(&self, config: &RedisConfig, queue: usize, lease: Lease) -> Node {
        let (sender, incoming) = mpsc::channel(queue);
        let metrics = DirectoryMetrics::register(&prometheus::Registry::new()).unwrap();
        let directory = RedisDirectory::start_with(config, sender, metrics.clone(), lease).unwrap();
        Node { directory, incoming, metrics }
    }

    /// Milliseconds that a key is kept for; below 0: it isn't there, or for ever.
    pub async fn kept_for(&self, key: &str) -> i64 {
        let mut command = redis::cmd("PTTL");
        command.arg(key);
        redis::from_redis_value(self.ask(command).await.unwrap()).unwrap()
    }

    /// Two that know each other.
    pub async fn pair(&self) -> (Node, Node) {
        let (a, b) = (self.node(), self.node());
        a.knows(&b).await;
        b.knows(&a).await;
        (a, b)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
