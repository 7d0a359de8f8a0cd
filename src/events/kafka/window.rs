//! What was sent and isn't acknowledged yet, and how far everything is.

use std::collections::VecDeque;

use super::super::log::Cursor;

/// Sent records in the log's order. The cursor goes on only past what is acknowledged, together
/// with everything before it.
#[derive(Debug)]
pub struct Window {
    /// After each record, and whether it is acknowledged.
    sent: VecDeque<(Cursor, bool)>,
    /// Number of the first in `sent`.
    first: usize,
    done: Cursor,
}

// === impl Window ===

impl Window {
    pub fn new(done: Cursor) -> Self {
        Self { sent: VecDeque::new(), first: 0, done }
    }

    /// The number that the next record gets.
    pub fn next(&self) -> usize {
        self.first + self.sent.len()
    }

    /// A record was sent, after which the log's reader was at `after`.
    pub fn handle_sent(&mut self, after: Cursor) {
        self.sent.push_back((after, false));
    }

    /// A record is safe. Gives how many the cursor went past.
    pub fn handle_acknowledged(&mut self, number: usize) -> usize {
        let at = number.checked_sub(self.first);
        if let Some((_, is_safe)) = at.and_then(|at| self.sent.get_mut(at)) {
            *is_safe = true;
        }
        let before = self.first;
        while let Some((after, true)) = self.sent.front() {
            self.done = *after;
            self.first += 1;
            self.sent.pop_front();
        }
        self.first - before
    }

    /// What isn't safe is sent again, from the cursor that this gives. It gets new numbers: what
    /// is still said of the old ones says nothing of it.
    pub fn begin_again(&mut self) -> Cursor {
        self.first = self.next();
        self.sent.clear();
        self.done
    }

    /// Everything before it is safe.
    pub fn done(&self) -> Cursor {
        self.done
    }

    pub fn waiting(&self) -> usize {
        self.sent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Cursor {
        Cursor { segment: 0, offset }
    }

    #[test]
    fn the_cursor_goes_past_nothing_that_is_not_safe() {
        let mut window = Window::new(at(5));
        for offset in [10, 20, 30, 40] {
            window.handle_sent(at(offset));
        }
        assert_eq!(window.next(), 4);
        for (number, gone_past, done) in [(1, 0, 5), (2, 0, 5), (0, 3, 30), (9, 0, 30), (3, 1, 40)]
        {
            assert_eq!(window.handle_acknowledged(number), gone_past, "{number}");
            assert_eq!(window.done(), at(done), "{number}");
        }
        assert_eq!((window.waiting(), window.next()), (0, 4));
        assert_eq!(window.handle_acknowledged(0), 0);
    }

    #[test]
    fn what_is_said_of_records_before_it_began_again_moves_nothing() {
        let mut window = Window::new(at(5));
        for offset in [10, 20, 30] {
            window.handle_sent(at(offset));
        }
        assert_eq!(window.handle_acknowledged(0), 1);
        assert_eq!(window.begin_again(), at(10));
        assert_eq!((window.waiting(), window.next()), (0, 3));
        window.handle_sent(at(20));
        for (number, gone_past, done) in [(0, 0, 10), (1, 0, 10), (2, 0, 10), (3, 1, 20)] {
            assert_eq!(window.handle_acknowledged(number), gone_past, "{number}");
            assert_eq!(window.done(), at(done), "{number}");
        }
    }
}
