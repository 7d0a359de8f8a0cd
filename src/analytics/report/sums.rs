//! Sums of cells and of crowds, by step.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::span::Span;
use crate::analytics::histogram::percentile;
use crate::analytics::measure::{Crowd, Measure};
use crate::analytics::rollup::{Cell, MINUTE_MS};
use crate::analytics::sketch::Sketch;
use crate::analytics::store::StoreError;
use crate::analytics::words::WordId;

/// A number's word.
pub type Names = HashMap<WordId, String>;

/// By step and labels.
pub type Sums = BTreeMap<(usize, WordId, WordId), Cell>;

pub fn names(connection: &Connection) -> Result<Names, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, word FROM words")?;
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn sums(connection: &Connection, span: &Span, measure: Measure) -> Result<Sums, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT (start - ?4) / ?5, a, b, sum(n), sum(sum) FROM cells
         WHERE tier = ?1 AND measure = ?2 AND start >= ?4 AND start < ?3
         GROUP BY 1, 2, 3",
    )?;
    let minutes = |ms: u64| (ms / MINUTE_MS) as i64;
    let (from, to, step) = (minutes(span.from_ms), minutes(span.to_ms), minutes(span.step_ms));
    let key = params![span.tier() as u8, measure as u8, to, from, step];
    let rows = statement.query_map(key, |row| {
        let step = row.get::<_, i64>(0)? as usize;
        let cell = Cell { n: row.get(3)?, sum: row.get(4)? };
        Ok(((step, row.get(1)?, row.get(2)?), cell))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many of each step, whatever the labels.
pub fn counts(sums: &Sums, steps: usize) -> Vec<i64> {
    let mut counts = vec![0; steps];
    for ((step, ..), cell) in sums {
        if let Some(count) = counts.get_mut(*step) {
            *count += cell.n;
        }
    }
    counts
}

/// Of each step, where `a` are classes of durations: milliseconds below which `share` of all are.
pub fn percentiles(sums: &Sums, steps: usize, share: f64) -> Vec<Option<f64>> {
    let mut classes: Vec<Vec<(u32, i64)>> = vec![Vec::new(); steps];
    for ((step, class, _), cell) in sums {
        if let Some(classes) = classes.get_mut(*step) {
            classes.push((*class, cell.n));
        }
    }
    classes.iter().map(|classes| percentile(classes, share)).collect()
}

/// How many different users of each step.
pub fn crowd(connection: &Connection, span: &Span, crowd: Crowd) -> Result<Vec<f64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT start, sketch FROM crowds
         WHERE tier = ?1 AND crowd = ?2 AND start >= ?3 AND start < ?4",
    )?;
    let minutes = |ms: u64| (ms / MINUTE_MS) as i64;
    let key = params![span.tier() as u8, crowd as u8, minutes(span.from_ms), minutes(span.to_ms)];
    let mut rows = statement.query(key)?;
    let mut sketches = vec![Sketch::default(); span.steps()];
    while let Some(row) = rows.next()? {
        let at = row.get::<_, i64>(0)? as u64 * MINUTE_MS;
        sketches[span.step(at)]
            .merge(&Sketch::from_bytes(row.get_ref(1)?.as_blob().unwrap_or(&[])));
    }
    Ok(sketches.iter().map(|sketch| sketch.count().round()).collect())
}

/// The mean of what was added up. None: nothing was.
pub fn mean(cell: Option<&Cell>) -> Option<f64> {
    cell.filter(|cell| cell.n > 0).map(|cell| cell.sum as f64 / cell.n as f64)
}
