//! Who may see who is there.

use crate::calls::ids::UserId;

pub trait Policy: Send {
    /// Whether `viewer` is told of `user`'s presence.
    fn may_see(&self, viewer: &UserId, user: &UserId) -> bool;
}

/// All who are signed in know each other.
pub struct Everybody;

// === impl Everybody ===

impl Policy for Everybody {
    fn may_see(&self, _viewer: &UserId, _user: &UserId) -> bool {
        true
    }
}
