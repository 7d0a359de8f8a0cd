//! A desk without channels and workers, with stores that are folders.

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
        files: open(files),
        metrics: RecordingMetrics::register(&Registry::new()).unwrap(),
        events: Events::off(),
        signals: Signals::default(),
    })
}

fn manifest(id: &RecordingId) -> Manifest {
    Manifest {
        version: VERSION,
        recording: id.clone(),
        subject: Subject::Channel("gate".to_owned()),
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
    let new = NewRecording {
        id: id.clone(),
        subject: Subject::Channel("gate".to_owned()),
        started_by: None,
        is_fixed: false,
        started_ms: 10,
        boot: String::new(),
        epoch_us: 0,
    };
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
