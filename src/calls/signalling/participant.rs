//! One user's part in a call, and the devices of it.

use std::time::Instant;

use crate::calls::ids::{Address, DeviceId, UserId};
use crate::calls::messages::{self, Media, OutCause, Presence};

#[derive(Debug)]
pub struct Participant {
    pub user: UserId,
    pub stage: Stage,
    pub media: Media,
    /// Was in the call at one time, so is told of its end.
    pub was_in: bool,
    /// Those that ring or are in the call, and those that were.
    pub devices: Vec<Device>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Rung, on those of the devices that say so: one at least.
    Ringing {
        by: UserId,
        /// The inviter's media: a late device rings with it, too.
        media: Media,
        until: Instant,
    },
    /// In the call, on this one of the devices.
    In(DeviceId),
    Out(OutCause),
}

#[derive(Debug)]
pub struct Device {
    pub id: DeviceId,
    pub rings: bool,
    /// Without a socket, and when that is too long.
    pub lost_until: Option<Instant>,
}

// === impl Participant ===

impl Participant {
    pub fn host(address: Address, media: Media) -> Self {
        let stage = Stage::In(address.device.clone());
        let devices = vec![Device::new(address.device)];
        Self { user: address.user, stage, media, was_in: true, devices }
    }

    /// Someone who wasn't in the call before.
    pub fn new(user: UserId) -> Self {
        let stage = Stage::Out(OutCause::Unreachable);
        Self { user, stage, media: Media::default(), was_in: false, devices: Vec::new() }
    }

    pub fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == *id)
    }

    pub fn device_mut(&mut self, id: &DeviceId) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.id == *id)
    }

    /// The device, known from now on.
    pub fn known(&mut self, id: &DeviceId) -> &mut Device {
        let at = self.devices.iter().position(|device| device.id == *id).unwrap_or_else(|| {
            self.devices.push(Device::new(id.clone()));
            self.devices.len() - 1
        });
        &mut self.devices[at]
    }

    pub fn address(&self, device: &DeviceId) -> Address {
        Address { user: self.user.clone(), device: device.clone() }
    }

    /// Where the user is in the call.
    pub fn in_call(&self) -> Option<Address> {
        match &self.stage {
            Stage::In(device) => Some(self.address(device)),
            _ => None,
        }
    }

    pub fn is_in(&self) -> bool {
        matches!(self.stage, Stage::In(_))
    }

    pub fn is_ringing(&self) -> bool {
        matches!(self.stage, Stage::Ringing { .. })
    }

    pub fn ringing(&self) -> impl Iterator<Item = Address> {
        self.devices.iter().filter(|device| device.rings).map(|device| self.address(&device.id))
    }

    /// When something runs out for this user.
    pub fn deadline(&self) -> Option<Instant> {
        let rings = match self.stage {
            Stage::Ringing { until, .. } => Some(until),
            _ => None,
        };
        self.devices.iter().filter_map(|device| device.lost_until).chain(rings).min()
    }

    /// As the others see it.
    pub fn shown(&self) -> messages::Participant {
        let (state, cause) = match &self.stage {
            Stage::Ringing { .. } => (Presence::Ringing, None),
            Stage::In(device) => {
                let lost = self.device(device).is_some_and(|device| device.lost_until.is_some());
                (if lost { Presence::Lost } else { Presence::In }, None)
            }
            Stage::Out(cause) => (Presence::Out, Some(*cause)),
        };
        messages::Participant { user: self.user.clone(), state, cause, media: self.media }
    }
}

// === impl Device ===

impl Device {
    pub fn new(id: DeviceId) -> Self {
        Self { id, rings: false, lost_until: None }
    }
}
