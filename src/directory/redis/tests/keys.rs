//! What stands in Redis, and for how long.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_renewed_while_its_node_lives_and_goes_by_itself_after_that() {
    const KEY: &str = "test:1:user:anna";
    let server = Server::start().await;
    let usual = server.node();
    let here = usual.connect("bert", "d1");
    until("the entry is told", async || server.kept_for("test:1:user:bert").await > 0).await;
    let (kept, usual_lease) = (server.kept_for("test:1:user:bert").await, Lease::default());
    assert!(kept <= usual_lease.life.as_millis() as i64, "{kept}");
    assert!(kept > 2 * usual_lease.renewal.as_millis() as i64, "{kept}");
    drop((here, usual));

    // One heartbeat is the shortest time between two renewals.
    let life = Duration::from_millis(2500);
    let a = server.node_of(Lease { life, renewal: HEARTBEAT / 2 });
    let here = a.connect("anna", "d1");
    until("the entry is told", async || server.kept_for(KEY).await > 0).await;
    let mut least = server.kept_for(KEY).await;
    until("it is renewed", async || {
        let kept = server.kept_for(KEY).await;
        let renewed = kept > least + 200;
        least = least.min(kept);
        renewed
    })
    .await;
    // Nobody looks for it, so nobody clears it away.
    lock(&a.directory.task).take().unwrap().abort();
    let begin = Instant::now();
    until("it goes", async || server.exists(KEY).await == redis::Value::Int(0)).await;
    assert!(begin.elapsed() < life + Duration::from_secs(1), "{:?}", begin.elapsed());
    drop((here, a));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_pages_reach_a_node_is_known_while_it_lives() {
    let server = Server::start().await;
    let [at_a, at_b] = ["https://a.example", "https://b.example:8443"].map(|o| o.parse().unwrap());
    let (a, b, plain) = (server.node_at(&at_a), server.node_at(&at_b), server.node());
    for node in [&a, &plain] {
        until("the place is known", async || node.directory.is_reached_at(&at_b)).await;
    }
    assert!(!a.directory.is_reached_at(&"https://b.example".parse().unwrap()));
    let key = format!("test:1:place:{}", b.id());
    let kept = server.kept_for(&key).await;
    assert!((1..=60_000).contains(&kept), "{kept}");
    b.directory.leave().await;
    for node in [&a, &plain] {
        until("it has left", async || !node.directory.is_reached_at(&at_b)).await;
    }
    assert_eq!(server.exists(&key).await, redis::Value::Int(0));
    assert!(plain.directory.is_reached_at(&at_a));
}
