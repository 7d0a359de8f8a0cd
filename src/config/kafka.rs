//! `[events.kafka]`: where events are shipped to.

use serde::{Deserialize, Serialize};
use stentor_protocol::units::Secret;

use super::Config;
use super::check::Faults;
use crate::events::KafkaConfig;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// Default none: events are not shipped.
    pub brokers: Vec<String>,
    /// Default stentor.events.
    pub topic: String,
    /// Default stentor.
    pub client_id: String,
    /// Default plaintext.
    pub security: Security,
    /// For `sasl_plaintext`.
    pub username: Option<String>,
    pub password: Option<Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    #[default]
    Plaintext,
    /// SASL PLAIN.
    SaslPlaintext,
    /// Known, to be refused with a sentence.
    Ssl,
    SaslSsl,
}

// === impl Kafka ===

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topic: "stentor.events".to_owned(),
            client_id: "stentor".to_owned(),
            security: Security::Plaintext,
            username: None,
            password: None,
        }
    }
}

impl Kafka {
    /// None: not configured.
    pub fn settings(&self) -> Option<KafkaConfig> {
        let login = self.username.clone().zip(self.password.clone());
        (!self.brokers.is_empty()).then(|| KafkaConfig {
            brokers: self.brokers.clone(),
            topic: self.topic.clone(),
            client_id: self.client_id.clone(),
            login: login.filter(|_| self.security == Security::SaslPlaintext),
        })
    }
}

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let kafka = &config.events.kafka;
    for (n, broker) in kafka.brokers.iter().enumerate() {
        let fits = broker.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && host.bytes().all(is_plain) && port.parse::<u16>().is_ok()
        });
        let expected = "a host and a port such as \"kafka.example.net:9092\"";
        faults.require(fits, &format!("events.kafka.brokers.{n}"), expected);
    }
    for (key, name) in [("topic", &kafka.topic), ("client_id", &kafka.client_id)] {
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let fits = (1..=249).contains(&name.len()) && letters;
        let expected = "1 to 249 letters, digits, `.`, `_` or `-`";
        faults.require(fits, &format!("events.kafka.{key}"), expected);
    }
    if matches!(kafka.security, Security::Ssl | Security::SaslSsl) {
        faults.add(
            "events.kafka.security",
            "`security`: this server speaks to Kafka without TLS: reach brokers that ask for it by a \
             TLS proxy on this machine, and set \"plaintext\" or \"sasl_plaintext\"",
        );
    }
    let has_login = kafka.username.is_some() && kafka.password.is_some();
    if kafka.security == Security::SaslPlaintext && !has_login {
        faults.add("events.kafka.security", "expected `username` and `password` with it");
    }
    if !kafka.brokers.is_empty() && !config.events.enabled {
        faults.add("events.kafka.brokers", "expected `events.enabled`: what is shipped is the log");
    }
}

/// The IPv6 address's brackets included, and nothing that separates brokers.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte)
}
