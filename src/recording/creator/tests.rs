//! A creator whose worker is a script, with stores that are folders.

use std::process::Command;

use prometheus::Registry;

use super::*;
use crate::channels::pretended;
use crate::config::{Form, ObjectStore};
use crate::depot::Hash;
use crate::recording::papers::{ChunkEntry, Manifest, Source, Subject};

const ID: &str = "r000000000000000000000001";
/// Makes a file, and says so.
const MAKES: &str = "echo file > \"$output\"; echo '{\"duration_ms\": 1}'";

struct Place {
    folder: tempfile::TempDir,
    creator: Creator,
}

// === impl Place ===

impl Place {
    /// `script` knows the place of the plan, of the `output` in it, and of the stores.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("worker");
        let text = format!(
            "#!/bin/sh\nplan=$2\nstores={}\n\
             output=$(sed 's/.*\"output\":\"\\([^\"]*\\)\".*/\\1/' \"$plan\")\n{script}\n",
            folder.path().display()
        );
        // Another process writes it: a fork of another test would keep it from being started.
        let write = "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", write, "sh", &text]).arg(&program);
        assert!(shell.status().unwrap().success());
        let open = |name| Depot::open(&ObjectStore::default(), &folder.path().join(name)).unwrap();
        let creator = Creator {
            chunks: open("chunks"),
            files: open("files"),
            program,
            groups: None,
            scratch: folder.path().join("scratch"),
            rules: CreatorRules {
                timeout: Duration::from_secs(20),
                attempts: 2,
                lease: Duration::from_secs(30),
            },
            metrics: RecordingMetrics::register(&Registry::new()).unwrap(),
            word: Word::default(),
            look: LOOK_OFTEN,
            done: Arc::default(),
        };
        Self { folder, creator }
    }

    /// An order with a chunk of each of these senders.
    async fn order(&self, id: &str, senders: &[&str]) -> RecordingId {
        let id: RecordingId = id.parse().unwrap();
        let mut sources = Vec::new();
        for (number, name) in (1..).zip(senders) {
            let (source, bytes) = (format!("p{number}"), format!("of {name}").into_bytes());
            let chunk = format!("{source}/1/00000001.mkv");
            let mut hash = Hash::default();
            hash.update(&bytes);
            let (sha256, length) = (hash.finish(), bytes.len() as u64);
            self.creator.chunks.put(&papers::chunk(&id, &chunk), bytes).await.unwrap();
            let chunks = vec![ChunkEntry { name: chunk, bytes: length, sha256 }];
            let (name, joined_ms, left_ms, user) = ((*name).to_owned(), 0, None, None);
            sources.push(Source { source, user, name, joined_ms, left_ms, chunks });
        }
        let order = Order {
            version: papers::VERSION,
            recording: id.clone(),
            subject: Subject::Channel("gate".to_owned()),
            node: None,
            started_by: None,
            started_ms: 0,
            ended_ms: 1,
            forms: vec![Form::Tracks],
            sources,
            speakers: Vec::new(),
            failures: 0,
            not_before_ms: 0,
        };
        self.creator.chunks.put(&papers::order(&id), papers::written(&order)).await.unwrap();
        id
    }

    async fn look(&self) {
        self.creator.look().await.unwrap();
    }

    async fn manifest(&self, id: &RecordingId) -> Option<Manifest> {
        let bytes = self.creator.files.get(&papers::manifest(id), papers::MOST).await.unwrap()?;
        serde_json::from_slice(&bytes).unwrap()
    }

    /// What is still to be done.
    async fn left(&self, id: &RecordingId) -> Option<Order> {
        self.creator.order(id).await.unwrap()
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_read_keeps_no_other_waiting() {
    let place = Place::new(MAKES);
    let id = place.order(ID, &["ann"]).await;
    for number in 2..10 {
        let name = format!("chunks/orders/r{number:024}.json");
        let file = std::fs::File::create(place.folder.path().join(name)).unwrap();
        file.set_len(papers::MOST + 1).unwrap();
    }
    place.look().await;
    assert_eq!(place.manifest(&id).await.unwrap().files.len(), 1);
}

#[tokio::test]
async fn what_was_put_off_by_a_clock_that_was_set_back_is_done_now() {
    let years_ahead = now_ms() + 300_000_000_000;
    let place = Place::new(MAKES);
    let id = place.order(ID, &["ann"]).await;
    let store = &place.creator.chunks;
    let order = Order { not_before_ms: years_ahead, ..place.left(&id).await.unwrap() };
    store.put(&papers::order(&id), papers::written(&order)).await.unwrap();
    let (owner, uploads) = ("o1".to_owned(), Vec::new());
    let lease = papers::Lease { owner, until_ms: years_ahead, uploads };
    store.put(&papers::lease(&id), papers::written(&lease)).await.unwrap();
    place.look().await;
    assert!(place.manifest(&id).await.is_some());
    for (at_ms, waits) in [(0, false), (1, true), (3_600_000, true), (i64::MAX, false)] {
        assert_eq!(is_ahead(at_ms, 0), waits, "{at_ms}");
    }
}

#[tokio::test]
async fn a_manifest_of_another_version_is_left_as_it_is_and_nothing_is_made_again_and_again() {
    let place = Place::new(&format!("echo made >> \"$stores/made\"; {MAKES}"));
    let id = place.order(ID, &["ann"]).await;
    place.creator.files.put(&papers::manifest(&id), "{\"version\": 9}").await.unwrap();
    place.look().await;
    assert!(place.left(&id).await.unwrap().not_before_ms > now_ms());
    assert!(!place.folder.path().join("made").exists());
    assert_eq!(place.creator.files.list(id.as_str()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_chunk_whose_name_leads_elsewhere_is_left_out() {
    let place = Place::new(MAKES);
    let id = place.order(ID, &["ann"]).await;
    let mut order = place.left(&id).await.unwrap();
    for name in ["../../../escaped", "p1/./x", "/escaped", "p1//x", "p1/\0"] {
        let mut chunk = order.sources[0].chunks[0].clone();
        name.clone_into(&mut chunk.name);
        order.sources[0].chunks.push(chunk);
    }
    let store = &place.creator.chunks;
    store.put(&papers::order(&id), papers::written(&order)).await.unwrap();
    store.put(&papers::chunk(&id, "../../../escaped"), "of ann").await.unwrap();
    place.look().await;
    let manifest = place.manifest(&id).await.unwrap();
    assert_eq!((manifest.files.len(), manifest.left_out.len()), (1, 5));
    assert!(!place.folder.path().join("escaped").exists());
}

#[tokio::test]
async fn files_are_made_behind_whatever_is_urgent() {
    let place = Place::new(&format!("[ \"$(nice)\" -ge 10 ] || exit 1\n{MAKES}"));
    let id = place.order(ID, &["ann"]).await;
    place.look().await;
    assert!(place.manifest(&id).await.is_some());
}

#[tokio::test]
async fn whoever_makes_files_is_in_a_group_of_its_own_and_what_takes_too_much_counts() {
    let own = "[ \"$(cat \"$stores/groups/file-1/cgroup.procs\")\" = 0 ] || exit 1";
    let greedy = "echo oom_kill 1 > \"$stores/groups/file-1/memory.events\"; kill -s KILL $$";
    for (script, failures) in [(format!("{own}\n{MAKES}"), None), (greedy.to_owned(), Some(1))] {
        let mut place = Place::new(&script);
        place.creator.groups = Some(pretended(&place.folder.path().join("groups")));
        let id = place.order(ID, &["ann"]).await;
        place.look().await;
        assert_eq!(place.left(&id).await.map(|left| left.failures), failures, "{script}");
    }
}

#[tokio::test]
async fn what_is_no_fault_of_the_recording_does_not_count() {
    for (script, failures) in [
        ("exit 1", 1),
        ("ulimit -c 0; kill -s SEGV $$", 1),
        ("kill -s KILL $$", 0),
        // The disk is full.
        ("exit 4", 0),
    ] {
        let place = Place::new(script);
        let id = place.order(ID, &["ann"]).await;
        place.look().await;
        let left = place.left(&id).await.unwrap();
        assert_eq!(left.failures, failures, "{script}");
        assert!(left.not_before_ms > now_ms(), "{script}");
    }
    for (program, scratch) in [("nothing", "scratch"), ("worker", "worker")] {
        let mut place = Place::new(MAKES);
        place.creator.program = place.folder.path().join(program);
        // A file is no folder: nothing can be fetched there.
        place.creator.scratch = place.folder.path().join(scratch);
        let id = place.order(ID, &["ann"]).await;
        place.look().await;
        let left = place.left(&id).await.unwrap();
        assert!(left.failures == 0 && left.not_before_ms > now_ms(), "{program}: {left:?}");
    }
}

#[tokio::test]
async fn whoever_lost_an_order_does_not_give_it_up() {
    let mut place = Place::new("rm \"$stores\"/chunks/leases/*; exit 1");
    place.creator.rules.attempts = 1;
    let id = place.order(ID, &["ann"]).await;
    place.look().await;
    let left = place.left(&id).await.unwrap();
    assert_eq!((left.failures, left.not_before_ms), (0, 0));
    let failure = place.creator.files.get(&papers::failure(&id), papers::MOST).await.unwrap();
    assert!(failure.is_none());
}

#[test]
fn pauses_after_failures_grow_to_an_hour() {
    let seconds = [1, 2, 3, 4, 5, 99].map(|failures| pause_after(failures).as_secs());
    assert_eq!(seconds, [2, 16, 128, 1024, 3600, 3600]);
}

#[tokio::test]
async fn one_whose_file_cannot_be_made_takes_nobody_elses_along() {
    let place = Place::new(&format!("grep -q eve \"$plan\" && exit 1\n{MAKES}"));
    let id = place.order(ID, &["ann", "eve", "bert"]).await;
    place.look().await;
    // It may have been by chance.
    let again = Order { not_before_ms: 0, ..place.left(&id).await.unwrap() };
    assert_eq!(again.failures, 1);
    place.creator.chunks.put(&papers::order(&id), papers::written(&again)).await.unwrap();
    place.look().await;
    let manifest = place.manifest(&id).await.unwrap();
    let names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["ann.mp4", "bert.mp4"]);
    let left: Vec<&str> = manifest.left_out.iter().map(|left| left.file.as_str()).collect();
    assert_eq!(left, ["p2/"]);
    assert!(place.left(&id).await.is_none());
}
