//! Wiring of the directory: in process, or by way of Redis.

use std::sync::Arc;

use prometheus::Registry;
use tokio::sync::mpsc;
use tracing::info;

use super::StartError;
use crate::config::Config;
use crate::directory::{Directory, Memory, RedisDirectory};
use crate::http::{Ears, Outside};
use crate::telemetry::directory::DirectoryMetrics;

/// What comes from other nodes until the board takes it. While it is full they wait.
const QUEUE: usize = 1024;

/// None where there are no calls.
pub fn start(config: &Config, registry: &Registry) -> Result<Option<(Outside, Ears)>, StartError> {
    if !config.calls.enabled {
        return Ok(None);
    }
    let metrics = DirectoryMetrics::register(registry)?;
    let (sender, incoming) = mpsc::channel(QUEUE);
    let directory: Arc<dyn Directory> = match config.directory.redis() {
        Some(redis) => {
            let directory = RedisDirectory::start(&redis, sender, metrics.clone())?;
            info!(node = %directory.node(), prefix = redis.prefix, "one of several nodes");
            Arc::new(directory)
        }
        None => {
            metrics.up.set(1);
            metrics.nodes.set(1);
            Arc::new(Memory::new(sender).map_err(crate::directory::RedisError::Random)?)
        }
    };
    Ok(Some(Outside::new(directory, incoming, metrics)))
}
