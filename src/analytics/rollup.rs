//! What events add to the roll-ups. Increments add up in any order; each event's are taken once.

use std::collections::{BTreeMap, HashMap};

use super::measure::{Crowd, Dimension, Gauge, Measure};
use super::sketch::Sketch;
use super::words::{WordId, Words};

pub const MINUTE_MS: u64 = 60_000;

/// What one event adds to a sum at most, some years in milliseconds: what says more makes it up, and
/// the sums are to fit into 63 bits.
pub const MOST_SIZE: u64 = 1 << 38;

/// What is counted of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// Since 1970.
    pub minute: u32,
    pub measure: Measure,
    pub a: WordId,
    pub b: WordId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    pub n: i64,
    pub sum: i64,
}

/// Somebody came (`+1`) or went (`-1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MoveKey {
    pub gauge: Gauge,
    pub a: WordId,
    pub b: WordId,
    /// Of [`SLOT_MS`] since 1970.
    pub slot: u64,
}

/// How fine the number of those who are there at once is known: a peak that is shorter isn't seen.
pub const SLOT_MS: u64 = 5000;

/// A call or a viewer, by its name.
pub type StayKey = (Gauge, String);

/// Begun and not known to have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Began {
    pub since_ms: u64,
    pub a: WordId,
    pub b: WordId,
    pub node: String,
}

/// What a number of events add.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Increments {
    pub cells: HashMap<CellKey, Cell>,
    pub moves: HashMap<MoveKey, i64>,
    pub crowds: HashMap<(Crowd, u32), Sketch>,
    pub began: BTreeMap<StayKey, Began>,
    /// Whose whole length is in `moves`.
    pub ended: BTreeMap<StayKey, u64>,
}

/// Where one event's increments go.
pub struct Tally<'a> {
    pub words: &'a mut Words,
    pub to: &'a mut Increments,
    /// Milliseconds since 1970.
    pub time_ms: u64,
}

// === impl Tally ===

impl Tally<'_> {
    pub fn word(&mut self, dimension: Dimension, word: &str) -> WordId {
        self.words.id(dimension, word)
    }

    /// One more.
    pub fn count(&mut self, measure: Measure, a: WordId, b: WordId) {
        self.add(measure, a, b, 0);
    }

    /// One more, of this size.
    pub fn add(&mut self, measure: Measure, a: WordId, b: WordId, size: u64) {
        let key = CellKey { minute: self.minute(), measure, a, b };
        let cell = self.to.cells.entry(key).or_default();
        cell.n += 1;
        cell.sum = cell.sum.saturating_add_unsigned(size.min(MOST_SIZE));
    }

    /// A duration, to be had as a percentile.
    pub fn time(&mut self, measure: Measure, ms: u64) {
        self.add(measure, super::histogram::class(ms), 0, ms);
    }

    pub fn user(&mut self, crowd: Crowd, user: &str) {
        let minute = self.minute();
        self.to.crowds.entry((crowd, minute)).or_default().insert(user);
    }

    pub fn begin(&mut self, gauge: Gauge, name: &str, node: &str, a: WordId, b: WordId) {
        let began = Began { since_ms: self.time_ms, a, b, node: node.to_owned() };
        self.to.began.insert((gauge, name.to_owned()), began);
    }

    /// It ends now, and has lasted so long.
    pub fn end(&mut self, gauge: Gauge, name: &str, a: WordId, b: WordId, lasted_ms: u64) {
        let since_ms = self.time_ms.saturating_sub(lasted_ms);
        self.to.stay(gauge, (a, b), since_ms..self.time_ms, 1);
        self.to.ended.insert((gauge, name.to_owned()), self.time_ms);
    }

    fn minute(&self) -> u32 {
        (self.time_ms / MINUTE_MS) as u32
    }
}

// === impl Increments ===

impl Increments {
    /// Somebody was there all that time. `times`: -1 takes it back.
    pub fn stay(
        &mut self,
        gauge: Gauge,
        (a, b): (WordId, WordId),
        ms: std::ops::Range<u64>,
        times: i64,
    ) {
        let (from, to) = (ms.start / SLOT_MS, ms.end / SLOT_MS);
        if from == to {
            return;
        }
        *self.moves.entry(MoveKey { gauge, a, b, slot: from }).or_default() += times;
        *self.moves.entry(MoveKey { gauge, a, b, slot: to }).or_default() -= times;
    }
}
