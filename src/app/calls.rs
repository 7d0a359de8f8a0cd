//! Wiring of calls: what of the configuration they get.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::bucket::Rate;
use crate::calls::hub::Limits;
use crate::calls::ids::CallId;
use crate::calls::signalling::Rules;
use crate::config::Config;
use crate::http::{Board, BoardConfig};
use crate::telemetry::calls::CallMetrics;

/// None where they aren't enabled.
pub fn board(
    config: &Config,
    metrics: CallMetrics,
    endings: Option<mpsc::Sender<CallId>>,
) -> Option<Arc<Board>> {
    let calls = &config.calls;
    if !calls.enabled {
        return None;
    }
    let rings = f64::from(calls.rings_per_minute);
    let limits = Limits {
        sockets: calls.max_sockets,
        user_devices: calls.max_user_devices,
        calls: calls.max_calls,
        rings: Rate { per_second: rings / 60.0, burst: rings },
        mesh_most: calls.mesh_most,
        rules: Rules {
            ring: calls.ring_timeout.0,
            participants: calls.max_participants,
            ..Rules::default()
        },
    };
    let messages = Rate {
        per_second: f64::from(calls.messages_per_second),
        burst: f64::from(calls.message_burst),
    };
    let config = BoardConfig { limits, messages, idle: calls.idle_timeout.0 };
    Some(Arc::new(Board::new(config, metrics, endings)))
}
