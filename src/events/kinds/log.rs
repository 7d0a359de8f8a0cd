//! What is missing from the events themselves.

use serde::{Deserialize, Serialize};

/// Events were thrown away. The cause is `queue_full` (the disk was too slow, or full), or
/// `log_full` (the bound of the log came before whoever ships it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsLost {
    pub events: u64,
}
