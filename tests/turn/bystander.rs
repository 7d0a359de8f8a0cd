//! Whoever has no credentials of their own, or somebody else's, and looks for a relay.

use std::net::UdpSocket;

use super::client::{Client, Wire, refused};
use super::server::Server;
use super::{SOON, echo, until};

#[test]
fn credentials_that_were_made_up_altered_expired_or_put_together_open_no_relay() {
    let server = Server::start(|_| {});
    let (anna, password) = server.issue_to("anna", 60);
    let (bert, of_bert) = server.issue_to("bert", 60);
    let (expired, of_expired) = server.issue_to("anna", 0);
    let longer = format!("9{anna}");
    let foreign = Server::start(|config| config.secret.0 = "another secret of sixteen".to_owned());
    let wrong = "wrong_credentials";
    let tries = [
        ("made up", ("mallory".to_owned(), "secret".to_owned()), wrong),
        ("another's name", (anna.clone(), of_bert), wrong),
        ("another's password", (bert, password.clone()), wrong),
        ("a later end", (longer, password.clone()), wrong),
        ("no user", (anna.split_once(':').unwrap().0.to_owned(), password.clone()), wrong),
        ("another server's", foreign.issue_to("anna", 60), wrong),
        ("expired", (expired, of_expired), "expired"),
    ];
    for (what, credentials, reason) in tries {
        let failures = || server.metric("stentor_turn_auth_failures_total", reason);
        let before = failures();
        for tcp in [false, true] {
            let mut client = Client::new(Wire::connect(server.address(), tcp), &credentials);
            assert_eq!(client.allocate().unwrap_err(), refused(401), "{what}");
        }
        assert_eq!(failures(), before + 2.0, "{what}");
    }
    assert_eq!(server.metric("stentor_turn_allocations", ""), 0.0);
    Client::new(Wire::connect(server.address(), false), &(anna, password)).allocate().unwrap();
}

#[test]
fn a_relay_is_its_makers_whatever_credentials_others_come_with() {
    let server = Server::start(|_| {});
    let peer = echo().local_addr().unwrap();
    for tcp in [false, true] {
        let of_anna = server.issue_to("anna", 60);
        let wire = Wire::connect(server.address(), tcp);
        let same = wire.share();
        let mut anna = Client::new(wire, &of_anna);
        let relayed = anna.allocate().unwrap();
        anna.channel_bind(0x4000, peer).unwrap();

        // From elsewhere there is no such relay, not even for one who found her credentials.
        for credentials in [server.issue_to("mallory", 60), of_anna.clone()] {
            let mut mallory = Client::new(Wire::connect(server.address(), tcp), &credentials);
            assert_eq!(mallory.refresh(0).unwrap_err(), refused(437));
            assert_eq!(mallory.create_permission(peer).unwrap_err(), refused(437));
            assert_eq!(mallory.channel_bind(0x4000, peer).unwrap_err(), refused(437));
            mallory.send_indication(peer, b"by indication");
            mallory.send_channel(0x4000, b"by her channel");
        }
        // Nor over her own connection, for another.
        let mut mallory = Client::new(same, &server.issue_to("mallory", 60));
        assert_eq!(mallory.refresh(0).unwrap_err(), refused(441));
        assert_eq!(mallory.create_permission(peer).unwrap_err(), refused(441));
        assert_eq!(mallory.channel_bind(0x4001, peer).unwrap_err(), refused(441));
        assert_eq!(mallory.allocate().unwrap_err(), refused(437));

        // What was sent to it by nobody she let in doesn't come; what she sends goes as before.
        let dropped = || server.metric("stentor_turn_dropped_total", "\"permission\"");
        let before = dropped();
        let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
        stranger.send_to(b"from a stranger", relayed).unwrap();
        until("it is dropped", SOON, || dropped() == before + 1.0);
        anna.send_channel(0x4000, b"her own");
        assert_eq!(anna.receive_channel(), (0x4000, b"her own".to_vec()));
        anna.refresh(0).unwrap();
    }
    assert_eq!(server.metric("stentor_turn_allocations", ""), 0.0);
}
