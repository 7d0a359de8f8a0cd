//! One source's pictures, decoded on a thread of its own, a few ahead.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use stentor_hardware::{Choice, Decoder, Frame};
use stentor_protocol::Codec;
use stentor_protocol::probe::Direction;

use crate::compile::index::open;
use crate::compile::plan::Plan;
use crate::compile::timing::picture_clock;
use crate::container::avc;
use crate::container::matroska::{ChunkFile, Kind};

/// Pictures that wait to be shown: what bounds memory.
const WAITING_PICTURES: usize = 4;

/// What is shown of a source. Times are in ticks of 90 kHz since the recording began.
pub struct Pictures {
    frames: Receiver<Frame>,
    next: Option<Frame>,
    shown: Option<Frame>,
}

/// What a decoding thread is given.
struct Reading {
    /// With whether each follows on the one before.
    chunks: Vec<(PathBuf, bool)>,
    choices: Vec<(Codec, Choice)>,
}

// === impl Pictures ===

impl Pictures {
    pub fn start(plan: &Plan, chunks: Vec<(PathBuf, bool)>) -> io::Result<Self> {
        let codecs = [Codec::H264, Codec::H265, Codec::Vp8, Codec::Av1];
        let choices = codecs.map(|codec| (codec, plan.choice(Direction::Decode, codec))).into();
        let (send, frames) = sync_channel(WAITING_PICTURES);
        let reading = Reading { chunks, choices };
        thread::Builder::new().name("pictures".into()).spawn(move || reading.run(&send))?;
        Ok(Self { frames, next: None, shown: None })
    }

    /// Goes on to this time. Gives whether another picture is shown than before.
    pub fn advance(&mut self, time: i64) -> bool {
        let mut changed = false;
        loop {
            if self.next.is_none() {
                self.next = self.frames.recv().ok();
            }
            match self.next.take_if(|next| next.pts <= time) {
                Some(frame) => {
                    self.shown = Some(frame);
                    changed = true;
                }
                None => return changed,
            }
        }
    }

    /// The picture of this time, if it isn't older than `patience`.
    pub fn shown(&self, time: i64, patience: i64) -> Option<&Frame> {
        self.shown.as_ref().filter(|frame| time - frame.pts < patience)
    }
}

// === impl Reading ===

impl Reading {
    fn run(self, send: &SyncSender<Frame>) {
        let mut decoder: Option<(Codec, Decoder)> = None;
        for (path, follows) in &self.chunks {
            // It was whole when it was indexed; what isn't any more is a gap.
            let Ok((bytes, chunk)) = open(path) else { continue };
            let Some(codec) = chunk.video.as_ref().map(|video| video.codec) else { continue };
            if !follows || decoder.as_ref().is_none_or(|(open, _)| *open != codec) {
                decoder = self.open(codec);
            }
            let Some((_, decoder)) = &mut decoder else { continue };
            if !decode(decoder, codec, &bytes, &chunk, send) {
                return;
            }
        }
        if let Some((_, mut decoder)) = decoder {
            decoder.flush().into_iter().for_each(|frame| drop(send.send(frame)));
        }
    }

    fn open(&self, codec: Codec) -> Option<(Codec, Decoder)> {
        let choice = self.choices.iter().find(|(known, _)| *known == codec);
        match Decoder::open(codec, choice.map(|(_, choice)| choice)?) {
            Ok(decoder) => Some((codec, decoder)),
            Err(error) => {
                tracing::warn!(%error, "a sender's pictures can't be decoded");
                None
            }
        }
    }
}

/// Gives false where nobody takes pictures any more.
fn decode(
    decoder: &mut Decoder,
    codec: Codec,
    bytes: &[u8],
    chunk: &ChunkFile,
    send: &SyncSender<Frame>,
) -> bool {
    let mut unit = Vec::new();
    for block in chunk.of(Kind::Video) {
        unit.clear();
        let data = &bytes[block.start..][..block.length];
        match codec {
            Codec::H264 | Codec::H265 => avc::put_annex_b(data, &mut unit),
            _ => unit.extend_from_slice(data),
        }
        // What can't be decoded is a picture less; the next keyframe heals it.
        for frame in decoder.decode(&unit, picture_clock(block.ticks)).unwrap_or_default() {
            if send.send(frame).is_err() {
                return false;
            }
        }
    }
    true
}
