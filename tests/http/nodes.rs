//! Nodes with one Redis: what a page may speak to beside its own server, and what one that reads
//! slowly learns after all.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::{Cmd, cmd, from_redis_value};
use reqwest::header::CONTENT_SECURITY_POLICY;
use serde_json::{Value, json};
use stentor::config::Config;
use stentor_protocol::units::Secret;

use crate::device::Device;
use crate::support::{PATIENCE, Server};

use self::redis::Redis;
use self::wait::{check, until};

#[path = "../support/redis.rs"]
mod redis;
#[path = "../support/wait.rs"]
mod wait;

/// One that pages reach at a URL.
fn node(redis: &Redis, public_url: &str) -> impl FnOnce(&mut Config) {
    let (redis_url, public_url) = (redis.url(), public_url.to_owned());
    move |config: &mut Config| {
        config.directory.redis_url = Some(Secret(redis_url));
        config.directory.prefix = "test".to_owned();
        config.directory.public_url = Some(public_url);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_speaks_to_its_own_server_and_by_a_worker_to_a_node_that_is_there() {
    const WORKER: &str = "/js/rtc/outpost.js?node=";
    const NOBODY: &str = "default-src 'none'; connect-src 'none'";
    let redis = Redis::start().await;
    let a = Server::with(node(&redis, "https://a.example/")).await;
    let b = Server::with(node(&redis, "https://B.example:8443/")).await;
    let policy = async |path: &str| {
        let response = a.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
    };
    let of_b = format!("{WORKER}https://b.example:8443");
    let is = async |expected: &str| {
        until("the policy follows the node", PATIENCE, async || {
            let policy = policy(&of_b).await;
            check(policy == expected, &policy)
        })
        .await;
    };
    is("default-src 'none'; connect-src https://b.example:8443").await;
    for path in ["/", "/index.html", "/js/app.js", "/?node=https://b.example:8443"] {
        let policy = policy(path).await;
        assert!(policy.contains("; connect-src 'self'; "), "{path}: {policy}");
    }
    for other in [
        "",
        "https://evil.example",
        "https://b.example",
        "http://b.example:8443",
        "https://b.example:8443/",
        "https://*:8443",
        "https:",
        "*",
        "https://b.example:8443%20https://evil.example",
        "https://b.example:8443;https://evil.example",
    ] {
        assert_eq!(policy(&format!("{WORKER}{other}")).await, NOBODY, "{other}");
    }
    assert_eq!(policy("/js/rtc/outpost.js").await, NOBODY);
    b.stop().await;
    is(NOBODY).await;
    a.stop().await;
}

/// In the list of nodes for an hour, and takes nothing.
async fn start_slow_node(redis: &Redis) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
    let mut command = cmd("ZADD");
    command.arg("test:1:nodes").arg(now.as_millis() as u64).arg("slow:1");
    redis.ask(&command).await.unwrap();
}

/// The name of the node that isn't the slow one.
async fn other_node(redis: &Redis) -> String {
    let mut command = cmd("ZRANGE");
    command.arg("test:1:nodes").arg(0).arg(-1);
    let nodes: Vec<String> = asked(redis, &command).await;
    let node = nodes.iter().find(|node| *node != "slow:1").unwrap();
    node.split_once(':').unwrap().0.to_owned()
}

async fn asked<T: ::redis::FromRedisValue>(redis: &Redis, command: &Cmd) -> T {
    from_redis_value(redis.ask(command).await.unwrap()).unwrap()
}

/// What lies in the slow node's inbox of who is there: whom it names, and whether that is all.
async fn told(redis: &Redis) -> Vec<(Vec<Value>, bool)> {
    let mut command = cmd("XRANGE");
    command.arg("test:1:inbox:slow").arg("-").arg("+");
    let entries: Vec<(String, Vec<(String, String)>)> = asked(redis, &command).await;
    let frames = entries.iter().flat_map(|(_, fields)| fields);
    let bodies = frames.filter_map(|(_, frame)| {
        let frame: Value = serde_json::from_str(frame).unwrap();
        let body: Value = serde_json::from_str(frame["Message"]["body"].as_str()?).unwrap();
        let presence = body.get("presence")?;
        let users = presence["users"].as_array()?.iter().map(|seen| seen["user"].clone());
        Some((users.collect(), presence["all"].as_bool()?))
    });
    bodies.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_too_slow_to_hear_who_is_there_is_told_anew() {
    let redis = Redis::start().await;
    start_slow_node(&redis).await;
    let a = Server::with(|config| {
        node(&redis, "https://a.example")(config);
        config.http.requests_per_second = 100_000;
        config.http.request_burst = 100_000;
    })
    .await;
    until("the slow node is greeted", PATIENCE, async || {
        let told = told(&redis).await;
        check(told.iter().any(|(_, all)| *all), told.len())
    })
    .await;
    // Who comes and goes is said of each, until there is no room for more.
    let full = "stentor_directory_failed_total{reason=\"full\"}";
    for round in 0.. {
        assert!(round < 200, "there is always room");
        for at in 0..20 {
            Device::sign_in(&a, &format!("guest-{round}-{at}")).await.leave().await;
        }
        if a.metric(full).await > 0.0 {
            break;
        }
    }
    let late = Device::sign_in(&a, "late").await;
    let is_told = |told: &[(Vec<Value>, bool)]| {
        told.iter().any(|(users, all)| *all && users.contains(&json!("late")))
    };
    assert!(!is_told(&told(&redis).await), "nothing arrives where there is no room");
    // At last it has read all of it.
    let taken = json!({"Taken": {"from": "slow", "up_to": 1_000_000}}).to_string();
    let mut command = cmd("XADD");
    command.arg(format!("test:1:inbox:{}", other_node(&redis).await)).arg("*").arg("f").arg(taken);
    redis.ask(&command).await.unwrap();
    until("it is told anew", PATIENCE, async || {
        let told = told(&redis).await;
        check(is_told(&told), told.len())
    })
    .await;
    drop(late);
    a.stop().await;
}
