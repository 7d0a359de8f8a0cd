//! Events of all nodes, from Kafka.
//!
//! All partitions are this process's, and each is read from the offset that stands in the database
//! beside the sums. The group is told how far that is, for whoever watches its lag; nothing is read
//! from there but in a new database.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message as _};
use tracing::warn;

use super::source::{Source, SourceError, Taken};
use super::store::Positions;
use crate::events::Logged;

/// The name by which it is one consumer at the broker.
const GROUP: &str = "stentor-analytics";
/// How long one waits for an event.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the broker may take to say what partitions there are.
const METADATA: Duration = Duration::from_secs(3);
/// How often it is asked for new ones.
const LOOK: Duration = Duration::from_secs(30);
/// How often while there are none.
const LOOK_FIRST: Duration = Duration::from_millis(500);

pub struct KafkaSource {
    consumer: BaseConsumer,
    topic: String,
    /// Of each partition where to go on.
    next: HashMap<i32, i64>,
    assigned: Vec<i32>,
    looked: Option<Instant>,
    unreadable: u64,
}

// === impl KafkaSource ===

impl KafkaSource {
    /// `client` says where the brokers are and who asks.
    pub fn open(
        mut client: ClientConfig,
        topic: &str,
        positions: &Positions,
    ) -> Result<Self, SourceError> {
        let prefix = name_of(topic, "");
        if positions.keys().any(|name| !name.starts_with(&prefix)) {
            return Err(SourceError::Another);
        }
        let consumer = client
            .set("group.id", GROUP)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            // What waits in memory, at most.
            .set("queued.max.messages.kbytes", "16384")
            .create()
            .map_err(failed)?;
        let next = positions.iter().filter_map(|(name, position)| {
            Some((name.strip_prefix(&prefix)?.parse().ok()?, position.parse().ok()?))
        });
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            next: next.collect(),
            assigned: Vec::new(),
            looked: None,
            unreadable: 0,
        })
    }

    /// Reads all partitions that there are, new ones from their beginning.
    fn look(&mut self) -> Result<(), SourceError> {
        let pause = if self.assigned.is_empty() { LOOK_FIRST } else { LOOK };
        if self.looked.is_some_and(|at| at.elapsed() < pause) {
            return Ok(());
        }
        let metadata =
            self.consumer.fetch_metadata(Some(self.topic.as_str()), METADATA).map_err(failed)?;
        self.looked = Some(Instant::now());
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let partitions = topic.map_or_else(Vec::new, |topic| {
            let mut ids: Vec<i32> = topic.partitions().iter().map(|p| p.id()).collect();
            ids.sort_unstable();
            ids
        });
        if partitions == self.assigned {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            let begin =
                self.next.get(partition).map_or(Offset::Beginning, |at| Offset::Offset(*at));
            list.add_partition_offset(&self.topic, *partition, begin).map_err(failed)?;
        }
        self.consumer.assign(&list).map_err(failed)?;
        self.assigned = partitions;
        Ok(())
    }

    fn list(&self) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, at) in &self.next {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*at))?;
        }
        Ok(list)
    }
}

impl Source for KafkaSource {
    fn next(&mut self) -> Result<Option<Taken>, SourceError> {
        self.look()?;
        loop {
            let message = match self.consumer.poll(PATIENCE) {
                None => return Ok(None),
                Some(Ok(message)) => message,
                // Brokers that are away, and a topic that isn't there yet, may come.
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::BrokerTransportFailure,
                ))) => return Ok(None),
                Some(Err(error)) => return Err(failed(error)),
            };
            let (partition, offset) = (message.partition(), message.offset());
            let next = self.next.entry(partition).or_default();
            // A fetch that was under way when the place was set.
            if offset < *next {
                continue;
            }
            *next = offset + 1;
            match Logged::read(message.payload().unwrap_or_default()) {
                Ok(logged) => {
                    let place = 1 + partition.unsigned_abs();
                    return Ok(Some(Taken::Event { place, logged: Box::new(logged) }));
                }
                Err(_) => self.unreadable += 1,
            }
        }
    }

    fn positions(&self) -> Vec<(String, String)> {
        let position = |(partition, at): (&i32, &i64)| {
            (name_of(&self.topic, &partition.to_string()), at.to_string())
        };
        self.next.iter().map(position).collect()
    }

    fn kept(&mut self) {
        let list = self.list();
        let told = list.and_then(|list| self.consumer.commit(&list, CommitMode::Async));
        if let Err(error) = told {
            warn!(%error, "the group isn't told how far analytics are");
        }
    }

    fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Events.
    fn waiting(&self) -> Option<u64> {
        let mut waiting = 0;
        for partition in &self.assigned {
            let marks = self.consumer.fetch_watermarks(&self.topic, *partition, PATIENCE * 10);
            let (first, end) = marks.ok()?;
            let next = self.next.get(partition).copied().unwrap_or(first);
            waiting += end.saturating_sub(next.max(first)).max(0) as u64;
        }
        Some(waiting)
    }
}

/// A partition's name among the positions.
fn name_of(topic: &str, partition: &str) -> String {
    format!("kafka:{topic}:{partition}")
}

fn failed(error: KafkaError) -> SourceError {
    SourceError::Broker(format!("Kafka: {error}"))
}
