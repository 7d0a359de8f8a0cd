//! Events of all nodes, from Kafka: all partitions are this process's, and each is read from the
//! offset that stands in the database beside the sums.

use std::time::{Duration, Instant};

use super::source::{Source, SourceError, Taken};
use super::store::Positions;
use crate::events::{Given, KafkaConfig, Mark, Offsets, Partitions};
use crate::telemetry::analytics::AnalyticsMetrics;

pub struct KafkaSource {
    partitions: Partitions,
    /// In front of a partition's number among the positions.
    prefix: String,
    metrics: AnalyticsMetrics,
    /// When it was asked what there is.
    asked: Option<Instant>,
    /// What there was at a time.
    marks: Option<(u64, Vec<Mark>)>,
}

/// How long one waits for an event.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often it is asked what there is.
const ASK: Duration = Duration::from_secs(2);

// === impl KafkaSource ===

impl KafkaSource {
    /// `group`: the name under which brokers are told how far it is.
    pub fn open(
        config: &KafkaConfig,
        group: &str,
        positions: &Positions,
        metrics: AnalyticsMetrics,
    ) -> Result<Self, SourceError> {
        let prefix = format!("kafka:{}:", config.topic);
        let mut next = Offsets::new();
        for (name, position) in positions {
            let partition = name.strip_prefix(&prefix).and_then(|number| number.parse().ok());
            let Some(partition) = partition else { return Err(SourceError::Another) };
            next.extend(position.parse().ok().map(|offset: i64| (partition, offset)));
        }
        let partitions = Partitions::open(config, group, next).map_err(failed)?;
        Ok(Self { partitions, prefix, metrics, asked: None, marks: None })
    }
}

impl Source for KafkaSource {
    /// Brokers may be away: closing a consumer waits for them, for the time of a session.
    const FAREWELL: Option<Duration> = Some(Duration::from_secs(2));

    fn next(&mut self) -> Result<Option<Taken>, SourceError> {
        let given = self.partitions.next(PATIENCE).map_err(failed)?;
        if given.is_none() {
            self.metrics.kafka_up.set(i64::from(self.partitions.is_up()));
        }
        Ok(given.map(|given| match given {
            Given::Event { partition, logged } => {
                Taken::Event { place: 1 + partition.unsigned_abs(), logged }
            }
            Given::Lost(events) => Taken::Lost(events),
        }))
    }

    /// A broker may be slow, or away.
    fn sees_its_end(&self) -> bool {
        false
    }

    fn positions(&self) -> Vec<(String, String)> {
        let offsets = self.partitions.offsets().iter();
        offsets
            .map(|(number, next)| (format!("{}{number}", self.prefix), next.to_string()))
            .collect()
    }

    fn kept(&mut self) {
        self.partitions.tell_group();
    }

    fn unreadable(&self) -> u64 {
        self.partitions.unreadable()
    }

    /// Events.
    fn waiting(&self) -> Option<u64> {
        self.partitions.waiting()
    }

    /// That nothing comes says nothing: a broker may be away. And it may never stop.
    fn complete_until(&mut self, now_ms: u64, _: bool) -> Option<u64> {
        if self.marks.is_none() && self.asked.is_none_or(|at| at.elapsed() >= ASK) {
            self.asked = Some(Instant::now());
            self.marks = self.partitions.marks().map(|marks| (now_ms, marks));
        }
        let (_, marks) = self.marks.as_ref()?;
        if self.partitions.short_of(marks) > 0 {
            return None;
        }
        self.marks.take().map(|(at_ms, _)| at_ms)
    }
}

fn failed(error: impl std::fmt::Display) -> SourceError {
    SourceError::Broker(error.to_string())
}
