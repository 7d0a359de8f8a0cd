//! What MP4 players don't take, as H.264: chunk by chunk, into chunks of the same times.

use std::fs;
use std::path::{Path, PathBuf};

use stentor_hardware::{Decoder, EncodedUnit, EncoderConfig, Frame, RungEncoder};
use stentor_protocol::probe::Direction;
use stentor_protocol::{BitsPerSecond, Codec, FrameRate, Resolution};

use super::CompileError;
use super::index::{Indexed, open};
use super::output::beside;
use super::plan::Plan;
use super::timing::picture_clock;
use crate::container::avc::{self, put_lengths};
use crate::container::matroska::{ChunkFile, Cluster, Header, Kind, TICKS_PER_SECOND};
use crate::container::mp4::TIMESCALE;

/// Of a picture's pixel, for pictures that were compressed once already: 2.8 Mb/s at 720p30.
const BITS_PER_PIXEL: f64 = 0.1;
const FRAME_RATE: FrameRate = FrameRate::new(30, 1);

/// Chunks made on the way; gone with the guard.
#[derive(Debug)]
pub struct Folder(PathBuf);

struct Converter<'a> {
    plan: &'a Plan,
    decoder: Option<(Codec, Decoder)>,
    encoder: Option<RungEncoder>,
}

/// The chunks with no pictures but H.264.
pub fn to_h264(
    plan: &Plan,
    chunks: Vec<Indexed>,
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
    let convert = |indexed: Indexed| match foreign(&indexed) {
        true => converter.convert(indexed, &folder.0),
        false => Ok(indexed),
    };
    let chunks = chunks.into_iter().map(convert).collect::<Result<_, _>>()?;
    Ok((chunks, Some(folder)))
}

// === impl Converter ===

impl Converter<'_> {
    fn convert(&mut self, indexed: Indexed, folder: &Path) -> Result<Indexed, CompileError> {
        let path = &indexed.path;
        let (bytes, chunk) = open(path).map_err(|error| CompileError::file(path, error))?;
        let Some(video) = chunk.video.as_ref() else { return Ok(indexed) };
        if !indexed.follows {
            self.decoder = None;
        }
        let units = self.transcode(&bytes, &chunk, video.codec)?;
        let made = written(&bytes, &chunk, &units);
        let name = path.file_name().unwrap_or_default();
        let path = folder.join(name);
        fs::write(&path, &made).map_err(|error| CompileError::written(&path, &error))?;
        let chunk = ChunkFile::parse(&made).map_err(|error| CompileError::file(&path, error))?;
        Ok(Indexed::new(path, &made, chunk, indexed.follows))
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
            for frame in decoder.decode(&unit, picture_clock(block.ticks)).unwrap_or_default() {
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
