//! One of a consumer group.

use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::watch::Watch;
use super::{KafkaConfig, KafkaFault};
use crate::events::event::Logged;

/// Takes events from the topic's beginning, or from where its group was. Others of the group have
/// other partitions. An event may come again: consumers tell by its id.
pub struct Consumer {
    inner: BaseConsumer<Watch>,
    watch: Watch,
    unreadable: u64,
}

// === impl Consumer ===

impl Consumer {
    pub fn new(config: &KafkaConfig, group: &str) -> Result<Self, KafkaFault> {
        let watch = Watch::new(Instant::now());
        let inner: BaseConsumer<Watch> = config
            .consumer(group)
            .set("enable.auto.offset.store", "true")
            // One that is killed is missed soon: brokers allow no less.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1500")
            // A topic that isn't there yet is found soon.
            .set("topic.metadata.refresh.interval.ms", "30000")
            .create_with_context(watch.clone())?;
        inner.subscribe(&[&config.topic])?;
        Ok(Self { inner, watch, unreadable: 0 })
    }

    /// Waits for one, but not longer than `at_most`.
    pub fn next(&mut self, at_most: Duration) -> Result<Option<Logged>, KafkaFault> {
        let message = match self.inner.poll(at_most) {
            None => return Ok(None),
            Some(Ok(message)) => message,
            Some(Err(error)) => return self.watch.handle_error(error).map(|()| None),
        };
        self.watch.handle_record();
        let logged = Logged::read(message.payload().unwrap_or_default()).ok();
        self.unreadable += u64::from(logged.is_none());
        Ok(logged)
    }

    /// Records that were no events, and were passed over.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Everything that was given out is done: the group won't get it again.
    pub fn commit(&self) -> Result<(), KafkaFault> {
        match self.inner.commit_consumer_state(CommitMode::Sync) {
            // Nothing new.
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
            committed => Ok(committed?),
        }
    }
}
