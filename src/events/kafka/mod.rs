//! Events to and from Kafka: a shipper that reads the log by a cursor, and who takes them: one of a
//! group, or a reader of all of it that keeps its places itself.
//!
//! librdkafka is built without TLS: its libssl would be a second one, and AWS-LC's names clash
//! with it. Brokers that ask for TLS are reached by a proxy on this machine.

mod consumer;
mod partitions;
mod producer;
mod progress;
mod shipper;
mod watch;
mod window;

use rdkafka::ClientConfig;
use stentor_protocol::units::Secret;

pub use consumer::Consumer;
pub use partitions::{Given, Mark, Offsets, Partitions};
pub use shipper::{ShipError, Shipper};

/// Where the brokers are, and as whom they are spoken to.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    pub brokers: Vec<String>,
    pub topic: String,
    pub client_id: String,
    /// User and password for SASL PLAIN. None: nobody asks.
    pub login: Option<(String, Secret)>,
}

/// Why Kafka can't be spoken to. The operator's to mend, or to wait for.
#[derive(Debug, thiserror::Error)]
#[error("Kafka: {0}")]
pub struct KafkaFault(#[from] rdkafka::error::KafkaError);

// === impl KafkaConfig ===

impl KafkaConfig {
    /// What consumers have in common.
    fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            // What was given out counts as done once the consumer says so.
            .set("enable.auto.commit", "false")
            // Also where what was to be next is no longer there.
            .set("auto.offset.reset", "earliest")
            .set("statistics.interval.ms", watch::SAY);
        config
    }

    /// What producers and consumers have in common.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", &self.client_id)
            .set("socket.keepalive.enable", "true")
            // A broker that comes back is found soon.
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000");
        if let Some((user, password)) = &self.login {
            config
                .set("security.protocol", "sasl_plaintext")
                .set("sasl.mechanism", "PLAIN")
                .set("sasl.username", user)
                .set("sasl.password", &password.0);
        }
        config
    }
}

#[cfg(test)]
mod tests;
