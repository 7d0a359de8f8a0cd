//! Commands in batches, so that none of them holds Redis up for long.

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult};

#[derive(Default)]
pub struct Commands(Vec<Pipeline>);

/// Commands sent, or entries read, at once.
pub const BATCH: usize = 256;

// === impl Commands ===

impl Commands {
    /// Where to put the next few commands.
    pub fn next(&mut self) -> &mut Pipeline {
        if self.0.last().is_none_or(|pipe| pipe.len() >= BATCH) {
            self.0.push(redis::pipe());
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    pub async fn run(self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        for pipe in self.0 {
            pipe.query_async::<()>(connection).await?;
        }
        Ok(())
    }
}
