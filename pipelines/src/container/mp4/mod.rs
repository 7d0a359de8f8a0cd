//! MP4 (ISO/IEC 14496-12), with its index in front of the media.

mod entries;
mod tables;

pub use entries::{aac, avc1, opus};

use stentor_protocol::Resolution;

use tables::{boxed, full_box, sample_table};

/// Of the movie's own clock, and of pictures.
pub const TIMESCALE: u32 = 90_000;
/// The media's box has a head of this size.
const MEDIA_HEAD: usize = 16;
/// Up from here offsets take eight bytes.
const SHORT_OFFSETS_END: u64 = u32::MAX as u64 - (64 << 20);

const FTYP: [u8; 32] = *b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";
/// Rows of the identity, as fixed-point numbers.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    Video(Resolution),
    Sound,
}

/// One track's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    pub media: Media,
    pub timescale: u32,
    /// Sample entries, whole boxes: [`avc1`], [`opus`], [`aac`].
    pub entries: Vec<Vec<u8>>,
    /// In decoding order.
    pub samples: Vec<Sample>,
    pub runs: Vec<Run>,
    /// When it begins in the movie, in the movie's clock.
    pub begin: u64,
    /// What of its own clock comes before its begin.
    pub skip: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub size: u32,
    pub duration: u32,
    /// From decoding to showing.
    pub shift: u32,
    pub keyframe: bool,
}

/// Samples of one entry that lie one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// From the begin of the media.
    pub offset: u64,
    pub samples: u32,
    /// Index of the entry.
    pub entry: u32,
}

/// All that stands in front of the media.
pub fn head(tracks: &[Track], media_bytes: u64) -> Vec<u8> {
    let long = media_bytes >= SHORT_OFFSETS_END;
    let room = FTYP.len() + movie(tracks, 0, long).len() + MEDIA_HEAD;
    let mut head = FTYP.to_vec();
    head.extend(movie(tracks, room as u64, long));
    put_media_head(&mut head, media_bytes);
    head
}

/// The same, filled up to `room` bytes; None where it takes more.
pub fn head_within(tracks: &[Track], media_bytes: u64, room: usize) -> Option<Vec<u8>> {
    let long = media_bytes >= SHORT_OFFSETS_END;
    let mut head = FTYP.to_vec();
    head.extend(movie(tracks, room as u64, long));
    let free = room.checked_sub(head.len() + MEDIA_HEAD + 8)?;
    head.extend(boxed(b"free", &vec![0; free]));
    put_media_head(&mut head, media_bytes);
    Some(head)
}

/// Room that is enough for tracks with so many samples and runs.
pub fn room_for(samples: usize, runs: usize) -> usize {
    // Of each sample a size, a duration, a shift and a mark; of each run an offset and a row.
    16 * 1024 + samples * (4 + 8 + 8 + 4) + runs * (8 + 12)
}

fn put_media_head(head: &mut Vec<u8>, media_bytes: u64) {
    head.extend_from_slice(b"\0\0\0\x01mdat");
    head.extend_from_slice(&(media_bytes + MEDIA_HEAD as u64).to_be_bytes());
}

fn movie(tracks: &[Track], base: u64, long: bool) -> Vec<u8> {
    let longest = tracks.iter().map(Track::end).max().unwrap_or(0);
    let mut movie = movie_header(longest, tracks.len() as u32 + 1);
    for (index, each) in tracks.iter().enumerate() {
        movie.extend(track(each, index as u32 + 1, base, long));
    }
    boxed(b"moov", &movie)
}

fn movie_header(duration: u64, next_track: u32) -> Vec<u8> {
    let mut body = vec![0; 16];
    body.extend_from_slice(&TIMESCALE.to_be_bytes());
    body.extend_from_slice(&duration.to_be_bytes());
    body.extend_from_slice(&[0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    MATRIX.iter().for_each(|number| body.extend_from_slice(&number.to_be_bytes()));
    body.extend_from_slice(&[0; 24]);
    body.extend_from_slice(&next_track.to_be_bytes());
    full_box(b"mvhd", 1, 0, &body)
}

fn track(track: &Track, id: u32, base: u64, long: bool) -> Vec<u8> {
    let mut body = track_header(track, id);
    body.extend(boxed(b"edts", &edits(track)));
    let mut media = media_header(track);
    let (handler, name): (_, &[u8]) = match track.media {
        Media::Video(_) => (b"vide", b"Pictures\0"),
        Media::Sound => (b"soun", b"Sound\0"),
    };
    let handler = [&[0; 4][..], handler, &[0; 12], name].concat();
    media.extend(full_box(b"hdlr", 0, 0, &handler));
    let mut information = match track.media {
        Media::Video(_) => full_box(b"vmhd", 0, 1, &[0; 8]),
        Media::Sound => full_box(b"smhd", 0, 0, &[0; 4]),
    };
    let reference = [&[0, 0, 0, 1][..], &full_box(b"url ", 0, 1, &[])].concat();
    information.extend(boxed(b"dinf", &full_box(b"dref", 0, 0, &reference)));
    information.extend(sample_table(track, base, long));
    media.extend(boxed(b"minf", &information));
    body.extend(boxed(b"mdia", &media));
    boxed(b"trak", &body)
}

fn track_header(track: &Track, id: u32) -> Vec<u8> {
    let (volume, size) = match track.media {
        Media::Video(size) => (0_u16, size),
        Media::Sound => (0x100, Resolution::new(0, 0)),
    };
    let mut body = vec![0; 16];
    body.extend_from_slice(&id.to_be_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&track.end().to_be_bytes());
    body.extend_from_slice(&[0; 12]);
    body.extend_from_slice(&volume.to_be_bytes());
    body.extend_from_slice(&[0; 2]);
    MATRIX.iter().for_each(|number| body.extend_from_slice(&number.to_be_bytes()));
    body.extend_from_slice(&(size.width << 16).to_be_bytes());
    body.extend_from_slice(&(size.height << 16).to_be_bytes());
    full_box(b"tkhd", 1, 3, &body)
}

fn media_header(track: &Track) -> Vec<u8> {
    let mut body = vec![0; 16];
    body.extend_from_slice(&track.timescale.to_be_bytes());
    body.extend_from_slice(&track.duration().to_be_bytes());
    // "und": no language.
    body.extend_from_slice(&[0x55, 0xc4, 0, 0]);
    full_box(b"mdhd", 1, 0, &body)
}

/// Nothing up to the track's begin, then all of it.
fn edits(track: &Track) -> Vec<u8> {
    let mut rows: Vec<(u64, i64)> = Vec::new();
    if track.begin > 0 {
        rows.push((track.begin, -1));
    }
    rows.push((track.end() - track.begin, track.skip as i64));
    let mut body = (rows.len() as u32).to_be_bytes().to_vec();
    for (duration, from) in rows {
        body.extend_from_slice(&duration.to_be_bytes());
        body.extend_from_slice(&from.to_be_bytes());
        body.extend_from_slice(&[0, 1, 0, 0]);
    }
    full_box(b"elst", 1, 0, &body)
}

// === impl Track ===

impl Track {
    /// In its own clock, all of it.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// When it ends in the movie, in the movie's clock.
    pub fn end(&self) -> u64 {
        let scale = u128::from(self.timescale.max(1));
        // Pictures that are skipped are late ones: what is shown is as long as all of them.
        let length = match self.media {
            Media::Video(_) => self.duration(),
            Media::Sound => self.duration().saturating_sub(self.skip),
        };
        self.begin + (u128::from(length) * u128::from(TIMESCALE) / scale) as u64
    }
}
