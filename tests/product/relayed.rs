//! Viewers behind a firewall that lets no UDP through.

use crate::support::daemon::{Options, free_port};
use crate::support::network::Namespace;
use crate::support::scene::SOON;
use crate::support::{Daemon, Scene, until};

#[tokio::test]
async fn a_viewer_without_udp_watches_through_turn_over_tcp() {
    let network = Namespace::new();
    network.block_udp();
    let port = free_port(&network.near);
    let config = format!(
        "[turn]\nenabled = true\nlisten = [\"{}:{port}\"]\nrelay_ports = \"any\"\n",
        network.near
    );
    let options =
        Options { demo: true, config, address: network.near.clone(), ..Options::default() };
    let scene = Scene { daemon: Daemon::start(options).await, network };
    scene.daemon.source_state("demo", "live", SOON).await;
    let mut viewer = scene.aiortc_viewer("demo", &["--codec", "h264", "--relay", "tcp"]);
    for _ in 0..30 {
        viewer.expect("frame", SOON).await;
    }
    viewer.expect("audio", SOON).await;
    let daemon = &scene.daemon;
    // aiortc takes one for each section that it offers.
    assert!(daemon.metric("stentor_turn_allocations", &["tcp"]).await >= 1.0);
    until("relayed packets are counted", SOON, async || {
        let name = "stentor_turn_relayed_packets_total";
        let relayed = daemon.metric(name, &["to_client"]).await;
        if relayed > 60.0 { Ok(()) } else { Err(relayed) }
    })
    .await;
    // It did try without.
    assert!(scene.network.blocked() > 0);
    viewer.interrupt(SOON).await;
    until("the allocation ends with its connection", SOON, async || {
        let left = daemon.metric("stentor_turn_allocations", &[]).await;
        if left == 0.0 { Ok(()) } else { Err(left) }
    })
    .await;
    let log = daemon.log();
    assert!(!log.contains("panicked"), "{log}");
}
