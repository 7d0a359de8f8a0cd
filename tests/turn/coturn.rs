//! coturn's own clients (Debian's package `coturn`).

use std::process::{Child, Command, Stdio};

use super::server::{SECRET, Server};

/// coturn's echo server. Ended when dropped.
struct Peer {
    child: Child,
    port: u16,
}

impl Peer {
    fn start(address: &str) -> Self {
        let free = std::net::UdpSocket::bind((address, 0)).unwrap().local_addr().unwrap();
        let port = free.port();
        let mut command = Command::new("turnutils_peer");
        command.args(["-L", address, "-p", &port.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let peer = Self { child, port };
        super::until("turnutils_peer listens", super::SOON, || {
            std::net::UdpSocket::bind((address, port)).is_err()
        });
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("timeout");
    let output = command.args(["60", program]).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
    said
}

#[test]
fn stunclient_learns_its_address_over_both_families() {
    let server = Server::start(|_| {});
    for address in [server.address(), server.address_v6()] {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let said = run("turnutils_stunclient", &["-p", &port, &ip]);
        assert!(said.contains("UDP reflexive addr"), "{said}");
    }
}

#[test]
fn uclient_loses_nothing_over_udp_tcp_and_tls_by_channels_and_by_send() {
    let server = Server::start(|_| {});
    let peer = Peer::start("127.0.0.1");
    let (plain, tls) = (server.address().port(), server.tls_address().port());
    let runs = [
        // Its default: two relays at an even port and the next one, as for RTP and RTCP.
        (&[][..], plain),
        (&["-s"], plain),
        (&["-t"], plain),
        (&["-t", "-s"], plain),
        (&["-t", "-S"], tls),
        // A relay of each family, of which it then refreshes one, the other, or both, at random.
        // It asks by the number of a draft (0x8032): a server that knows RFC 8656's alone gives it
        // one family, and refuses to refresh the other with 443. So does coturn's, where it has
        // one family.
        (&["-Z"], plain),
        (&["-Z", "-t"], plain),
        // Clients that relay to each other.
        (&["-y"], plain),
        (&["-y", "-t"], plain),
    ];
    // Most of their time they wait.
    std::thread::scope(|scope| {
        for (flags, port) in runs {
            let peer_port = peer.port.to_string();
            scope.spawn(move || {
                let port = port.to_string();
                let mut arguments = flags.to_vec();
                arguments.extend(["-W", SECRET, "-u", "anna", "-p", &port, "-n", "20", "-m", "4"]);
                if !flags.contains(&"-y") {
                    arguments.extend(["-e", "127.0.0.1", "-r", &peer_port]);
                }
                arguments.push("127.0.0.1");
                check(&run("turnutils_uclient", &arguments), flags);
            });
        }
    });
}

#[test]
fn uclient_relays_over_ipv6() {
    let server = Server::start(|_| {});
    let peer = Peer::start("::1");
    let (port, peer_port) = (server.address_v6().port().to_string(), peer.port.to_string());
    for transport in [&["-x", "-c"][..], &["-x", "-c", "-t"]] {
        let mut arguments = transport.to_vec();
        arguments.extend(["-W", SECRET, "-u", "anna", "-p", &port, "-n", "20", "-m", "2"]);
        arguments.extend(["-e", "::1", "-r", &peer_port, "::1"]);
        check(&run("turnutils_uclient", &arguments), transport);
    }
}

/// It says how many packets came back, whatever its exit status.
fn check(said: &str, flags: &[&str]) {
    let last = said.lines().rev().find(|line| line.contains("Total lost packets"));
    let last = last.unwrap_or_else(|| panic!("{flags:?}: no summary in\n{said}"));
    assert!(last.contains("Total lost packets 0 "), "{flags:?}: {last}\n{said}");
    let sent = said.lines().rev().find_map(|line| line.split("tot_send_msgs=").nth(1));
    let sent: u32 = sent.and_then(|n| n.split([',', ' ']).next()?.parse().ok()).unwrap_or(0);
    assert!(sent >= 20, "{flags:?}: {sent} packets sent\n{said}");
}
