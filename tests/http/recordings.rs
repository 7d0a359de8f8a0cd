//! Recordings of channels from their beginning to a file, with workers that write text for media.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stentor::config::Config;
use stentor::http::access::Role;

use crate::bucket::files_in;
use crate::support::{Keys, PATIENCE, Server, assert_problem};

const SYNTHETIC: &str = r#"{"kind": "synthetic"}"#;

/// Waits until something is there.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

impl Server {
    pub async fn record(&self, name: &str) -> Value {
        let path = format!("/api/v1/channels/{name}/recording");
        let started = self.request(Method::POST, &path).send().await.unwrap();
        assert_eq!(started.status(), 201);
        started.json().await.unwrap()
    }

    /// Waits until so many chunks are in the store.
    pub async fn shipped(&self, count: f64) {
        let series = "stentor_recording_chunks_shipped_total";
        until("chunks are shipped", async || {
            Some(self.metric(series).await).filter(|shipped| *shipped >= count)
        })
        .await;
    }

    pub async fn in_state(&self, id: &str, state: &str) -> Value {
        let path = format!("/api/v1/recordings/{id}");
        until(state, async || Some(self.json(&path).await).filter(|r| r["state"] == state)).await
    }

    pub async fn file(&self, recording: &Value, range: Option<&str>) -> Response {
        let name = text(&recording["files"][0]["name"]);
        let path = format!("/api/v1/recordings/{}/files/{name}", text(&recording["id"]));
        let request = self.request(Method::GET, &path);
        let request = range.iter().fold(request, |request, range| request.header(RANGE, *range));
        request.send().await.unwrap()
    }

    pub fn recordings(&self) -> PathBuf {
        self.folder.path().join("recordings")
    }
}

/// Each chunk says which it is: all of them, in order and once.
pub fn chunks_in(text: &str) -> Vec<u32> {
    let numbers = text.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap());
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.dedup();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_recorded_and_its_file_can_be_fetched_whole_or_in_part() {
    let server = Server::start().await;
    server.make("gate", serde_json::from_str(SYNTHETIC).unwrap()).await;
    let path = "/api/v1/channels/gate/recording";
    assert_eq!(server.get(path).await.status(), 404);
    assert_eq!(server.delete(path).await.status(), 204);
    let nowhere = server.request(Method::POST, "/api/v1/channels/no/recording").send();
    assert_problem(nowhere.await.unwrap(), 404, "/problems/no-channel").await;

    let started = server.record("gate").await;
    let id = text(&started["id"]).to_owned();
    assert_eq!((&started["state"], &started["of"]), (&json!("recording"), &json!("gate")));
    let again = server.request(Method::POST, path).send().await.unwrap();
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<Value>().await.unwrap()["id"], id.as_str());
    assert_problem(
        server.delete(&format!("/api/v1/recordings/{id}")).await,
        409,
        "/problems/recording-goes-on",
    )
    .await;
    server.shipped(3.0).await;
    assert_eq!(server.delete(path).await.status(), 200);
    let recording = server.in_state(&id, "ready").await;
    let file = &recording["files"][0];
    assert_eq!(file["name"], "gate.mp4");

    let response = server.file(&recording, None).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "video/mp4");
    let etag = response.headers()[ETAG].to_str().unwrap().to_owned();
    let whole = response.text().await.unwrap();
    assert_eq!(whole.len() as u64, file["bytes"].as_u64().unwrap());
    let chunks = chunks_in(&whole);
    assert!(chunks.len() >= 3, "{chunks:?}");
    assert_eq!(chunks, (1..=chunks.len() as u32).collect::<Vec<_>>());

    let part = server.file(&recording, Some("bytes=5-9")).await;
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 5-9/{}", whole.len()));
    assert_eq!(part.text().await.unwrap(), whole[5..10]);
    let beyond = server.file(&recording, Some("bytes=99999999-")).await;
    assert_eq!(beyond.status(), 416);
    let fetch = format!("/api/v1/recordings/{id}/files/gate.mp4");
    for (known, status) in [(etag.as_str(), 206), ("\"another\"", 200)] {
        let request = server.request(Method::GET, &fetch).header(RANGE, "bytes=0-0");
        let answer = request.header(IF_RANGE, known).send().await.unwrap();
        assert_eq!(answer.status(), status, "{known}");
    }
    let head = server.request(Method::HEAD, &fetch).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], whole.len().to_string());

    // The chunks are gone, and so is everything else that isn't needed.
    until("chunks are removed", async || {
        Some(()).filter(|()| files_in(&server.recordings().join("chunks")).is_empty())
    })
    .await;
    assert_eq!(files_in(&server.recordings().join("spool")), Vec::<PathBuf>::new());
    assert_eq!(files_in(&server.recordings().join("files")).len(), 2);
    assert_eq!(server.delete(&format!("/api/v1/recordings/{id}")).await.status(), 204);
    assert_eq!(files_in(&server.recordings().join("files")), Vec::<PathBuf>::new());
    assert_problem(server.file(&recording, None).await, 404, "/problems/no-recording").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_s_recording_goes_on_after_a_restart_and_a_half_written_chunk_is_not_lost() {
    let channel = |config: &mut Config| {
        let text = "[[channels]]\nname = \"gate\"\nsource = {kind = \"synthetic\"}\nrecord = true";
        let parsed = Config::parse(text, Path::new("test")).unwrap();
        config.channels = parsed.channels;
    };
    let server = Server::with(channel).await;
    server.shipped(2.0).await;
    let path = "/api/v1/channels/gate/recording";
    let before = server.json(path).await;
    let folder = server.stop().await;
    // As a worker leaves it that is killed.
    let spool = folder.path().join("recordings/spool");
    let life = spool.join(text(&before["id"])).join("main/000000000001");
    std::fs::create_dir_all(&life).unwrap();
    std::fs::write(life.join("00000001.mkv.part"), "half 77\n").unwrap();

    let server = Server::again(folder, channel).await;
    assert_eq!(server.json(path).await["id"], before["id"], "another recording was begun");
    server.shipped(3.0).await;
    assert_eq!(server.delete(path).await.status(), 200);
    let recording = server.in_state(text(&before["id"]), "ready").await;
    let whole = server.file(&recording, None).await.text().await.unwrap();
    assert!(whole.starts_with("half 77\n"), "{whole:.100}");
    let firsts = chunks_in(&whole).iter().filter(|number| **number == 1).count();
    assert_eq!(firsts, 2, "both lives' chunks are in it");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_made_is_tried_again_and_given_up_and_its_chunks_are_kept() {
    let server = Server::with(|config| config.recording.attempts = 2).await;
    server.make("unmade", serde_json::from_str(SYNTHETIC).unwrap()).await;
    let id = text(&server.record("unmade").await["id"]).to_owned();
    server.shipped(1.0).await;
    server.delete("/api/v1/channels/unmade/recording").await;
    let failed = server.in_state(&id, "failed").await;
    assert!(text(&failed["reason"]).contains("as asked for"), "{failed:#}");
    assert_eq!(server.metric("stentor_recording_files_total{outcome=\"failed\"}").await, 2.0);
    assert!(!files_in(&server.recordings().join("chunks/chunks").join(&id)).is_empty());
    assert_eq!(server.delete(&format!("/api/v1/recordings/{id}")).await.status(), 204);
    assert_eq!(files_in(&server.recordings().join("chunks")), Vec::<PathBuf>::new());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_long_enough_is_followed_by_another_however_often_that_takes() {
    let server =
        Server::with(|config| config.recording.channel_length = "1s".parse().unwrap()).await;
    let database = rusqlite::Connection::open(server.recordings().join("recordings.db")).unwrap();
    server.make("gate", serde_json::from_str(SYNTHETIC).unwrap()).await;
    let path = "/api/v1/channels/gate/recording";
    let first = server.record("gate").await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON recordings
                  BEGIN SELECT RAISE(ABORT, 'as asked for'); END";
    database.execute_batch(refuse).unwrap();
    until("the next can't be begun", async || {
        let errors = server.metric("stentor_recording_database_errors_total").await;
        (errors >= 1.0).then_some(())
    })
    .await;
    assert_eq!(server.get(path).await.status(), 404);
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    let next = until("another is begun", async || {
        let answer = server.get(path).await;
        if answer.status() == 200 { answer.json::<Value>().await.ok() } else { None }
    })
    .await;
    assert_ne!(next["id"], first["id"]);
    // Whoever stops it stops what would follow, too.
    database.execute_batch(refuse).unwrap();
    until("it has ended", async || (server.get(path).await.status() == 404).then_some(())).await;
    assert_eq!(server.delete(path).await.status(), 204);
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    let before = server.json("/api/v1/recordings").await["recordings"].clone();
    server.in_state(text(&next["id"]), "ready").await;
    let after = server.json("/api/v1/recordings").await["recordings"].clone();
    assert_eq!(before.as_array().unwrap().len(), after.as_array().unwrap().len());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_halfway_is_no_recording_and_what_follows_goes_on_with_it() {
    let server =
        Server::with(|config| config.recording.channel_length = "6s".parse().unwrap()).await;
    let database = rusqlite::Connection::open(server.recordings().join("recordings.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON participants
                  BEGIN SELECT RAISE(ABORT, 'as asked for'); END";
    server.make("gate", serde_json::from_str(SYNTHETIC).unwrap()).await;
    let path = "/api/v1/channels/gate/recording";
    database.execute_batch(refuse).unwrap();
    let halfway = server.request(Method::POST, path).send().await.unwrap();
    assert!(halfway.status().is_server_error(), "{}", halfway.status());
    assert_eq!(server.get(path).await.status(), 404);
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    let first = server.record("gate").await;
    let before = server.metric("stentor_recording_database_errors_total").await;
    database.execute_batch(refuse).unwrap();
    until("the next can't be begun", async || {
        let errors = server.metric("stentor_recording_database_errors_total").await;
        (errors > before).then_some(())
    })
    .await;
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    let next = server.json(path).await;
    assert_ne!(next["id"], first["id"]);
    // Its chunks are not the first one's.
    let chunks = server.recordings().join("chunks/chunks").join(text(&next["id"]));
    until("it is recorded", async || (!files_in(&chunks).is_empty()).then_some(())).await;
    assert_eq!(server.delete(path).await.status(), 200);
    server.in_state(text(&next["id"]), "ready").await;
    let all = server.json("/api/v1/recordings").await["recordings"].clone();
    assert_eq!(all.as_array().unwrap().len(), 3, "{all:#}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_leaves_out_the_newest_and_says_so() {
    let server = Server::with(|config| {
        config.recording.spool_max_bytes = "1MiB".parse().unwrap();
        // A store that never answers.
        config.recording.chunks.bucket = Some("chunks".into());
        config.recording.chunks.endpoint = Some("http://127.0.0.1:9".into());
    })
    .await;
    server.make("gate", serde_json::from_str(SYNTHETIC).unwrap()).await;
    let id = text(&server.record("gate").await["id"]).to_owned();
    let first = until("the first chunk", async || {
        files_in(&server.recordings().join("spool"))
            .into_iter()
            .find(|p| p.ends_with("00000001.mkv"))
    })
    .await;
    // What others left takes the room.
    let other = server.recordings().join("spool/r000000000000000000000000/main/000000000001");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("00000001.mkv"), vec![0; (1 << 20) - 1000]).unwrap();
    until("chunks are left out", async || {
        let left = server.metric("stentor_recording_chunks_left_out_total{cause=\"spool\"}").await;
        let told = server.metric("stentor_recording_troubles_total{cause=\"full\"}").await;
        Some(()).filter(|()| left >= 2.0 && told >= 1.0)
    })
    .await;
    assert!(other.join("00000001.mkv").exists(), "the oldest is left out");
    assert!(first.exists() || server.metric("stentor_recording_spool_bytes").await > 0.0);
    let troubles = server.json(&format!("/api/v1/recordings/{id}")).await["troubles"].as_i64();
    assert!(troubles.unwrap() >= 1);
    let channel = server.json("/api/v1/channels/gate").await;
    assert_eq!((&channel["state"], &channel["worker"]["restarts"]), (&json!("running"), &json!(0)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_recorded_by_whoever_publishes_there_and_by_nobody_else() {
    let keys = Keys::new();
    let mut server = Server::with(|config| config.access.keys = vec![keys.public()]).await;
    server.use_token(keys.token(Role::Admin, "*"));
    server.make("gate", serde_json::from_str(SYNTHETIC).unwrap()).await;
    let path = "/api/v1/channels/gate/recording";
    for (role, channel, status) in [
        (Role::View, "gate", 403),
        (Role::Publish, "other", 403),
        (Role::Publish, "gate", 201),
        (Role::Admin, "gate", 200),
    ] {
        server.use_token(keys.token(role, channel));
        let answer = server.request(Method::POST, path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{role:?} {channel}");
    }
    for (role, channel, count) in
        [(Role::Publish, "other", 0), (Role::Publish, "gate", 1), (Role::Admin, "*", 1)]
    {
        server.use_token(keys.token(role, channel));
        let list = server.json("/api/v1/recordings").await;
        assert_eq!(list["recordings"].as_array().unwrap().len(), count, "{role:?} {channel}");
    }
    server.use_token(keys.token(Role::View, "gate"));
    assert_eq!(server.get("/api/v1/recordings").await.status(), 403);
    server.stop().await;
}
