//! How many there were at once: from who came and who went.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::span::Span;
use crate::analytics::measure::Gauge;
use crate::analytics::store::StoreError;
use crate::analytics::words::WordId;

/// Of each step: the mean and the most at once. None: it hasn't come yet.
pub type Steps = Vec<Option<(f64, i64)>>;

/// By what they are told apart.
pub type Labels = (WordId, WordId);

/// How many of one pair of labels there are in the course of a span. As large as the span has steps,
/// whoever comes and goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// When the span begins.
    before: i64,
    /// Whether anybody came or went.
    moved: bool,
    /// There were so many when it began, or came.
    came: i64,
    level: i64,
    since_ms: u64,
    /// Of each step: milliseconds of all who were there, and the most at once.
    areas: Vec<f64>,
    peaks: Vec<i64>,
}

// === impl Course ===

impl Course {
    /// Nobody is there.
    pub fn new(span: &Span) -> Self {
        let steps = span.steps();
        Self {
            before: 0,
            moved: false,
            came: 0,
            level: 0,
            since_ms: span.from_ms,
            areas: vec![0.0; steps],
            peaks: vec![i64::MIN; steps],
        }
    }

    /// What it counts for beside others.
    pub fn came(&self) -> i64 {
        self.came
    }

    /// Nobody was there, and nobody came.
    pub fn is_nothing(&self) -> bool {
        self.before == 0 && !self.moved
    }

    /// So many more are there when the span begins.
    fn handle_before(&mut self, n: i64) {
        (self.before, self.level, self.came) = (self.before + n, self.level + n, self.came + n);
    }

    /// So many came, or went, within the span and not before what was handled last.
    fn handle(&mut self, ms: u64, n: i64, span: &Span) {
        self.moved = true;
        self.came += n.max(0);
        if ms < end(span) {
            self.stand_until(ms, span);
            self.level += n;
        }
    }

    fn stand_until(&mut self, ms: u64, span: &Span) {
        while self.since_ms < ms {
            let step = span.step(self.since_ms);
            let until = ms.min(span.time(step + 1).0);
            self.areas[step] += self.level as f64 * (until - self.since_ms) as f64;
            self.peaks[step] = self.peaks[step].max(self.level);
            self.since_ms = until;
        }
    }

    /// Mean and peak of each step.
    pub fn steps(mut self, span: &Span) -> Steps {
        let end = end(span);
        self.stand_until(end, span);
        let lengths = (0..span.steps()).map(|step| {
            let (from, to) = (span.time(step).0, span.time(step + 1).0);
            to.min(end).saturating_sub(from)
        });
        let of_all = lengths.zip(self.areas).zip(self.peaks);
        let of_step = |length, area, peak| (length > 0).then(|| (area / length as f64, peak));
        of_all.map(|((length, area), peak)| of_step(length, area, peak)).collect()
    }
}

/// What is later hasn't come.
fn end(span: &Span) -> u64 {
    span.to_ms.min(span.now_ms)
}

/// All of a gauge. `keep` says which labels are told apart; those that it maps to the same are one.
pub fn courses(
    connection: &Connection,
    span: &Span,
    gauge: Gauge,
    keep: impl Fn(Labels) -> Labels,
) -> Result<BTreeMap<Labels, Course>, StoreError> {
    let mut all = before(connection, span, gauge, &keep)?;
    let mut handle = |labels: Labels, ms: u64, n: i64| {
        all.entry(labels).or_insert_with(|| Course::new(span)).handle(ms, n, span);
    };
    let mut open = open(connection, span, gauge)?.into_iter().peekable();
    let tier = span.tier();
    let (from, to) = (span.from_ms / tier.slot_ms(), span.to_ms / tier.slot_ms());
    // The key has the slot before the labels.
    let mut within = connection.prepare_cached(
        "SELECT a, b, slot, n FROM moves
         WHERE tier = ?1 AND gauge = ?2 AND slot >= ?3 AND slot < ?4 ORDER BY slot",
    )?;
    let key = params![tier as u8, gauge as u8, from as i64, to as i64];
    let mut rows = within.query(key)?;
    while let Some(row) = rows.next()? {
        let ms = row.get::<_, i64>(2)? as u64 * tier.slot_ms();
        while let Some((since, labels)) = open.next_if(|(since, _)| *since <= ms) {
            handle(keep(labels), since, 1);
        }
        handle(keep((row.get(0)?, row.get(1)?)), ms, row.get(3)?);
    }
    open.for_each(|(since, labels)| handle(keep(labels), since, 1));
    Ok(all)
}

/// Those who are there when the span begins.
fn before(
    connection: &Connection,
    span: &Span,
    gauge: Gauge,
    keep: impl Fn(Labels) -> Labels,
) -> Result<BTreeMap<Labels, Course>, StoreError> {
    let mut all: BTreeMap<Labels, Course> = BTreeMap::new();
    let (tier, from) = (span.tier(), (span.from_ms / span.tier().slot_ms()) as i64);
    let mut moved = connection.prepare_cached(
        "SELECT a, b, sum(n) FROM (
             SELECT a, b, n FROM levels WHERE tier = ?1 AND gauge = ?2
             UNION ALL
             SELECT a, b, n FROM moves WHERE tier = ?1 AND gauge = ?2 AND slot < ?3
         ) GROUP BY a, b",
    )?;
    let mut rows = moved.query(params![tier as u8, gauge as u8, from])?;
    let mut handle = |labels, n| {
        all.entry(keep(labels)).or_insert_with(|| Course::new(span)).handle_before(n);
    };
    while let Some(row) = rows.next()? {
        handle((row.get(0)?, row.get(1)?), row.get(2)?);
    }
    let mut open = connection.prepare_cached(
        "SELECT a, b, count(*) FROM stays
         WHERE gauge = ?1 AND ended_ms IS NULL AND settled_ms IS NULL AND since_ms < ?2
         GROUP BY a, b",
    )?;
    let mut rows = open.query(params![gauge as u8, span.from_ms as i64])?;
    while let Some(row) = rows.next()? {
        handle((row.get(0)?, row.get(1)?), row.get(2)?);
    }
    Ok(all)
}

/// Whoever came within the span and has not gone, by the time of their slot.
fn open(
    connection: &Connection,
    span: &Span,
    gauge: Gauge,
) -> Result<Vec<(u64, Labels)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT a, b, since_ms FROM stays
         WHERE gauge = ?1 AND ended_ms IS NULL AND settled_ms IS NULL
         AND since_ms >= ?2 AND since_ms < ?3
         ORDER BY since_ms",
    )?;
    let slot_ms = span.tier().slot_ms();
    let key = params![gauge as u8, span.from_ms as i64, span.to_ms as i64];
    let rows = statement.query_map(key, |row| {
        let since = row.get::<_, i64>(2)? as u64;
        Ok((since - since % slot_ms, (row.get(0)?, row.get(1)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_peaks_are_those_of_the_time_that_was() {
        let span = Span { from_ms: 600_000, to_ms: 840_000, step_ms: 60_000, now_ms: 750_000 };
        let mut course = Course::new(&span);
        course.handle_before(1);
        let moves =
            [(600_000, 1), (630_000, 2), (645_000, 1), (645_000, -4), (720_000, 1), (760_000, 7)];
        moves.into_iter().for_each(|(ms, n)| course.handle(ms, n, &span));
        assert_eq!((course.came(), course.is_nothing()), (13, false));
        let found = course.steps(&span);
        // 2 for 30 s, 4 for 15 s, 1 for 15 s.
        assert_eq!(found[0], Some((2.25, 4)));
        assert_eq!(found[1], Some((1.0, 1)));
        assert_eq!(found[2], Some((2.0, 2)));
        assert_eq!(found[3], None);
    }

    #[test]
    fn a_time_that_has_not_come_has_no_level() {
        let span = Span { from_ms: 600_000, to_ms: 660_000, step_ms: 60_000, now_ms: 600_000 };
        assert_eq!(Course::new(&span).steps(&span), [None]);
        let earlier = Span { now_ms: 0, ..span };
        assert_eq!(Course::new(&earlier).steps(&earlier), [None]);
    }
}
