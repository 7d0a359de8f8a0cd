//! A rung that is the source's own pictures, packetised anew and otherwise untouched.

use std::collections::VecDeque;
use std::sync::Arc;

use stentor_protocol::control::VideoFormat;
use stentor_protocol::{Codec, Resolution};

use crate::output::{Coded, Emitted, Output, Producer, Turn};
use crate::program::Placed;

/// Bytes that a rung which starts with a cached group of pictures sends at a time: well within
/// the socket's buffer.
const CATCH_UP_BYTES: usize = 96 * 1024;

#[derive(Debug)]
pub struct PassThrough {
    codec: Codec,
    output: Arc<Output>,
    /// None while the slate is shown.
    turn: Option<Turn>,
    /// Cached pictures not yet sent, oldest first. While there are any, live ones queue up
    /// behind them.
    backlog: VecDeque<Placed>,
    /// No keyframe was sent in this turn yet.
    starting: bool,
}

// === impl PassThrough ===

impl PassThrough {
    pub fn new(codec: Codec, output: Arc<Output>) -> Self {
        Self { codec, output, turn: None, backlog: VecDeque::new(), starting: true }
    }

    pub fn output(&self) -> &Arc<Output> {
        &self.output
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether the source can be this rung.
    pub fn fits(&self, format: &VideoFormat) -> bool {
        format.pass_through && format.codec == self.codec
    }

    /// The source is shown from now on, or its size changed. `cached` is what came since its
    /// last keyframe.
    pub fn show_source(&mut self, resolution: Resolution, cached: &[Placed]) {
        let producer = Producer { backend: None, encoder: String::new(), resolution };
        let turn = self.output.take_over();
        self.turn = self.output.announce(turn, producer).then_some(turn);
        self.backlog = cached.iter().cloned().collect();
        self.starting = true;
    }

    /// The slate is shown from now on; someone else takes the output over.
    pub fn show_slate(&mut self) {
        self.turn = None;
        self.backlog.clear();
    }

    /// A picture of the source. Gives whether the source has to be asked for a keyframe.
    pub fn handle_unit(&mut self, placed: &Placed) -> bool {
        if self.backlog.is_empty() {
            return self.send(placed);
        }
        if placed.unit.keyframe {
            // Nothing before it is of use any more.
            self.backlog.clear();
            return self.send(placed);
        }
        self.backlog.push_back(placed.clone());
        false
    }

    /// Sends more of what is cached. Call until it is not [behind](Self::is_behind).
    pub fn catch_up(&mut self) -> bool {
        let mut bytes = 0;
        let mut ask = false;
        while bytes < CATCH_UP_BYTES {
            let Some(placed) = self.backlog.pop_front() else { break };
            bytes += placed.unit.data.size();
            ask |= self.send(&placed);
        }
        ask
    }

    pub fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    fn send(&mut self, placed: &Placed) -> bool {
        let Some(turn) = self.turn else { return false };
        if self.starting && !placed.unit.keyframe {
            return true;
        }
        let Ok(data) = placed.unit.data.map_readable() else {
            tracing::warn!(track = %self.output.track(), "a picture can't be read");
            self.starting = true;
            return true;
        };
        self.starting = false;
        let keyframe = placed.unit.keyframe;
        let coded = Coded { data: &data, ticks: placed.time.video_ticks(), keyframe };
        self.output.emit(turn, coded) == Emitted::WaitsForKeyframe
    }
}
