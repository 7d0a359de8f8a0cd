//! One sender's own pictures and sound, in MP4 as they were sent.
//!
//! H.264 and Opus go over as they are: a size that changes is another sample entry, and its
//! parameter sets stay in front of its keyframes as well. What MP4 players don't take (VP8,
//! H.265) is transcoded first.

use stentor_protocol::{Codec, Resolution};

use super::index::{Indexed, index, read};
use super::output::Output;
use super::plan::{Done, Gap, Plan};
use super::timing::{Gaps, Place, SoundLine, picture_clock, picture_times, sound_clock};
use super::{CompileError, convert};
use crate::container::avc::VideoEntry;
use crate::container::matroska::{Block, Kind, TICKS_PER_SECOND};
use crate::container::mp4::{self, Media, Run, Sample, Track};
use crate::container::opus::{RATE_HZ, SILENCE, SILENCE_SAMPLES};

/// What of a chunk goes into the file, in order.
#[derive(Debug, Default)]
struct Pieces {
    /// Where the pictures lie in the chunk.
    video: Vec<(usize, usize)>,
    entry: u32,
    audio: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Silence,
    Packet(usize, usize),
}

/// The file's tables, as they grow.
#[derive(Debug, Default)]
struct Layout {
    entries: Vec<VideoEntry>,
    pictures: Vec<Sample>,
    shown: Vec<i64>,
    sound: Vec<Sample>,
    line: SoundLine,
    needs_keyframe: bool,
    gaps: Gaps,
}

pub fn compile(plan: &Plan) -> Result<Done, CompileError> {
    let mut done = Done::default();
    let chunks = index(&plan.sources[0], &mut done.left_out);
    let (chunks, _folder) = convert::to_h264(plan, chunks, &mut done.left_out)?;
    let Some(begin) = chunks.iter().map(|chunk| chunk.span().0).min() else {
        return Err(CompileError::nothing(&done));
    };
    let mut layout = Layout { needs_keyframe: true, ..Layout::default() };
    let pieces: Vec<_> = chunks.iter().map(|chunk| layout.take(chunk, begin)).collect();
    let tracks = layout.tracks(&pieces);
    let media_bytes = tracks.iter().flat_map(|track| &track.samples).map(|s| u64::from(s.size));
    let mut output = Output::create(&plan.output)?;
    output.write(&mp4::head(&tracks, media_bytes.sum()))?;
    for (chunk, pieces) in chunks.iter().zip(&pieces) {
        write_pieces(&mut output, chunk, pieces)?;
    }
    done.bytes = output.finish()?;
    layout.describe(&tracks, begin, &mut done);
    Ok(done)
}

fn write_pieces(output: &mut Output, chunk: &Indexed, pieces: &Pieces) -> Result<(), CompileError> {
    let bytes = read(&chunk.path).map_err(|error| CompileError::file(&chunk.path, error))?;
    let piece = |start: usize, length: usize| {
        let changed = || CompileError::file(&chunk.path, "it changed while it was read");
        bytes.get(start..start + length).ok_or_else(changed)
    };
    for (start, length) in &pieces.video {
        output.write(piece(*start, *length)?)?;
    }
    for each in &pieces.audio {
        match each {
            Piece::Silence => output.write(&SILENCE)?,
            Piece::Packet(start, length) => output.write(piece(*start, *length)?)?,
        }
    }
    Ok(())
}

// === impl Layout ===

impl Layout {
    /// Takes what can be shown of the next chunk.
    fn take(&mut self, indexed: &Indexed, begin: i64) -> Pieces {
        let mut pieces = Pieces::default();
        self.needs_keyframe |= !indexed.follows;
        if let Some(entry) = indexed.chunk.video.as_ref().filter(|_| indexed.has(Kind::Video)) {
            let known = self.entries.iter().position(|known| known == entry);
            pieces.entry = known.unwrap_or(self.entries.len()) as u32;
            if known.is_none() {
                self.entries.push(entry.clone());
            }
            for block in indexed.chunk.of(Kind::Video) {
                self.take_picture(block, begin, &mut pieces);
            }
        }
        for (block, samples) in indexed.chunk.of(Kind::Audio).zip(&indexed.sound) {
            self.take_packet(block, u32::from(*samples), begin, &mut pieces);
        }
        indexed.chunk.blocks.iter().for_each(|block| self.gaps.handle(block.ticks));
        pieces
    }

    fn take_picture(&mut self, block: &Block, begin: i64, pieces: &mut Pieces) {
        self.needs_keyframe &= !block.keyframe;
        if self.needs_keyframe {
            return;
        }
        let (size, keyframe) = (block.length as u32, block.keyframe);
        self.pictures.push(Sample { size, duration: 0, shift: 0, keyframe });
        self.shown.push(picture_clock(block.ticks - begin));
        pieces.video.push((block.start, block.length));
    }

    fn take_packet(&mut self, block: &Block, length: u32, begin: i64, pieces: &mut Pieces) {
        if length == 0 {
            return;
        }
        let Place::After(silences) = self.line.place(sound_clock(block.ticks - begin), length)
        else {
            return;
        };
        let sample = |size: usize, duration| Sample {
            size: size as u32,
            duration,
            shift: 0,
            keyframe: true,
        };
        for _ in 0..silences {
            self.sound.push(sample(SILENCE.len(), SILENCE_SAMPLES));
            pieces.audio.push(Piece::Silence);
        }
        self.sound.push(sample(block.length, length));
        pieces.audio.push(Piece::Packet(block.start, block.length));
    }

    fn tracks(&mut self, pieces: &[Pieces]) -> Vec<Track> {
        let times = picture_times(&self.shown);
        for (sample, (duration, shift)) in self.pictures.iter_mut().zip(times.each) {
            (sample.duration, sample.shift) = (duration, shift);
        }
        let (pictures, sound) = runs(pieces, &self.pictures, &self.sound);
        let mut tracks = Vec::new();
        if !pictures.is_empty() {
            tracks.push(Track {
                media: Media::Video(self.largest()),
                timescale: mp4::TIMESCALE,
                entries: self.entries.iter().map(mp4::avc1).collect(),
                samples: self.pictures.clone(),
                runs: pictures,
                begin: self.shown.iter().min().copied().unwrap_or(0).max(0) as u64,
                skip: times.skip.into(),
            });
        }
        if !sound.is_empty() {
            tracks.push(Track {
                media: Media::Sound,
                timescale: RATE_HZ,
                entries: vec![mp4::opus()],
                samples: self.sound.clone(),
                runs: sound,
                begin: 0,
                skip: 0,
            });
        }
        tracks
    }

    fn largest(&self) -> Resolution {
        let sizes = self.entries.iter().map(|entry| entry.resolution);
        sizes.max_by_key(|size| size.pixels()).unwrap_or(Resolution::new(0, 0))
    }

    fn describe(&self, tracks: &[Track], begin: i64, done: &mut Done) {
        let ms = |ticks: i64| ticks * 1_000 / TICKS_PER_SECOND;
        done.begin_ms = ms(begin);
        let end = tracks.iter().map(Track::end).max().unwrap_or(0);
        done.duration_ms = end * 1_000 / u64::from(mp4::TIMESCALE);
        if !self.pictures.is_empty() {
            let largest = self.largest();
            done.video = Some(Codec::H264);
            (done.width, done.height) = (largest.width, largest.height);
        }
        done.audio = (!self.sound.is_empty()).then_some(Codec::Opus);
        let gap = |(from, to): &(i64, i64)| Gap {
            from_ms: ms(from - begin).max(0) as u64,
            to_ms: ms(to - begin).max(0) as u64,
        };
        done.gaps = self.gaps.found.iter().map(gap).collect();
    }
}

/// Where pictures and sound lie: a chunk's pictures, then its sound.
fn runs(pieces: &[Pieces], pictures: &[Sample], sound: &[Sample]) -> (Vec<Run>, Vec<Run>) {
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    let (mut pictures, mut sound) = (pictures.iter(), sound.iter());
    let mut offset = 0;
    for each in pieces {
        for (count, entry, samples, runs) in [
            (each.video.len(), each.entry, &mut pictures, &mut video),
            (each.audio.len(), 0, &mut sound, &mut audio),
        ] {
            if count == 0 {
                continue;
            }
            runs.push(Run { offset, samples: count as u32, entry });
            offset += samples.take(count).map(|sample| u64::from(sample.size)).sum::<u64>();
        }
    }
    (video, audio)
}
