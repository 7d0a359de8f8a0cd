//! A daemon and a network for its clients, joined by a veth pair.

use std::time::Duration;

use super::daemon::Options;
use super::network::Namespace;
use super::{Daemon, Peer};

/// How long a viewer may take to its first picture on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Scene {
    // Ended in this order.
    pub daemon: Daemon,
    pub network: Namespace,
}

// === impl Scene ===

impl Scene {
    /// With the demo channel, live.
    pub async fn demo() -> Self {
        Self::of_demo(false).await
    }

    /// The same, and no other test's beside it.
    pub async fn demo_alone() -> Self {
        Self::of_demo(true).await
    }

    async fn of_demo(alone: bool) -> Self {
        let scene = Self::start(Options { demo: true, alone, ..Options::default() }).await;
        scene.daemon.source_state("demo", "live", SOON).await;
        scene
    }

    /// With channels and more as a configuration file has them.
    pub async fn with_config(config: &str) -> Self {
        Self::start(Options { config: config.to_owned(), ..Options::default() }).await
    }

    /// The same, and no other test's beside it.
    pub async fn with_config_alone(config: &str) -> Self {
        let config = config.to_owned();
        Self::start(Options { config, alone: true, ..Options::default() }).await
    }

    pub async fn start(options: Options) -> Self {
        Self::start_at(Namespace::new(), options).await
    }

    pub async fn start_at(network: Namespace, options: Options) -> Self {
        let daemon = Daemon::start(Options { address: network.near.clone(), ..options }).await;
        Self { daemon, network }
    }

    pub fn token(&self) -> &str {
        self.daemon.token.as_deref().unwrap_or_default()
    }

    /// aiortc as a viewer. `more`: such as `["--codec", "vp8"]`.
    pub fn aiortc_viewer(&self, channel: &str, more: &[&str]) -> Peer {
        let url = self.daemon.whep(channel);
        let arguments = [&[url.as_str(), "--token", self.token()][..], more].concat();
        Peer::python(&self.network, "whep.py", &arguments)
    }

    /// Chromium or Firefox as a viewer. `more`: such as `["--rendition", "180p"]`.
    pub fn browser_viewer(&self, name: &str, channel: &str, more: &[&str]) -> Peer {
        let url = self.daemon.whep(channel);
        let arguments = [&[url.as_str(), "--token", self.token()][..], more].concat();
        Peer::browser(&self.network, name, &arguments)
    }

    pub fn aiortc_publisher(&self, channel: &str, more: &[&str]) -> Peer {
        let url = self.daemon.whip(channel);
        let arguments = [&[url.as_str(), "--token", self.token()][..], more].concat();
        Peer::python(&self.network, "aiortc_publish.py", &arguments)
    }

    /// GStreamer's whepclientsrc as a viewer, which decodes.
    pub fn gstreamer_viewer(&self, channel: &str, seconds: u32) -> Peer {
        let description = format!(
            "whepclientsrc name=w stun-server=\"\" signaller::whep-endpoint={} \
             signaller::auth-token={} w. ! videoconvert ! queue ! appsink name=frames \
             w. ! audioconvert ! queue ! fakesink sync=false",
            self.daemon.whep(channel),
            self.token()
        );
        Peer::pipeline(&self.network, seconds, &description)
    }

    /// GStreamer's whipclientsink as a publisher of a test picture and a tone. The usual picture
    /// has snow in it: 6 Mb/s, more than a viewer in Python takes.
    pub fn gstreamer_publisher(&self, channel: &str, seconds: u32, codec: &str) -> Peer {
        let description = format!(
            "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1 ! \
             whipclientsink name=w stun-server=\"\" congestion-control=disabled \
             video-caps={codec} signaller::whip-endpoint={} signaller::auth-token={} \
             audiotestsrc is-live=true ! w.",
            self.daemon.whip(channel),
            self.token()
        );
        Peer::pipeline(&self.network, seconds, &description)
    }
}
