//! The fan-out, as channels need it.

use crate::channels::{Feed, Offered, Outlet};
use crate::fanout::{ChannelFeed, Fanout, Rendition};

pub struct FanoutOutlet(pub Fanout);

struct FanoutFeed(ChannelFeed);

// === impl FanoutOutlet ===

impl Outlet for FanoutOutlet {
    fn open(&self, channel: &str) -> Box<dyn Feed> {
        Box::new(FanoutFeed(self.0.open_channel(channel)))
    }
}

// === impl FanoutFeed ===

impl Feed for FanoutFeed {
    fn set_renditions(&self, renditions: Vec<Offered>) {
        let rendition = |offered: Offered| Rendition {
            track: offered.track,
            name: offered.name,
            codec: offered.codec,
            resolution: offered.resolution,
            bitrate: offered.bitrate,
            pass_through: offered.pass_through,
        };
        self.0.set_renditions(renditions.into_iter().map(rendition).collect());
    }

    fn attach(&self, media: std::os::fd::OwnedFd) {
        self.0.attach(media);
    }
}
