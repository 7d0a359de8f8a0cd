//! What comes and goes many times leaves nothing behind.

use std::process::Command;
use std::time::Duration;

use crate::support::process::{Holdings, holdings};
use crate::support::scene::SOON;
use crate::support::{Peer, Scene, program, soak_is_long, until};

/// Viewers that join and leave together.
const AT_ONCE: usize = 20;

#[tokio::test]
async fn joins_and_leaves_cost_the_daemon_nothing_that_lasts() {
    let cycles = if soak_is_long() { 1000 } else { 200 };
    let scene = Scene::demo_alone().await;
    let load = || {
        let mut command = scene.network.command(&program("stentor"));
        command.args(["load", "whep", &scene.daemon.whep("demo")]);
        command.args(["--viewers", &AT_ONCE.to_string(), "--for", "2s", "--json"]);
        command.args(["--token", scene.token()]);
        command
    };
    // What is made once and kept is made now.
    for _ in 0..2 {
        played(load());
    }
    let before = settled(&scene).await;
    let mut seen = 0;
    for _ in 0..cycles / AT_ONCE {
        seen += played(load());
    }
    let after = settled(&scene).await;
    println!("{cycles} joins, {seen} of them saw a picture: {before:?} → {after:?}");
    // Those that leave earlier, as on a busy machine, must leave nothing behind either.
    assert!(seen * 2 > cycles, "{seen} of {cycles} saw a picture");
    nothing_grew(before, after);
}

#[tokio::test]
async fn publishers_that_come_and_go_cost_daemon_and_worker_nothing_that_lasts() {
    let cycles = if soak_is_long() { 200 } else { 30 };
    let config = "[[channels]]\nname = \"cam\"\nsource = { kind = \"whip\" }\n";
    let scene = Scene::with_config_alone(config).await;
    let publish = |count: u32| {
        let url = scene.daemon.whip("cam");
        let count = count.to_string();
        let arguments = [url.as_str(), "--token", scene.token(), "--count", &count];
        Peer::python(&scene.network, "publish_cycles.py", &arguments)
    };
    publish(5).expect("done", Duration::from_secs(60)).await;
    let [worker] = scene.daemon.workers()[..] else { panic!("one worker is expected") };
    let (before, worker_before) = (settled(&scene).await, holdings(worker));
    publish(cycles).expect("done", Duration::from_secs(600)).await;
    let (after, worker_after) = (settled(&scene).await, holdings(worker));
    println!("{cycles} publishers: daemon {before:?} → {after:?}");
    println!("{cycles} publishers: worker {worker_before:?} → {worker_after:?}");
    nothing_grew(before, after);
    assert!(worker_after.descriptors <= worker_before.descriptors + 4, "{worker_after:?}");
    assert!(worker_after.threads <= worker_before.threads + 2, "{worker_after:?}");
}

fn nothing_grew(before: Holdings, after: Holdings) {
    assert!(after.threads <= before.threads, "{before:?} → {after:?}");
    // Room for databases, which are opened once more where two ask at the same time.
    assert!(after.descriptors <= before.descriptors + 6, "{before:?} → {after:?}");
    // Room for the allocator's own.
    assert!(after.memory_kb <= before.memory_kb + 4096, "{before:?} → {after:?}");
}

/// What the daemon holds once everybody has left.
async fn settled(scene: &Scene) -> Holdings {
    until("everybody has left", SOON, async || {
        let server = scene.daemon.get("/api/v1/server").await;
        if server["viewers"] == 0 { Ok(()) } else { Err(server) }
    })
    .await;
    // Connections that are kept alive are closed by their client's end; wait for that too.
    let mut least = holdings(scene.daemon.pid());
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = holdings(scene.daemon.pid());
        if now.descriptors <= least.descriptors {
            least = now;
        }
    }
    least
}

/// Runs viewers to their end; gives how many of them saw a picture.
fn played(mut command: Command) -> usize {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    let summary: serde_json::Value = serde_json::from_str(&said)
        .unwrap_or_else(|e| panic!("{command:?}: {}: {e}\n{said}{wrong}", output.status));
    summary["played"].as_u64().unwrap() as usize
}
