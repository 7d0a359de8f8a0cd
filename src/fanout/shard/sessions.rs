//! A shard's sessions and the three ways to find one.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::SessionId;
use super::session::Session;

/// Where a session is in its shard. Reused after its end.
pub type Slot = u32;

#[derive(Default)]
pub struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    free: Vec<Slot>,
    by_id: HashMap<SessionId, Slot>,
    by_address: HashMap<SocketAddr, Slot>,
    by_ufrag: HashMap<String, Slot>,
}

// === impl Sessions ===

impl Sessions {
    pub fn insert(&mut self, session: Session) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as Slot - 1
        });
        self.by_id.insert(session.id, slot);
        self.by_ufrag.insert(session.local_ufrag.clone(), slot);
        self.slots[slot as usize] = Some(Box::new(session));
        slot
    }

    pub fn remove(&mut self, slot: Slot) -> Option<Box<Session>> {
        let session = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.by_id.remove(&session.id);
        self.by_ufrag.remove(&session.local_ufrag);
        for address in &session.addresses {
            if self.by_address.get(address) == Some(&slot) {
                self.by_address.remove(address);
            }
        }
        Some(session)
    }

    pub fn get(&mut self, slot: Slot) -> Option<&mut Session> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    pub fn slot_of(&self, id: SessionId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub fn slot_at(&self, address: SocketAddr) -> Option<Slot> {
        self.by_address.get(&address).copied()
    }

    pub fn slot_of_ufrag(&self, ufrag: &str) -> Option<Slot> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Routes an address that has proven itself to a session.
    pub fn route(&mut self, slot: Slot, address: SocketAddr, evicted: Option<SocketAddr>) {
        self.by_address.insert(address, slot);
        if let Some(evicted) = evicted
            && self.by_address.get(&evicted) == Some(&slot)
        {
            self.by_address.remove(&evicted);
        }
        if let Some(session) = self.get(slot) {
            session.addresses.retain(|known| Some(*known) != evicted && *known != address);
            session.addresses.push(address);
        }
    }

    /// New ICE credentials: checks name another ufrag from now on.
    pub fn rename(&mut self, slot: Slot, ufrag: String) {
        let Some(session) = self.get(slot) else { return };
        let before = std::mem::replace(&mut session.local_ufrag, ufrag.clone());
        self.by_ufrag.remove(&before);
        self.by_ufrag.insert(ufrag, slot);
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn slots(&self) -> Vec<Slot> {
        self.by_id.values().copied().collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().filter_map(|slot| slot.as_deref())
    }
}
