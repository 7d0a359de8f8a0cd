//! The producer, and what it says of each record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::{KafkaConfig, KafkaFault};

/// An idempotent producer: within a partition, records arrive in order and once.
pub struct Producer {
    inner: BaseProducer<Reports>,
    topic: String,
    reports: Reports,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub number: usize,
    pub delivered: Result<(), String>,
}

/// A record was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// There is no room at present.
    Full,
    /// It won't be taken, nor will what follows: the producer is to be made anew.
    Refused(String),
}

#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Report>>>);

// === impl Producer ===

impl Producer {
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaFault> {
        let reports = Reports::default();
        let inner = config
            .client()
            .set("enable.idempotence", "true")
            // What can't be sent ends the producer, rather than to be overtaken.
            .set("enable.gapless.guarantee", "true")
            // A broker may be away for long: records wait.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.kbytes", "32768")
            .set("compression.type", "zstd")
            .set("linger.ms", "10")
            // As Java's, so that all producers put a call into the same partition.
            .set("partitioner", "murmur2_random")
            .create_with_context(reports.clone())?;
        Ok(Self { inner, topic: config.topic.clone(), reports })
    }

    pub fn send(&self, number: usize, key: &str, line: &str) -> Result<(), NotTaken> {
        let record = BaseRecord::with_opaque_to(&self.topic, number).key(key).payload(line);
        match self.inner.send(record) {
            Ok(()) => Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                Err(NotTaken::Full)
            }
            Err((error, _)) => Err(NotTaken::Refused(error.to_string())),
        }
    }

    /// What became of records meanwhile. Waits for some of it.
    pub fn poll(&self, at_most: Duration) -> Vec<Report> {
        self.inner.poll(at_most);
        std::mem::take(&mut self.reports.lock())
    }

    /// Waits until all are delivered, at most so long.
    pub fn flush(&self, at_most: Duration) -> Vec<Report> {
        // What isn't delivered by then is sent again by the next one.
        let _ = self.inner.flush(at_most);
        std::mem::take(&mut self.reports.lock())
    }
}

// === impl Reports ===

impl Reports {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    // Whether records arrive is what counts, and that is told by the shipper.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "kafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let delivered = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.to_string()),
        };
        self.lock().push(Report { number, delivered });
    }
}
