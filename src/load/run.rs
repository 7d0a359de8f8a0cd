//! A whole run: media threads, signalling, progress, summary.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hyper::Uri;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use str0m::config::DtlsCert;
use tokio::sync::mpsc;

use super::dial::TlsError;
use super::media::{Counters, Share, Thread};
use super::options::{LoadOptions, OptionsError};
use super::summary::{Summary, Tally};
use super::viewer::Kit;
use super::whep::{Ask, Client, serve};

const BETWEEN_REPORTS: Duration = Duration::from_millis(500);

/// Why a run could not be made. Failures of single viewers are in the [`Summary`].
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error("{0} can't be resolved or reached")]
    Unreachable(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("no certificate: {0}")]
    Certificate(#[from] dimpl::certificate::CertificateError),
    #[error(transparent)]
    Clip(#[from] super::call::ClipError),
    #[error("users can't be called {0:?}: expected letters, digits, `-`, `_`, `.` or `@`")]
    Name(String),
    #[error("users' tokens: {0}")]
    Key(#[from] crate::http::access::KeyError),
    #[error("system: {0}")]
    System(#[from] io::Error),
    #[error("a thread panicked")]
    Panicked,
}

/// A run under way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    pub elapsed: Duration,
    pub joined: u64,
    pub connected: u64,
    pub playing: u64,
    pub failed: u64,
    pub packets: u64,
    pub lost: u64,
    pub freezes: u64,
    /// Media of all viewers since the last report.
    pub bits_per_second: f64,
}

/// Runs the viewers and reports about twice a second. Blocks for the run's duration.
pub fn run(options: &LoadOptions, mut report: impl FnMut(&Progress)) -> Result<Summary, LoadError> {
    options.check()?;
    // Of each: a UDP socket, and for a while a TCP one.
    allow_files(2 * options.viewers)?;
    let client = Client::new(options)?;
    let ip = local_ip(&options.url)?;
    let certificate = certificate()?;
    // Room for a join and a leave of every viewer.
    let (asks, asked) = mpsc::channel(2 * options.viewers + 1);
    let signalling = signalling_thread(client, asked)?;
    let start = Instant::now();
    let cpu_before = cpu_time();
    let (mut threads, mut counters) = (Vec::new(), Vec::new());
    let stride = options.threads.min(options.viewers);
    for first in 0..stride {
        let share = Share {
            first,
            stride,
            viewers: options.viewers,
            start,
            end: start + options.duration,
            join_interval: Duration::from_secs_f64(1.0 / options.rate),
            join_timeout: options.join_timeout,
            read_interval: options.read_interval,
        };
        let kit = Kit {
            ip,
            certificate: certificate.clone(),
            codec: options.codec,
            receive_offload: options.receive_offload,
            drop_below: (options.loss_percent / 100.0 * (1_u64 << 32) as f64) as u64,
            seed: options.seed,
        };
        let shown = Arc::new(Counters::default());
        let thread = Thread::new(share, kit, asks.clone(), shown.clone())?;
        let builder = thread::Builder::new().name(format!("load-{first}"));
        threads.push(builder.spawn(move || thread.run())?);
        counters.push(shown);
    }
    drop(asks);
    let tally = watch(threads, &counters, start, &mut report)?;
    let elapsed = start.elapsed();
    // The sessions are given up before the summary is.
    signalling.join().map_err(|_| LoadError::Panicked)?;
    Ok(tally.summary(elapsed, cpu_time().saturating_sub(cpu_before)))
}

/// Reports until all threads have ended.
fn watch(
    threads: Vec<JoinHandle<io::Result<Tally>>>,
    counters: &[Arc<Counters>],
    start: Instant,
    report: &mut impl FnMut(&Progress),
) -> Result<Tally, LoadError> {
    let mut bytes_before = 0;
    let mut reported_at = start;
    while threads.iter().any(|thread| !thread.is_finished()) {
        thread::sleep(Duration::from_millis(20));
        let now = Instant::now();
        let since = now.duration_since(reported_at);
        if since >= BETWEEN_REPORTS {
            let (mut progress, bytes) = total(counters);
            progress.elapsed = now.duration_since(start);
            let bits = bytes.saturating_sub(bytes_before) as f64 * 8.0;
            progress.bits_per_second = bits / since.as_secs_f64();
            report(&progress);
            (bytes_before, reported_at) = (bytes, now);
        }
    }
    let mut tally = Tally::default();
    for thread in threads {
        tally.merge(thread.join().map_err(|_| LoadError::Panicked)??);
    }
    Ok(tally)
}

fn total(counters: &[Arc<Counters>]) -> (Progress, u64) {
    let sum = |of: fn(&Counters) -> &AtomicU64| {
        counters.iter().map(|c| of(c).load(Ordering::Relaxed)).sum()
    };
    let progress = Progress {
        joined: sum(|c| &c.joined),
        connected: sum(|c| &c.connected),
        playing: sum(|c| &c.playing),
        failed: sum(|c| &c.failed),
        packets: sum(|c| &c.packets),
        lost: sum(|c| &c.lost),
        freezes: sum(|c| &c.freezes),
        ..Progress::default()
    };
    (progress, sum(|c| &c.bytes))
}

fn signalling_thread(
    client: Client,
    asked: mpsc::Receiver<Ask>,
) -> Result<JoinHandle<()>, io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new()
        .name("load-whep".into())
        .spawn(move || runtime.block_on(serve(client, asked)))
}

/// One for all: making them is not what is measured.
pub(super) fn certificate() -> Result<DtlsCert, LoadError> {
    let made = dimpl::certificate::generate_self_signed_certificate()?;
    Ok(DtlsCert { certificate: made.certificate, private_key: made.private_key })
}

/// The address that the server is reached from. Nothing is sent.
pub(super) fn local_ip(url: &Uri) -> Result<IpAddr, LoadError> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let unreachable = || LoadError::Unreachable(host.clone());
    let server = (host.as_str(), 9).to_socket_addrs().map_err(|_| unreachable())?;
    let mut sources = server.filter_map(|address| {
        let any: IpAddr = if address.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(address).ok()?;
        socket.local_addr().ok().map(|local| local.ip())
    });
    sources.next().ok_or_else(unreachable)
}

/// Raises the limit of open files so that so many more are possible, if it may be.
pub(super) fn allow_files(files: usize) -> Result<(), LoadError> {
    let needed = files as u64 + 64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let current = limit.maximum.map_or(needed, |most| most.min(needed));
        let raised = Rlimit { current: Some(current), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).map_err(io::Error::from)?;
    }
    Ok(())
}

/// User and system time of this process.
pub(super) fn cpu_time() -> Duration {
    // SAFETY: an all-zero rusage is a valid one.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a local that lives across the call.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0 {
        return Duration::ZERO;
    }
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}
