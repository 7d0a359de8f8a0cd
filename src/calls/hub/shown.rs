//! What each device shows, and what it gets of each picture for that, in a call through the
//! server.

use stentor_protocol::{BitsPerSecond, Codec};

use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{Capabilities, ServerMessage, Stream, Topology};
use crate::calls::routing::{Picture, Receiver, Routing, Sd, Sender, route};

use super::Hub;

/// A device's screen, as it last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    pub tiles: Vec<UserId>,
    pub height: u32,
    pub large: Option<UserId>,
}

/// The picture for weaker receivers, as the channels of calls make it.
const SD: Sd = Sd { codec: Codec::H264, height: 360, bitrate: BitsPerSecond::from_kilo(880) };
/// Of a device that hasn't said what it shows: everybody, large.
const HEIGHT: u32 = 720;

// === impl Hub ===

impl Hub {
    /// Takes what is on a device's screen.
    pub(super) fn take_screen(&mut self, id: &CallId, from: &Address, screen: Screen) {
        let Some(live) = self.calls.get_mut(id) else { return };
        if !live.call.present().any(|address| address == *from) {
            return;
        }
        let before = live.media.screens.insert(from.clone(), screen);
        if before.as_ref() != live.media.screens.get(from) {
            self.route_pictures(id);
        }
    }

    /// Routes pictures anew, and tells those for whom that changes something.
    pub(super) fn route_pictures(&mut self, id: &CallId) {
        let routed = self.senders_and_receivers(id);
        let Some(live) = self.calls.get_mut(id) else { return };
        let Some((senders, receivers)) = routed else {
            // In a mesh devices forget what they were told.
            if live.call.topology() == Topology::Mesh {
                live.media.routing = Routing::default();
            }
            return;
        };
        let addresses: Vec<Address> = live.call.present().collect();
        let before = &live.media.routing;
        let routing = route(&senders, &receivers, &SD, before);
        let of = |routing: &Routing, user: &UserId| routing.streams.get(user).cloned();
        let mut told: Vec<(Address, Vec<Stream>)> = Vec::new();
        for address in addresses {
            let streams = of(&routing, &address.user).unwrap_or_default();
            if of(before, &address.user).unwrap_or_default() != streams {
                told.push((address, streams));
            }
        }
        live.media.routing = routing;
        for (address, streams) in told {
            let message = ServerMessage::Streams { call: id.clone(), streams };
            self.deliver(&address, None, message);
        }
    }

    /// None: each gets what each sends.
    fn senders_and_receivers(&self, id: &CallId) -> Option<(Vec<Sender>, Vec<Receiver>)> {
        let live = self.calls.get(id)?;
        if live.call.over().is_some() || live.call.topology() == Topology::Mesh {
            return None;
        }
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for (address, media) in live.call.sending() {
            let (capabilities, _) = self.of_device(id, &address)?;
            let configuration = live.each.get(&address).copied();
            let video = configuration.and_then(|c| c.video).filter(|_| media.video);
            let picture = video.map(|video| Picture {
                codec: published(capabilities),
                resolution: video.resolution,
                frame_rate: video.frame_rate,
                bitrate: video.bitrate_bps,
            });
            senders.push(Sender { user: address.user.clone(), audible: media.audio, picture });
        }
        let seen: Vec<UserId> =
            senders.iter().filter(|s| s.picture.is_some()).map(|s| s.user.clone()).collect();
        for address in live.call.present() {
            let (capabilities, _) = self.of_device(id, &address)?;
            let screen = live.media.screens.get(&address).cloned();
            let all = || Screen { tiles: seen.clone(), height: HEIGHT, large: None };
            let Screen { tiles, height, large } = screen.unwrap_or_else(all);
            receivers.push(Receiver {
                user: address.user,
                tiles,
                tile_height: height,
                large,
                decode: capabilities.decode.as_slice().to_vec(),
                down: capabilities.down_bps,
            });
        }
        Some((senders, receivers))
    }
}

/// What a device sends to the server: H.264 where it can, since that is passed on to most.
fn published(capabilities: &Capabilities) -> Codec {
    let encodes = |codec| capabilities.encode.as_slice().iter().any(|limit| limit.codec == codec);
    if encodes(Codec::H264) { Codec::H264 } else { Codec::Vp8 }
}
