//! A real Apache Kafka (KRaft, one node) from its jars: started, killed as by a crash, started
//! again on what it kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use serde_json::Value;

use super::daemon::free_port;
use super::machine::succeed;
use super::until;

/// Killed when dropped.
pub struct Kafka {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

/// What a topic holds, in its order within each partition.
pub struct Topic {
    consumer: BaseConsumer,
    /// By partition.
    pub events: BTreeMap<i32, Vec<Value>>,
}

/// Of a topic that is made by being written to.
const PARTITIONS: i32 = 3;
/// After a kill the broker is let in again once its session before has ended: see
/// `broker.session.timeout.ms`.
const START: Duration = Duration::from_secs(60);

/// Fast to start rather than to run, and small.
const JAVA: &[&str] = &["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx384m"];

// === impl Kafka ===

impl Kafka {
    pub async fn start() -> Self {
        let (port, control) = (free_port("127.0.0.1"), free_port("127.0.0.1"));
        let mut kafka = Self { folder: tempfile::tempdir().unwrap(), port, process: None };
        let folder = kafka.folder.path();
        let data = folder.join("data");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{control}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             log.dirs={}\nnum.partitions={PARTITIONS}\nauto.create.topics.enable=true\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             group.initial.rebalance.delay.ms=0\n\
             broker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=300\n",
            data.display()
        );
        fs::write(folder.join("server.properties"), text).unwrap();
        let id = "MkU3OEVBNTcwNTJENDM2Qk";
        succeed(
            java(folder)
                .args(["kafka.tools.StorageTool", "format", "-t", id, "-c"])
                .arg("server.properties"),
        );
        kafka.start_again().await;
        kafka
    }

    pub async fn start_again(&mut self) {
        self.spawn();
        until("Kafka listens", START, async || {
            let connected = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await;
            connected.map(drop).map_err(|error| format!("{error}: {}", self.log()))
        })
        .await;
    }

    /// Starts it again, and waits for nothing.
    pub fn spawn(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = java(self.folder.path());
        command.args(["kafka.Kafka", "server.properties"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().expect("java runs"));
    }

    /// As a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub fn broker(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Lines of a daemon's configuration.
    pub fn config(&self) -> String {
        format!("[events.kafka]\nbrokers = [\"{}\"]\n", self.broker())
    }

    /// A topic, from its beginning. Nothing is kept of how far it was read.
    pub fn topic(&self, name: &str) -> Topic {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.broker())
            .set("group.id", format!("test-{}", self.port))
            .set("enable.auto.commit", "false")
            .set("topic.metadata.refresh.interval.ms", "1000")
            .set("reconnect.backoff.max.ms", "1000")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            all.add_partition_offset(name, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&all).unwrap();
        Topic { consumer, events: BTreeMap::new() }
    }

    /// Waits until a topic's partitions are shared out among so many of a group.
    pub async fn shared_by(&self, group: &str, members: usize) {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", self.broker()).create().unwrap();
        until("all are in the group", START, async || {
            let found = client.fetch_group_list(Some(group), Duration::from_secs(5));
            let list = found.map_err(|error| error.to_string())?;
            let stable = list.groups().iter().filter(|group| group.state() == "Stable");
            let there: usize = stable.map(|group| group.members().len()).sum();
            super::wait::check(there == members, there)
        })
        .await;
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.kill();
    }
}

// === impl Topic ===

impl Topic {
    /// Reads what there is until nothing comes for so long. Errors are a broker that is away.
    pub fn read(&mut self, quiet: Duration) {
        while let Some(message) = self.consumer.poll(quiet) {
            let Ok(message) = message else { continue };
            let event = serde_json::from_slice(message.payload().unwrap()).unwrap();
            self.events.entry(message.partition()).or_default().push(event);
        }
    }

    pub fn count(&self) -> usize {
        self.events.values().map(Vec::len).sum()
    }
}

fn java(folder: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(JAVA).env("CLASSPATH", format!("{}/*", jars().display()));
    // Its own log files go here, too.
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Where `.ci/test-tools` puts them.
fn jars() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let jars = target.unwrap_or_else(|| super::root().join("target")).join("kafka");
    assert!(jars.is_dir(), "{} is missing: make test-deps", jars.display());
    jars
}
