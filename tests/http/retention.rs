//! Recordings that are old enough go, with all that there is of them, and an event says so.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bucket::files_in;
use crate::events::{all, logged};
use crate::recordings::{text, until};
use crate::support::{Server, assert_problem};

const SYNTHETIC: &str = r#"{"kind": "synthetic"}"#;
const DAY_MS: i64 = 86_400_000;

/// Records a channel of its own, up to `state`.
async fn recorded(server: &Server, channel: &str, state: &str) -> Value {
    server.make(channel, serde_json::from_str(SYNTHETIC).unwrap()).await;
    let id = text(&server.record(channel).await["id"]).to_owned();
    let of = server.recordings().join("chunks/chunks").join(&id);
    until("chunks", async || (files_in(&of).len() >= 2).then_some(())).await;
    server.delete(&format!("/api/v1/channels/{channel}/recording")).await;
    server.in_state(&id, state).await
}

async fn link(server: &Server, id: &str) -> String {
    let path = format!("/api/v1/recordings/{id}/links");
    let links = server.request(Method::POST, &path).send().await.unwrap();
    let links: Value = links.json().await.unwrap();
    text(&links["files"][0]["url"]).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_it_may_be_is_gone_from_lists_stores_and_links_and_the_rest_stays() {
    let server = Server::with(|config| config.recording.attempts = 1).await;
    let old = recorded(&server, "old", "ready").await;
    // Its chunks are kept: there is no file.
    let unmade = recorded(&server, "unmade", "failed").await;
    let young = recorded(&server, "young", "ready").await;
    let [old, unmade, young] = [old, unmade, young].map(|r| text(&r["id"]).to_owned());
    let (old_link, young_link) = (link(&server, &old).await, link(&server, &young).await);
    assert_eq!(server.get(&old_link).await.status(), 200);
    let recordings = server.recordings();
    let objects = |store: &str, id: &str| files_in(&recordings.join(store).join(id)).len();
    assert!(objects("files", &old) > 0 && objects("chunks/chunks", &unmade) > 0);

    let folder = server.stop().await;
    // Two of them ended three days ago.
    let database = rusqlite::Connection::open(recordings.join("recordings.db")).unwrap();
    let sql = "UPDATE recordings SET ended_ms = ended_ms - ?1 WHERE id IN (?2, ?3)";
    assert_eq!(database.execute(sql, (3 * DAY_MS, &old, &unmade)).unwrap(), 2);
    drop(database);
    let server = Server::again(folder, |config| config.recording.keep_days = 2).await;
    for id in [&old, &unmade] {
        logged(&server, "its end", |event| {
            event.envelope.kind == "recording.deleted"
                && event.envelope.recording.as_deref() == Some(id.as_str())
                && event.envelope.cause.as_deref() == Some("expired")
        })
        .await;
        let gone = server.get(&format!("/api/v1/recordings/{id}")).await;
        assert_problem(gone, 404, "/problems/no-recording").await;
        assert_eq!(objects("files", id) + objects("chunks/chunks", id), 0);
    }
    assert_eq!(server.get(&old_link).await.status(), 404, "a link outlives its file");
    let list = server.json("/api/v1/recordings").await;
    let list: Vec<&Value> = list["recordings"].as_array().unwrap().iter().collect();
    assert_eq!((list.len(), &list[0]["id"]), (1, &json!(young)));
    assert_eq!(server.get(&young_link).await.status(), 200);
    // Whoever deletes one is told apart from time.
    assert_eq!(server.delete(&format!("/api/v1/recordings/{young}")).await.status(), 204);
    let folder = server.stop().await;
    let deleted: Vec<String> = all(folder.path())
        .into_iter()
        .filter(|event| event.envelope.kind == "recording.deleted")
        .map(|event| event.envelope.cause.unwrap_or_default())
        .collect();
    assert_eq!(deleted, ["expired", "expired", "deleted"]);
}
