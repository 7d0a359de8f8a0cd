//! A call, and what is known of it beside its machine's state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::calls::ids::{Address, UserId};
use crate::calls::messages::{Capabilities, Configuration, ConfigureCause, Topology};
use crate::calls::negotiation::{self, Change};
use crate::calls::signalling::Call;

use super::media::CallMedia;

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
    /// Of all, in a mesh.
    pub configuration: Option<Configuration>,
    /// Of each, through the server.
    pub each: BTreeMap<Address, Configuration>,
    /// What both are for.
    configured_for: Topology,
    pub revision: u32,
    /// Devices that were told the configuration.
    pub configured: BTreeSet<Address>,
    pub media: CallMedia,
    /// Who wanted it so.
    pub recorded_by: Option<UserId>,
}

/// A configuration, and whom to tell.
#[derive(Debug)]
pub struct Negotiated {
    /// The first of several.
    pub change: Option<Change>,
    pub cause: ConfigureCause,
    pub told: Vec<(Address, Configuration)>,
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
            each: BTreeMap::new(),
            configured_for: Topology::Mesh,
            revision: 0,
            configured: BTreeSet::new(),
            media: CallMedia::default(),
            recorded_by: None,
        }
    }

    /// Whether the user is in it, and it goes on.
    pub fn is_in(&self, user: &UserId) -> bool {
        self.call.over().is_none() && self.call.is_in(user)
    }

    /// Whether the device rings, or is the one on which its user is in.
    pub fn has_part(&self, device: &Address) -> bool {
        self.call.present().chain(self.call.ringing()).any(|part| part == *device)
    }

    /// What suits those who are in it now, where that has changed or somebody is yet to be told.
    pub fn negotiate<'a>(
        &mut self,
        capabilities_of: impl Fn(&Address) -> Option<&'a Capabilities>,
        hint: Option<ConfigureCause>,
    ) -> Option<Negotiated> {
        let present: BTreeSet<Address> = self.call.present().collect();
        if present.len() < 2 || self.call.over().is_some() {
            self.configured.clear();
            self.configuration = None;
            self.each.clear();
            return None;
        }
        let topology = self.call.topology();
        let rearranged = std::mem::replace(&mut self.configured_for, topology) != topology;
        let hint = if rearranged { Some(ConfigureCause::TopologyChanged) } else { hint };
        if hint.is_none() && present == self.configured {
            return None;
        }
        let cause = match hint {
            _ if self.configured.is_empty() => ConfigureCause::Started,
            Some(hint) => hint,
            None if present.is_subset(&self.configured) => ConfigureCause::Left,
            None => ConfigureCause::Joined,
        };
        let devices = present
            .iter()
            .filter_map(|address| Some((address.clone(), capabilities_of(address)?.clone())));
        let devices: Vec<(Address, Capabilities)> = devices.collect();
        let before = std::mem::replace(&mut self.configured, present);
        match topology {
            Topology::Mesh if rearranged => self.for_mesh(devices, &BTreeSet::new(), cause),
            Topology::Mesh => self.for_mesh(devices, &before, cause),
            Topology::Server => self.for_server(devices, cause),
        }
    }

    /// `before`: those who know how it was.
    fn for_mesh(
        &mut self,
        devices: Vec<(Address, Capabilities)>,
        before: &BTreeSet<Address>,
        cause: ConfigureCause,
    ) -> Option<Negotiated> {
        self.each.clear();
        let (addresses, devices): (Vec<_>, Vec<_>) = devices.into_iter().unzip();
        let after = negotiation::for_mesh(&devices, self.configuration.as_ref());
        let change = negotiation::change(self.configuration, after, cause);
        if change.is_some() {
            self.configuration = Some(after);
            self.revision += 1;
        }
        let configuration = self.configuration?;
        let is_told = |address: &Address| change.is_none() && before.contains(address);
        let told = addresses.into_iter().filter(|address| !is_told(address));
        Some(Negotiated { change, cause, told: told.map(|a| (a, configuration)).collect() })
    }

    /// Each as it can: what is too much for a receiver, the server makes smaller.
    fn for_server(
        &mut self,
        devices: Vec<(Address, Capabilities)>,
        cause: ConfigureCause,
    ) -> Option<Negotiated> {
        self.each.retain(|address, _| self.configured.contains(address));
        let mut negotiated = Negotiated { change: None, cause, told: Vec::new() };
        for (address, capabilities) in devices {
            let before = self.each.get(&address).copied();
            let after = negotiation::for_server(&capabilities, before.as_ref());
            let Some(change) = negotiation::change(before, after, cause) else { continue };
            self.each.insert(address.clone(), after);
            negotiated.change.get_or_insert(change);
            negotiated.told.push((address, after));
        }
        self.revision += u32::from(!negotiated.told.is_empty());
        Some(negotiated)
    }
}
