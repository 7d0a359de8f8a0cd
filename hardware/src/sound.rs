//! Opus in, AAC out: the sound of files. On the CPU, whatever does the pictures.

use crate::error::{DecodeError, EncodeError, OpenError};
use crate::ffi::decoder::DecoderContext;
use crate::ffi::log;
use crate::ffi::sound::{SoundEncoder, interleaved};

/// Samples a second of each channel, in and out.
pub const SOUND_RATE_HZ: u32 = 48_000;

const OPUS: &str = "libopus";
const AAC: &str = "aac";

/// One sender's sound.
pub struct OpusDecoder {
    context: DecoderContext,
}

/// The sound of a file, in stereo.
pub struct AacEncoder {
    context: SoundEncoder,
}

// === impl OpusDecoder ===

impl OpusDecoder {
    pub fn open() -> Result<Self, OpenError> {
        let context = DecoderContext::open(OPUS, &[], 1, None)
            .map_err(|reason| OpenError::Refused { name: OPUS.to_owned(), reason })?;
        Ok(Self { context })
    }

    /// Appends a packet's samples as stereo, from -1 to 1.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<[f32; 2]>) -> Result<(), DecodeError> {
        if packet.is_empty() {
            return Err(DecodeError::Empty);
        }
        log::forget();
        let damaged = |error| {
            let reason = log::explain(error);
            DecodeError::Damaged { name: OPUS.to_owned(), reason }
        };
        self.context.send(packet, 0).map_err(damaged)?;
        let level = |sample: i16| f32::from(sample) / 32_768.0;
        while let Some(frame) = self.context.receive().map_err(damaged)? {
            match interleaved(&frame) {
                Some((samples, 2)) => {
                    let pairs = samples.as_chunks::<2>().0;
                    out.extend(pairs.iter().map(|[left, right]| [level(*left), level(*right)]));
                }
                Some((samples, _)) => out.extend(samples.iter().map(|one| [level(*one); 2])),
                None => {}
            }
        }
        Ok(())
    }
}

// === impl AacEncoder ===

impl AacEncoder {
    pub fn open(bits_per_second: u32) -> Result<Self, OpenError> {
        let context = SoundEncoder::open(AAC, bits_per_second.into())
            .map_err(|reason| OpenError::Refused { name: AAC.to_owned(), reason })?;
        Ok(Self { context })
    }

    /// Samples of each channel in a packet; the first packet is that much before its sound.
    pub fn frame_size(&self) -> usize {
        self.context.frame_size()
    }

    /// What a decoder has to know before the first packet.
    pub fn config(&self) -> Vec<u8> {
        self.context.config()
    }

    /// Takes a whole frame and gives the packets that are ready.
    pub fn encode(&mut self, left: &[f32], right: &[f32]) -> Result<Vec<Vec<u8>>, EncodeError> {
        log::forget();
        self.context.send(left, right).map_err(failed)?;
        self.receive()
    }

    /// The last packets.
    pub fn finish(&mut self) -> Result<Vec<Vec<u8>>, EncodeError> {
        log::forget();
        self.context.finish().map_err(failed)?;
        self.receive()
    }

    fn receive(&mut self) -> Result<Vec<Vec<u8>>, EncodeError> {
        let mut packets = Vec::new();
        while let Some(packet) = self.context.receive().map_err(failed)? {
            packets.push(packet);
        }
        Ok(packets)
    }
}

fn failed(error: crate::ffi::Error) -> EncodeError {
    EncodeError::Encode { name: AAC.to_owned(), reason: log::explain(error) }
}
