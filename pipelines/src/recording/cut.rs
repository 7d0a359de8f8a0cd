//! Where one chunk ends and the next begins. Pure.

/// Parts of ten of a chunk's length from which on a keyframe that comes anyway ends it.
const EARLY_TENTHS: i64 = 9;
/// A source that sends no keyframe although it is asked: the chunk ends after so many lengths.
const PATIENCE: i64 = 5;
/// A picture this long ago means that none is expected now, in µs.
const VIDEO_GONE_US: i64 = 1_000_000;
/// A chunk that ends before this part of its length is a short one.
const SHORT_PART: i64 = 2;
/// Short ones in a row: a source that changes with each keyframe makes no more files than this
/// and one in the time of a chunk's half.
const MOST_SHORT: u32 = 3;

/// What a chunk is, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub begin_us: i64,
    pub bytes: u64,
    /// It has a track for pictures.
    pub video: bool,
    /// And for sound.
    pub audio: bool,
    pub last_video_us: Option<i64>,
    /// Short ones just before it.
    pub short_before: u32,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Picture {
        keyframe: bool,
        /// Another codec, size or parameter set than the chunk's.
        changed: bool,
    },
    Sound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub chunk_us: i64,
    pub max_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    GoOn,
    /// Go on, and ask the source for a keyframe.
    Ask,
    /// End the chunk; what comes begins the next.
    Cut,
    /// The picture can't be in this chunk, and it is too early for another: it is left out, up to a
    /// keyframe that comes later.
    LeaveOut,
}

/// Decides about the next unit, whose time is `now_us`.
pub fn decide(open: &Open, next: Next, now_us: i64, limits: &Limits) -> Decision {
    let age = now_us - open.begin_us;
    let due = age >= limits.chunk_us;
    let video_lives = open.last_video_us.is_some_and(|last| now_us - last < VIDEO_GONE_US);
    let cut = match next {
        _ if open.bytes >= limits.max_bytes => true,
        Next::Picture { changed: true, .. } if open.video => {
            if open.short_before >= MOST_SHORT && is_short(open, now_us, limits) {
                return Decision::LeaveOut;
            }
            true
        }
        Next::Picture { .. } if !open.video => true,
        Next::Sound if !open.audio => true,
        Next::Picture { keyframe: true, .. } => age * 10 >= limits.chunk_us * EARLY_TENTHS,
        Next::Picture { keyframe: false, .. } => age >= limits.chunk_us * PATIENCE,
        Next::Sound => due && !video_lives,
    };
    match cut {
        true => Decision::Cut,
        false if due && video_lives => Decision::Ask,
        false => Decision::GoOn,
    }
}

/// Whether the chunk is a short one, if it ends now.
pub fn is_short(open: &Open, now_us: i64, limits: &Limits) -> bool {
    (now_us - open.begin_us) * SHORT_PART < limits.chunk_us
}

/// Whether a chunk that begins now shall have a track for pictures, if sound comes first.
pub fn expects_video(last_video_us: Option<i64>, now_us: i64) -> bool {
    last_video_us.is_some_and(|last| now_us - last < VIDEO_GONE_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { chunk_us: 2_000_000, max_bytes: 1_000 };
    const KEY: Next = Next::Picture { keyframe: true, changed: false };
    const DELTA: Next = Next::Picture { keyframe: false, changed: false };
    const OTHER: Next = Next::Picture { keyframe: true, changed: true };

    #[test]
    fn a_chunk_ends_at_a_keyframe_and_otherwise_when_it_has_to() {
        let both = Open {
            begin_us: 10_000_000,
            bytes: 500,
            video: true,
            audio: true,
            last_video_us: Some(10_000_000),
            short_before: 0,
        };
        let hurried = Open { short_before: MOST_SHORT, ..both };
        let full = Open { bytes: 1_000, ..both };
        let sound_only = Open { video: false, last_video_us: None, ..both };
        let pictures_only = Open { audio: false, ..both };
        // chunk, when its last picture was, what comes, when, in ms of the chunk's begin
        let table = [
            (both, 0, KEY, 33, Decision::GoOn),
            (both, 1_766, KEY, 1_800, Decision::Cut),
            (both, 1_966, DELTA, 2_000, Decision::Ask),
            (both, 1_990, Next::Sound, 2_000, Decision::Ask),
            (both, 2_066, KEY, 2_100, Decision::Cut),
            (both, 9_966, DELTA, 9_999, Decision::Ask),
            (both, 9_966, DELTA, 10_000, Decision::Cut),
            (both, 33, OTHER, 66, Decision::Cut),
            // Its size changes once more, and once more.
            (hurried, 33, OTHER, 66, Decision::LeaveOut),
            (hurried, 966, OTHER, 999, Decision::LeaveOut),
            (hurried, 966, OTHER, 1_000, Decision::Cut),
            (hurried, 33, KEY, 66, Decision::GoOn),
            (full, 33, DELTA, 66, Decision::Cut),
            (full, 33, Next::Sound, 40, Decision::Cut),
            // The camera is off.
            (both, 500, Next::Sound, 1_999, Decision::GoOn),
            (both, 500, Next::Sound, 2_000, Decision::Cut),
            (sound_only, 0, Next::Sound, 1_999, Decision::GoOn),
            (sound_only, 0, Next::Sound, 2_000, Decision::Cut),
            // And on again.
            (sound_only, 0, KEY, 100, Decision::Cut),
            (pictures_only, 0, Next::Sound, 100, Decision::Cut),
            // Its sound came late.
            (both, 500, Next::Sound, -20, Decision::GoOn),
        ];
        for (open, last, next, ms, expected) in table {
            let last_video_us = open.video.then_some(open.begin_us + last * 1_000);
            let open = Open { last_video_us, ..open };
            let decision = decide(&open, next, open.begin_us + ms * 1_000, &LIMITS);
            assert_eq!(decision, expected, "{next:?} at {ms} ms of {open:?}");
        }
    }
}
