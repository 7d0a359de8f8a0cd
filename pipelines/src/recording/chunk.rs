//! The chunk that is being written: its file, and the cluster that fills.

use std::io;
use std::path::Path;

use stentor_protocol::Codec;
use stentor_protocol::recording::Chunk;

use super::cut::Open;
use super::file::PartFile;
use crate::container::avc::{VideoEntry, put_lengths};
use crate::container::matroska::{Cluster, Header, Kind, TICKS_PER_SECOND};

const US_PER_TICK: i64 = 1_000_000 / TICKS_PER_SECOND;
/// How much of a chunk a killed process loses at most, in ticks of media time.
const CLUSTER_TICKS: i64 = TICKS_PER_SECOND / 2;
/// And in bytes.
const CLUSTER_BYTES: usize = 1 << 20;
/// The longest step that counts as a unit's duration, in µs.
const LONGEST_STEP_US: i64 = 200_000;

/// A unit as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    pub kind: Kind,
    /// Since the recording began.
    pub time_us: i64,
    pub keyframe: bool,
    pub data: &'a [u8],
}

#[derive(Debug)]
pub struct OpenChunk {
    file: PartFile,
    cluster: Option<Cluster>,
    pub video: Option<VideoEntry>,
    has_audio: bool,
    begin_us: i64,
    /// Of the media that came so far.
    end_us: i64,
    last_us: [Option<i64>; 2],
    starts_with_keyframe: bool,
}

// === impl OpenChunk ===

impl OpenChunk {
    /// Begins a chunk whose first unit is of this time.
    pub fn create(
        folder: &Path,
        sequence: u32,
        video: Option<VideoEntry>,
        has_audio: bool,
        begin_us: i64,
    ) -> io::Result<Self> {
        let file = PartFile::create(folder, sequence, Header::new(video.as_ref(), has_audio))?;
        Ok(Self {
            file,
            cluster: None,
            video,
            has_audio,
            begin_us,
            end_us: begin_us,
            last_us: [None; 2],
            starts_with_keyframe: false,
        })
    }

    pub fn sequence(&self) -> u32 {
        self.file.sequence()
    }

    /// As the decision about its end sees it.
    pub fn open(&self, last_video_us: Option<i64>, short_before: u32) -> Open {
        let waiting = self.cluster.as_ref().map_or(0, Cluster::len) as u64;
        Open {
            begin_us: self.begin_us,
            bytes: self.file.bytes() + waiting,
            video: self.video.is_some(),
            audio: self.has_audio,
            last_video_us,
            short_before,
        }
    }

    pub fn write(&mut self, unit: Unit<'_>) -> io::Result<()> {
        let ticks = unit.time_us.max(0) / US_PER_TICK;
        let full = self.cluster.as_ref().is_some_and(|cluster| {
            let age = cluster.age(ticks);
            !cluster.fits(ticks) || age >= CLUSTER_TICKS || cluster.len() >= CLUSTER_BYTES
        });
        if full {
            self.flush()?;
        }
        self.take_note(&unit);
        let lengths = unit.kind == Kind::Video
            && self.video.as_ref().is_some_and(|video| !video.private.is_empty());
        let cluster = self.cluster.get_or_insert_with(|| Cluster::new(ticks));
        cluster.push(unit.kind, ticks, unit.keyframe, |out| match lengths {
            true => put_lengths(unit.data, out),
            false => out.extend_from_slice(unit.data),
        });
        Ok(())
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        match self.cluster.take() {
            Some(cluster) => self.file.append(&cluster.finish()),
            None => Ok(()),
        }
    }

    /// Ends the chunk with what was written. None where that was nothing.
    pub fn finish(self) -> io::Result<Option<Chunk>> {
        let duration_us = (self.end_us - self.begin_us).max(0);
        let begun = self.last_us.map(|last| last.is_some());
        let video = self.video.filter(|_| begun[0]);
        let whole = self.file.finish(duration_us / US_PER_TICK)?;
        Ok(whole.map(|whole| Chunk {
            sequence: whole.sequence,
            file: whole.name,
            bytes: whole.bytes,
            begin_us: self.begin_us,
            duration_us: duration_us as u64,
            video: video.as_ref().map(|video| video.codec),
            audio: begun[1].then_some(Codec::Opus),
            starts_with_keyframe: self.starts_with_keyframe,
            resolution: video.map(|video| video.resolution),
        }))
    }

    fn take_note(&mut self, unit: &Unit<'_>) {
        let last = &mut self.last_us[unit.kind as usize - 1];
        if unit.kind == Kind::Video && last.is_none() {
            self.starts_with_keyframe = unit.keyframe;
        }
        let step = last.map_or(0, |last| (unit.time_us - last).clamp(0, LONGEST_STEP_US));
        *last = Some(unit.time_us);
        self.end_us = self.end_us.max(unit.time_us + step);
    }
}
