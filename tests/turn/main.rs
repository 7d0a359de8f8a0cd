//! STUN and TURN met by programs and libraries that are not ours: coturn's clients, and
//! messages by turn-types.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bystander;
mod client;
mod coturn;
mod server;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use client::{Client, Wire, refused};
use server::{SECRET, Server, until};

const SOON: Duration = Duration::from_secs(10);

/// A peer that sends back what it gets.
fn echo() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let echo = socket.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 2000];
        while let Ok((length, from)) = echo.recv_from(&mut bytes) {
            if length == 0 || echo.send_to(&bytes[..length], from).is_err() {
                return;
            }
        }
    });
    socket
}

#[test]
fn a_foreign_client_relays_by_indication_and_by_channel_over_udp_and_tcp() {
    let server = Server::start(|_| {});
    let peer = echo().local_addr().unwrap();
    for tcp in [false, true] {
        let mut client = Client::new(Wire::connect(server.address(), tcp), &server.issue(60));
        let relayed = client.allocate().unwrap();
        assert_eq!(relayed.ip(), server.address().ip());
        client.create_permission(peer).unwrap();
        client.send_indication(peer, b"by indication");
        assert_eq!(client.receive_data(), (peer, b"by indication".to_vec()));
        client.channel_bind(0x4001, peer).unwrap();
        // Lengths that need padding over TCP and those that don't, several at once.
        for length in [1, 2, 3, 4, 5, 1200] {
            client.send_channel(0x4001, &vec![length as u8; length]);
        }
        for length in [1, 2, 3, 4, 5, 1200] {
            assert_eq!(client.receive_channel(), (0x4001, vec![length as u8; length]));
        }
        let transport = if tcp { "tcp" } else { "udp" };
        let transport = format!("transport=\"{transport}\"");
        assert_eq!(server.metric("stentor_turn_allocations", &transport), 1.0);
        client.refresh(0).unwrap();
        assert_eq!(server.metric("stentor_turn_allocations", &transport), 0.0);
        assert!(UdpSocket::bind(relayed).is_ok(), "its port is free again");
    }
    until("packets are counted", SOON, || {
        server.metric("stentor_turn_relayed_packets_total", "to_client") == 14.0
    });
}

#[test]
fn wrong_and_expired_credentials_get_nothing_and_are_counted() {
    let server = Server::start(|_| {});
    let good = server.issue(60);
    let wrong = (good.0.clone(), "wrong".to_owned());
    let expired = server.issue(0);
    for (credentials, reason) in [(wrong, "wrong_credentials"), (expired, "expired")] {
        let mut client = Client::new(Wire::connect(server.address(), false), &credentials);
        assert_eq!(client.allocate().unwrap_err(), refused(401));
        assert_eq!(server.metric("stentor_turn_auth_failures_total", reason), 1.0);
    }
    assert_eq!(server.metric("stentor_turn_allocations", ""), 0.0);
}

#[test]
fn a_running_allocation_ends_with_its_time() {
    let server = Server::start(|_| {});
    let mut client = Client::new(Wire::connect(server.address(), false), &server.issue(2));
    let relayed = client.allocate().unwrap();
    assert!(UdpSocket::bind(relayed).is_err());
    until("the allocation ends", SOON, || UdpSocket::bind(relayed).is_ok());
    until("and is counted", SOON, || server.metric("stentor_turn_allocations", "") == 0.0);
    assert_eq!(client.refresh(600).unwrap_err(), refused(401));
}

#[test]
fn only_the_ports_of_the_media_are_open_of_our_own() {
    let media = echo();
    let open = media.local_addr().unwrap();
    let server = Server::start(|config| {
        config.policy.allowed.clear();
        config.policy.media =
            vec![stentor::turn::MediaPorts { ip: open.ip(), ports: open.port()..=open.port() }];
    });
    let closed = echo();
    let closed = closed.local_addr().unwrap();
    let mut client = Client::new(Wire::connect(server.address(), false), &server.issue(60));
    client.allocate().unwrap();
    assert_eq!(client.create_permission("10.0.0.1:5".parse().unwrap()).unwrap_err(), refused(403));
    assert_eq!(client.channel_bind(0x4000, closed).unwrap_err(), refused(403));
    // A permission names no port, so each packet is looked at.
    client.create_permission(closed).unwrap();
    client.send_indication(closed, b"no");
    client.send_indication(open, b"yes");
    assert_eq!(client.receive_data(), (open, b"yes".to_vec()));
    until("the other is counted", SOON, || {
        server.metric("stentor_turn_dropped_total", "\"peer\"") == 1.0
    });
}

#[test]
fn relays_reach_each_other_within_their_range_and_nothing_else_of_ours() {
    // Behind a static NAT, too, which may not let out packets come back in.
    for (public, ports) in [(None, 39_110..=39_129), (Some("192.0.2.1"), 39_130..=39_149)] {
        let server = Server::start(|config| {
            config.policy.allowed.clear();
            config.relay_ports = ports;
            config.public_addresses = public.iter().map(|ip| ip.parse().unwrap()).collect();
        });
        let mut ends = [false, true]
            .map(|tcp| Client::new(Wire::connect(server.address(), tcp), &server.issue(60)));
        let relayed = [ends[0].allocate().unwrap(), ends[1].allocate().unwrap()];
        assert_eq!(relayed[0].ip().to_string(), public.unwrap_or("127.0.0.1"));
        ends[0].channel_bind(0x4000, relayed[1]).unwrap();
        ends[1].create_permission(relayed[0]).unwrap();
        ends[0].send_channel(0x4000, b"there");
        assert_eq!(ends[1].receive_data(), (relayed[0], b"there".to_vec()));
        ends[1].send_indication(relayed[0], b"and back");
        assert_eq!(ends[0].receive_channel(), (0x4000, b"and back".to_vec()));
        let outside = "127.0.0.1:22".parse().unwrap();
        assert_eq!(ends[0].channel_bind(0x4001, outside).unwrap_err(), refused(403));
        ends[0].send_indication(outside, b"no");
        until("it is dropped", SOON, || {
            server.metric("stentor_turn_dropped_total", "\"peer\"") == 1.0
        });
    }
}

#[test]
fn quotas_of_allocations_and_bandwidth_hold() {
    let server = Server::start(|config| {
        config.quotas.allocations_per_user = 2;
        config.quotas.user_bits_per_second = 80_000;
    });
    let issued = server.issue(60);
    let mut clients: Vec<_> =
        (0..3).map(|_| Client::new(Wire::connect(server.address(), false), &issued)).collect();
    clients[0].allocate().unwrap();
    clients[1].allocate().unwrap();
    assert_eq!(clients[2].allocate().unwrap_err(), refused(486));
    let peer = echo().local_addr().unwrap();
    clients[0].channel_bind(0x4000, peer).unwrap();
    // Half a second's worth may come at once: five packets of these.
    for _ in 0..50 {
        clients[0].send_channel(0x4000, &[0; 1000]);
    }
    until("what is beyond the rate is dropped", SOON, || {
        server.metric("stentor_turn_dropped_total", "bandwidth") >= 20.0
    });
    assert!(server.metric("stentor_turn_relayed_packets_total", "to_peer") < 30.0);
}

#[test]
fn a_flood_of_strangers_is_answered_and_nothing_is_kept() {
    let server = Server::start(|_| {});
    let stranger = client::stranger();
    let mut sources = (0..=u16::MAX).cycle();
    until("20,000 requests are handled", Duration::from_secs(60), || {
        for _ in 0..100 {
            let [high, low] = sources.next().unwrap().to_be_bytes();
            let socket = UdpSocket::bind(SocketAddr::from(([127, 1, high, low], 0))).unwrap();
            for _ in 0..10 {
                // Full buffers are of no interest here, and answers aren't read.
                let _ = socket.send_to(&stranger, server.address());
            }
        }
        server.metric("stentor_turn_refused_total", "challenge") >= 20_000.0
    });
    assert_eq!(server.metric("stentor_turn_allocations", ""), 0.0);
    let mut client = Client::new(Wire::connect(server.address(), false), &server.issue(60));
    client.allocate().unwrap();
}

#[test]
fn a_slow_reader_over_tcp_loses_packets_and_nobody_else_does() {
    let server = Server::start(|_| {});
    let mut slow = Client::new(Wire::connect(server.address(), true), &server.issue(60));
    let relayed = slow.allocate().unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    slow.channel_bind(0x4000, peer.local_addr().unwrap()).unwrap();
    let other = echo().local_addr().unwrap();
    let mut quick = Client::new(Wire::connect(server.address(), true), &server.issue(60));
    quick.allocate().unwrap();
    quick.channel_bind(0x4000, other).unwrap();
    until("a full reader's packets are dropped", Duration::from_secs(60), || {
        for _ in 0..500 {
            peer.send_to(&[7; 1200], relayed).unwrap();
        }
        server.metric("stentor_turn_dropped_total", "slow_reader") > 0.0
    });
    quick.send_channel(0x4000, b"still there");
    assert_eq!(quick.receive_channel(), (0x4000, b"still there".to_vec()));
    // It is closed in the end.
    until("it is closed", Duration::from_secs(60), || {
        server.metric("stentor_turn_connections_closed_total", "slow") == 1.0
    });
}

#[test]
fn what_is_not_turn_closes_the_connection_and_strangers_make_room() {
    use std::io::{Read as _, Write as _};
    let server = Server::start(|config| config.max_connections = 2);
    let mut web = std::net::TcpStream::connect(server.address()).unwrap();
    web.set_read_timeout(Some(SOON)).unwrap();
    web.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(matches!(web.read(&mut [0; 10]), Ok(0) | Err(_)));
    until("it is counted", SOON, || {
        server.metric("stentor_turn_connections_closed_total", "protocol") == 1.0
    });
    let mut friend = Client::new(Wire::connect(server.address(), true), &server.issue(60));
    friend.allocate().unwrap();
    let strangers: Vec<_> =
        (0..5).map(|_| std::net::TcpStream::connect(server.address()).unwrap()).collect();
    until("strangers are closed for one another", SOON, || {
        server.metric("stentor_turn_connections_closed_total", "full") == 4.0
    });
    assert!(server.metric("stentor_turn_connections", "") <= 2.0);
    friend.refresh(600).unwrap();
    drop(strangers);
}

#[test]
fn passwords_are_those_of_turn_rest() {
    let server = Server::start(|_| {});
    let (username, password) = server.issue(60);
    assert!(username.split_once(':').unwrap().0.parse::<u64>().is_ok());
    assert!(!password.contains(SECRET));
}
