//! Which sessions there are and how to reach them, for the control plane.
//!
//! Lock order: `sessions` alone, then an entry's `remote_ufrag` alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{SessionId, SessionReport};

/// All sessions of all shards.
pub struct Registry {
    sessions: Mutex<HashMap<SessionId, Arc<Entry>>>,
    count: AtomicUsize,
    most: usize,
}

/// A session as the control plane sees it.
pub struct Entry {
    pub report: Arc<watch::Sender<SessionReport>>,
    /// Kind and mid of its first section, for an ICE restart's answer.
    pub first_section: (&'static str, String),
    pub candidates: Arc<[SocketAddr]>,
    /// Another one in a trickle fragment means an ICE restart.
    pub remote_ufrag: Mutex<String>,
}

/// A place for one viewer, given back when dropped.
pub struct Place(Arc<Registry>);

// === impl Registry ===

impl Registry {
    pub fn new(most: usize) -> Self {
        Self { sessions: Mutex::default(), count: AtomicUsize::new(0), most }
    }

    /// None: all places are taken.
    pub fn place(self: &Arc<Self>) -> Option<Place> {
        let most = self.most;
        let more = |count: usize| (count < most).then_some(count + 1);
        let taken = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok().then(|| Place(self.clone()))
    }

    pub fn most(&self) -> usize {
        self.most
    }

    pub fn insert(&self, id: SessionId, entry: Arc<Entry>) {
        self.lock().insert(id, entry);
    }

    pub fn remove(&self, id: SessionId) {
        self.lock().remove(&id);
    }

    pub fn get(&self, id: SessionId) -> Option<Arc<Entry>> {
        self.lock().get(&id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Entry>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
    }
}
