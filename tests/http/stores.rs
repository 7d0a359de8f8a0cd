//! Recordings and stores that fail, disks that are full, and file creators that are killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::json;
use stentor::config::{Config, Creator};

use crate::bucket::{Bucket, Way, files_in};
use crate::recorded_calls::start_call;
use crate::recordings::{chunks_in, text, until};
use crate::support::{Server, fake_worker};

/// A server whose recordings are in a bucket.
async fn with_bucket(bucket: &Bucket, change: impl FnOnce(&mut Config)) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_owned();
    Server::again(folder, |config| {
        bucket.configure(config, &state);
        change(config);
    })
    .await
}

async fn failures(server: &Server) -> f64 {
    server.metric("stentor_recording_ship_failures_total").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_in_any_way_costs_time_and_no_chunk() {
    let bucket = Bucket::start().await;
    let server = with_bucket(&bucket, |_| {}).await;
    server.make("gate", json!({"kind": "synthetic"})).await;
    let id = text(&server.record("gate").await["id"]).to_owned();
    let mut shipped = 0.0;
    for way in [Way::Down, Way::Status(500), Way::Status(503), Way::Status(403), Way::Slow] {
        shipped += 1.0;
        server.shipped(shipped).await;
        let before = failures(&server).await;
        bucket.set(way);
        until("the store is missed", async || {
            Some(failures(&server).await).filter(|count| *count > before)
        })
        .await;
        bucket.set(Way::Open);
        shipped = server.metric("stentor_recording_chunks_shipped_total").await;
    }
    server.shipped(shipped + 1.0).await;
    // Whoever makes files meets it, too.
    bucket.set(Way::Status(503));
    server.delete("/api/v1/channels/gate/recording").await;
    let before = failures(&server).await;
    until("the store is missed", async || {
        Some(failures(&server).await).filter(|count| *count > before)
    })
    .await;
    bucket.set(Way::Open);
    let recording = server.in_state(&id, "ready").await;
    let chunks = chunks_in(&server.file(&recording, None).await.text().await.unwrap());
    assert_eq!(chunks, (1..=chunks.len() as u32).collect::<Vec<_>>(), "none is missing");
    assert!(chunks.len() >= 10, "{chunks:?}");
    until("chunks are removed", async || {
        let left = bucket.entries().iter().any(|name| name.contains("/chunks/"));
        (!left).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_holds_up_neither_the_start_nor_the_stop_of_a_call_s_recording() {
    let bucket = Bucket::start().await;
    let server = with_bucket(&bucket, |config| {
        config.recording.creator = Creator::Elsewhere;
        config.recording.chunks.timeout = "10m".parse().unwrap();
        config.recording.files.timeout = "10m".parse().unwrap();
    })
    .await;
    server.make("gate", json!({"kind": "synthetic"})).await;
    let id = text(&server.record("gate").await["id"]).to_owned();
    server.shipped(1.0).await;
    server.delete("/api/v1/channels/gate/recording").await;
    server.in_state(&id, "ended").await;
    // Nothing is to be shipped any more: whoever asks the store looks for files.
    bucket.set(Way::Slow);
    until("the store is asked", async || (bucket.silent() > 0).then_some(())).await;

    let (mut ann, _bert, call) = start_call(&server).await;
    ann.say(json!({"type": "record", "call": call, "recorded": true})).await;
    let of_call = async |state: &str| {
        until(state, async || {
            let list = server.json("/api/v1/recordings").await;
            let list = list["recordings"].as_array().cloned().unwrap_or_default();
            list.into_iter().find(|one| one["of"] == json!(call) && one["state"] == state)
        })
        .await
    };
    let recording = of_call("recording").await;
    let spool = server.recordings().join("spool").join(text(&recording["id"]));
    until("it is recorded", async || (files_in(&spool).len() >= 2).then_some(())).await;
    ann.say(json!({"type": "record", "call": call, "recorded": false})).await;
    of_call("ending").await;
    let is_part = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "part");
    until("nobody writes", async || (!files_in(&spool).iter().any(is_part)).then_some(())).await;
    bucket.set(Way::Open);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_that_a_dead_creator_left_is_ended() {
    use std::sync::Mutex;

    use stentor::depot::{Depot, DepotError, Notes, Unfinished};

    /// Takes the note and goes on for ever: as one who is killed.
    struct Dying(Mutex<Option<Unfinished>>);

    impl Notes for Dying {
        fn note(
            &self,
            upload: Unfinished,
        ) -> futures_util::future::BoxFuture<'_, Result<(), DepotError>> {
            *self.0.lock().unwrap() = Some(upload);
            Box::pin(std::future::pending())
        }
    }

    let bucket = Bucket::start().await;
    let elsewhere = |config: &mut Config| config.recording.creator = Creator::Elsewhere;
    let server = with_bucket(&bucket, elsewhere).await;
    server.make("gate", json!({"kind": "synthetic"})).await;
    let id = text(&server.record("gate").await["id"]).to_owned();
    server.shipped(1.0).await;
    server.delete("/api/v1/channels/gate/recording").await;
    server.in_state(&id, "ended").await;

    let state = server.folder.path().to_owned();
    let open = |prefix| Depot::open(&bucket.store(&state, prefix), &state).unwrap();
    let large = state.join("large");
    std::fs::write(&large, vec![7; 17 << 20]).unwrap();
    let (files, dying) = (open("two"), Dying(Mutex::default()));
    let name = format!("{id}/gate.dead.mp4");
    tokio::select! {
        _ = files.put_file(&name, &large, &dying) => panic!("it was to die"),
        () = until("an upload", async || dying.0.lock().unwrap().clone().map(|_| ())) => {}
    }
    let upload = dying.0.lock().unwrap().take().unwrap();
    let is_there = |entries: &[String]| entries.iter().any(|name| name.contains(&upload.upload));
    assert!(is_there(&bucket.entries()), "{:?}", bucket.entries());
    let lease = json!({"owner": "dead", "until_ms": 0,
                       "uploads": [{"name": upload.name, "upload": upload.upload}]});
    open("one").put(&format!("leases/{id}.json"), lease.to_string()).await.unwrap();

    let folder = server.stop().await;
    let server = Server::again(folder, |config| bucket.configure(config, &state)).await;
    server.in_state(&id, "ready").await;
    assert!(!is_there(&bucket.entries()), "{:?}", bucket.entries());
    server.stop().await;
}

/// A `stentor archive` of its own.
struct Archive(Child);

impl Archive {
    fn start(config: &Path, log: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
        command.args(["archive", "--config"]).arg(config).env_remove("NOTIFY_SOCKET");
        command.env("AWS_SECRET_ACCESS_KEY", "no worker's");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn archive_config(state: &Path) -> PathBuf {
    let path = state.join("archive.toml");
    let text = format!(
        "[server]\nstate_directory = {state:?}\n[worker]\npath = {:?}\n\
         [recording]\nlease = \"1s\"\n",
        fake_worker()
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn creators_that_are_killed_and_two_at_once_make_one_file() {
    let server = Server::with(|config| config.recording.creator = Creator::Elsewhere).await;
    // Its file takes a while, so that a creator can be killed meanwhile.
    server.make("slow", json!({"kind": "synthetic"})).await;
    let id = text(&server.record("slow").await["id"]).to_owned();
    server.shipped(3.0).await;
    server.delete("/api/v1/channels/slow/recording").await;
    server.in_state(&id, "ended").await;
    let state = server.folder.path().to_owned();
    let (config, log) = (archive_config(&state), state.join("archive.log"));
    let scratch = state.join("recordings/scratch");
    let first = Archive::start(&config, &log);
    until("a creator works", async || {
        let plans = files_in(&scratch);
        plans.into_iter().find(|path| path.ends_with("plan.json"))
    })
    .await;
    drop(first);
    let both = [Archive::start(&config, &log), Archive::start(&config, &log)];
    let recording = server.in_state(&id, "ready").await;
    let chunks = chunks_in(&server.file(&recording, None).await.text().await.unwrap());
    assert_eq!(chunks, (1..=chunks.len() as u32).collect::<Vec<_>>());
    assert!(chunks.len() >= 3);
    let left = || files_in(&state.join("recordings/chunks"));
    until("everything is cleaned up", async || left().is_empty().then_some(())).await;
    let files = files_in(&state.join("recordings/files"));
    assert_eq!(files.len(), 2, "a file and its manifest: {files:?}");
    drop(both);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_on_the_same_machine_hears_from_the_log_that_a_recording_ended() {
    let server = Server::with(|config| config.recording.creator = Creator::Elsewhere).await;
    let state = server.folder.path().to_owned();
    let (config, log) = (archive_config(&state), state.join("archive.log"));
    let _archive = Archive::start(&config, &log);
    until("it waits", async || {
        let said = std::fs::read_to_string(&log).ok()?;
        said.contains("told=true look=60s").then_some(())
    })
    .await;
    server.make("gate", json!({"kind": "synthetic"})).await;
    let id = text(&server.record("gate").await["id"]).to_owned();
    server.shipped(1.0).await;
    server.delete("/api/v1/channels/gate/recording").await;
    // A third of the time after which it would have looked by itself, at most.
    server.in_state(&id, "ready").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_creators_without_a_lease_between_them_make_one_file() {
    let server = Server::with(|config| config.recording.creator = Creator::Elsewhere).await;
    server.make("slow", json!({"kind": "synthetic"})).await;
    let id = text(&server.record("slow").await["id"]).to_owned();
    server.shipped(2.0).await;
    server.delete("/api/v1/channels/slow/recording").await;
    server.in_state(&id, "ended").await;
    let state = server.folder.path().to_owned();
    let (config, log) = (archive_config(&state), state.join("archive.log"));
    let lease = state.join(format!("recordings/chunks/leases/{id}.json"));
    let scratch = state.join("recordings/scratch");
    let plans = || files_in(&scratch).iter().filter(|path| path.ends_with("plan.json")).count();
    let first = Archive::start(&config, &log);
    until("one works", async || (plans() == 1).then_some(())).await;
    // As if its clock or its store were far off.
    std::fs::remove_file(&lease).unwrap();
    let second = Archive::start(&config, &log);
    until("both work", async || (plans() == 2).then_some(())).await;
    server.in_state(&id, "ready").await;
    until("both are done", async || (plans() == 0).then_some(())).await;
    let files = files_in(&state.join("recordings/files"));
    assert_eq!(files.len(), 2, "a file and its manifest: {files:?}");
    let recording = server.json(&format!("/api/v1/recordings/{id}")).await;
    assert_eq!(server.file(&recording, None).await.status(), 200);
    drop((first, second));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_owned();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = state.join("stentor.toml");
    let text = format!(
        "[server]\nstate_directory = {state:?}\n[worker]\npath = {:?}\n\
         [fanout]\nshards = 1\nfirst_port = 0\n[http]\nlisten = [\"127.0.0.1:{port}\"]\n\
         [[channels]]\nname = \"gate\"\nsource = {{kind = \"synthetic\"}}\nrecord = true\n",
        fake_worker()
    );
    std::fs::write(&config, text).unwrap();
    let log = state.join("log");
    let start = || {
        let log = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
        command.args(["serve", "--config"]).arg(&config).env_remove("NOTIFY_SOCKET");
        command.env("AWS_SECRET_ACCESS_KEY", "no worker's");
        Archive(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    };
    let client = reqwest::Client::new();
    let base = format!("http://127.0.0.1:{port}/api/v1");
    let ask = async |method: Method, path: &str| {
        let answer = client.request(method, format!("{base}{path}")).send().await.ok()?;
        answer.json::<serde_json::Value>().await.ok()
    };
    let spool = state.join("recordings/chunks/chunks");
    for life in 1..=3 {
        let daemon = start();
        let before = files_in(&spool).len();
        until("chunks are shipped", async || (files_in(&spool).len() >= before + 2).then_some(()))
            .await;
        if life < 3 {
            drop(daemon);
            continue;
        }
        let ended = ask(Method::DELETE, "/channels/gate/recording").await.unwrap();
        let path = format!("/recordings/{}", ended["id"].as_str().unwrap());
        let recording = until("a file", async || {
            ask(Method::GET, &path).await.filter(|recording| recording["state"] == "ready")
        })
        .await;
        let url = format!("{base}{path}/files/gate.mp4");
        let whole = client.get(url).send().await.unwrap().text().await.unwrap();
        let chunks = chunks_in(&whole);
        let gaps = chunks.windows(2).filter(|pair| pair[1] != pair[0] + 1 && pair[1] != 1).count();
        assert_eq!(gaps, 0, "{chunks:?}");
        assert_eq!(chunks.iter().filter(|number| **number == 1).count(), 3, "three lives");
        assert_eq!(recording["files"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_on_a_full_disk_costs_the_newest_chunks_and_nothing_else() {
    // Needs a mount of its own: CI is root.
    let folder = tempfile::tempdir().unwrap();
    let mounted = Mount::tmpfs(folder.path().join("spool"), "256k");
    let spool = mounted.0.clone();
    let bucket = Bucket::start().await;
    let state = tempfile::tempdir().unwrap();
    let path = state.path().to_owned();
    let server = Server::again(state, |config| {
        bucket.configure(config, &path);
        config.recording.spool = Some(spool.clone());
    })
    .await;
    server.make("gate", json!({"kind": "synthetic"})).await;
    let id = text(&server.record("gate").await["id"]).to_owned();
    server.shipped(2.0).await;
    bucket.set(Way::Down);
    std::fs::write(spool.join("filler"), vec![0; 400 << 10]).unwrap_err();
    until("the operator is told", async || {
        let told = server.metric("stentor_recording_troubles_total{cause=\"full\"}").await;
        (told >= 1.0).then_some(())
    })
    .await;
    let channel = server.json("/api/v1/channels/gate").await;
    assert_eq!((&channel["state"], &channel["worker"]["restarts"]), (&json!("running"), &json!(0)));
    // There is room again.
    std::fs::remove_file(spool.join("filler")).unwrap();
    bucket.set(Way::Open);
    let shipped = server.metric("stentor_recording_chunks_shipped_total").await;
    server.shipped(shipped + 3.0).await;
    server.delete("/api/v1/channels/gate/recording").await;
    let recording = server.in_state(&id, "ready").await;
    let chunks = chunks_in(&server.file(&recording, None).await.text().await.unwrap());
    assert_eq!(&chunks[..2], [1, 2], "what was recorded before stays good");
    assert!(recording["troubles"].as_i64().unwrap() >= 1);
    server.stop().await;
}

/// A file system of its own, as long as this is there.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(path: PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(mounted.success(), "a tmpfs can't be mounted: root is needed");
        Self(path)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}
