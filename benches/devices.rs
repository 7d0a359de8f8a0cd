//! Devices for `make bench`, as the web socket has them: many that are idle (`idle`), and pairs
//! on two nodes that call each other at a fixed rate (`calls`).
//!
//! `idle` prints `ready` once all are signed in, and then keeps them until it is ended. `calls`
//! prints `ready` once as many calls go on as will, and at last one line of JSON: milliseconds from
//! sending an invitation to hearing it ring, by one clock.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use stentor::calls::ids::UserId;
use stentor::http::access::mint_user;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

type Failure = Box<dyn Error + Send + Sync>;

struct Device(WebSocketStream<TcpStream>);

/// A node, and what lets a user in.
#[derive(Clone)]
struct Door {
    /// Such as `10.0.0.1:8080`.
    address: String,
    key: Arc<str>,
}

/// Sign-ins at one time.
const AT_ONCE: usize = 32;
/// Candidates that each end has.
const CANDIDATES: usize = 8;
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |name: &str| -> Result<&str, String> {
        let at = arguments.iter().position(|a| a == name).ok_or(format!("{name} is missing"))?;
        arguments.get(at + 1).map(String::as_str).ok_or(format!("{name} has no value"))
    };
    let key: Arc<str> = std::fs::read_to_string(text("--key")?)?.into();
    let door = |address: &str| Door { address: address.to_owned(), key: key.clone() };
    match arguments.first().map(String::as_str) {
        Some("idle") => idle(&door(text("--node")?), text("--count")?.parse()?).await,
        Some("calls") => {
            let doors = [door(text("--node")?), door(text("--other")?)];
            let a_minute: f64 = text("--a-minute")?.parse()?;
            let seconds = |name: &str| -> Result<Duration, Failure> {
                Ok(Duration::from_secs_f64(text(name)?.parse()?))
            };
            calls(doors, a_minute, seconds("--talk")?, seconds("--seconds")?).await
        }
        _ => Err("expected idle or calls".into()),
    }
}

async fn idle(door: &Door, count: usize) -> Result<(), Failure> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut devices = JoinSet::new();
    for number in 0..count {
        let (door, place) = (door.clone(), places.clone().acquire_owned().await?);
        devices.spawn(async move {
            let mut device = Device::sign_in(&door, &format!("idle{number}")).await?;
            drop(place);
            device.stay().await
        });
    }
    // Once the last has its place back, all are signed in.
    let _all = places.acquire_many(AT_ONCE as u32).await?;
    say("ready")?;
    match devices.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

/// As many pairs as are needed for each to rest between two calls of its own, which last for
/// `talk`.
async fn calls(
    doors: [Door; 2],
    a_minute: f64,
    talk: Duration,
    span: Duration,
) -> Result<(), Failure> {
    let every = Duration::from_secs_f64(60.0 / a_minute);
    let turn = talk + Duration::from_secs(4);
    let pairs = (turn.as_secs_f64() / every.as_secs_f64()).ceil() as usize;
    let mut made = Vec::with_capacity(pairs);
    for number in 0..pairs {
        let caller = Device::sign_in(&doors[0], &format!("caller{number}")).await?;
        let callee = Device::sign_in(&doors[1], &format!("callee{number}")).await?;
        made.push(Arc::new(Mutex::new((caller, callee))));
    }
    let mut going = JoinSet::new();
    // Until as many go on as will, nothing is measured.
    let warm = Instant::now() + talk;
    let mut is_warm = false;
    let end = warm + span;
    let mut due = tokio::time::interval(every);
    for number in 0.. {
        due.tick().await;
        if Instant::now() >= end {
            break;
        }
        if Instant::now() >= warm && !std::mem::replace(&mut is_warm, true) {
            say("ready")?;
        }
        let pair = made[number % pairs].clone();
        going.spawn(async move {
            let mut pair = pair.try_lock_owned().map_err(|_| "a pair still talks")?;
            let began = Instant::now();
            let (caller, callee) = &mut *pair;
            let callee_name = format!("callee{}", number % pairs);
            let called = call(caller, callee, &callee_name, talk);
            let took = tokio::time::timeout(talk + PATIENCE, called);
            Ok::<_, Failure>((began, took.await??))
        });
    }
    let (mut rings, mut failures) = (Vec::new(), 0);
    while let Some(ended) = going.join_next().await {
        match ended? {
            Ok((began, ring)) if began >= warm => rings.push(ring.as_secs_f64() * 1000.0),
            Ok(_) => {}
            Err(error) => {
                failures += 1;
                writeln!(std::io::stderr(), "{error}")?;
            }
        }
    }
    rings.sort_by(f64::total_cmp);
    let at = |share: f64| rings.get((rings.len() as f64 * share) as usize).copied();
    let summary = json!({
        "calls": rings.len(), "failures": failures, "pairs": pairs,
        "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": rings.last(),
    });
    say(&summary.to_string())
}

/// One call from its invitation to its end. Gives the time until it rang.
async fn call(
    caller: &mut Device,
    callee: &mut Device,
    name: &str,
    talk: Duration,
) -> Result<Duration, Failure> {
    let media = json!({"audio": true, "video": true});
    let began = Instant::now();
    caller.say(json!({"type": "invite", "users": [name], "media": media})).await?;
    let ring = callee.expect("ring").await?;
    let took = began.elapsed();
    let call = ring["call"].clone();
    callee.say(json!({"type": "accept", "call": call, "media": media})).await?;
    let peer = callee.expect("peer").await?;
    let of = |kind: &str, name: &str, value: String| {
        let mut message = json!({
            "type": kind, "call": call, "session": peer["session"], "epoch": peer["epoch"],
        });
        message[name] = value.into();
        message
    };
    let sdp = "a=candidate:1 1 udp 2122260223 192.0.2.1 51000 typ host\r\n".repeat(60);
    callee.say(of("offer", "sdp", sdp.clone())).await?;
    caller.expect("offer").await?;
    caller.say(of("answer", "sdp", sdp)).await?;
    callee.expect("answer").await?;
    for number in 0..CANDIDATES {
        let candidate = format!("candidate:{number} 1 udp 2122260223 192.0.2.1 51000 typ host");
        caller.say(of("candidate", "candidate", candidate.clone())).await?;
        callee.say(of("candidate", "candidate", candidate)).await?;
        caller.expect("candidate").await?;
        callee.expect("candidate").await?;
    }
    let talk = tokio::time::sleep(talk);
    tokio::pin!(talk);
    // What comes meanwhile is acknowledged, and who comes and goes is heard of.
    loop {
        tokio::select! {
            () = &mut talk => break,
            heard = caller.hear() => drop(heard?),
            heard = callee.hear() => drop(heard?),
        }
    }
    caller.say(json!({"type": "hang_up", "call": call})).await?;
    callee.expect("call_ended").await?;
    caller.expect("call_ended").await?;
    Ok(took)
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

// === impl Device ===

impl Device {
    async fn sign_in(door: &Door, user: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(&door.address).await?;
        stream.set_nodelay(true)?;
        let request = format!("ws://{}/ws", door.address).into_client_request()?;
        // Small, since there are many.
        let config = WebSocketConfig::default().read_buffer_size(2048).write_buffer_size(0);
        let (stream, _) = client_async_with_config(request, stream, Some(config)).await?;
        let mut device = Self(stream);
        let token = mint_user(&door.key, UserId::new(user)?, None, Duration::from_secs(3600))?;
        let codecs = json!([
            {"codec": "vp8", "resolution": {"width": 1280, "height": 720}, "frame_rate": 30},
            {"codec": "h264", "resolution": {"width": 1920, "height": 1080}, "frame_rate": 30},
        ]);
        let capabilities = json!({
            "encode": codecs, "decode": codecs,
            "up_bps": 4_000_000, "down_bps": 20_000_000, "network": "wifi",
        });
        device
            .say(json!({
                "type": "hello", "version": 1, "device": "phone", "token": token,
                "capabilities": capabilities,
            }))
            .await?;
        device.expect("welcome").await?;
        Ok(device)
    }

    /// Answers pings, and acknowledges now and then.
    async fn stay(&mut self) -> Result<(), Failure> {
        loop {
            self.hear().await?;
        }
    }

    async fn say(&mut self, message: Value) -> Result<(), Failure> {
        Ok(self.0.send(Message::Text(message.to_string().into())).await?)
    }

    async fn hear(&mut self) -> Result<Value, Failure> {
        loop {
            match self.0.next().await.ok_or("the server closed the socket")?? {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text)?;
                    let seq = message["seq"].as_u64().unwrap_or_default();
                    if seq > 0 && seq.is_multiple_of(16) {
                        self.say(json!({"type": "ack", "seq": seq})).await?;
                    }
                    return Ok(message);
                }
                Message::Close(frame) => return Err(format!("closed: {frame:?}").into()),
                _ => {}
            }
        }
    }

    async fn expect(&mut self, kind: &str) -> Result<Value, Failure> {
        let heard = async {
            loop {
                let message = self.hear().await?;
                if message["type"] == kind {
                    return Ok(message);
                }
                if message["type"] == "error" {
                    return Err(Failure::from(format!("instead of {kind}: {message}")));
                }
            }
        };
        tokio::time::timeout(PATIENCE, heard).await?
    }
}
