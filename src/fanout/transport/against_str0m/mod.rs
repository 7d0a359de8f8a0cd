//! The path and its signalling against a WebRTC stack that is not ours, over a network that
//! exists in memory, on a virtual clock.

mod network;

use std::net::SocketAddr;
use std::time::Duration;

use network::{Network, SSRC, nacked};
use str0m::Event;

use super::*;

#[test]
fn media_flows_and_feedback_returns() {
    let mut network = Network::new();
    network.connect();
    assert_eq!(network.server.remote(), Some(network.client_address));
    assert_eq!(network.server.local(), Some(network.server_address));

    for sequence in [1, 2, 4] {
        network.send(sequence, &[0x41, sequence as u8]);
    }
    let limit = Duration::from_secs(2);
    assert!(network.run_until(limit, |n| nacked(&n.rtcp).contains(&3)).unwrap());
    assert_eq!(network.received(), [1, 2, 4].map(|n| (n, vec![0x41, n as u8])));

    let header = network.header(77, true);
    let mut packet = Vec::new();
    let sender = network.server.srtp().unwrap();
    sender.protect_rtx(&header, 3, &[0x41, 3], 0, &mut packet).unwrap();
    network.deliver(&packet).unwrap();
    assert!(network.run_until(limit, |n| n.received().contains(&(3, vec![0x41, 3]))).unwrap());
}

#[test]
fn our_sender_report_is_understood() {
    let mut network = Network::new();
    network.connect();
    network.send(1, b"A");
    let mut report = vec![0x80, 200, 0, 6];
    report.extend_from_slice(&SSRC.to_be_bytes());
    report.extend_from_slice(&[0xe9, 0, 0, 0, 0x80, 0, 0, 0]);
    report.extend_from_slice(&[0; 12]);
    let mut packet = Vec::new();
    network.server.srtp().unwrap().protect_rtcp(&report, &mut packet).unwrap();
    network.deliver(&packet).unwrap();
    network.send(2, b"A");
    let has_report = |n: &Network| {
        n.events.iter().any(|e| matches!(e, Event::RtpPacket(p) if p.last_sender_info.is_some()))
    };
    assert!(network.run_until(Duration::from_secs(1), has_report).unwrap());
}

#[test]
fn a_handshake_that_loses_every_third_datagram_completes() {
    let mut network = Network::new();
    network.drop_every = Some(3);
    network.connect();
}

#[test]
fn the_preferred_cipher_is_agreed() {
    let mut network = Network::new();
    network.connect();
    assert_eq!(network.server.srtp().unwrap().profile(), SrtpProfile::AeadAes128Gcm);
}

#[test]
fn a_peer_with_another_certificate_than_it_named_is_refused() {
    let forge = |text: String| {
        let at = text.find("a=fingerprint:sha-256 ").unwrap() + 22;
        let digit = if &text[at..at + 1] == "0" { "1" } else { "0" };
        let line_end = text[at..].find("\r\n").unwrap() + at;
        let genuine = text[at..line_end].to_owned();
        let forged = format!("{digit}{}", &genuine[1..]);
        text.replace(&genuine, &forged)
    };
    let mut network = Network::with(|answer| answer, forge);
    let result = network.run_until(Duration::from_secs(5), |n| n.connected);
    assert!(matches!(result, Err(TransportError::Dtls(DtlsError::Fingerprint))), "{result:?}");
    assert!(network.server.srtp().is_none());
}

#[test]
fn we_begin_the_handshake_where_the_peer_wants_to_wait() {
    let wait = |text: String| text.replace("a=setup:actpass", "a=setup:passive");
    let mut network = Network::with(|answer| answer, wait);
    assert_eq!(network.offer.role, DtlsRole::Active);
    network.connect();
    network.send(1, b"A");
    let limit = Duration::from_secs(1);
    assert!(network.run_until(limit, |n| !n.received().is_empty()).unwrap());
}

#[test]
fn a_peer_that_moves_behind_its_nat_is_followed() {
    let mut network = Network::new();
    network.connect();
    let moved: SocketAddr = "10.0.0.2:3333".parse().unwrap();
    network.client_address = moved;
    let limit = Duration::from_secs(20);
    assert!(network.run_until(limit, |n| n.server.remote() == Some(moved)).unwrap());
    network.send(1, b"A");
    assert!(network.run_until(limit, |n| !n.received().is_empty()).unwrap());
}

#[test]
fn a_peer_that_leaves_is_noticed_at_once() {
    let mut network = Network::new();
    network.connect();
    network.client.close().unwrap();
    assert!(network.run_until(Duration::from_millis(100), |n| n.closed).unwrap());
    assert!(network.server.srtp().is_none());
}

#[test]
fn a_peer_is_told_when_we_leave() {
    let mut network = Network::new();
    network.connect();
    network.server.close(&mut network.outbox);
    let is_told = |n: &Network| !n.client.is_alive();
    assert!(network.run_until(Duration::from_secs(1), is_told).unwrap());
}

#[test]
fn last_heard_follows_consent_and_stops_with_it() {
    let mut network = Network::new();
    network.connect();
    network.run_until(Duration::from_secs(30), |_| false).unwrap();
    let silence = network.now.duration_since(network.server.last_heard());
    assert!(silence < Duration::from_secs(10), "{silence:?}");
}

#[test]
fn garbage_from_anyone_changes_nothing() {
    let mut network = Network::new();
    network.connect();
    let stranger = "10.9.9.9:9".parse().unwrap();
    let mut random = 1_u32;
    for round in 0..20_000 {
        let from = if round % 2 == 0 { network.client_address } else { stranger };
        let mut bytes: Vec<u8> = (0..round % 80)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            })
            .collect();
        if let Some(first) = bytes.first_mut() {
            *first = [0, 22, 23, 0x80, 0x81, 0x90][round % 6];
        }
        let (now, to) = (network.now, network.server_address);
        let outbox = &mut network.outbox;
        let received = network.server.handle_datagram(now, from, to, &mut bytes, outbox);
        let received = received.unwrap();
        assert!(matches!(received, Received::Dropped(_) | Received::Nothing), "{received:?}");
    }
    network.outbox.clear();
    network.send(1, b"A");
    let limit = Duration::from_secs(1);
    assert!(network.run_until(limit, |n| !n.received().is_empty()).unwrap());
}

/// Bytes in use of the C heap, which Rust and aws-lc share.
fn heap_bytes() -> usize {
    // SAFETY: takes no arguments and only reads the allocator's own books.
    unsafe { libc::mallinfo2() }.uordblks
}

/// Run alone, by the test below: other tests would be counted too.
#[test]
#[ignore = "measures the heap of its process"]
fn memory_of_a_connected_path() {
    const PATHS: usize = 32;
    let certificate_and_tables = Network::new();
    let mut networks: Vec<Network> = (0..PATHS).map(|_| Network::new()).collect();
    networks.iter_mut().for_each(Network::connect);
    // A while later, when retransmission timers have done their work.
    for network in &mut networks {
        network.run_until(Duration::from_secs(60), |_| false).unwrap();
    }
    let servers: Vec<Transport> = networks.into_iter().map(|n| n.server).collect();
    let with = heap_bytes();
    drop(servers);
    let bytes = (with - heap_bytes()) / PATHS;
    drop(certificate_and_tables);
    println!("bytes={bytes} struct={}", size_of::<Transport>());
}

#[test]
fn a_connected_path_keeps_within_20_kilobytes() {
    let name = "fanout::transport::against_str0m::memory_of_a_connected_path";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let bytes = text.split("bytes=").nth(1).and_then(|t| t.split_whitespace().next());
    let bytes: usize = bytes.unwrap_or_else(|| panic!("{text}")).parse().unwrap();
    assert!(bytes < 20_000, "{bytes} bytes");
}
