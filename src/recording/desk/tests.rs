//! A desk without channels and workers, with stores that are folders.

mod at_once;

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;

use prometheus::Registry;

use super::shared::Heard;
use super::*;
use crate::config::ObjectStore;
use crate::recording::catalogue::Telling;
use crate::recording::papers::{self, Manifest, News, VERSION};

const ID: &str = "r000000000000000000000001";
const OTHER: &str = "r000000000000000000000002";

/// Of a server that shares `files` with others.
fn desk(own: &Path, files: &Path) -> Recordings {
    desk_with(own, Depot::open(&ObjectStore::default(), files).unwrap())
}

fn desk_with(own: &Path, files: Depot) -> Recordings {
    let open = |folder: &Path| Depot::open(&ObjectStore::default(), folder).unwrap();
    let rules = Rules {
        forms: vec![Form::Tracks],
        chunk: Duration::from_secs(2),
        channel_length: Duration::ZERO,
        keep: None,
        has_webhook: false,
        has_mail: false,
        is_shared: true,
    };
    Recordings::new(Parts {
        rules,
        catalogue: Catalogue::open(&own.join("recordings.db")).unwrap(),
        spool: Spool::open(&own.join("spool")).unwrap(),
        chunks: open(&own.join("chunks")),
        files,
        metrics: RecordingMetrics::register(&Registry::new()).unwrap(),
        events: Events::off(),
        node: "n1".to_owned(),
        signals: Signals::default(),
    })
}

fn manifest(id: &RecordingId) -> Manifest {
    Manifest {
        version: VERSION,
        recording: id.clone(),
        subject: Subject::Channel("gate".to_owned()),
        node: Some("n1".to_owned()),
        started_by: None,
        started_ms: 10,
        ended_ms: 20,
        participants: Vec::new(),
        files: Vec::new(),
        left_out: Vec::new(),
    }
}

/// One that is ready, with a file, and with what a file creator left that was killed.
async fn ready(desk: &Recordings) -> Entry {
    let (inner, id) = (&desk.inner, ID.parse::<RecordingId>().unwrap());
    let new = NewRecording::of(id.clone(), Subject::Channel("gate".to_owned()), 10);
    assert!(inner.catalogue.begin(new).await.unwrap());
    let telling = Telling { to: Vec::new(), from_ms: 0 };
    assert!(inner.catalogue.set_ready(&id, manifest(&id), telling).await.unwrap());
    inner.files.put(&papers::object(&id, "ann.mp4"), "file").await.unwrap();
    inner.files.put(&papers::manifest(&id), papers::written(&manifest(&id))).await.unwrap();
    for name in [papers::order(&id), papers::lease(&id), papers::chunk(&id, "p1/1/1.mkv")] {
        inner.chunks.put(&name, "x").await.unwrap();
    }
    inner.catalogue.get(&id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_deletion_that_another_server_left_half_done_is_ended() {
    let (own, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let desk = desk(own.path(), files.path());
    let (entry, inner) = (ready(&desk).await, &desk.inner);
    desk.leave_news(&entry.id).await.unwrap();
    desk.hear(&mut Heard::default()).await.unwrap();
    assert!(inner.catalogue.get(&entry.id).await.unwrap().is_some(), "its manifest is there");
    // The other one was killed after this.
    inner.files.delete(&papers::manifest(&entry.id)).await.unwrap();
    desk.hear(&mut Heard::default()).await.unwrap();
    assert_eq!(inner.catalogue.get(&entry.id).await.unwrap(), None);
    assert_eq!(inner.files.list(ID).await.unwrap(), Vec::<String>::new());
    for folder in [papers::ORDERS, "leases", papers::CHUNKS] {
        assert_eq!(inner.chunks.list(folder).await.unwrap(), Vec::<String>::new(), "{folder}");
    }
    assert_eq!(inner.files.list(papers::NEWS).await.unwrap().len(), 2, "the others hear of it");
}

#[tokio::test]
async fn the_manifest_is_there_as_long_as_a_deletion_is_not_done() {
    let (own, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let desk = desk(own.path(), files.path());
    let entry = ready(&desk).await;
    // Files that even root can't delete.
    let stuck = files.path().join(ID).join("stuck");
    symlink("/proc/sys/fs/inotify", &stuck).unwrap();
    desk.delete(&entry).await.unwrap_err();
    let manifest = papers::manifest(&entry.id);
    assert!(desk.inner.files.size(&manifest).await.unwrap().is_some());
    std::fs::remove_file(stuck).unwrap();
    assert!(desk.delete(&entry).await.unwrap());
    assert_eq!(desk.inner.files.list(ID).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn news_of_what_cannot_be_read_keep_none_of_the_others_from_being_heard() {
    let (own, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let desk = desk(own.path(), files.path());
    let (large, other) = (ID.parse().unwrap(), OTHER.parse().unwrap());
    let store = &desk.inner.files;
    store.put(&papers::manifest(&large), "").await.unwrap();
    let file = File::options().write(true).open(files.path().join(papers::manifest(&large)));
    file.unwrap().set_len(papers::MOST + 1).unwrap();
    store.put(&papers::manifest(&other), papers::written(&manifest(&other))).await.unwrap();
    for (at_ms, id) in [(1000, large), (2000, other.clone())] {
        store.put(&News { at_ms, recording: id }.name(), "").await.unwrap();
    }
    desk.hear(&mut Heard::default()).await.unwrap();
    assert!(desk.inner.catalogue.get(&other).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_stopped_meanwhile_is_not_ended_again() {
    let (own, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let desk = desk(own.path(), files.path());
    let begun = desk.begin(Subject::Channel("gate".to_owned()), None, false).await.unwrap();
    let entry = begun.unwrap();
    desk.stop_channel("gate").await.unwrap().unwrap();
    desk.cut("gate", &entry, true).await.unwrap();
    assert_eq!(desk.inner.metrics.current.get(), 0);
    assert!(desk.inner.next_ones.lock().unwrap().is_empty(), "none follows");
}

#[tokio::test]
async fn what_goes_on_and_what_failed_is_known_to_the_others_and_is_nothing_of_theirs() {
    let [own, other, files] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (one, two) = (desk(own.path(), files.path()), desk(other.path(), files.path()));
    let (mut heard, mut other_heard) = (Heard::default(), Heard::default());
    let begun = one.begin(Subject::Channel("gate".to_owned()), None, false).await.unwrap();
    let entry = begun.unwrap();
    let mut there = async || {
        one.tell_others().await.unwrap();
        two.hear(&mut other_heard).await.unwrap();
        two.inner.catalogue.get(&entry.id).await.unwrap()
    };
    let theirs = there().await.unwrap();
    assert_eq!((theirs.state, theirs.is_elsewhere), (State::Recording, true));
    assert_eq!(theirs.node.as_deref(), Some("n1"));
    assert!(!two.delete(&theirs).await.unwrap(), "it goes on");
    // A channel of the same name of its own.
    assert!(two.of_channel("gate").await.unwrap().is_none());
    let own = two.begin(Subject::Channel("gate".to_owned()), None, false).await.unwrap();
    assert!(own.is_some());
    // What is told once isn't told again.
    let news = one.inner.files.list(papers::NEWS).await.unwrap();
    one.tell_others().await.unwrap();
    assert_eq!(one.inner.files.list(papers::NEWS).await.unwrap(), news);

    one.stop_channel("gate").await.unwrap().unwrap();
    assert_eq!(there().await.unwrap().state, State::Ending);
    one.order_all().await.unwrap();
    let theirs = there().await.unwrap();
    assert_eq!(theirs.state, State::Failed);
    assert!(theirs.reason.unwrap().contains("nothing was sent"));
    assert_eq!(one.inner.files.list(papers::NEWS).await.unwrap().len(), 1, "the last is enough");
    let theirs = two.inner.catalogue.get(&entry.id).await.unwrap().unwrap();
    assert!(two.delete(&theirs).await.unwrap());
    one.hear(&mut heard).await.unwrap();
    assert_eq!(one.inner.catalogue.get(&entry.id).await.unwrap(), None);
    assert_eq!(one.inner.files.list(entry.id.as_str()).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_server_had_that_never_came_back_can_be_deleted() {
    let (own, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let desk = desk(own.path(), files.path());
    let (id, hour_ms) = (ID.parse::<RecordingId>().unwrap(), 3_600_000);
    for (hours, is_over) in [(2, false), (4, true)] {
        let at_ms = now_ms() - hours * hour_ms;
        let standing = papers::Standing {
            version: VERSION,
            recording: id.clone(),
            subject: Subject::Channel("gate".to_owned()),
            node: Some("n2".to_owned()),
            started_by: None,
            started_ms: at_ms,
            ended_ms: None,
            state: State::Recording,
            reason: None,
            troubles: 0,
            participants: Vec::new(),
            told_ms: at_ms,
        };
        let store = &desk.inner.files;
        store.put(&papers::standing(&id), papers::written(&standing)).await.unwrap();
        store.put(&News { at_ms, recording: id.clone() }.name(), "").await.unwrap();
        desk.hear(&mut Heard::default()).await.unwrap();
        let entry = desk.inner.catalogue.get(&id).await.unwrap().unwrap();
        assert_eq!(desk.delete(&entry).await.unwrap(), is_over, "{hours} h");
    }
    assert_eq!(desk.inner.files.list(ID).await.unwrap(), Vec::<String>::new());
}
