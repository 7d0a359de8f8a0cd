//! From where one gets in, how often, and what every response carries.

use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use stentor::http::access::Role;

use crate::device::Device;
use crate::support::{Keys, PATIENCE, Server, assert_problem};

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_turns_foreign_pages_away() {
    let server = Server::start().await;
    let ask = |origin: &'static str| {
        server.request(Method::GET, "/api/v1/me").header("origin", origin).send()
    };
    let foreign = ask("https://evil.example").await.unwrap();
    assert_problem(foreign, 403, "/problems/foreign-origin").await;
    let rebound = server.request(Method::GET, "/api/v1/me").header("host", "evil.example");
    assert_problem(rebound.send().await.unwrap(), 403, "/problems/foreign-origin").await;
    let own = server.request(Method::GET, "/api/v1/me");
    let own = own.header("origin", server.url("")).send().await.unwrap();
    assert_eq!(own.status(), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tokens_lets_other_pages_use_them() {
    let keys = Keys::new();
    let mut server = Server::with(|config| config.access.keys = vec![keys.public()]).await;
    let preflight = server
        .request(Method::OPTIONS, "/whep/a")
        .header("origin", "https://tv.example")
        .header("access-control-request-method", "POST")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers()["access-control-allow-methods"], "POST, OPTIONS");
    let allowed = preflight.headers()["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("Authorization"), "{allowed}");
    server.use_token(keys.token(Role::Admin, "*"));
    let answer = server.request(Method::GET, "/api/v1/me").header("origin", "https://tv.example");
    let answer = answer.send().await.unwrap();
    let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("Location") && exposed.contains("Link"), "{exposed}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_when_to_come_again() {
    let server = Server::with(|config| {
        config.http.requests_per_second = 1;
        config.http.request_burst = 5;
    })
    .await;
    let mut limited = None;
    for _ in 0..10 {
        let response = server.get("/healthz").await;
        if response.status() != 200 {
            limited = Some(response);
            break;
        }
    }
    let limited = limited.expect("a limit");
    assert!(limited.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_problem(limited, 429, "/problems/rate-limited").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_costs_more_until_somebody_has_signed_in_over_it() {
    let server = Server::with(|config| {
        config.http.requests_per_second = 1;
        config.http.request_burst = 25;
    })
    .await;
    for n in 0..5 {
        Device::sign_in(&server, &format!("user{n}")).await;
    }
    let mut silent = Vec::new();
    let refused = loop {
        let socket = server
            .request(Method::GET, "/ws")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let socket = socket.send().await.unwrap();
        if socket.status() != 101 {
            break socket;
        }
        silent.push(socket);
        assert!(silent.len() < 6, "as cheap as any request");
    };
    assert_problem(refused, 429, "/problems/rate-limited").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_is_given_up() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let server = Server::with(|config| {
        config.http.request_timeout = stentor::config::Period::from_millis(300);
        config.http.header_timeout = stentor::config::Period::from_millis(300);
    })
    .await;
    let address = server.daemon.addresses()[0];
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /whip/a HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/sdp\r\ncontent-length: 9\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = slow.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");

    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(10), async {
        let mut bytes = Vec::new();
        // Reset or closed: either way it is over.
        let _ = silent.read_to_end(&mut bytes).await;
    });
    closed.await.expect("headers that never end are not waited for");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_and_asks_for_nothing_holds_no_place() {
    use tokio::io::AsyncWriteExt as _;

    let server = Server::with(|config| {
        config.http.max_connections = 3;
        config.http.header_timeout = stentor::config::Period::from_millis(300);
    })
    .await;
    let address = server.daemon.addresses()[0];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut silent = Vec::new();
    for said in [&b""[..], &preface[..10], preface] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(said).await.unwrap();
        silent.push(stream);
    }
    // It waits for one of their places.
    assert_eq!(server.get("/healthz").await.status(), 200);
    let series = "stentor_http_connections_failed_total{reason=\"header_timeout\"}";
    let deadline = Instant::now() + PATIENCE;
    while server.metric(series).await < 3.0 {
        assert!(Instant::now() < deadline, "{}", server.metric(series).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_is_taken_in_so_that_the_connection_goes_on() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let server = Server::start().await;
    let address = server.daemon.addresses()[0];
    for (kind, length, status) in
        [("text/plain", 60_000, 415), ("application/json", 2_000_000, 413)]
    {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /api/v1/channels HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n\
             content-length: {length}\r\n\r\n"
        );
        let body = vec![b' '; length];
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body[..length / 2]).await.unwrap();
        // A server that answers before the body is there does it now.
        let mut answers = vec![0; 65_536];
        let early = stream.read(&mut answers);
        let early = tokio::time::timeout(Duration::from_millis(200), early).await;
        answers.truncate(early.map_or(0, Result::unwrap));
        stream.write_all(&body[length / 2..]).await.unwrap();
        let next = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(next).await.unwrap();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answers)).await.unwrap().unwrap();
        let answers = String::from_utf8_lossy(&answers);
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{answers}");
        assert!(answers.contains("HTTP/1.1 200 OK"), "{answers}");
    }
    let endless = server.request(Method::POST, "/api/v1/channels").header("content-type", "a/b");
    let refused = endless.body(vec![0; 5_000_000]).send().await;
    // The answer may be lost; what isn't says that the connection ends.
    if let Ok(refused) = refused {
        assert_eq!(refused.headers()["connection"], "close");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_comes_with_its_policy_and_unknown_paths_with_a_problem() {
    let server = Server::start().await;
    let page = server.get("/").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.headers().contains_key("content-security-policy"));
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let script = server.get("/js/app.js").await;
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
    for path in ["/nowhere", "/api/v2/channels", "/api/v1/channels/a/b/c", "/%2e%2e/etc/passwd"] {
        assert_problem(server.get(path).await, 404, "about:blank").await;
    }
    let head = server.request(Method::HEAD, "/").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.text().await.unwrap().len()), (200, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_to_who_knows() {
    let server = Server::start().await;
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let response = client.get(server.url("/healthz")).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.status(), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_refuses_newcomers_and_ends() {
    let server = Server::start().await;
    server.make("a", json!({"kind": "whip"})).await;
    server.wait_for("a", "running", |c| c["state"] == "running").await;
    assert_eq!(server.get("/readyz").await.status(), 200);
    // Nobody watches, so nobody is waited for.
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_tells_its_viewers_and_sends_newcomers_elsewhere() {
    let server = Server::with(|config| {
        config.server.drain_grace = stentor::config::Period::from_secs(4);
    })
    .await;
    server.make("a", json!({"kind": "synthetic"})).await;
    server.wait_for("a", "live", |c| c["source_state"] == "live").await;
    let offer = include_str!("../corpus/sdp/chromium-recvonly-gathered.sdp");
    let session = server.post_sdp("/whep/a", offer).await;
    assert_eq!(session.status(), 201);
    let location = session.headers()["location"].to_str().unwrap().to_owned();
    let stream = server.post(&format!("{location}/sse"), &json!(["reconnect", "layers"])).await;
    assert_eq!(stream.status(), 201);
    let mut events = server.get(stream.headers()["location"].to_str().unwrap()).await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut said = String::new();
    while !said.contains("event:layers") {
        said += &String::from_utf8_lossy(&events.chunk().await.unwrap().expect("events"));
    }

    let (client, url) = (server.client.clone(), server.url(""));
    let began = Instant::now();
    let stopping = tokio::spawn(server.stop());
    while let Some(more) = events.chunk().await.unwrap() {
        said += &String::from_utf8_lossy(&more);
    }
    assert!(said.contains("event:reconnect"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(1), "told after {:?}", began.elapsed());
    let refused = client
        .post(format!("{url}/whep/a"))
        .header("content-type", "application/sdp")
        .body(offer)
        .send()
        .await
        .unwrap();
    let pause: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&pause), "{pause}");
    assert_problem(refused, 503, "/problems/draining").await;
    let ready = client.get(format!("{url}/readyz")).send().await.unwrap();
    assert_problem(ready, 503, "/problems/draining").await;
    // The viewer doesn't leave by itself.
    stopping.await.unwrap();
    let took = began.elapsed();
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_every_door_is_answered_and_disturbs_nothing() {
    let server = Server::start().await;
    server.make("a", json!({"kind": "whip"})).await;
    let garbage: [&[u8]; 4] = [b"\0\xff\xfe", b"{\"a\":", b"v=0\r\nm=\r\n\xff", &[b'A'; 60_000]];
    let doors = [
        (Method::POST, "/whip/a"),
        (Method::POST, "/whep/a"),
        (Method::POST, "/api/v1/channels"),
        (Method::PUT, "/api/v1/channels/b"),
        (Method::PATCH, "/whip/a/00000000000000000000000000000000"),
        (Method::PATCH, "/whep/a/00000000000000000000000000000000"),
        (Method::DELETE, "/whep/a/zzz"),
        (Method::POST, "/whep/a/00000000000000000000000000000000/layer"),
        (Method::POST, "/whep/a/00000000000000000000000000000000/sse"),
    ];
    for (method, path) in doors {
        for body in garbage {
            for kind in
                ["application/sdp", "application/json", "application/trickle-ice-sdpfrag", "x"]
            {
                let request = server.request(method.clone(), path).header("content-type", kind);
                let response = request.body(body.to_vec()).send().await.unwrap();
                let status = response.status().as_u16();
                assert!((400..500).contains(&status), "{method} {path} {kind}: {status}");
                let problem: Value = response.json().await.unwrap();
                assert_eq!(problem["status"], status);
            }
        }
    }
    assert_eq!(server.json("/api/v1/channels/a").await["state"], "running");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_pass_promtool() {
    let server = Server::start().await;
    server.make("a", json!({"kind": "synthetic"})).await;
    server.wait_for("a", "measured", |c| !c["bitrate"].is_null()).await;
    let text = server.get("/metrics").await.text().await.unwrap();
    for name in ["stentor_build_info", "stentor_source_state", "stentor_decoded_frames_total"] {
        assert!(text.contains(name), "{name}");
    }
    let mut check = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("promtool: apt install prometheus");
    std::io::Write::write_all(&mut check.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
    server.stop().await;
}
