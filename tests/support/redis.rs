//! A real Redis that keeps nothing: started, killed as by a crash, started again.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Client, Cmd, RedisResult, Value};

use super::wait::until;

/// Killed when dropped.
pub struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

const START: Duration = Duration::from_secs(20);

// === impl Redis ===

impl Redis {
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut redis = Self { folder: tempfile::tempdir().unwrap(), port, process: None };
        redis.start_again().await;
        redis
    }

    pub async fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.arg("--dir").arg(self.folder.path()).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server runs"));
        until("Redis answers", START, async || {
            self.ask(&redis::cmd("PING")).await.map_err(|error| error.to_string())
        })
        .await;
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        let mut connection = Client::open(self.url())?.get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
