//! Credentials of the server's own TURN, as clients are given them: by their names quotas go.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stentor::config::{Config, PortRange};

use crate::device::{Device, hello};
use crate::person::{self, Person};
use crate::support::{OFFER, Server};

fn relaying(config: &mut Config) {
    config.turn.enabled = true;
    config.turn.listen = vec![([127, 0, 0, 1], 0).into()];
    config.turn.relay_ports = PortRange::Any;
}

/// `EXPIRY:NAME` is the user name.
fn name(username: &str) -> String {
    username.split_once(':').unwrap().1.to_owned()
}

async fn welcomed(server: &Server, hello: Value) -> String {
    let mut device = Device::connect(server).await;
    device.say(hello).await;
    let welcome = device.expect("welcome").await;
    name(welcome["ice_servers"][0]["username"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_again_and_as_others_gets_no_more_names_than_an_address_has() {
    let server = Server::with(relaying).await;
    let mut names = BTreeSet::new();
    for _ in 0..300 {
        let told = server.json("/api/v1/server").await;
        names.insert(name(told["ice_servers"][0]["username"].as_str().unwrap()));
    }
    assert_eq!(names.len(), 16, "several may come from one address");
    for n in 0..5 {
        assert!(names.contains(&welcomed(&server, hello(&format!("user{n}"), "one")).await));
    }
    server.make("a", json!({"kind": "whip"})).await;
    let made = server.post_sdp("/whip/a", OFFER).await;
    let link = made.headers()["link"].to_str().unwrap().to_owned();
    let username = link.split("username=\"").nth(1).unwrap();
    assert!(names.contains(&name(username.split('"').next().unwrap())), "{link}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_one_name_on_all_devices() {
    let server = Server::with(|config| {
        relaying(config);
        person::open(config);
    })
    .await;
    let anna = Person::new(&server, "anna").await;
    let other = Person::on_another_device(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    let name = welcomed(&server, anna.hello()).await;
    assert_eq!(welcomed(&server, other.hello()).await, name);
    assert_eq!(welcomed(&server, anna.hello()).await, name, "each time");
    assert_ne!(welcomed(&server, bert.hello()).await, name);
    server.stop().await;
}
