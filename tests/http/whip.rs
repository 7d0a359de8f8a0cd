//! WHIP over HTTP (RFC 9725), with workers that only talk.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json;

use crate::support::{OFFER, Server, assert_problem};

const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

async fn server() -> Server {
    let server = Server::with(|config| {
        config.whip.answer_timeout = stentor::config::Period::from_millis(500);
        config.ice.servers = vec![stentor::config::IceServer {
            urls: vec!["turn:turn.test:3478".into()],
            username: Some("u\"v".into()),
            credential: Some(stentor_protocol::Secret("c".into())),
        }];
    })
    .await;
    server.make("stage", json!({"kind": "whip"})).await;
    server.wait_for("stage", "waiting", |c| c["source_state"] == "waiting").await;
    server
}

async fn patch(server: &Server, path: &str, if_match: Option<&str>, body: &str) -> Response {
    let mut request = server.request(Method::PATCH, path).header("content-type", FRAGMENT);
    if let Some(tag) = if_match {
        request = request.header("if-match", tag);
    }
    request.body(body.to_owned()).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_comes_before_the_worker_is_answered_by_it() {
    let server = Server::start().await;
    for channel in ["a", "b", "c"] {
        server.make(channel, json!({"kind": "whip"})).await;
        let response = server.post_sdp(&format!("/whip/{channel}"), OFFER).await;
        assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_comes_trickles_and_goes() {
    let server = server().await;
    let response = server.post_sdp("/whip/stage", OFFER).await;
    assert_eq!(response.status(), 201);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let (location, etag) = (header("location"), header("etag"));
    assert!(location.starts_with("/whip/stage/") && location.len() == 12 + 32, "{location}");
    assert_eq!(header("accept-patch"), FRAGMENT);
    assert_eq!(header("content-type"), "application/sdp");
    assert_eq!(
        header("link"),
        "<turn:turn.test:3478>; rel=\"ice-server\"; username=\"u\\\"v\"; credential=\"c\"; \
         credential-type=\"password\""
    );
    assert!(response.text().await.unwrap().starts_with("v=0"));
    server.wait_for("stage", "live", |c| c["source_state"] == "live").await;

    let own = "a=ice-ufrag:abcd\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    assert_eq!(patch(&server, &location, Some(&etag), own).await.status(), 204);
    let restart = own.replace("abcd", "efgh");
    let refused = patch(&server, &location, Some("*"), &restart).await;
    assert_problem(refused, 422, "/problems/ice-restart").await;
    let outdated = patch(&server, &location, Some("\"old\""), own).await;
    assert_problem(outdated, 412, "/problems/precondition").await;
    let missing = patch(&server, &location, None, own).await;
    assert_problem(missing, 428, "/problems/precondition").await;
    let garbage = patch(&server, &location, Some(&etag), "hello").await;
    assert_problem(garbage, 400, "/problems/bad-fragment").await;

    assert_eq!(server.delete(&location).await.status(), 200);
    assert_problem(server.delete(&location).await, 404, "/problems/no-session").await;
    let late = patch(&server, &location, Some(&etag), own).await;
    assert_problem(late, 404, "/problems/no-session").await;
    server.wait_for("stage", "waiting", |c| c["source_state"] == "waiting").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_status() {
    let server = server().await;
    server.make("film", json!({"kind": "synthetic"})).await;
    let offer = |line: &str| format!("{OFFER}{line}\r\n");
    for (channel, sdp, status, kind) in [
        ("stage", offer("a=x-busy"), 409, "/problems/busy"),
        ("stage", offer("a=x-no-codec"), 406, "/problems/no-common-codec"),
        ("stage", offer("a=x-silent"), 503, "/problems/worker-unavailable"),
        ("stage", offer("a=x-crash"), 503, "/problems/worker-unavailable"),
        ("stage", "hello".into(), 400, "/problems/bad-offer"),
        ("stage", String::new(), 400, "/problems/bad-offer"),
        ("stage", "v=0\r\n".repeat(20_000), 413, "/problems/invalid-body"),
        ("film", offer(""), 409, "/problems/not-whip"),
        ("nowhere", offer(""), 404, "/problems/no-channel"),
    ] {
        let response = server.post_sdp(&format!("/whip/{channel}"), &sdp).await;
        assert_problem(response, status, kind).await;
    }
    let json = server.post("/whip/stage", &json!({})).await;
    assert_problem(json, 415, "about:blank").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_say_what_they_take() {
    let server = server().await;
    let options = server.request(Method::OPTIONS, "/whip/stage").send().await.unwrap();
    assert_eq!(options.status(), 204);
    assert_eq!(options.headers()["accept-post"], "application/sdp");
    let got = server.get("/whip/stage").await;
    assert_eq!(got.headers()["allow"], "POST, OPTIONS");
    assert_problem(got, 405, "about:blank").await;
    let put = server.put("/whip/stage/0", &json!({})).await;
    assert_eq!(put.headers()["allow"], "PATCH, DELETE, OPTIONS");
    assert_problem(put, 405, "about:blank").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_who_knock_in_vain_leave_nothing_behind() {
    let server = server().await;
    for _ in 0..3 {
        let knocks = (0..16).map(|_| {
            let sdp = format!("{OFFER}a=x-silent\r\n");
            let request = server.request(Method::POST, "/whip/stage");
            request.header("content-type", "application/sdp").body(sdp).send()
        });
        for knock in knocks.map(|k| tokio::spawn(k)).collect::<Vec<_>>() {
            assert_eq!(knock.await.unwrap().unwrap().status(), 503);
        }
    }
    let answered = async {
        while server.post_sdp("/whip/stage", OFFER).await.status() != 201 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answered).await.expect("a free place");
    server.stop().await;
}
