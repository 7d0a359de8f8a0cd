//! Everybody's sound in one: decoded, put at its time, added, and encoded on a thread of its own.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use stentor_hardware::{AacEncoder, OpusDecoder};

use crate::compile::index::open;
use crate::compile::timing::sound_clock;
use crate::container::matroska::Kind;

/// Of the file's sound.
pub const BITS_PER_SECOND: u32 = 128_000;
/// Packets that wait for the pictures beside them.
const WAITING_PACKETS: usize = 128;
/// Sound that is this far from where the line is, in samples, is put at its own time.
const FAR: i64 = 960;
/// Above this level the sum is bent, so that it never clips.
const KNEE: f32 = 0.8;

/// The mixed sound.
pub struct Sound {
    pub config: Vec<u8>,
    pub frame_size: u32,
    pub packets: Receiver<Result<Vec<u8>, String>>,
}

/// One source's samples, in order from the file's begin.
struct Voice {
    chunks: VecDeque<PathBuf>,
    decoder: OpusDecoder,
    /// In ticks of the recording.
    begin: i64,
    ready: VecDeque<Stretch>,
    /// Samples that are ready, silence among them.
    ahead: i64,
    /// The same from the file's begin.
    at: i64,
}

/// Silence, and what follows it.
#[derive(Debug, Default)]
struct Stretch {
    silence: i64,
    samples: VecDeque<[f32; 2]>,
}

/// Mixes `samples` of sound from `begin` (in ticks) on.
pub fn start(sources: Vec<Vec<PathBuf>>, begin: i64, samples: i64) -> Result<Sound, String> {
    let voices = sources.into_iter().map(|chunks| Voice::new(chunks, begin));
    let voices = voices.collect::<Result<Vec<_>, _>>()?;
    let encoder = AacEncoder::open(BITS_PER_SECOND).map_err(|error| error.to_string())?;
    let (config, size) = (encoder.config(), encoder.frame_size());
    let (send, packets) = sync_channel(WAITING_PACKETS);
    let run = move || mix(voices, encoder, samples, &send);
    let spawned: io::Result<_> = thread::Builder::new().name("mix".into()).spawn(run);
    spawned.map_err(|error| error.to_string())?;
    Ok(Sound { config, frame_size: size as u32, packets })
}

/// Ends early where nobody takes the packets any more.
fn mix(
    mut voices: Vec<Voice>,
    mut encoder: AacEncoder,
    samples: i64,
    send: &SyncSender<Result<Vec<u8>, String>>,
) {
    let size = encoder.frame_size().max(1);
    let (mut left, mut right) = (vec![0.0; size], vec![0.0; size]);
    let mut done = 0;
    loop {
        let last = done >= samples;
        let encoded = if last {
            encoder.finish()
        } else {
            left.fill(0.0);
            right.fill(0.0);
            voices.iter_mut().for_each(|voice| voice.add(&mut left, &mut right));
            left.iter_mut().chain(&mut right).for_each(|level| *level = bent(*level));
            encoder.encode(&left, &right)
        };
        done += size as i64;
        let packets = match encoded {
            Ok(packets) => packets.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error.to_string())],
        };
        for packet in packets {
            let failed = packet.is_err();
            if send.send(packet).is_err() || failed {
                return;
            }
        }
        if last {
            return;
        }
    }
}

/// Loud sums approach 1 and don't reach it.
fn bent(level: f32) -> f32 {
    let loud = level.abs();
    if loud <= KNEE {
        return level;
    }
    let over = (loud - KNEE) / (1.0 - KNEE);
    (KNEE + (1.0 - KNEE) * over / (1.0 + over)).copysign(level)
}

// === impl Voice ===

impl Voice {
    fn new(chunks: Vec<PathBuf>, begin: i64) -> Result<Self, String> {
        let decoder = OpusDecoder::open().map_err(|error| error.to_string())?;
        let ready = VecDeque::new();
        Ok(Self { chunks: chunks.into(), decoder, begin, ready, ahead: 0, at: 0 })
    }

    /// Adds the next samples.
    fn add(&mut self, left: &mut [f32], right: &mut [f32]) {
        let size = left.len();
        while self.ahead < size as i64 && self.fill() {}
        self.ahead = (self.ahead - size as i64).max(0);
        let mut place = 0;
        while let Some(first) = self.ready.front_mut().filter(|_| place < size) {
            let skip = first.silence.min((size - place) as i64);
            first.silence -= skip;
            place += skip as usize;
            let count = first.samples.len().min(size - place);
            for [l, r] in first.samples.drain(..count) {
                left[place] += l;
                right[place] += r;
                place += 1;
            }
            if first.silence == 0 && first.samples.is_empty() {
                self.ready.pop_front();
            }
        }
    }

    /// Decodes the next chunk's sound. False where there is none.
    fn fill(&mut self) -> bool {
        let Some(path) = self.chunks.pop_front() else { return false };
        // It was whole when it was indexed; what isn't any more is silence.
        let Ok((bytes, chunk)) = open(&path) else { return true };
        let mut decoded = Vec::new();
        for block in chunk.of(Kind::Audio) {
            decoded.clear();
            let packet = &bytes[block.start..][..block.length];
            if self.decoder.decode(packet, &mut decoded).is_ok() {
                self.place(sound_clock(block.ticks - self.begin), &decoded);
            }
        }
        true
    }

    /// Puts samples behind those that are ready, at their time where that is somewhere else.
    fn place(&mut self, time: i64, samples: &[[f32; 2]]) {
        let apart = time - self.at;
        let mut from = 0;
        if apart >= FAR {
            self.at += apart;
            self.ahead += apart;
            self.ready.push_back(Stretch { silence: apart, ..Stretch::default() });
        } else if apart <= -FAR {
            from = samples.len().min(apart.unsigned_abs() as usize);
        } else if apart <= -FAR / 8 {
            // A sample more or less in a packet: nobody hears it, and clocks stay together.
            from = 1.min(samples.len());
        } else if apart >= FAR / 8 {
            self.extend(&samples[..1.min(samples.len())]);
        }
        self.extend(&samples[from..]);
    }

    fn extend(&mut self, samples: &[[f32; 2]]) {
        if self.ready.is_empty() {
            self.ready.push_back(Stretch::default());
        }
        if let Some(last) = self.ready.back_mut() {
            last.samples.extend(samples);
        }
        self.at += samples.len() as i64;
        self.ahead += samples.len() as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loud_sums_are_bent_and_never_reach_one() {
        assert_eq!((bent(0.5), bent(-0.8)), (0.5, -0.8));
        let mut before = 0.0;
        for step in 0..200 {
            let level = bent(step as f32 / 20.0);
            assert!(level < 1.0 && level >= before);
            before = level;
        }
    }

    #[test]
    fn a_voice_is_put_at_its_time_and_follows_a_clock_that_is_off() {
        let mut voice = Voice::new(Vec::new(), 0).unwrap();
        let packet = [[0.25; 2]; 960];
        voice.place(4_800, &packet);
        let (mut left, mut right) = (vec![0.0; 6_000], vec![0.0; 6_000]);
        voice.add(&mut left, &mut right);
        let heard: Vec<usize> = (0..6_000).filter(|index| left[*index] > 0.0).collect();
        assert_eq!((heard[0], heard.len()), (4_800, 960));
        // 200 ppm slow, for an hour.
        for n in 0..180_000_i64 {
            let time = 5_760 + n * 960 + n * 960 / 5_000;
            voice.place(time, &packet);
            assert!((voice.at - 960 - time).abs() < FAR / 4, "{n}");
            voice.ready.clear();
        }
    }
}
