//! Nodes with a real Redis, which is killed and comes back.

use super::*;

mod keys;
mod server;

use server::Server;

struct Node {
    directory: RedisDirectory,
    incoming: mpsc::Receiver<Incoming>,
    metrics: DirectoryMetrics,
}

// === impl Node ===

impl Node {
    fn id(&self) -> NodeId {
        self.directory.node().clone()
    }

    async fn knows(&self, other: &Self) {
        let id = other.id();
        until("nodes know each other", async || lock(&self.directory.shared.roster).lives(&id))
            .await;
    }

    async fn is(&self, health: Health) {
        let mut told = self.directory.health();
        let reached = told.wait_for(|now| *now == health);
        tokio::time::timeout(WAIT, reached).await.expect("in time").unwrap();
    }

    fn connect(&self, user: &str, device: &str) -> Registration {
        self.directory.register(entry(user, device, "{}")).unwrap()
    }

    /// Devices as `device@node`, where node is a or b or another's id, and whether that is all.
    async fn find(&self, user: &str) -> (Vec<String>, bool) {
        let found = self.directory.find(&user.parse().unwrap()).await;
        let mut devices: Vec<String> =
            found.devices.iter().map(|d| format!("{}@{}", d.entry.device, d.node)).collect();
        devices.sort();
        (devices, found.complete)
    }

    async fn finds(&self, user: &str, expected: &[&str]) {
        until("devices are found", async || {
            let (devices, complete) = self.find(user).await;
            complete && devices == expected
        })
        .await;
    }

    /// What isn't the coming of a node.
    async fn hears(&mut self) -> Incoming {
        loop {
            let heard = tokio::time::timeout(WAIT, self.incoming.recv()).await;
            match heard.expect("in time").unwrap() {
                Incoming::NodeHere(_) => {}
                heard => return heard,
            }
        }
    }

    /// The bodies of so many messages.
    async fn hears_bodies(&mut self, many: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.len() < many {
            match self.hears().await {
                Incoming::Message { body, .. } => bodies.push(body),
                Incoming::NodeHere(_) => {}
                gone => panic!("{gone:?} after {bodies:?}"),
            }
        }
        bodies
    }
}

const WAIT: Duration = Duration::from_secs(20);

async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !ask().await {
        assert!(begin.elapsed() < WAIT, "{what}: not within {WAIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn entry(user: &str, device: &str, capabilities: &str) -> Entry {
    let capabilities = capabilities.into();
    Entry { user: user.parse().unwrap(), device: device.parse().unwrap(), capabilities }
}

/// Many messages under way at once, in the order of their numbers.
async fn send_all(from: &Node, to: &NodeId, bodies: impl Iterator<Item = usize>) {
    let sends: Vec<_> = bodies.map(|n| from.directory.send(to, n.to_string())).collect();
    for send in sends {
        assert_eq!(send.await, Ok(()));
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_found_from_every_node_with_what_it_can_do() {
    let server = Server::start().await;
    let (a, b) = server.pair().await;
    let on_a = a.directory.register(entry("anna", "d1", r#"{"codecs": ["vp8"]}"#)).unwrap();
    let on_b = b.connect("anna", "d2");
    let (d1, d2) = (format!("d1@{}", a.id()), format!("d2@{}", b.id()));
    a.finds("anna", &[&d1, &d2]).await;
    b.finds("anna", &[&d1, &d2]).await;
    let found = b.directory.find(&"anna".parse().unwrap()).await;
    let phone = found.devices.iter().find(|d| d.node == a.id()).unwrap();
    assert_eq!(&*phone.entry.capabilities, r#"{"codecs": ["vp8"]}"#);
    // The device moves to another node before its old one notices.
    let moved = b.connect("anna", "d1");
    let d1_on_b = format!("d1@{}", b.id());
    b.finds("anna", &[&d1_on_b, &d2]).await;
    drop(on_a);
    a.finds("anna", &[&d1_on_b, &d2]).await;
    drop((moved, on_b));
    a.finds("anna", &[]).await;
    let left = server.exists("test:1:user:anna").await;
    assert_eq!(left, redis::Value::Int(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_tells_everything_anew_takes_no_device_back_that_has_moved() {
    let mut server = Server::start().await;
    let (a, b) = server.pair().await;
    let old = a.connect("anna", "d1");
    let d1_on_a = format!("d1@{}", a.id());
    b.finds("anna", &[&d1_on_a]).await;
    // Its socket is lost, and it connects to the other node before the session on this one is over.
    old.lose();
    let moved = b.connect("anna", "d1");
    let d1_on_b = format!("d1@{}", b.id());
    let on_b = [d1_on_b.as_str()];
    let value = async || {
        let mut ask = redis::cmd("HGET");
        ask.arg("test:1:user:anna").arg("d1");
        redis::from_redis_value::<Option<String>>(server.ask(ask).await.unwrap()).unwrap()
    };
    let is_of_b = async || value().await.is_some_and(|value| value.starts_with(b.id().as_str()));
    until("the device is on the other node", async || is_of_b().await).await;
    a.directory.shared.local.all_changed();
    let marker = a.connect("marker", "m");
    b.finds("marker", &[&format!("m@{}", a.id())]).await;
    assert!(is_of_b().await, "{:?}", value().await);
    b.finds("anna", &on_b).await;
    drop((moved, marker));
    // Where nobody else has it, it is told of.
    server.kill();
    a.is(Health::Down).await;
    server.start_again().await;
    b.finds("anna", &[&d1_on_a]).await;
    drop(old);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_on_another_node_once_and_in_order() {
    let server = Server::start().await;
    let (a, mut b) = server.pair().await;
    send_all(&a, &b.id(), 0..50).await;
    assert_eq!(b.hears_bodies(50).await, numbers(0..50));
    assert_eq!(b.metrics.received.get(), 50);
    a.directory.send(&b.id(), "ring".into()).await.unwrap();
    assert_eq!(b.hears().await, Incoming::Message { from: a.id(), body: "ring".into() });
    let begin = Instant::now();
    for n in 0..20 {
        a.directory.send(&b.id(), n.to_string()).await.unwrap();
    }
    // There and back, and neither end waits for its tick.
    assert!(begin.elapsed() < 20 * session::TICK / 2, "{:?}", begin.elapsed());
    assert_eq!(b.hears_bodies(20).await, numbers(0..20));
    let stranger = NodeId::random().unwrap();
    assert_eq!(a.directory.send(&stranger, String::new()).await, Err(SendError::NodeGone));
    let long = "x".repeat(MAX_BODY + 1);
    assert_eq!(a.directory.send(&b.id(), long).await, Err(SendError::TooLong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_queue_is_full_is_waited_for() {
    let server = Server::start().await;
    let a = server.node();
    let mut b = server.node_with(2);
    a.knows(&b).await;
    let (id, all) = (b.id(), numbers(0..9));
    let (_, heard) = tokio::join!(send_all(&a, &id, 0..9), async {
        until("the queue is full", async || {
            b.metrics.dropped.with_label_values(&["early"]).get() > 0
        })
        .await;
        b.hears_bodies(9).await
    });
    assert_eq!(heard, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_twice_is_taken_once() {
    let server = Server::start().await;
    let (a, mut b) = server.pair().await;
    send_all(&a, &b.id(), 0..3).await;
    assert_eq!(b.hears_bodies(3).await, numbers(0..3));
    // The frame that the sender would send again.
    let numbered = super::super::link::Numbered { base: 1, seq: 2, body: "again".to_owned() };
    let frame = super::super::wire::Frame::message(&a.id(), numbered);
    let text = serde_json::to_string(&frame).unwrap();
    for text in [text.as_str(), "damaged"] {
        let mut add = redis::cmd("XADD");
        add.arg(format!("test:1:inbox:{}", b.id())).arg("*").arg("f").arg(text);
        server.ask(add).await.unwrap();
    }
    let dropped = |label: &str| b.metrics.dropped.with_label_values(&[label]).get();
    until("both are read", async || dropped("unreadable") == 1 && dropped("repeated") == 1).await;
    send_all(&a, &b.id(), 3..4).await;
    assert_eq!(b.hears_bodies(1).await, numbers(3..4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_killed_is_gone_with_its_devices_within_ten_seconds() {
    let server = Server::start().await;
    let (a, mut b) = server.pair().await;
    let on_a = a.connect("anna", "d1");
    let (d1, id) = (format!("d1@{}", a.id()), a.id());
    b.finds("anna", &[&d1]).await;
    let begin = Instant::now();
    lock(&a.directory.task).take().unwrap().abort();
    let waiting = b.directory.send(&id, "ring".into());
    let (outcome, heard) = tokio::join!(waiting, b.hears());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(heard, Incoming::NodeGone(id.clone()));
    assert_eq!(outcome, Err(SendError::NodeGone));
    assert_eq!(b.find("anna").await, (vec![], true));
    drop((on_a, a));
    // What it left is cleared away.
    let left = server.exists("test:1:user:anna").await;
    assert_eq!(left, redis::Value::Int(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_is_missed_at_once() {
    let server = Server::start().await;
    let (a, mut b) = server.pair().await;
    // The time in which nobody is missed.
    until("judging begins", async || !lock(&b.directory.shared.roster).is_patient()).await;
    let (id, begin) = (a.id(), Instant::now());
    a.directory.leave().await;
    assert_eq!(b.hears().await, Incoming::NodeGone(id));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_node_finds_and_reaches_its_own_devices() {
    let mut server = Server::start().await;
    let (mut a, b) = server.pair().await;
    let (on_a, on_b) = (a.connect("anna", "d1"), b.connect("anna", "d2"));
    let (d1, d2) = (format!("d1@{}", a.id()), format!("d2@{}", b.id()));
    a.finds("anna", &[&d1, &d2]).await;
    assert_eq!(a.metrics.up.get(), 1);
    server.kill();
    a.is(Health::Down).await;
    b.is(Health::Down).await;
    assert_eq!(a.metrics.up.get(), 0);
    assert_eq!(a.find("anna").await, (vec![d1.clone()], false));
    let later = a.connect("carl", "d3");
    assert_eq!(a.find("carl").await, (vec![format!("d3@{}", a.id())], false));
    let id = a.id();
    a.directory.send(&id, "ring".into()).await.unwrap();
    assert_eq!(a.hears_bodies(1).await, ["ring"]);
    // One that goes meanwhile isn't there afterwards.
    drop(on_b);
    server.start_again().await;
    a.is(Health::Up).await;
    b.is(Health::Up).await;
    b.finds("anna", &[&d1]).await;
    b.finds("carl", &[&format!("d3@{}", a.id())]).await;
    drop((on_a, later));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_is_not_waited_for() {
    let server = Server::start().await;
    let (a, b) = server.pair().await;
    let on_a = a.connect("anna", "d1");
    let d1 = format!("d1@{}", a.id());
    b.finds("anna", &[&d1]).await;
    server.signal("-STOP");
    a.is(Health::Down).await;
    let begin = Instant::now();
    assert_eq!(a.find("anna").await, (vec![d1.clone()], false));
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
    server.signal("-CONT");
    b.finds("anna", &[&d1]).await;
    drop(on_a);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_loses_everything_loses_no_message_and_nobody_is_declared_gone() {
    let mut server = Server::start().await;
    let (a, mut b) = server.pair().await;
    send_all(&a, &b.id(), 0..5).await;
    assert_eq!(b.hears_bodies(5).await, numbers(0..5));
    server.kill();
    a.is(Health::Down).await;
    let id = b.id();
    let (_, heard) = tokio::join!(send_all(&a, &id, 5..25), async {
        server.start_again().await;
        b.hears_bodies(20).await
    });
    // Were the other declared gone, that would stand among them.
    assert_eq!(heard, numbers(5..25));
    until("judging begins", async || !lock(&b.directory.shared.roster).is_patient()).await;
    a.knows(&b).await;
    send_all(&a, &id, 25..26).await;
    assert_eq!(b.hears_bodies(1).await, numbers(25..26));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_brought_is_told_so_in_time() {
    let mut server = Server::start().await;
    let (a, b) = server.pair().await;
    server.kill();
    let begin = Instant::now();
    let outcome = a.directory.send(&b.id(), "ring".into()).await;
    assert_eq!(outcome, Err(SendError::Timeout));
    let took = begin.elapsed();
    assert!(took >= DEADLINE && took < DEADLINE + Duration::from_secs(3), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_without_redis_and_joins_when_it_is_there() {
    let mut server = Server::start().await;
    server.kill();
    let a = server.node();
    let on_a = a.connect("anna", "d1");
    assert_eq!(a.find("anna").await, (vec![format!("d1@{}", a.id())], false));
    server.start_again().await;
    let b = server.node();
    b.finds("anna", &[&format!("d1@{}", a.id())]).await;
    drop(on_a);
    let nonsense = RedisConfig { url: "nonsense".into(), prefix: String::new(), origin: None };
    let made = RedisDirectory::start(&nonsense, mpsc::channel(1).0, a.metrics.clone());
    assert!(matches!(made.err(), Some(RedisError::Url)));
}
