//! Word that is sent to the nodes on which users have devices, about what isn't a call's: chat,
//! contacts and signing out.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::outside::Outside;
use crate::calls::hub::Wire;
use crate::calls::ids::{NodeId, UserId};
use crate::calls::messages::{Few, ServerMessage};

// === impl Outside ===

impl Outside {
    /// There may be chat for these.
    pub async fn nudge(&self, users: Vec<UserId>) {
        self.send_word(users, |users| Wire::Chat { users }).await;
    }

    /// What one of ours did in a chat.
    pub async fn notice(&self, from: &UserId, users: Vec<UserId>, message: ServerMessage) {
        let wire = |users| Wire::Notice { from: from.clone(), users, message: message.clone() };
        self.send_word(users, wire).await;
    }

    /// Contacts or devices of these aren't what they were.
    pub async fn look(&self, users: Vec<UserId>) {
        self.send_word(users, |users| Wire::Look { users }).await;
    }

    /// In the order in which one waits for it.
    async fn send_word<const MOST: usize>(
        &self,
        users: Vec<UserId>,
        wire: impl Fn(Few<UserId, MOST>) -> Wire,
    ) {
        let asked = users.into_iter().map(|user| async {
            let nodes = self.nodes_of(&user).await;
            (user, nodes)
        });
        let mut there: BTreeMap<NodeId, Vec<UserId>> = BTreeMap::new();
        for (user, nodes) in join_all(asked).await {
            for node in nodes {
                there.entry(node).or_default().push(user.clone());
            }
        }
        for (node, users) in there {
            for users in users.chunks(MOST) {
                self.send(&node, wire(users.to_vec().try_into().unwrap_or_default()));
            }
        }
    }

    /// Other nodes on which the user has devices.
    pub async fn nodes_of(&self, user: &UserId) -> BTreeSet<NodeId> {
        let found = self.directory().find(user).await;
        let nodes = found.devices.into_iter().map(|device| device.node);
        nodes.filter(|node| node != self.node()).collect()
    }
}
