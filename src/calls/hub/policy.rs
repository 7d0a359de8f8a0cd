//! Who may ring whom, and who may see who is there.

use crate::calls::ids::UserId;
use crate::calls::messages::Sentence;

pub trait Policy: Send {
    /// The reason where not.
    fn may_ring(&self, from: &UserId, to: &UserId) -> Result<(), Sentence>;

    /// Whether `viewer` is told of `user`'s presence.
    fn may_see(&self, viewer: &UserId, user: &UserId) -> bool;
}

/// All who are signed in know each other.
pub struct Everybody;

// === impl Everybody ===

impl Policy for Everybody {
    fn may_ring(&self, _from: &UserId, _to: &UserId) -> Result<(), Sentence> {
        Ok(())
    }

    fn may_see(&self, _viewer: &UserId, _user: &UserId) -> bool {
        true
    }
}
