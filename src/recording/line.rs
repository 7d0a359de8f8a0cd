//! Chunks that wait to be shipped, and those that are on their way. Pure.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::spool::Found;

/// Goes by the last look at the spool.
#[derive(Debug, Default)]
pub struct Line {
    waiting: VecDeque<Found>,
    /// On their way.
    busy: BTreeSet<PathBuf>,
    /// Those that could not be shipped: after all the others.
    failed: BTreeSet<PathBuf>,
}

// === impl Line ===

impl Line {
    /// What there is, in order.
    pub fn look(&mut self, chunks: Vec<Found>) {
        let (later, first): (Vec<Found>, Vec<Found>) =
            chunks.into_iter().partition(|chunk| self.failed.contains(&chunk.path));
        // Others may be gone.
        self.failed = later.iter().map(|chunk| chunk.path.clone()).collect();
        let waits = |chunk: &Found| !self.busy.contains(&chunk.path);
        self.waiting = first.into_iter().chain(later).filter(waits).collect();
    }

    /// The next, which is on its way from now on.
    pub fn pop(&mut self) -> Option<Found> {
        let found = self.waiting.pop_front()?;
        self.busy.insert(found.path.clone());
        Some(found)
    }

    /// One is on its way no more.
    pub fn back(&mut self, path: &Path, is_shipped: bool) {
        self.busy.remove(path);
        if is_shipped {
            self.failed.remove(path);
        } else {
            self.failed.insert(path.to_owned());
        }
    }

    pub fn busy(&self) -> &BTreeSet<PathBuf> {
        &self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::ids::RecordingId;

    fn chunks(numbers: &[u32]) -> Vec<Found> {
        let recording: RecordingId = "r000000000000000000000001".parse().unwrap();
        let chunk = |number: &u32| {
            let name = number.to_string();
            let path = PathBuf::from(&name);
            Found { recording: recording.clone(), name, path, bytes: 1 }
        };
        numbers.iter().map(chunk).collect()
    }

    fn next(line: &mut Line) -> Option<PathBuf> {
        line.pop().map(|found| found.path)
    }

    #[test]
    fn one_that_cannot_be_shipped_comes_after_the_others() {
        let mut line = Line::default();
        line.look(chunks(&[1, 2, 3]));
        assert_eq!(next(&mut line), Some("1".into()));
        line.back(Path::new("1"), false);
        assert_eq!(next(&mut line), Some("2".into()));
        line.look(chunks(&[1, 2, 3, 4]));
        let rest: Vec<_> = std::iter::from_fn(|| next(&mut line)).collect();
        assert_eq!(rest, ["3", "4", "1"].map(PathBuf::from), "2 is on its way");
        line.back(Path::new("1"), true);
        line.back(Path::new("3"), false);
        line.back(Path::new("4"), false);
        // The spool was full: 3 is gone.
        line.look(chunks(&[2, 4, 5]));
        let rest: Vec<_> = std::iter::from_fn(|| next(&mut line)).collect();
        assert_eq!(rest, ["5", "4"].map(PathBuf::from));
        assert_eq!(line.failed.len(), 1);
    }
}
