//! Viewers of a Janus streaming mountpoint, for `make bench`: the same WebRTC stack as
//! `stentor load`, signalled as Janus wants it (the server offers).
//!
//! Prints `receiving N` each time another viewer has had its first hundred packets.

use std::error::Error;
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::SdpOffer;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

type Failure = Box<dyn Error + Send + Sync>;

/// Packets after which a viewer counts as receiving.
const STEADY: u64 = 100;
/// As for the other receivers of the bench: see fanout.py.
const READ_INTERVAL: Duration = Duration::from_millis(5);

struct Viewer {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    due: Instant,
    packets: u64,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |name: &str| -> Result<&str, String> {
        let at = arguments.iter().position(|a| a == name).ok_or(format!("{name} is missing"))?;
        arguments.get(at + 1).map(String::as_str).ok_or(format!("{name} has no value"))
    };
    let url = text("--url")?.to_owned();
    let count: usize = text("--viewers")?.parse()?;
    let between = Duration::from_secs_f64(1.0 / text("--rate")?.parse::<f64>()?);
    let until = Instant::now() + Duration::from_secs_f64(text("--seconds")?.parse()?);
    let (joined, joining) = mpsc::sync_channel(count);
    let media = std::thread::spawn(move || receive(&joining, until));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::new();
        for _ in 0..count {
            joined.send(join(&client, &url).await?)?;
            tokio::time::sleep(between).await;
        }
        Ok::<_, Failure>(())
    })?;
    media.join().map_err(|_| "the media thread panicked")?
}

async fn join(client: &reqwest::Client, url: &str) -> Result<Viewer, Failure> {
    let session = id(&ask(client, url, json!({ "janus": "create" })).await?)?;
    let session = format!("{url}/{session}");
    let attach = json!({ "janus": "attach", "plugin": "janus.plugin.streaming" });
    let handle = format!("{session}/{}", id(&ask(client, &session, attach).await?)?);
    let watch = json!({ "janus": "message", "body": { "request": "watch", "id": 1 } });
    ask(client, &handle, watch).await?;
    let offer = loop {
        let event: Value = client.get(format!("{session}?maxev=1")).send().await?.json().await?;
        if let Some(sdp) = event.pointer("/jsep/sdp").and_then(Value::as_str) {
            break SdpOffer::from_sdp_string(sdp)?;
        }
        if event["janus"] == "error" {
            return Err(event.to_string().into());
        }
    };
    let server = reqwest::Url::parse(url)?;
    let probe = UdpSocket::bind("0.0.0.0:0")?;
    probe.connect((server.host_str().ok_or("the URL has no host")?, 9))?;
    let socket = UdpSocket::bind((probe.local_addr()?.ip(), 0))?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    let now = Instant::now();
    let mut rtc = Rtc::builder().set_rtp_mode(true).build(now);
    rtc.add_local_candidate(Candidate::host(local, Protocol::Udp)?);
    let answer = rtc.sdp_api().accept_offer(offer)?.to_sdp_string();
    let start = json!({
        "janus": "message", "body": { "request": "start" },
        "jsep": { "type": "answer", "sdp": answer },
    });
    ask(client, &handle, start).await?;
    Ok(Viewer { rtc, socket, local, due: now, packets: 0 })
}

async fn ask(client: &reqwest::Client, url: &str, mut body: Value) -> Result<Value, Failure> {
    body["transaction"] = "bench".into();
    let reply: Value = client.post(url).json(&body).send().await?.json().await?;
    if reply["janus"] == "error" { Err(reply.to_string().into()) } else { Ok(reply) }
}

fn id(reply: &Value) -> Result<u64, Failure> {
    reply.pointer("/data/id").and_then(Value::as_u64).ok_or_else(|| reply.to_string().into())
}

fn receive(joining: &mpsc::Receiver<Viewer>, until: Instant) -> Result<(), Failure> {
    let mut viewers: Vec<Viewer> = Vec::new();
    let mut receiving = 0;
    let mut buffer = vec![0; 2048];
    while Instant::now() < until {
        viewers.extend(joining.try_iter());
        let mut polled: Vec<_> = viewers
            .iter()
            .map(|v| libc::pollfd { fd: v.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 })
            .collect();
        // SAFETY: `polled` has the length given and lives across the call.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as u64, 0) };
        for (viewer, state) in viewers.iter_mut().zip(&polled) {
            let before = viewer.packets;
            if state.revents != 0 {
                viewer.read(&mut buffer)?;
            }
            let now = Instant::now();
            if viewer.due <= now {
                viewer.rtc.handle_input(Input::Timeout(now))?;
                viewer.drain()?;
            }
            if before < STEADY && viewer.packets >= STEADY {
                receiving += 1;
                writeln!(std::io::stdout(), "receiving {receiving}")?;
            }
        }
        std::thread::sleep(READ_INTERVAL);
    }
    Ok(())
}

// === impl Viewer ===

impl Viewer {
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        loop {
            let (length, from) = match self.socket.recv_from(buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if let Ok(received) = Receive::new(Protocol::Udp, from, self.local, &buffer[..length]) {
                self.rtc.handle_input(Input::Receive(Instant::now(), received))?;
                self.drain()?;
            }
        }
    }

    fn drain(&mut self) -> Result<(), Failure> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.due = at;
                    return Ok(());
                }
                Output::Transmit(out) => {
                    // What the kernel doesn't take is lost, as it might be on the way.
                    let _ = self.socket.send_to(&out.contents, out.destination);
                }
                Output::Event(Event::RtpPacket(_)) => self.packets += 1,
                Output::Event(_) => {}
            }
        }
    }
}
