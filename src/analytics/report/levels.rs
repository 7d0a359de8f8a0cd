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

/// Those of one pair of labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// How many there are when the span begins.
    pub before: i64,
    /// Milliseconds since 1970, and how many came.
    pub moves: BTreeMap<u64, i64>,
}

/// All of a gauge. `keep` says which labels are told apart; those that it maps to the same are one.
pub fn moves(
    connection: &Connection,
    span: &Span,
    gauge: Gauge,
    keep: impl Fn(Labels) -> Labels,
) -> Result<BTreeMap<Labels, Moves>, StoreError> {
    let mut all: BTreeMap<Labels, Moves> = BTreeMap::new();
    let tier = span.tier();
    let (from, to) = (span.from_ms / tier.slot_ms(), span.to_ms / tier.slot_ms());
    let mut before = connection.prepare_cached(
        "SELECT a, b, sum(n) FROM (
             SELECT a, b, n FROM levels WHERE tier = ?1 AND gauge = ?2
             UNION ALL
             SELECT a, b, n FROM moves WHERE tier = ?1 AND gauge = ?2 AND slot < ?3
         ) GROUP BY a, b",
    )?;
    let mut rows = before.query(params![tier as u8, gauge as u8, from as i64])?;
    while let Some(row) = rows.next()? {
        let of = all.entry(keep((row.get(0)?, row.get(1)?))).or_default();
        of.before += row.get::<_, i64>(2)?;
    }
    let mut within = connection.prepare_cached(
        "SELECT a, b, slot, n FROM moves
         WHERE tier = ?1 AND gauge = ?2 AND slot >= ?3 AND slot < ?4",
    )?;
    let key = params![tier as u8, gauge as u8, from as i64, to as i64];
    let mut rows = within.query(key)?;
    while let Some(row) = rows.next()? {
        let of = all.entry(keep((row.get(0)?, row.get(1)?))).or_default();
        let ms = row.get::<_, i64>(2)? as u64 * tier.slot_ms();
        *of.moves.entry(ms).or_default() += row.get::<_, i64>(3)?;
    }
    // Whoever came and has not gone.
    let mut open = connection.prepare_cached(
        "SELECT a, b, since_ms FROM stays
         WHERE gauge = ?1 AND ended_ms IS NULL AND settled_ms IS NULL AND since_ms < ?2",
    )?;
    let mut rows = open.query(params![gauge as u8, span.to_ms as i64])?;
    while let Some(row) = rows.next()? {
        let of = all.entry(keep((row.get(0)?, row.get(1)?))).or_default();
        let since = row.get::<_, i64>(2)? as u64;
        if since < span.from_ms {
            of.before += 1;
        } else {
            *of.moves.entry(since - since % tier.slot_ms()).or_default() += 1;
        }
    }
    Ok(all)
}

/// Mean and peak of each step.
pub fn steps(moves: &Moves, span: &Span) -> Steps {
    let end = span.to_ms.min(span.now_ms);
    let mut areas = vec![0.0; span.steps()];
    let mut peaks = vec![i64::MIN; span.steps()];
    let (mut level, mut since) = (moves.before, span.from_ms);
    let ends = moves.moves.range(..end).map(|(ms, n)| (*ms, *n)).chain([(end, 0)]);
    for (ms, came) in ends {
        while since < ms {
            let step = span.step(since);
            let until = ms.min(span.time(step + 1).0);
            areas[step] += level as f64 * (until - since) as f64;
            peaks[step] = peaks[step].max(level);
            since = until;
        }
        level += came;
    }
    let lengths = (0..span.steps()).map(|step| {
        let (from, to) = (span.time(step).0, span.time(step + 1).0);
        to.min(end).saturating_sub(from)
    });
    let steps = lengths.zip(areas).zip(peaks);
    steps.map(|((length, area), peak)| (length > 0).then(|| (area / length as f64, peak))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_peaks_are_those_of_the_time_that_was() {
        let span = Span { from_ms: 600_000, to_ms: 840_000, step_ms: 60_000, now_ms: 750_000 };
        let moves = Moves {
            before: 1,
            moves: [(600_000, 1), (630_000, 2), (645_000, -3), (720_000, 1)].into(),
        };
        let found = steps(&moves, &span);
        // 2 for 30 s, 4 for 15 s, 1 for 15 s.
        assert_eq!(found[0], Some((2.25, 4)));
        assert_eq!(found[1], Some((1.0, 1)));
        assert_eq!(found[2], Some((2.0, 2)));
        assert_eq!(found[3], None);
    }

    #[test]
    fn a_time_that_has_not_come_has_no_level() {
        let span = Span { from_ms: 600_000, to_ms: 660_000, step_ms: 60_000, now_ms: 600_000 };
        assert_eq!(steps(&Moves::default(), &span), [None]);
        let earlier = Span { now_ms: 0, ..span };
        assert_eq!(steps(&Moves::default(), &earlier), [None]);
    }
}
