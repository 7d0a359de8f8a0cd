//! The shipper and the consumer against librdkafka's own pretended broker; `tests/product/kafka.rs`
//! has a real one.

use std::path::Path;
use std::time::{Duration, Instant};

use prometheus::Registry;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::shipper::MOST;
use super::*;
use crate::events::kinds::CallAnswered;
use crate::events::testing::{an_hour, start_log};
use crate::events::{Cursor, Data, Event, EventLog, Events, Item, Reader, Source};
use crate::telemetry::events::{EventMetrics, ShipMetrics};

const TOPIC: &str = "events";
const SOON: Duration = Duration::from_secs(60);

struct Scene {
    cluster: MockCluster<'static, DefaultProducerContext>,
    folder: tempfile::TempDir,
    events: Events,
    log: EventLog,
    written: EventMetrics,
    shipped: ShipMetrics,
    said: u64,
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// === impl Scene ===

impl Scene {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 3, 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (events, log, written) = start_log(folder.path(), an_hour(1 << 20)).unwrap();
        let shipped = ShipMetrics::register(&Registry::new()).unwrap();
        Self { cluster, folder, events, log, written, shipped, said: 0 }
    }

    fn kafka(&self) -> KafkaConfig {
        KafkaConfig {
            brokers: vec![self.cluster.bootstrap_servers()],
            topic: TOPIC.to_owned(),
            client_id: "test".to_owned(),
            login: None,
        }
    }

    fn ship(&self) -> Shipper {
        let (events, metrics) = (self.events.clone(), self.shipped.clone());
        Shipper::start(self.kafka(), self.folder.path(), events, metrics).unwrap()
    }

    /// Events of ten calls, numbered; waits until they are logged.
    fn say(&mut self, events: u64) {
        let counter = self.written.written.with_label_values(&["call.answered"]);
        for _ in 0..events {
            let event = Event::new(CallAnswered { after_ms: self.said });
            self.events.emit(event.of_call(format!("c{}", self.said % 10)));
            self.said += 1;
        }
        until("all is written", || counter.get() == self.said);
    }
}

/// What the log of events says was thrown away, and why.
fn told_lost(folder: &Path) -> Vec<(u64, String)> {
    let mut reader = Reader::open(folder, Cursor::default());
    let mut told = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        if let Item::Event(logged) = item
            && let Data::EventsLost(lost) = logged.data().unwrap()
        {
            told.push((lost.events, logged.envelope.cause.unwrap()));
        }
    }
    told
}

#[test]
fn what_the_log_had_no_room_for_is_counted_and_is_an_event() {
    let mut scene = Scene::new();
    scene.cluster.broker_down(1).unwrap();
    let _shipper = scene.ship();
    scene.say(2100);
    let shipped = scene.shipped.clone();
    until("as many are under way as may", || shipped.waiting.get() == MOST as i64);
    scene.say(8000);
    scene.cluster.broker_up(1).unwrap();
    // One more says that they are lost.
    let all = scene.said + 1;
    until("the rest is there", || shipped.shipped.get() + shipped.lost.get() == all);
    let lost = shipped.lost.get();
    assert!(lost > 1000, "{lost}");
    assert_eq!(told_lost(scene.folder.path()), [(lost, "log_full".to_owned())]);
}

#[test]
fn a_line_that_is_damaged_is_passed_over_and_counted() {
    let mut scene = Scene::new();
    scene.say(100);
    let log = scene.folder.path().join(format!("{:020}.jsonl", 0));
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[10] = 0xff;
    std::fs::write(&log, bytes).unwrap();
    let _shipper = scene.ship();
    let shipped = scene.shipped.clone();
    until("the rest is shipped", || shipped.shipped.get() == 99);
    until("it is counted", || shipped.unreadable.get() == 1);
}

#[test]
fn a_group_gets_what_was_shipped_in_order_and_goes_on_where_it_was() {
    let mut scene = Scene::new();
    let shipper = scene.ship();
    let mut source = Source::kafka(&scene.kafka(), "readers").unwrap();
    scene.say(200);
    let numbers = take(&mut source, 200);
    for call in 0..10 {
        let of_call: Vec<u64> = numbers.iter().copied().filter(|n| n % 10 == call).collect();
        assert_eq!(of_call, (0..20).map(|n| n * 10 + call).collect::<Vec<_>>());
    }
    source.commit().unwrap();
    source.commit().unwrap();
    drop(source);
    // The next shipper goes on, too.
    drop(shipper);
    scene.say(10);
    let _shipper = scene.ship();
    let mut source = Source::kafka(&scene.kafka(), "readers").unwrap();
    let mut numbers = take(&mut source, 10);
    numbers.sort_unstable();
    assert_eq!(numbers, (200..210).collect::<Vec<_>>());
    assert_eq!(scene.shipped.shipped.get(), 210);
}

#[test]
fn whoever_keeps_its_places_reads_all_of_the_topic_and_goes_on_from_there() {
    let mut scene = Scene::new();
    let _shipper = scene.ship();
    let kafka = scene.kafka();
    let open = |next| Partitions::open(&kafka, "readers", next).unwrap();
    let mut first = open(Offsets::new());
    scene.say(200);
    assert_eq!(take_all(&mut first, 200), (0..200).collect::<Vec<_>>());
    let marks = marks(&mut first);
    assert_eq!(first.short_of(&marks), 0);
    let kept = first.offsets().clone();
    assert_eq!(kept.values().sum::<i64>(), 200);
    scene.say(10);
    // Others take nothing away, whatever their group.
    let mut second = open(kept);
    assert_eq!(take_all(&mut first, 10), (200..210).collect::<Vec<_>>());
    assert_eq!(take_all(&mut second, 10), (200..210).collect::<Vec<_>>());
    let marks = self::marks(&mut second);
    assert_eq!((second.short_of(&marks), open(Offsets::new()).short_of(&marks)), (0, 210));
}

#[test]
fn what_waits_is_known_a_second_later_while_it_is_read_and_nobody_is_asked() {
    let mut scene = Scene::new();
    let _shipper = scene.ship();
    let mut reader = Partitions::open(&scene.kafka(), "readers", Offsets::new()).unwrap();
    assert_eq!(reader.waiting(), None);
    scene.say(1000);
    let shipped = scene.shipped.shipped.clone();
    until("all is shipped", || shipped.get() == 1000);
    // One after the other: what was given counts, and not what lies ready.
    let mut given = 0;
    until("what waits is told", || {
        given += take_all(&mut reader, 1).len() as u64;
        reader.waiting().is_some()
    });
    assert!(given < 1000, "it wasn't told while there was more");
    assert_eq!(reader.waiting(), Some(1000 - given));
    assert!(reader.is_up());
    take_all(&mut reader, 1000 - given as usize);
    assert_eq!(reader.waiting(), Some(0));
    scene.cluster.broker_down(1).unwrap();
    until("the broker is missed", || {
        reader.next(Duration::from_millis(50)).unwrap();
        !reader.is_up()
    });
    scene.cluster.broker_up(1).unwrap();
    until("it is there again", || {
        reader.next(Duration::from_millis(50)).unwrap();
        reader.is_up()
    });
}

/// What the topic holds. What comes meanwhile is not looked at.
fn marks(partitions: &mut Partitions) -> Vec<Mark> {
    let mut found = None;
    until("a broker says what there is", || {
        assert!(partitions.next(Duration::from_millis(50)).unwrap().is_none());
        found = partitions.marks();
        found.is_some()
    });
    found.unwrap()
}

/// In the order in which they were said.
fn take_all(partitions: &mut Partitions, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    until("all are given", || {
        while numbers.len() < count
            && let Some(given) = partitions.next(Duration::from_millis(100)).unwrap()
        {
            let Given::Event { logged, .. } = given else { panic!("{given:?}") };
            let Data::CallAnswered(data) = logged.data().unwrap() else { panic!("{logged:?}") };
            numbers.push(data.after_ms);
        }
        numbers.len() == count
    });
    numbers.sort_unstable();
    numbers
}

#[test]
fn the_log_itself_is_a_source_of_what_comes_from_now_on() {
    let mut scene = Scene::new();
    let mut first = Source::log(scene.folder.path()).unwrap();
    scene.say(100);
    let mut second = Source::log(scene.folder.path()).unwrap();
    scene.say(10);
    assert_eq!(take(&mut first, 110), (0..110).collect::<Vec<_>>());
    assert_eq!(take(&mut second, 10), (100..110).collect::<Vec<_>>());
    assert!(second.next(Duration::ZERO).unwrap().is_none());
    scene.log.close();
}

fn take(source: &mut Source, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    until("all are given", || {
        while numbers.len() < count
            && let Some(Item::Event(logged)) = source.next(Duration::from_millis(100)).unwrap()
        {
            let Data::CallAnswered(data) = logged.data().unwrap() else { panic!("{logged:?}") };
            numbers.push(data.after_ms);
        }
        numbers.len() == count
    });
    numbers
}
