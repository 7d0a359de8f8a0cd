//! A bounded queue between two threads, where a full queue is a decision and not a wait.
//!
//! Media is worth less the older it is, so a writer never blocks: it says which waiting items may
//! give way, and gets back what was dropped so that it can be counted.

use std::collections::VecDeque;
use std::collections::vec_deque::IterMut;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped<T> {
    Item(T),
    TimedOut,
    /// Closed, and everything that waited was taken.
    Closed,
}

// === impl Queue ===

impl<T> Queue<T> {
    pub fn new(capacity: usize) -> Self {
        let inner = Inner { items: VecDeque::new(), closed: false };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), capacity }
    }

    /// Appends the item. Gives it back where the queue is full or closed.
    pub fn push(&self, item: T) -> Option<T> {
        self.push_evicting(item, |_| false)
    }

    /// Appends the item; where the queue is full, the oldest item that `may_go` makes room.
    /// Gives what was dropped: that item, or the new one where nothing may go or the queue is
    /// closed.
    pub fn push_evicting(&self, item: T, may_go: impl Fn(&T) -> bool) -> Option<T> {
        self.push_evicting_and(item, may_go, |_, _| ())
    }

    /// The same; `mend` is shown the item that made room, and what waits behind it.
    pub fn push_evicting_and(
        &self,
        item: T,
        may_go: impl Fn(&T) -> bool,
        mend: impl FnOnce(&T, IterMut<'_, T>),
    ) -> Option<T> {
        let mut inner = self.lock();
        if inner.closed {
            return Some(item);
        }
        let mut dropped = None;
        if inner.items.len() >= self.capacity {
            let Some(oldest) = inner.items.iter().position(may_go) else {
                return Some(item);
            };
            dropped = inner.items.remove(oldest);
            if let Some(dropped) = &dropped {
                mend(dropped, inner.items.range_mut(oldest..));
            }
        }
        inner.items.push_back(item);
        drop(inner);
        self.changed.notify_one();
        dropped
    }

    /// Waits for the next item until `deadline`.
    pub fn pop_until(&self, deadline: Instant) -> Popped<T> {
        let mut inner = self.lock();
        loop {
            if let Some(item) = inner.items.pop_front() {
                return Popped::Item(item);
            }
            if inner.closed {
                return Popped::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Popped::TimedOut;
            }
            inner =
                self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the next item however long it takes. None once the queue is closed and empty.
    pub fn pop(&self) -> Option<T> {
        loop {
            match self.pop_until(Instant::now() + Duration::from_secs(3600)) {
                Popped::Item(item) => return Some(item),
                Popped::TimedOut => {}
                Popped::Closed => return None,
            }
        }
    }

    /// Drops what waits in front of the newest item that is wanted. Gives how much that was, and
    /// None where none is wanted.
    pub fn skip_to_newest(&self, wanted: impl Fn(&T) -> bool) -> Option<usize> {
        let mut inner = self.lock();
        let newest = inner.items.iter().rposition(wanted)?;
        let skipped: Vec<T> = inner.items.drain(..newest).collect();
        drop(inner);
        Some(skipped.len())
    }

    /// Drops what waits and gives how much that was.
    pub fn clear(&self) -> usize {
        let items = std::mem::take(&mut self.lock().items);
        items.len()
    }

    pub fn is_full(&self) -> bool {
        self.lock().items.len() >= self.capacity
    }

    /// Refuses new items; the reader still gets those that wait.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_reader_may_skip_to_the_newest_item_of_a_kind() {
        let queue = Queue::new(8);
        assert_eq!(queue.skip_to_newest(|_| true), None);
        for item in [1, 2, 3, 4, 5] {
            queue.push(item);
        }
        assert_eq!(queue.skip_to_newest(|item| *item > 9), None);
        assert_eq!(queue.skip_to_newest(|item| item % 2 == 0), Some(3));
        assert_eq!(queue.pop(), Some(4));
        assert!(!queue.is_closed());
        queue.close();
        assert!(queue.is_closed());
        assert_eq!(queue.pop(), Some(5));
    }

    #[test]
    fn a_full_queue_lets_the_oldest_that_may_go_give_way() {
        let queue = Queue::new(3);
        for item in [1, 2, 3] {
            assert_eq!(queue.push(item), None);
        }
        assert_eq!(queue.push_evicting(5, |item| item % 2 == 0), Some(2));
        assert_eq!(queue.push_evicting(7, |item| item % 2 == 0), Some(7));
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(1), Some(3), Some(5)]);
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_then_ends() {
        let queue = Queue::new(2);
        queue.push(1);
        queue.close();
        assert_eq!(queue.push(2), Some(2));
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_reader_wakes_on_an_item_and_on_the_close() {
        let queue = Arc::new(Queue::new(1));
        let reader = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || (queue.pop(), queue.pop())
        });
        while queue.push(1).is_some() {
            std::thread::yield_now();
        }
        queue.close();
        assert_eq!(reader.join().unwrap(), (Some(1), None));
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let queue = Queue::<()>::new(1);
        assert_eq!(queue.pop_until(Instant::now()), Popped::TimedOut);
    }
}
