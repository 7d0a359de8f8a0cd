//! A call, and what is known of it beside its machine's state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::calls::ids::{Address, UserId};
use crate::calls::messages::{Configuration, ConfigureCause};
use crate::calls::negotiation::{self, Change};
use crate::calls::signalling::Call;

use super::devices::Session;

#[derive(Debug)]
pub struct LiveCall {
    pub call: Call,
    pub began: Instant,
    /// Someone was rung: it is a call, and is counted as one.
    pub started: bool,
    /// Users whose index names it.
    pub users: BTreeSet<UserId>,
    /// Since when they are rung.
    pub rung: BTreeMap<UserId, Instant>,
    /// Since when they are in, while nothing has come to them directly.
    pub answered: BTreeMap<UserId, Instant>,
    pub configuration: Option<Configuration>,
    pub revision: u32,
    /// Devices that were told the configuration.
    pub configured: BTreeSet<Address>,
}

// === impl LiveCall ===

impl LiveCall {
    pub fn new(call: Call, now: Instant) -> Self {
        Self {
            call,
            began: now,
            started: false,
            users: BTreeSet::new(),
            rung: BTreeMap::new(),
            answered: BTreeMap::new(),
            configuration: None,
            revision: 0,
            configured: BTreeSet::new(),
        }
    }

    /// Whether the user is in it, and it goes on.
    pub fn is_in(&self, user: &UserId) -> bool {
        self.call.over().is_none() && self.call.present().any(|address| address.user == *user)
    }

    /// What suits those who are in it now. Gives what changed, if that shows, and who is to be
    /// told.
    pub fn negotiate<'a>(
        &mut self,
        session_of: impl Fn(&Address) -> Option<&'a Session>,
        hint: Option<ConfigureCause>,
    ) -> Option<(Option<Change>, Vec<Address>)> {
        let present: BTreeSet<Address> = self.call.present().collect();
        if present.len() < 2 || self.call.over().is_some() {
            self.configured.clear();
            self.configuration = None;
            return None;
        }
        if hint.is_none() && present == self.configured {
            return None;
        }
        let devices = present.iter().filter_map(session_of);
        let devices: Vec<_> = devices.map(|session| session.capabilities.clone()).collect();
        let after = negotiation::for_mesh(&devices, self.configuration.as_ref());
        let cause = match hint {
            _ if self.configuration.is_none() => ConfigureCause::Started,
            Some(hint) => hint,
            None if present.is_subset(&self.configured) => ConfigureCause::Left,
            None => ConfigureCause::Joined,
        };
        let change = negotiation::change(self.configuration, after, cause);
        let before = std::mem::replace(&mut self.configured, present.clone());
        if change.is_some() {
            self.configuration = Some(after);
            self.revision += 1;
            return Some((change, present.into_iter().collect()));
        }
        Some((None, present.difference(&before).cloned().collect()))
    }
}
