//! A call from the first device that signs in to the last word.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

use super::clip::{Clip, silence};
use super::device::{Device, Part, Phase};
use super::options::CallOptions;
use super::publisher::Studio;
use super::reading::Equipment;
use super::summary::{CallProgress, CallSummary, Shared, Stay};
use crate::calls::ids::UserId;
use crate::http::access::mint_user;
use crate::load::run::{LoadError, allow_files, certificate, cpu_time, local_ip};
use crate::load::viewer::Kit;
use crate::load::whep::Client;

/// Bytes of each packet of sound: 64 kb/s.
const VOICE_BYTES: u8 = 160;
/// Devices that sign in at one time.
const AT_ONCE: usize = 32;
const BETWEEN_REPORTS: Duration = Duration::from_millis(500);
/// How long the slowest may take to stop watching.
const COUNT_WITHIN: Duration = Duration::from_secs(10);
const TOKEN_MARGIN: Duration = Duration::from_secs(600);

/// Makes the call, and reports about twice a second. Blocks until it is over.
pub fn run(
    options: &CallOptions,
    report: impl FnMut(&CallProgress),
) -> Result<CallSummary, LoadError> {
    options.check()?;
    let watched = options.participants * options.cameras;
    // Two names of each socket for media, and one for a request; a web socket each.
    allow_files(3 * watched + 2 * options.participants)?;
    let clip = match &options.video {
        Some(file) => Clip::read(file, options.size, options.frame_rate)?,
        None => Clip::pattern()?,
    };
    let client = Client::of_server(&options.server, options.ca_file.as_deref())?;
    let kit = Kit {
        ip: local_ip(&options.server)?,
        certificate: certificate()?,
        codec: Some(stentor_protocol::Codec::H264),
        receive_offload: options.receive_offload,
        drop_below: 0,
        seed: 0,
    };
    let parts = parts(options, &clip)?;
    let voice = silence(VOICE_BYTES);
    let equipment = Arc::new(Equipment {
        kit,
        studio: Arc::new(Studio { clip, voice, cameras: options.cameras }),
        read_interval: options.read_interval,
        began: Instant::now(),
        asleep: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(io::Error::from)?,
        patience: options.patience,
        shared: Shared::default(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .thread_name("load-call")
        .enable_all()
        .build()?;
    let (start, cpu_before) = (Instant::now(), cpu_time());
    let stays = runtime.block_on(take_part(options, parts, &equipment, client, report));
    runtime.shutdown_timeout(Duration::from_secs(1));
    let cpu = cpu_time().saturating_sub(cpu_before);
    Ok(CallSummary::of(&stays, options.cameras, &equipment.shared, start.elapsed(), cpu))
}

/// Those with cameras first, and the one who invites before all.
fn parts(options: &CallOptions, clip: &Clip) -> Result<Vec<Part>, LoadError> {
    let named = |number: usize| UserId::new(&format!("{}-{number}", options.name));
    let users = (0..options.participants).map(named).collect::<Result<Vec<_>, _>>();
    let users = users.map_err(|_| LoadError::Name(options.name.clone()))?;
    let life = options.duration + TOKEN_MARGIN;
    let part = |(number, user): (usize, &UserId)| {
        let key = options.key.as_ref();
        let token = key.map(|key| mint_user(&key.0, user.clone(), None, life)).transpose()?;
        let invites = if number == 0 { users[1..].to_vec() } else { Vec::new() };
        Ok(Part {
            number,
            cameras: options.cameras,
            user: user.clone(),
            invites,
            token,
            accepts_after: Duration::from_secs_f64((number.max(1) - 1) as f64 / options.rate),
            tile_height: options.tile_height,
            picture: (clip.size, clip.rate, clip.bits_per_second()),
        })
    };
    users.iter().enumerate().map(part).collect()
}

async fn take_part(
    options: &CallOptions,
    parts: Vec<Part>,
    equipment: &Arc<Equipment>,
    client: Client,
    mut report: impl FnMut(&CallProgress),
) -> Vec<Stay> {
    let (phase, phases) = watch::channel(Phase::SignIn);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let count = parts.len() as u64;
    let mut devices = JoinSet::new();
    for part in parts {
        let number = part.number;
        let device = Device::new(part, equipment.clone(), client.clone());
        let (phases, places) = (phases.clone(), places.clone());
        devices.spawn(async move { (number, device.run(phases, &places).await) });
    }
    let shared = &equipment.shared;
    let begin = Instant::now();
    reach(&shared.arrived, count).await;
    phase.send_replace(Phase::Call);
    let end = Instant::now() + options.duration;
    let mut told = std::pin::pin!(told_to_end());
    let goes_on =
        || shared.failed.load(Ordering::Relaxed) < count && !shared.is_off.load(Ordering::Relaxed);
    while Instant::now() < end && goes_on() {
        report(&shared.progress(begin.elapsed()));
        let next = (Instant::now() + BETWEEN_REPORTS).min(end);
        tokio::select! {
            () = sleep_until(next.into()) => {}
            () = &mut told => break,
        }
    }
    phase.send_replace(Phase::End);
    let _ = timeout(COUNT_WITHIN, reach(&shared.counted, count)).await;
    phase.send_replace(Phase::Over);
    let mut stays = devices.join_all().await;
    stays.sort_by_key(|(number, _)| *number);
    stays.into_iter().map(|(_, stay)| stay).collect()
}

async fn reach(counter: &AtomicU64, count: u64) {
    while counter.load(Ordering::Relaxed) < count {
        sleep(Duration::from_millis(10)).await;
    }
}

/// By whoever runs it: what there is by then is summed up.
async fn told_to_end() {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
