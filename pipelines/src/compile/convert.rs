//! What MP4 players don't take, as H.264: chunk by chunk, into chunks of the same times.

use std::fs;
use std::path::{Path, PathBuf};

use stentor_hardware::{Decoder, EncodedUnit, EncoderConfig, Frame, RungEncoder};
use stentor_protocol::probe::Direction;
use stentor_protocol::{BitsPerSecond, Codec, FrameRate, Resolution};

use super::CompileError;
use super::index::{Indexed, open};
use super::output::beside;
use super::plan::{LeftOut, Plan};
use super::timing::picture_clock;
use crate::container::avc::{self, put_lengths};
use crate::container::matroska::{ChunkFile, Cluster, Header, Kind, TICKS_PER_SECOND};
use crate::container::mp4::TIMESCALE;

/// Of a picture's pixel, for pictures that were compressed once already: 2.8 Mb/s at 720p30.
const BITS_PER_PIXEL: f64 = 0.1;
const FRAME_RATE: FrameRate = FrameRate::new(30, 1);
/// Of a picture: what H.264 has at level 5.1.
const MOST_PIXELS: u64 = 4096 * 2304;

/// Chunks made on the way; gone with the guard.
#[derive(Debug)]
pub struct Folder(PathBuf);

struct Converter<'a> {
    plan: &'a Plan,
    decoder: Option<(Codec, Decoder)>,
    encoder: Option<RungEncoder>,
}

/// The chunks with no pictures but H.264. One of which nothing is left is left out.
pub fn to_h264(
    plan: &Plan,
    chunks: Vec<Indexed>,
    left_out: &mut Vec<LeftOut>,
) -> Result<(Vec<Indexed>, Option<Folder>), CompileError> {
    let foreign = |indexed: &Indexed| {
        let codec = indexed.chunk.video.as_ref().map(|video| video.codec);
        indexed.has(Kind::Video) && codec != Some(Codec::H264)
    };
    if !chunks.iter().any(foreign) {
        return Ok((chunks, None));
    }
    let folder = Folder::create(&plan.output)?;
    let mut converter = Converter { plan, decoder: None, encoder: None };
    let mut converted = Vec::with_capacity(chunks.len());
    for indexed in chunks {
        if !foreign(&indexed) {
            converted.push(indexed);
            continue;
        }
        let file = indexed.path.display().to_string();
        match converter.convert(indexed, &folder.0)? {
            Ok(indexed) => converted.push(indexed),
            Err(reason) => {
                tracing::warn!(file, reason, "a chunk is left out");
                left_out.push(LeftOut { file, reason });
            }
        }
    }
    Ok((converted, Some(folder)))
}

/// Whether a picture is of a size that is worth the work: decoders take what no camera gives.
fn fits(size: Resolution) -> bool {
    size.pixels() <= MOST_PIXELS
}

// === impl Converter ===

impl Converter<'_> {
    /// Or why nothing of it can be used.
    fn convert(
        &mut self,
        indexed: Indexed,
        folder: &Path,
    ) -> Result<Result<Indexed, String>, CompileError> {
        let path = &indexed.path;
        let (bytes, chunk) = match open(path) {
            Ok(opened) => opened,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some(video) = chunk.video.as_ref() else { return Ok(Ok(indexed)) };
        if !indexed.follows {
            self.decoder = None;
        }
        // Its sound is good, whatever its pictures are.
        let units = match fits(video.resolution) {
            true => self.transcode(&bytes, &chunk, video.codec)?,
            false => Vec::new(),
        };
        let made = written(&bytes, &chunk, &units);
        let chunk = match ChunkFile::parse(&made) {
            Ok(chunk) => chunk,
            Err(error) => return Ok(Err(format!("no picture of it can be shown: {error}"))),
        };
        let path = folder.join(path.file_name().unwrap_or_default());
        fs::write(&path, &made).map_err(|error| CompileError::written(&path, &error))?;
        Ok(Ok(Indexed::new(path, &made, chunk, indexed.follows)))
    }

    fn transcode(
        &mut self,
        bytes: &[u8],
        chunk: &ChunkFile,
        codec: Codec,
    ) -> Result<Vec<EncodedUnit>, CompileError> {
        let wrong = |error: &dyn std::fmt::Display| CompileError::Transcode(error.to_string());
        if self.decoder.as_ref().is_none_or(|(open, _)| *open != codec) {
            let choice = self.plan.choice(Direction::Decode, codec);
            let decoder = Decoder::open(codec, &choice).map_err(|error| wrong(&error))?;
            self.decoder = Some((codec, decoder));
        }
        let mut units = Vec::new();
        let mut unit = Vec::new();
        for block in chunk.of(Kind::Video) {
            unit.clear();
            let data = &bytes[block.start..][..block.length];
            match codec {
                Codec::H265 => avc::put_annex_b(data, &mut unit),
                _ => unit.extend_from_slice(data),
            }
            let Some((_, decoder)) = &mut self.decoder else { continue };
            // What can't be decoded is a picture less; the next keyframe heals it.
            let frames = decoder.decode(&unit, picture_clock(block.ticks)).unwrap_or_default();
            for frame in frames.into_iter().filter(|frame| fits(frame.resolution())) {
                let first = units.is_empty();
                units.extend(self.encode(&frame, first).map_err(|error| wrong(&error))?);
            }
        }
        Ok(units)
    }

    fn encode(&mut self, frame: &Frame, key: bool) -> Result<Vec<EncodedUnit>, String> {
        let size = frame.resolution();
        let resolution = Resolution::new((size.width & !1).max(16), (size.height & !1).max(16));
        if self.encoder.as_ref().is_none_or(|open| open.config().resolution != resolution) {
            let rate = resolution.pixels() as f64 * FRAME_RATE.as_f64() * BITS_PER_PIXEL;
            let bitrate = BitsPerSecond(rate as u64);
            let codec = Codec::H264;
            let config = EncoderConfig { codec, resolution, frame_rate: FRAME_RATE, bitrate };
            let choice = self.plan.choice(Direction::Encode, codec);
            let encoder = RungEncoder::open(config, &choice).map_err(|error| error.to_string())?;
            self.encoder = Some(encoder);
        }
        let Some(encoder) = &mut self.encoder else { return Ok(Vec::new()) };
        encoder.encode(frame, key).map_err(|error| error.to_string())
    }
}

/// A chunk of these pictures and the old one's sound.
fn written(bytes: &[u8], chunk: &ChunkFile, units: &[EncodedUnit]) -> Vec<u8> {
    let told = Resolution::new(0, 0);
    let entry = units.first().and_then(|unit| avc::entry(Codec::H264, &unit.data, told));
    let mut made = Header::new(entry.as_ref(), chunk.audio).bytes;
    let mut cluster: Option<Cluster> = None;
    let mut put = |kind, ticks: i64, keyframe, data: &[u8]| {
        if let Some(full) = cluster.take_if(|cluster| !cluster.fits(ticks)) {
            made.extend(full.finish());
        }
        let cluster = cluster.get_or_insert_with(|| Cluster::new(ticks));
        cluster.push(kind, ticks, keyframe, |out| match kind {
            Kind::Video => put_lengths(data, out),
            Kind::Audio => out.extend_from_slice(data),
        });
    };
    for unit in units {
        let ticks = unit.pts * TICKS_PER_SECOND / i64::from(TIMESCALE);
        put(Kind::Video, ticks, unit.keyframe, &unit.data);
    }
    for block in chunk.of(Kind::Audio) {
        put(Kind::Audio, block.ticks, true, &bytes[block.start..][..block.length]);
    }
    made.extend(cluster.map(Cluster::finish).unwrap_or_default());
    made
}

// === impl Folder ===

impl Folder {
    fn create(output: &Path) -> Result<Self, CompileError> {
        let path = beside(output, "converted");
        // Of a creator that was killed.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).map_err(|error| CompileError::written(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_pictures_fit_and_the_largest_that_a_decoder_takes_do_not() {
        let fitting = [(3840, 2160), (4096, 2160), (2160, 3840), (16_383, 16_383)];
        let fitting = fitting.map(|(width, height)| fits(Resolution::new(width, height)));
        assert_eq!(fitting, [true, true, true, false]);
    }
}
