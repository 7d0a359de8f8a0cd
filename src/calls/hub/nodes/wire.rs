//! What nodes say to each other about calls and people, and what the directory holds of a device.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::calls::ids::{Address, CallId, NodeId, UserId};
use crate::calls::messages::{Availability, Capabilities, ClientMessage, Few, ServerMessage};
use crate::calls::signalling::DeviceChange;
use crate::calls::topology;

/// A message between nodes, as JSON text. A call lives on one node; all others speak with that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wire {
    /// To a call's node: a device says something about it.
    Say { from: Address, request: Option<u32>, message: ClientMessage },
    /// To a call's node: what became of a device's connection.
    Device { call: CallId, address: Address, change: DeviceChange },
    /// To a call's node: what a device can do from now on.
    Capabilities { call: CallId, address: Address, capabilities: Capabilities },
    /// From a call's node: for a device.
    Tell { to: Address, request: Option<u32>, message: ServerMessage },
    /// A device came to a node: a call that rings for its user rings there, too. From that node to
    /// those on which the user has other devices, and from them to the calls' nodes.
    Arrived { address: Address, at: NodeId },
    /// Both ways, after a time in which messages may have been lost: these are held to be in, or
    /// rung for. Who knows better says so.
    Check { held: Few<Held, MOST_HELD> },
    /// The sender's node ends: nobody needs to miss it first.
    Leaving {},
    /// Who is there on the sender's node. `all`: and nobody else, but for those in the messages that
    /// follow until one isn't full.
    Presence { users: Few<Seen, MOST_SEEN>, all: bool },
    /// There may be chat for these.
    Chat { users: Few<UserId, MOST_SEEN> },
    /// One of the sender's users did something in a chat, which all devices of these are to know.
    Notice { from: UserId, users: Few<UserId, MOST_SEEN>, message: ServerMessage },
    /// These users' contacts or devices aren't what they were: whoever has them looks again.
    Look { users: Few<UserId, MOST_SEEN> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub call: CallId,
    pub address: Address,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub user: UserId,
    pub availability: Availability,
}

/// What stands in the directory of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its user is in a call.
    pub busy: bool,
    pub capabilities: Capabilities,
    /// The network that it comes from.
    #[serde(default)]
    pub site: Option<String>,
    /// Where that network is, where its node knows.
    #[serde(default)]
    pub spot: Option<Spot>,
}

/// A place to a hundredth of a degree, which is a kilometre: what a distance takes, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    north: i16,
    east: i16,
}

pub const MOST_HELD: usize = 200;
pub const MOST_SEEN: usize = 200;

// === impl Wire ===

impl Wire {
    pub fn written(&self) -> String {
        // Our own types: none has a map with keys that aren't strings.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// None of what no node of this version writes.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

// === impl Spot ===

impl Spot {
    pub fn of(place: topology::Place) -> Self {
        // What isn't on the globe is brought to its edge.
        let hundredths = |degrees: f64| (degrees * 100.0).round() as i16;
        Self { north: hundredths(place.latitude), east: hundredths(place.longitude) }
    }

    /// None of what is on no globe.
    pub fn place(self) -> Option<topology::Place> {
        let is_there =
            (-9000..=9000).contains(&self.north) && (-18000..=18000).contains(&self.east);
        let degrees = |hundredths: i16| f64::from(hundredths) / 100.0;
        is_there.then(|| topology::Place {
            latitude: degrees(self.north),
            longitude: degrees(self.east),
        })
    }
}

// === impl Card ===

impl Card {
    pub fn written(&self) -> Arc<str> {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_is_near_its_place_and_none_is_off_the_globe() {
        for (latitude, longitude) in [(52.5163, 13.3777), (-33.8688, 151.2093), (-90.0, 180.0)] {
            let place = Spot::of(topology::Place { latitude, longitude }).place().unwrap();
            let off = (place.latitude - latitude).abs().max((place.longitude - longitude).abs());
            assert!(off <= 0.005, "{latitude} {longitude}: {place:?}");
        }
        for (north, east) in [(9001, 0), (0, -18001), (i16::MIN, i16::MAX)] {
            assert_eq!(Spot { north, east }.place(), None);
        }
    }
}
