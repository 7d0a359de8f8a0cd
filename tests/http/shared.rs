//! Two servers with one store of files: each shows, plays, tells of and deletes what the other
//! recorded, and shows what goes on there, and what failed.

use std::path::Path;

use serde_json::{Value, json};
use stentor::config::{Config, ObjectStore};

use crate::bucket::Bucket;
use crate::device::Device;
use crate::recorded_calls::start_call;
use crate::recordings::{text, until};
use crate::support::Server;

/// A store as one server after another is told of it.
trait Store {
    /// `state`: a folder for whatever it takes to get there.
    fn of(&self, state: &Path) -> ObjectStore;
}

impl Store for tempfile::TempDir {
    fn of(&self, _: &Path) -> ObjectStore {
        ObjectStore { folder: Some(self.path().to_owned()), ..ObjectStore::default() }
    }
}

impl Store for Bucket {
    fn of(&self, state: &Path) -> ObjectStore {
        // A slow machine is no silent store.
        let timeout = "20s".parse().unwrap();
        ObjectStore { timeout, ..self.store(state, "files") }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_two_servers_recorded_is_there_on_the_other() {
    one_is_there_on_the_other(&tempfile::tempdir().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_two_servers_recorded_is_there_on_the_other_from_a_bucket() {
    one_is_there_on_the_other(&Bucket::start().await).await;
}

/// One by one where they are looked at.
async fn listed(server: &Server) -> Vec<Value> {
    let list = server.json("/api/v1/recordings").await["recordings"].clone();
    list.as_array().unwrap().clone()
}

/// Waits until a server lists the recording in this state.
async fn listed_as(server: &Server, state: &str, id: &Value) -> Value {
    until(state, async || {
        listed(server).await.into_iter().find(|one| &one["id"] == id && one["state"] == state)
    })
    .await
}

async fn one_is_there_on_the_other(store: &impl Store) {
    let state = tempfile::tempdir().unwrap();
    let shared = |config: &mut Config| {
        config.recording.shared = true;
        config.recording.attempts = 1;
        config.recording.files = store.of(state.path());
    };
    let (one, two) = (Server::with(shared).await, Server::with(shared).await);
    let (mut ann, _bert, call) = start_call(&one).await;
    // In the call by a device on one server, he has a device on the other, too.
    let mut bert = Device::sign_in(&two, "bert").await;
    ann.say(json!({"type": "record", "call": call, "recorded": true})).await;
    one.shipped(2.0).await;
    // It is listed while it goes on, as whose it is.
    let mine = listed(&one).await.remove(0);
    let theirs = listed_as(&two, "recording", &mine["id"]).await;
    assert!(theirs["node"].is_string() && theirs["node"] == mine["node"], "{theirs:#}");
    assert_eq!(theirs["participants"].as_array().unwrap().len(), 2, "{theirs:#}");
    let path = format!("/api/v1/recordings/{}", text(&mine["id"]));
    assert_eq!(two.delete(&path).await.status(), 409);
    ann.say(json!({"type": "record", "call": call, "recorded": false})).await;

    let finished = bert.expect("recording_finished").await;
    assert_eq!((&finished["call"], &finished["ready"]), (&json!(call), &json!(true)));
    assert_eq!(finished["recording"], mine["id"]);
    let (recording, theirs) = (one.json(&path).await, two.json(&path).await);
    assert_eq!(recording, theirs);
    assert_eq!((&theirs["state"], &theirs["started_by"]), (&json!("ready"), &json!("ann")));
    assert_eq!(listed(&two).await, std::slice::from_ref(&theirs));
    let file = one.file(&recording, None).await.text().await.unwrap();
    assert_eq!(two.file(&theirs, None).await.text().await.unwrap(), file);
    assert_eq!(two.delete(&path).await.status(), 204);
    until("it is gone on the other, too", async || {
        (one.get(&path).await.status() == 404).then_some(())
    })
    .await;

    one.make("unmade", json!({"kind": "synthetic"})).await;
    // Of the first one as many were shipped as there was time for.
    let shipped = one.metric("stentor_recording_chunks_shipped_total").await;
    let id = one.record("unmade").await["id"].clone();
    one.shipped(shipped + 1.0).await;
    one.delete("/api/v1/channels/unmade/recording").await;
    let theirs = listed_as(&two, "failed", &id).await;
    assert!(text(&theirs["reason"]).contains("as asked for"), "{theirs:#}");
    let path = format!("/api/v1/recordings/{}", text(&id));
    assert_eq!(one.json(&path).await, theirs);
    assert_eq!(two.delete(&path).await.status(), 204);
    until("it is gone on the other, too", async || {
        (one.get(&path).await.status() == 404).then_some(())
    })
    .await;
    one.stop().await;
    let folder = two.stop().await;
    // What was deleted doesn't come back.
    let two = Server::again(folder, shared).await;
    assert_eq!(listed(&two).await, Vec::<Value>::new());
    two.stop().await;
}
