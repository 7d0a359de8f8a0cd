//! How much media goes which way, in all calls together.

/// Of all calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaCounts {
    pub direct: i64,
    pub served: i64,
    pub publishers: i64,
    pub watchers: i64,
}

// === impl MediaCounts ===

impl MediaCounts {
    /// One call's share is another.
    pub fn replace(&mut self, before: Self, after: Self) {
        self.direct += after.direct - before.direct;
        self.served += after.served - before.served;
        self.publishers += after.publishers - before.publishers;
        self.watchers += after.watchers - before.watchers;
    }
}
