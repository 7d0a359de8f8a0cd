//! Who is in the picture at a time, and where. Pure.

use stentor_hardware::Area;
use stentor_protocol::Resolution;

use crate::compile::plan::Speaker;
use crate::container::matroska::TICKS_PER_SECOND;

/// Whoever sends nothing for so long isn't there, in ticks.
const AWAY_TICKS: i64 = 5 * TICKS_PER_SECOND;

/// When a source is there: spans in order, in ticks.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Presence {
    spans: Vec<(i64, i64)>,
}

/// Equal tiles for so many, row by row; the last row is centred.
pub fn grid(count: usize, canvas: Resolution) -> Vec<Area> {
    let count = count.max(1) as u32;
    let columns = (1..=count).find(|columns| columns * columns >= count).unwrap_or(count);
    let rows = count.div_ceil(columns);
    let width = (canvas.width / columns) & !1;
    let height = (canvas.height / rows) & !1;
    let tile = |index: u32| {
        let (row, column) = (index / columns, index % columns);
        let in_row = if row + 1 == rows { count - row * columns } else { columns };
        let indent = ((canvas.width - in_row * width) / 2) & !1;
        Area { left: indent + column * width, top: row * height, width, height }
    };
    (0..count).map(tile).collect()
}

/// Who speaks at this time, in ticks since the recording began.
pub fn speaker(speakers: &[Speaker], ticks: i64) -> Option<usize> {
    let now_us = ticks * 1_000_000 / TICKS_PER_SECOND;
    let passed = speakers.iter().filter(|speaker| speaker.at_us <= now_us);
    passed.max_by_key(|speaker| speaker.at_us)?.source
}

// === impl Presence ===

impl Presence {
    /// Of chunks' spans.
    pub fn new(mut chunks: Vec<(i64, i64)>) -> Self {
        chunks.sort_unstable();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for (begin, end) in chunks {
            match spans.last_mut() {
                Some(last) if begin <= last.1 + AWAY_TICKS => last.1 = last.1.max(end),
                _ => spans.push((begin, end)),
            }
        }
        Self { spans }
    }

    pub fn is_there(&self, ticks: i64) -> bool {
        self.spans.iter().any(|(begin, end)| (*begin..=*end).contains(&ticks))
    }

    /// All of it, with what is between.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        Some((self.spans.first()?.0, self.spans.last()?.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_equal_within_the_picture_and_apart() {
        let canvas = Resolution::new(1280, 720);
        for (count, columns, rows) in [
            (1, 1, 1),
            (2, 2, 1),
            (3, 2, 2),
            (4, 2, 2),
            (5, 3, 2),
            (6, 3, 2),
            (9, 3, 3),
            (10, 4, 3),
        ] {
            let tiles = grid(count, canvas);
            assert_eq!(tiles.len(), count);
            for tile in &tiles {
                assert!(
                    tile.left + tile.width <= 1280 && tile.top + tile.height <= 720,
                    "{tile:?}"
                );
                assert_eq!((tile.width, tile.height), (tiles[0].width, tiles[0].height));
                assert!(tile.left % 2 + tile.top % 2 + tile.width % 2 + tile.height % 2 == 0);
                assert!(tile.width * columns <= 1280 && tile.height * rows <= 720);
                let apart = |other: &Area| {
                    tile == other
                        || tile.left + tile.width <= other.left
                        || other.left + other.width <= tile.left
                        || tile.top + tile.height <= other.top
                        || other.top + other.height <= tile.top
                };
                assert!(tiles.iter().all(apart), "{count}: {tiles:?}");
            }
        }
    }

    #[test]
    fn somebody_is_there_through_short_holes_and_not_through_long_ones() {
        let presence = Presence::new(vec![(30_000, 50_000), (0, 20_000), (200_000, 210_000)]);
        let there: Vec<bool> =
            [0, 25_000, 50_000, 60_000, 199_999, 205_000].map(|t| presence.is_there(t)).into();
        assert_eq!(there, [true, true, true, false, false, true]);
        assert_eq!(presence.bounds(), Some((0, 210_000)));
        assert_eq!(Presence::default().bounds(), None);
    }

    #[test]
    fn the_last_who_began_to_speak_speaks() {
        let at = |at_us, source| Speaker { at_us, source };
        let speakers = [at(0, Some(1)), at(2_000_000, Some(0)), at(3_000_000, None)];
        let heard = [-1, 0, 19_999, 20_000, 30_000].map(|ticks| speaker(&speakers, ticks));
        assert_eq!(heard, [None, Some(1), Some(1), Some(0), None]);
    }
}
