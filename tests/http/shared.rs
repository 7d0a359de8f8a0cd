//! Two servers with one store of files: each shows, plays, tells of and deletes what the other
//! recorded.

use serde_json::json;
use stentor::config::Config;

use crate::device::Device;
use crate::recorded_calls::start_call;
use crate::recordings::{text, until};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_two_servers_recorded_is_there_on_the_other() {
    let files = tempfile::tempdir().unwrap();
    let shared = |config: &mut Config| {
        config.recording.shared = true;
        config.recording.files.folder = Some(files.path().to_owned());
    };
    let (one, two) = (Server::with(shared).await, Server::with(shared).await);
    let (mut ann, _bert, call) = start_call(&one).await;
    // In the call by a device on one server, he has a device on the other, too.
    let mut bert = Device::sign_in(&two, "bert").await;
    ann.say(json!({"type": "record", "call": call, "recorded": true})).await;
    one.shipped(2.0).await;
    ann.say(json!({"type": "record", "call": call, "recorded": false})).await;

    let finished = bert.expect("recording_finished").await;
    assert_eq!((&finished["call"], &finished["ready"]), (&json!(call), &json!(true)));
    let path = format!("/api/v1/recordings/{}", text(&finished["recording"]));
    let (recording, theirs) = (one.json(&path).await, two.json(&path).await);
    assert_eq!(recording, theirs);
    assert_eq!((&theirs["state"], &theirs["started_by"]), (&json!("ready"), &json!("ann")));
    let listed = two.json("/api/v1/recordings").await;
    assert_eq!(listed["recordings"], json!([theirs]));
    let file = one.file(&recording, None).await.text().await.unwrap();
    assert_eq!(two.file(&theirs, None).await.text().await.unwrap(), file);

    assert_eq!(two.delete(&path).await.status(), 204);
    until("it is gone on the other, too", async || {
        (one.get(&path).await.status() == 404).then_some(())
    })
    .await;
    one.stop().await;
    let folder = two.stop().await;
    // What was deleted doesn't come back.
    let two = Server::again(folder, shared).await;
    assert_eq!(two.json("/api/v1/recordings").await["recordings"], json!([]));
    two.stop().await;
}
