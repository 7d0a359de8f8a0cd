//! A TURN server of the operator's own in place of the one in this server: coturn (Debian's package
//! `coturn`).

use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stentor::config::IceServer;
use stentor_protocol::Secret;

use crate::device::{Device, hello};
use crate::support::{PATIENCE, Server};

const USER: &str = "stentor";
const PASSWORD: &str = "a password of coturn";

/// Ended when dropped.
struct Coturn {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Coturn {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let mut command = Command::new("turnserver");
        command.args(["-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"]);
        command.args(["--listening-port", &port.to_string(), "--realm", "operator.test"]);
        command.args(["--lt-cred-mech", "--user", &format!("{USER}:{PASSWORD}")]);
        command.args(["--no-tcp", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers"]);
        command.args(["--userdb", &at("users"), "--pidfile", &at("pid"), "--log-file", "stdout"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let coturn = Self { child, port, _folder: folder };
        let begin = Instant::now();
        while UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            assert!(begin.elapsed() < PATIENCE, "coturn listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        coturn
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_told_of_the_operators_own_turn_server_and_are_relayed_by_it() {
    let coturn = Coturn::start();
    let url = format!("turn:127.0.0.1:{}?transport=udp", coturn.port);
    let server = Server::with(|config| {
        config.ice.servers = vec![IceServer {
            urls: vec![url.clone()],
            username: Some(USER.to_owned()),
            credential: Some(Secret(PASSWORD.to_owned())),
        }];
    })
    .await;
    let mut device = Device::connect(&server).await;
    device.say(hello("anna", "one")).await;
    let welcome = device.expect("welcome").await;
    let expected = json!([{"urls": [url], "username": USER, "credential": PASSWORD}]);
    assert_eq!(welcome["ice_servers"], expected, "and of no other");

    let of = |name: &str| match &welcome["ice_servers"][0][name] {
        Value::String(text) => text.clone(),
        other => panic!("{other}"),
    };
    let port = coturn.port.to_string();
    let mut client = Command::new("timeout");
    client.args(["30", "turnutils_uclient", "-u", &of("username"), "-w", &of("credential")]);
    client.args(["-p", &port, "-n", "10", "-m", "2", "-y", "127.0.0.1"]);
    let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("Total lost packets 0 "), "{said}");
    server.stop().await;
}
