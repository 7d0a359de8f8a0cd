//! Wiring of calls: what of the configuration they get.

use std::sync::Arc;

use prometheus::Registry;
use tokio::sync::mpsc;

use super::StartError;
use crate::bucket::Rate;
use crate::calls::hub::{Limits, MOST_ANNOUNCED, MOST_IN_LOBBY, RecordBy};
use crate::calls::ids::CallId;
use crate::calls::signalling::Rules;
use crate::config::{Config, Who};
use crate::events::Events;
use crate::http::{Board, BoardConfig, Ears, Outside};
use crate::telemetry::calls::CallMetrics;

/// Users of all other nodes together, where there are accounts: each sees contacts alone.
const MOST_GUESTS: usize = MOST_ANNOUNCED * 8;

/// None where they aren't enabled. `records`: they may be recorded. What comes from `outside` is for
/// [`Board::listen`].
pub fn board(
    config: &Config,
    registry: &Registry,
    outside: Option<(Outside, Ears)>,
    endings: Option<mpsc::Sender<CallId>>,
    (records, events): (bool, Events),
) -> Result<Option<(Arc<Board>, Ears)>, StartError> {
    let metrics = CallMetrics::register(registry)?;
    let calls = &config.calls;
    let Some((outside, ears)) = outside else { return Ok(None) };
    let rings = f64::from(calls.rings_per_minute);
    let limits = Limits {
        sockets: calls.max_sockets,
        user_devices: calls.max_user_devices,
        calls: calls.max_calls,
        rings: Rate { per_second: rings / 60.0, burst: rings },
        guests: if config.accounts.enabled { MOST_GUESTS } else { MOST_IN_LOBBY },
        mesh_most: calls.mesh_most,
        record: match config.recording.who {
            _ if !records => RecordBy::Nobody,
            Who::Anyone => RecordBy::Anyone,
            Who::Inviter => RecordBy::Inviter,
            Who::Nobody => RecordBy::Nobody,
        },
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
    let reports = f64::from(config.events.reports_per_minute);
    let reports = Rate { per_second: reports / 60.0, burst: reports };
    let (idle, public_url) = (calls.idle_timeout.0, config.directory.url().map(str::to_owned));
    let config = BoardConfig { limits, public_url, messages, reports, idle };
    let board = Board::new(config, outside, metrics, endings, events);
    Ok(Some((Arc::new(board), ears)))
}
