//! What a consumer's client says of itself while it is polled: whether a broker is there, what it
//! holds, and what went wrong.
//!
//! Lock order: `Known` alone, and nothing is called while it is held.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;
use tracing::{debug, info, warn};

use super::KafkaFault;

/// Clones are the same client's.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<Known>>);

struct Known {
    reach: Reach,
    /// By topic and partition.
    held: BTreeMap<(String, i32), Held>,
    /// The last thing of which the operator was told.
    trouble: Option<RDKafkaErrorCode>,
}

/// What a partition holds, as the last answer had it: the first offset and the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub first: i64,
    pub end: i64,
}

/// Whether a broker is there, which may be away for a moment.
#[derive(Debug)]
struct Reach {
    /// The last word: a connection is up.
    connected: bool,
    /// Of the last such word, or when this began.
    since: Instant,
    /// The operator was told that nobody is there.
    away: bool,
    ever: bool,
}

/// How often the client says how it is.
pub const SAY: &str = "1000";
/// With no connection for so long, the operator is told.
const AWAY_AFTER: Duration = Duration::from_secs(3);

/// What is read of librdkafka's statistics (its STATISTICS.md).
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: BTreeMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    partition: i32,
    lo_offset: i64,
    hi_offset: i64,
}

// === impl Watch ===

impl Watch {
    pub fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Known {
            reach: Reach::new(now),
            held: BTreeMap::new(),
            trouble: None,
        })))
    }

    /// Whether a broker is there, as far as it is known.
    pub fn is_up(&self) -> bool {
        self.lock().reach.is_up()
    }

    /// Whether a connection was up when the client last said so.
    pub fn is_connected(&self) -> bool {
        self.lock().reach.connected
    }

    /// None: nobody has said so yet.
    pub fn held(&self, topic: &str, partition: i32) -> Option<Held> {
        self.lock().held.get(&(topic.to_owned(), partition)).copied()
    }

    /// A record came: what is wrong after that is told again.
    pub fn handle_record(&self) {
        self.lock().trouble = None;
    }

    /// What polling gave instead of a record. The client gets over all of it by itself but what is
    /// fatal: a broker that is away, or not to be found, or refuses, may be another time.
    pub fn handle_error(&self, error: KafkaError) -> Result<(), KafkaFault> {
        let KafkaError::MessageConsumption(code) = error else { return Err(error.into()) };
        // Told by `Reach`, and waited for.
        let is_quiet = matches!(
            code,
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::UnknownTopicOrPartition
        );
        if !is_quiet && self.lock().trouble.replace(code) != Some(code) {
            warn!(%error, "events are waited for");
        }
        Ok(())
    }

    fn handle_statistics(&self, statistics: Statistics, now: Instant) {
        let up = |broker: &Broker| matches!(broker.state.as_str(), "UP" | "UPDATE");
        let connected = statistics.brokers.values().any(up);
        let mut held = BTreeMap::new();
        for (name, topic) in statistics.topics {
            for of in topic.partitions.into_values().filter(|of| of.hi_offset >= 0) {
                let of_all = Held { first: of.lo_offset.max(0), end: of.hi_offset };
                held.insert((name.clone(), of.partition), of_all);
            }
        }
        let turned = {
            let mut known = self.lock();
            known.held = held;
            known.reach.handle(connected, now)
        };
        match turned {
            Some(true) => info!("a broker of Kafka answers again"),
            Some(false) => warn!("no broker of Kafka answers: events wait there"),
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Watch {
    // Whether events come is what counts, and that is told above.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(?level, facility, message, "kafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "kafka");
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(statistics) => self.handle_statistics(statistics, Instant::now()),
            Err(error) => debug!(%error, "statistics that can't be read"),
        }
    }
}

impl ConsumerContext for Watch {}

// === impl Reach ===

impl Reach {
    fn new(now: Instant) -> Self {
        Self { connected: false, since: now, away: false, ever: false }
    }

    fn is_up(&self) -> bool {
        self.connected || self.ever && !self.away
    }

    /// Gives what the operator is to be told: whether a broker is there.
    fn handle(&mut self, connected: bool, now: Instant) -> Option<bool> {
        self.connected = connected;
        self.ever |= connected;
        if connected {
            self.since = now;
        }
        let away = now - self.since > AWAY_AFTER;
        (std::mem::replace(&mut self.away, away) != away).then_some(!away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_away_once_it_was_missed_for_a_while_and_each_turn_is_told_once() {
        let begin = Instant::now();
        let mut reach = Reach::new(begin);
        assert!(!reach.is_up(), "nobody has answered yet");
        for (at, connected, told, up) in [
            (1, true, None, true),
            (2, false, None, true),
            (4, false, None, true),
            (5, false, Some(false), false),
            (9, false, None, false),
            (10, true, Some(true), true),
            (11, true, None, true),
        ] {
            let now = begin + Duration::from_secs(at);
            assert_eq!((reach.handle(connected, now), reach.is_up()), (told, up), "{at}");
        }
        let mut never = Reach::new(begin);
        assert_eq!(never.handle(false, begin + Duration::from_secs(4)), Some(false));
    }

    #[test]
    fn statistics_say_who_is_there_and_what_they_hold() {
        let now = Instant::now();
        let watch = Watch::new(now);
        let say = |state: &str| {
            let text = format!(
                r#"{{"brokers": {{"a/1": {{"state": "DOWN"}}, "b/2": {{"state": "{state}"}}}},
                "topics": {{"events": {{"partitions": {{
                    "0": {{"partition": 0, "lo_offset": 5, "hi_offset": 9, "more": []}},
                    "1": {{"partition": 1, "lo_offset": -1001, "hi_offset": -1001}},
                    "2": {{"partition": 2, "lo_offset": -1001, "hi_offset": 3}}}}}}}}}}"#
            );
            watch.stats_raw(text.as_bytes());
        };
        say("UP");
        assert!(watch.is_connected());
        assert_eq!(watch.held("events", 0), Some(Held { first: 5, end: 9 }));
        assert_eq!(watch.held("events", 1), None);
        assert_eq!(watch.held("events", 2), Some(Held { first: 0, end: 3 }));
        assert_eq!(watch.held("others", 0), None);
        say("CONNECT");
        assert!(!watch.is_connected() && watch.is_up());
        watch.stats_raw(b"{");
    }

    #[test]
    fn nothing_but_what_is_fatal_ends_a_consumer() {
        let watch = Watch::new(Instant::now());
        for code in [
            RDKafkaErrorCode::Resolve,
            RDKafkaErrorCode::AllBrokersDown,
            RDKafkaErrorCode::Authentication,
            RDKafkaErrorCode::TopicAuthorizationFailed,
        ] {
            watch.handle_error(KafkaError::MessageConsumption(code)).unwrap();
        }
        let fatal = KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::Fatal);
        watch.handle_error(fatal).unwrap_err();
    }
}
