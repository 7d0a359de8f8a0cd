//! Everybody in one picture and one sound.
//!
//! Each source is decoded on a thread of its own and a few pictures ahead, sound is mixed on
//! another; here pictures are put together and encoded, one by one. Memory is bounded by those
//! few pictures, whatever the length; the file's own tables grow by a few bytes a picture.

mod layout;
mod pictures;
mod scene;
mod sound;

use std::path::PathBuf;

use stentor_hardware::{EncoderConfig, RungEncoder};
use stentor_protocol::probe::Direction;
use stentor_protocol::{BitsPerSecond, Codec, Resolution};

use super::CompileError;
use super::index::{Indexed, index};
use super::output::Output;
use super::plan::{Done, Gap, Plan};
use super::timing::{Gaps, picture_clock, sound_clock};
use crate::container::avc::{self, VideoEntry, put_lengths};
use crate::container::matroska::{Kind, TICKS_PER_SECOND};
use crate::container::mp4::{self, Media, Run, Sample, Track};
use crate::container::opus::RATE_HZ;
use layout::Presence;
use pictures::Pictures;
use scene::{PATIENCE, Scene};
use sound::Sound;

/// Of a picture's pixel: 2.2 Mb/s at 720p30.
const BITS_PER_PIXEL: f64 = 0.08;
/// Between two keyframes: how exactly a viewer can seek.
const KEYFRAME_SECONDS: u32 = 2;

/// A source as it is needed here: its tables are dropped.
struct Cast {
    chunks: Vec<(PathBuf, bool)>,
    with_sound: Vec<PathBuf>,
    presence: Presence,
}

/// The file as it grows.
struct Film {
    output: Output,
    room: usize,
    entry: Option<VideoEntry>,
    pictures: Vec<Sample>,
    picture_runs: Vec<Run>,
    packets: Vec<Sample>,
    packet_runs: Vec<Run>,
    media_bytes: u64,
    /// Pictures of the run that is being filled.
    waiting: u32,
    frame_ticks: u32,
    sound: Sound,
}

pub fn compile(plan: &Plan) -> Result<Done, CompileError> {
    let mut done = Done::default();
    let mut gaps = Vec::new();
    let casts: Vec<Cast> = plan
        .sources
        .iter()
        .map(|source| {
            let indexed = index(source, &mut done.left_out);
            gaps.extend(indexed.iter().map(Indexed::span));
            Cast::new(&indexed)
        })
        .collect();
    let bounds = casts.iter().filter_map(|cast| cast.presence.bounds());
    let bounds = bounds.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let (begin, end) = bounds.ok_or_else(|| CompileError::nothing(&done))?;
    let span = end - begin + TICKS_PER_SECOND / i64::from(plan.frame_rate);
    let frames = (span * i64::from(plan.frame_rate) + TICKS_PER_SECOND - 1) / TICKS_PER_SECOND;

    let voices = casts.iter().map(|cast| cast.with_sound.clone()).collect();
    let sound = sound::start(voices, begin, sound_clock(span)).map_err(CompileError::Transcode)?;
    let mut film = Film::create(plan, frames as usize, sound)?;
    shoot(plan, casts, begin, frames, &mut film)?;
    film.finish(plan, &mut done)?;
    done.begin_ms = begin * 1_000 / TICKS_PER_SECOND;
    done.gaps = merged(gaps, begin);
    Ok(done)
}

/// Draws and encodes picture by picture.
fn shoot(
    plan: &Plan,
    casts: Vec<Cast>,
    begin: i64,
    frames: i64,
    film: &mut Film,
) -> Result<(), CompileError> {
    let wrong = |error: &dyn std::fmt::Display| CompileError::Transcode(error.to_string());
    let mut encoder = open_encoder(plan)?;
    let names = plan.sources.iter().map(|source| source.name.clone()).collect();
    let mut scene = Scene::new(plan.resolution, names).map_err(|error| wrong(&error))?;
    let mut readers = Vec::with_capacity(casts.len());
    let mut presences = Vec::with_capacity(casts.len());
    for cast in casts {
        readers.push(Pictures::start(plan, cast.chunks).map_err(|error| wrong(&error))?);
        presences.push(cast.presence);
    }
    let rate = i64::from(plan.frame_rate);
    for number in 0..frames {
        let ticks = begin + number * TICKS_PER_SECOND / rate;
        let there: Vec<usize> =
            (0..presences.len()).filter(|i| presences[*i].is_there(ticks)).collect();
        let speaker = layout::speaker(&plan.speakers, ticks);
        let time = picture_clock(ticks);
        scene.arrange(&there, speaker).map_err(|error| wrong(&error))?;
        for (source, reader) in readers.iter_mut().enumerate() {
            let new = reader.advance(time);
            let drawn = scene.draw(source, reader.shown(time, PATIENCE), new);
            drawn.map_err(|error| wrong(&error))?;
        }
        let pts = number * i64::from(mp4::TIMESCALE) / rate;
        let frame = scene.frame(pts).map_err(|error| wrong(&error))?;
        let key = number % (rate * i64::from(KEYFRAME_SECONDS)) == 0;
        for unit in encoder.encode(&frame, key).map_err(|error| wrong(&error))? {
            film.take_picture(&unit.data, unit.keyframe)?;
        }
        if (number + 1) % rate == 0 {
            film.end_run((number + 1) * i64::from(RATE_HZ) / rate)?;
        }
    }
    Ok(())
}

fn open_encoder(plan: &Plan) -> Result<RungEncoder, CompileError> {
    let rate = plan.resolution.pixels() as f64 * f64::from(plan.frame_rate) * BITS_PER_PIXEL;
    let config = EncoderConfig {
        codec: Codec::H264,
        resolution: plan.resolution,
        frame_rate: plan.frame_rate(),
        bitrate: BitsPerSecond(rate as u64),
    };
    let choice = plan.choice(Direction::Encode, Codec::H264);
    RungEncoder::open(config, &choice).map_err(|error| CompileError::Transcode(error.to_string()))
}

/// Spans in which nobody sent anything.
fn merged(mut spans: Vec<(i64, i64)>, begin: i64) -> Vec<Gap> {
    spans.sort_unstable();
    let mut gaps = Gaps::default();
    for (from, to) in spans {
        gaps.handle(from);
        gaps.cover(to);
    }
    let ms = |ticks: i64| ((ticks - begin) * 1_000 / TICKS_PER_SECOND).max(0) as u64;
    gaps.found.iter().map(|(from, to)| Gap { from_ms: ms(*from), to_ms: ms(*to) }).collect()
}

// === impl Cast ===

impl Cast {
    fn new(indexed: &[Indexed]) -> Self {
        let of = |kind| indexed.iter().filter(move |each: &&Indexed| each.has(kind));
        Self {
            chunks: of(Kind::Video).map(|each| (each.path.clone(), each.follows)).collect(),
            with_sound: of(Kind::Audio).map(|each| each.path.clone()).collect(),
            presence: Presence::new(indexed.iter().map(Indexed::span).collect()),
        }
    }
}

// === impl Film ===

impl Film {
    fn create(plan: &Plan, frames: usize, sound: Sound) -> Result<Self, CompileError> {
        let seconds = frames / plan.frame_rate as usize + 2;
        let packets = seconds * RATE_HZ as usize / sound.frame_size.max(1) as usize + 4;
        // A run of each a second.
        let room = mp4::room_for(frames + packets, 2 * seconds);
        let mut output = Output::create(&plan.output)?;
        output.write(&vec![0; room])?;
        Ok(Self {
            output,
            room,
            entry: None,
            pictures: Vec::with_capacity(frames),
            picture_runs: Vec::new(),
            packets: Vec::with_capacity(packets),
            packet_runs: Vec::new(),
            media_bytes: 0,
            waiting: 0,
            frame_ticks: mp4::TIMESCALE / plan.frame_rate,
            sound,
        })
    }

    fn take_picture(&mut self, unit: &[u8], keyframe: bool) -> Result<(), CompileError> {
        if self.entry.is_none() {
            self.entry = avc::entry(Codec::H264, unit, Resolution::new(0, 0));
        }
        let mut bytes = Vec::with_capacity(unit.len() + 16);
        put_lengths(unit, &mut bytes);
        if self.waiting == 0 {
            self.picture_runs.push(Run { offset: self.media_bytes, samples: 0, entry: 0 });
        }
        self.waiting += 1;
        let (size, duration) = (bytes.len() as u32, self.frame_ticks);
        self.pictures.push(Sample { size, duration, shift: 0, keyframe });
        self.write(&bytes)
    }

    /// Puts the sound up to `until`, in samples, behind the pictures that came.
    fn end_run(&mut self, until: i64) -> Result<(), CompileError> {
        if let Some(run) = self.picture_runs.last_mut().filter(|_| self.waiting > 0) {
            run.samples = self.waiting;
        }
        self.waiting = 0;
        let size = self.sound.frame_size;
        let mut run = Run { offset: self.media_bytes, samples: 0, entry: 0 };
        while (self.packets.len() as i64) * i64::from(size) < until {
            let Ok(packet) = self.sound.packets.recv() else { break };
            let packet = packet.map_err(CompileError::Transcode)?;
            self.write(&packet)?;
            let length = packet.len() as u32;
            self.packets.push(Sample { size: length, duration: size, shift: 0, keyframe: true });
            run.samples += 1;
        }
        if run.samples > 0 {
            self.packet_runs.push(run);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CompileError> {
        self.media_bytes += bytes.len() as u64;
        self.output.write(bytes)
    }

    fn finish(mut self, plan: &Plan, done: &mut Done) -> Result<(), CompileError> {
        self.end_run(i64::MAX)?;
        let entry = self.entry.take();
        let entry = entry.ok_or_else(|| CompileError::Transcode("no picture came out".into()))?;
        let video = Track {
            media: Media::Video(plan.resolution),
            timescale: mp4::TIMESCALE,
            entries: vec![mp4::avc1(&entry)],
            samples: self.pictures,
            runs: self.picture_runs,
            begin: 0,
            skip: 0,
        };
        let sound = Track {
            media: Media::Sound,
            timescale: RATE_HZ,
            entries: vec![mp4::aac(&self.sound.config, sound::BITS_PER_SECOND)],
            samples: self.packets,
            runs: self.packet_runs,
            begin: 0,
            // What the encoder puts in front of the first sample.
            skip: self.sound.frame_size.into(),
        };
        done.duration_ms = video.end() * 1_000 / u64::from(mp4::TIMESCALE);
        let head = mp4::head_within(&[video, sound], self.media_bytes, self.room);
        let head = head.ok_or_else(|| CompileError::file(&plan.output, "its index has no room"))?;
        self.output.write_head(&head)?;
        done.bytes = self.output.finish()?;
        (done.video, done.audio) = (Some(Codec::H264), Some(Codec::Aac));
        (done.width, done.height) = (plan.resolution.width, plan.resolution.height);
        Ok(())
    }
}
