//! Channels over the API, with workers that only talk.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, assert_problem};

fn synthetic() -> Value {
    json!({"kind": "synthetic"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_made_shown_changed_and_deleted() {
    let server = Server::start().await;
    let path = "/api/v1/channels/studio";
    let body = json!({"name": "studio", "source": synthetic()});
    let made = server.post("/api/v1/channels", &body).await;
    assert_eq!(made.status(), 201);
    assert_eq!(made.headers()["location"], path);
    assert_problem(server.post("/api/v1/channels", &body).await, 409, "/problems/channel-exists")
        .await;

    let channel = server.wait_for("studio", "live", |c| c["source_state"] == "live").await;
    assert_eq!(channel["state"], "running");
    assert_eq!(channel["format"]["video"]["resolution"], json!({"width": 1280, "height": 720}));
    let renditions: Vec<String> = channel["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| format!("{} {}", r["codec"].as_str().unwrap(), r["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        renditions,
        ["h264 source", "h264 360p", "h264 180p", "vp8 source", "vp8 360p", "vp8 180p"]
    );
    let channel = server.wait_for("studio", "measured", |c| !c["bitrate"].is_null()).await;
    assert_eq!(channel["latency_ms"], 7.0);
    assert_eq!(channel["static"], false);

    // Another ladder needs no new worker, another source does.
    let pid = channel["worker"]["pid"].clone();
    let changed = json!({"source": synthetic(), "ladder": [{"height": 240, "bitrate": 300_000}]});
    assert_eq!(server.put(path, &changed).await.status(), 200);
    let channel =
        server.wait_for("studio", "shorter", |c| c["renditions"][1]["name"] == "240p").await;
    assert_eq!(channel["renditions"][1]["bitrate"], 300_000);
    assert_eq!(channel["worker"]["pid"], pid);
    assert_eq!(server.put(path, &json!({"source": {"kind": "whip"}})).await.status(), 200);
    let channel = server.wait_for("studio", "waiting", |c| c["source_state"] == "waiting").await;
    assert_ne!(channel["worker"]["pid"], pid);
    assert_eq!(channel["worker"]["restarts"], 0, "that was no crash");

    assert_eq!(server.delete(path).await.status(), 204);
    assert_problem(server.get(path).await, 404, "/problems/no-channel").await;
    assert_problem(server.delete(path).await, 404, "/problems/no-channel").await;
    let text = server.get("/metrics").await.text().await.unwrap();
    assert!(!text.contains("studio"), "its series are gone");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_survive_a_restart_and_those_of_the_file_win() {
    let server = Server::start().await;
    server.make("kept", json!({"kind": "rtsp", "url": "rtsp://x/1", "password": "hush"})).await;
    server.make("dropped", synthetic()).await;
    server.make("taken", synthetic()).await;
    server.delete("/api/v1/channels/dropped").await;
    let folder = server.stop().await;

    let again = Server::again(folder, |config| {
        let text = "[[channels]]\nname = \"taken\"\nsource = { kind = \"whip\" }";
        config.channels = toml::from_str::<stentor::config::Config>(text).unwrap().channels;
    })
    .await;
    let list = again.json("/api/v1/channels").await;
    let names: Vec<&str> =
        list["channels"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["kept", "taken"]);
    assert!(!list.to_string().contains("hush"), "secrets are not shown");
    let fixed = again.json("/api/v1/channels/taken").await;
    assert_eq!((&fixed["static"], &fixed["source"]["kind"]), (&json!(true), &json!("whip")));
    let path = "/api/v1/channels/taken";
    assert_problem(again.delete(path).await, 409, "/problems/static-channel").await;
    let body = json!({"source": synthetic()});
    assert_problem(again.put(path, &body).await, 409, "/problems/static-channel").await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_channel_is_said_with_its_place() {
    let server = Server::start().await;
    let cases = [
        (json!({"name": "a b", "source": synthetic()}), 422, "/name"),
        (json!({"name": "a", "source": {"kind": "rtsp", "url": "http://x"}}), 422, "/source/url"),
        (
            json!({"name": "a", "source": synthetic(), "ladder": [{"height": 3}]}),
            422,
            "/ladder/0/height",
        ),
        (json!({"name": "a", "source": {"kind": "film"}}), 422, ""),
        (json!({"name": "a", "source": synthetic(), "colour": 1}), 422, ""),
        (
            json!({"name": "a", "source": {"kind": "file", "path": "/etc/passwd"}}),
            422,
            "/source/path",
        ),
        (json!([]), 422, ""),
    ];
    for (body, status, pointer) in cases {
        let response = server.post("/api/v1/channels", &body).await;
        let problem = assert_problem(response, status, "/problems/invalid-settings").await;
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    let post = |content_type: &'static str, body: Vec<u8>| {
        let request = server.request(Method::POST, "/api/v1/channels");
        request.header("content-type", content_type).body(body).send()
    };
    let json = "application/json";
    assert_problem(post("text/plain", vec![]).await.unwrap(), 415, "about:blank").await;
    assert_problem(post(json, b"{".to_vec()).await.unwrap(), 400, "/problems/invalid-body").await;
    assert_problem(post(json, vec![b' '; 70_000]).await.unwrap(), 413, "/problems/invalid-body")
        .await;
    assert_eq!(server.json("/api/v1/channels").await, json!({"channels": []}));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_played_only_from_folders_that_are_allowed() {
    let media = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(media.path().join("a.mp4"), "").unwrap();
    std::fs::write(outside.path().join("b.mp4"), "").unwrap();
    std::os::unix::fs::symlink(outside.path().join("b.mp4"), media.path().join("link.mp4"))
        .unwrap();
    let folder = media.path().to_owned();
    let server = Server::with(|config| config.server.file_folders = vec![folder]).await;
    for (path, status) in [
        (media.path().join("a.mp4"), 201),
        (media.path().join("link.mp4"), 422),
        (media.path().join("none.mp4"), 422),
        (outside.path().join("b.mp4"), 422),
    ] {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let body = json!({"name": name, "source": {"kind": "file", "path": path}});
        assert_eq!(server.post("/api/v1/channels", &body).await.status(), status, "{path:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_beyond_the_budget_is_refused_with_the_figures() {
    let server = Server::start().await;
    let camera = |height: u32, rung: u32| {
        json!({
            "source": {
                "kind": "synthetic",
                "resolution": {"width": height * 16 / 9, "height": height},
            },
            "ladder": [{"height": rung}],
        })
    };
    // The worker's one core encodes 50 megapixels per second: 720p30 takes 0.55 of 0.8.
    server.wait_until_probed().await;
    let first = server.put("/api/v1/channels/a", &camera(1080, 720)).await;
    assert_eq!(first.status(), 201, "{}", first.text().await.unwrap());
    let refused = server.put("/api/v1/channels/b", &camera(1080, 720)).await;
    let problem = assert_problem(refused, 507, "/problems/over-budget").await;
    let figure = &problem["figures"][0];
    assert_eq!(figure["capacity"], 0.8, "{problem:#}");
    assert!(
        figure["asked"].as_f64().unwrap()
            > figure["capacity"].as_f64().unwrap() - figure["used"].as_f64().unwrap()
    );
    assert_problem(server.get("/api/v1/channels/b").await, 404, "/problems/no-channel").await;

    let hardware = server.json("/api/v1/hardware").await;
    assert!(hardware["budget"][0]["used"].as_f64().unwrap() > 0.5, "{hardware:#}");
    server.delete("/api/v1/channels/a").await;
    assert_eq!(server.put("/api/v1/channels/b", &camera(1080, 720)).await.status(), 201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_outgrows_the_budget_is_not_half_served() {
    let server = Server::start().await;
    server.make("large-one", synthetic()).await;
    let channel = server.wait_for("large-one", "refused", |c| c["state"] == "refused").await;
    assert!(channel["reason"].as_str().unwrap().contains("cores"), "{channel:#}");
    assert_eq!(channel["worker"]["pid"], Value::Null);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_is_started_again_at_once() {
    let server = Server::start().await;
    server.make("a", synthetic()).await;
    let before = server.wait_for("a", "live", |c| c["source_state"] == "live").await;
    let pid = before["worker"]["pid"].as_i64().unwrap();
    let began = Instant::now();
    let process = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    let again = |c: &Value| c["source_state"] == "live" && c["worker"]["pid"].as_i64() != Some(pid);
    let channel = server.wait_for("a", "live again", again).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(channel["worker"]["restarts"], 1);
    assert_eq!(server.metric("stentor_worker_restarts_total{channel=\"a\"}").await, 1.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_keeps_ending_is_started_less_and_less_often() {
    let server = Server::start().await;
    server.make("crash", synthetic()).await;
    let restarts = |c: &Value| c["worker"]["restarts"].as_u64().unwrap();
    let channel = server.wait_for("crash", "at its fourth start", |c| restarts(c) >= 4).await;
    assert_eq!(channel["state"], "restarting");
    assert!(channel["reason"].as_str().unwrap().contains("exit status: 3"), "{channel:#}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_falls_silent_is_replaced() {
    let second = Duration::from_millis(2000).as_secs();
    let server = Server::with(|config| {
        config.worker.silence_timeout = stentor::config::Period::from_secs(second);
    })
    .await;
    server.make("silent", synthetic()).await;
    let replaced = |c: &Value| c["worker"]["restarts"].as_u64() >= Some(1);
    server.wait_for("silent", "replaced", replaced).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thumbnail_is_kept_and_not_sent_twice() {
    let server = Server::start().await;
    server.make("a", synthetic()).await;
    server.make("dark", json!({"kind": "whip"})).await;
    let channel = server.wait_for("a", "pictured", |c| !c["thumbnail"].is_null()).await;
    let picture = server.get(channel["thumbnail"].as_str().unwrap()).await;
    assert_eq!(picture.headers()["content-type"], "image/jpeg");
    let etag = picture.headers()["etag"].clone();
    assert_eq!(picture.bytes().await.unwrap().as_ref(), [0xff, 0xd8, 0xff, 0xd9]);
    let path = "/api/v1/channels/a/thumbnail.jpg";
    let same =
        server.request(Method::GET, path).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(same.status(), 304);
    let dark = server.get("/api/v1/channels/dark/thumbnail.jpg").await;
    assert_problem(dark, 404, "about:blank").await;
    server.stop().await;
}

impl Server {
    pub async fn wait_until_probed(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.json("/api/v1/hardware").await["probe"].is_null() {
            assert!(Instant::now() < deadline, "the probe doesn't end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
