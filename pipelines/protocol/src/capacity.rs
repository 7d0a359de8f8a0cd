//! What a channel costs and what a machine can take: admission before anything is started.
//!
//! Work is counted in megapixels per second. A probe measured how many of them one engine (a
//! core, an NVENC or NVDEC unit) does; a job's share of the engine is the quotient, and a
//! device's engines can't be shared out beyond [`HEADROOM`]. The same figures are checked and
//! reserved, so that what was admitted fits.

use std::fmt;

use crate::choice::{Choice, Refusal, Task, choose, entry};
use crate::probe::{Device, Direction, ProbeReport};
use crate::spec::{Backend, Codec, HardwarePolicy};
use crate::units::{FrameRate, Resolution};

/// How much of what was measured is given away: the rest is for bursts, packets and sound.
pub const HEADROOM: f64 = 0.8;

/// Scaling on the CPU, relative to the encoding of the same pixels where nothing was measured.
const SCALE_SHARE: f64 = 0.15;

/// Shares are compared with this much grace, for sums of fractions that should be whole.
const GRACE: f64 = 1e-9;

/// Pictures a second of one codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pictures {
    pub codec: Codec,
    pub resolution: Resolution,
    pub frame_rate: FrameRate,
}

/// What a channel asks for: its source decoded once, and each rung encoded. Passed-through
/// rungs cost nothing here; a channel that only passes through doesn't decode.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Demand {
    pub source: Option<Pictures>,
    pub rungs: Vec<Pictures>,
}

/// One decoder or encoder, placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub direction: Direction,
    pub pictures: Pictures,
    pub backend: Backend,
    pub device: Option<String>,
}

/// What is left of a machine's engines.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    pools: Vec<Pool>,
    report: ProbeReport,
}

/// Engines taken by one channel. Goes back by [`Budget::release`].
#[must_use = "dropped without release, its engines are lost"]
#[derive(Debug, Clone, PartialEq)]
pub struct Reservation {
    /// Pool, engines, sessions.
    shares: Vec<(usize, f64, u32)>,
}

/// Not enough is left. The channel is refused as a whole; try again when others have ended, or
/// with fewer rungs.
#[derive(Debug, Clone, PartialEq)]
pub struct Overload {
    pub device: String,
    pub resource: Resource,
    /// In engines or sessions.
    pub needed: f64,
    pub free: f64,
    pub total: f64,
    /// The same need as pictures.
    pub megapixels_per_second: f64,
}

/// What runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Cores,
    DecodeEngines,
    EncodeEngines,
    EncodeSessions,
}

/// Why a demand is turned down.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AdmissionError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Overloaded(#[from] Overload),
}

#[derive(Debug, Clone, PartialEq)]
struct Pool {
    /// Index of the device in the report.
    device: usize,
    resource: Resource,
    total: f64,
    used: f64,
    /// Encode sessions; None: no limit.
    sessions: Option<u32>,
    sessions_used: u32,
}

/// Megapixels per second of decoding, scaling to or encoding these pictures.
pub fn cost(pictures: &Pictures) -> f64 {
    pictures.resolution.pixels() as f64 * pictures.frame_rate.as_f64() / 1e6
}

/// Places a demand's decoder and encoders.
pub fn plan(
    report: &ProbeReport,
    policy: &HardwarePolicy,
    demand: &Demand,
) -> Result<Vec<Job>, Refusal> {
    let mut jobs = Vec::with_capacity(1 + demand.rungs.len());
    let place = |direction, pictures: &Pictures, near: Option<&Choice>| {
        let task = Task { direction, codec: pictures.codec, near, failed: &[] };
        choose(report, policy, &task)
    };
    let mut decoder = None;
    if let Some(source) = &demand.source {
        let choice = place(Direction::Decode, source, None)?;
        jobs.push(Job::new(Direction::Decode, *source, &choice));
        decoder = Some(choice);
    }
    for rung in &demand.rungs {
        let choice = place(Direction::Encode, rung, decoder.as_ref())?;
        jobs.push(Job::new(Direction::Encode, *rung, &choice));
        // Pictures in host memory are scaled there.
        if decoder.as_ref().is_none_or(|choice| choice.backend == Backend::Software) {
            jobs.push(Job::new(Direction::Scale, *rung, &Choice::software()));
        }
    }
    Ok(jobs)
}

// === impl Job ===

impl Job {
    fn new(direction: Direction, pictures: Pictures, choice: &Choice) -> Self {
        let (backend, device) = (choice.backend, choice.device.clone());
        Self { direction, pictures, backend, device }
    }
}

// === impl Budget ===

impl Budget {
    /// Everything that the probe found, unused.
    pub fn from(report: &ProbeReport) -> Self {
        let pools = report.devices.iter().enumerate().flat_map(|(index, device)| {
            let limits = &device.limits;
            let pool = move |resource, engines: u32, sessions| Pool {
                device: index,
                resource,
                total: f64::from(engines.max(1)) * HEADROOM,
                used: 0.0,
                sessions,
                sessions_used: 0,
            };
            match device.backend {
                Backend::Software => vec![pool(Resource::Cores, limits.encode_engines, None)],
                Backend::Nvenc | Backend::Vaapi => vec![
                    pool(Resource::DecodeEngines, limits.decode_engines, None),
                    pool(Resource::EncodeEngines, limits.encode_engines, limits.encode_sessions),
                ],
            }
        });
        Self { pools: pools.collect(), report: report.clone() }
    }

    /// Places a demand and takes what it needs, all of it or nothing.
    pub fn admit(
        &mut self,
        policy: &HardwarePolicy,
        demand: &Demand,
    ) -> Result<Reservation, AdmissionError> {
        let jobs = plan(&self.report, policy, demand)?;
        Ok(self.reserve(&jobs)?)
    }

    /// Takes what these jobs need, all of it or nothing. Jobs on devices that weren't measured
    /// are free of charge.
    pub fn reserve(&mut self, jobs: &[Job]) -> Result<Reservation, Overload> {
        let mut shares: Vec<(usize, f64, u32)> = Vec::new();
        let mut megapixels = vec![0.0; self.pools.len()];
        for job in jobs {
            let Some((pool, share)) = self.share(job) else { continue };
            let sessions = u32::from(job.direction == Direction::Encode);
            megapixels[pool] += cost(&job.pictures);
            match shares.iter_mut().find(|(index, ..)| *index == pool) {
                Some(entry) => {
                    entry.1 += share;
                    entry.2 += sessions;
                }
                None => shares.push((pool, share, sessions)),
            }
        }
        for &(index, share, sessions) in &shares {
            self.pools[index].check(share, sessions, megapixels[index], &self.report)?;
        }
        for &(index, share, sessions) in &shares {
            self.pools[index].used += share;
            self.pools[index].sessions_used += sessions;
        }
        Ok(Reservation { shares })
    }

    /// Gives back what [`reserve`](Self::reserve) took.
    pub fn release(&mut self, reservation: Reservation) {
        for (index, share, sessions) in reservation.shares {
            if let Some(pool) = self.pools.get_mut(index) {
                pool.used = (pool.used - share).max(0.0);
                pool.sessions_used = pool.sessions_used.saturating_sub(sessions);
            }
        }
    }

    /// Device, resource, engines used and engines to give away, for metrics and the API.
    pub fn usage(&self) -> impl Iterator<Item = (&Device, Resource, f64, f64)> {
        self.pools
            .iter()
            .map(|pool| (&self.report.devices[pool.device], pool.resource, pool.used, pool.total))
    }

    /// The pool that a job draws on, and how many of its engines it takes.
    fn share(&self, job: &Job) -> Option<(usize, f64)> {
        let (index, device) = self.report.devices.iter().enumerate().find(|(_, device)| {
            device.backend == job.backend
                && (job.device.is_none() || job.device.as_deref() == Some(device.id.as_str()))
        })?;
        let resource = match (device.backend, job.direction) {
            (Backend::Software, _) => Resource::Cores,
            (_, Direction::Decode) => Resource::DecodeEngines,
            (_, Direction::Encode) => Resource::EncodeEngines,
            // By the shader units, which a ladder doesn't fill.
            (_, Direction::Scale) => return None,
        };
        let found = |pool: &Pool| pool.device == index && pool.resource == resource;
        let pool = self.pools.iter().position(found)?;
        let speed = speed(device, job)?;
        Some((pool, cost(&job.pictures) / speed))
    }
}

/// Megapixels per second that one engine does of this job.
fn speed(device: &Device, job: &Job) -> Option<f64> {
    let measured = |direction, codec| {
        let speed = entry(device, direction, codec)?.megapixels_per_second?;
        (speed > 0.0).then_some(speed)
    };
    match job.direction {
        Direction::Scale => {
            let any = device.entries.iter().find(|entry| entry.direction == Direction::Scale);
            let scaling = any.and_then(|entry| entry.megapixels_per_second);
            scaling
                .filter(|speed| *speed > 0.0)
                .or_else(|| Some(measured(Direction::Encode, job.pictures.codec)? / SCALE_SHARE))
        }
        direction => measured(direction, job.pictures.codec),
    }
}

// === impl Pool ===

impl Pool {
    fn check(
        &self,
        share: f64,
        sessions: u32,
        megapixels_per_second: f64,
        report: &ProbeReport,
    ) -> Result<(), Overload> {
        let device = &report.devices[self.device];
        let overload = |resource, needed, free, total| Overload {
            device: format!("{} ({})", device.name, device.id),
            resource,
            needed,
            free,
            total,
            megapixels_per_second,
        };
        let free = self.total - self.used;
        if share > free + GRACE {
            return Err(overload(self.resource, share, free.max(0.0), self.total));
        }
        match self.sessions {
            Some(limit) if self.sessions_used + sessions > limit => Err(overload(
                Resource::EncodeSessions,
                f64::from(sessions),
                f64::from(limit.saturating_sub(self.sessions_used)),
                f64::from(limit),
            )),
            _ => Ok(()),
        }
    }
}

// === impl Overload ===

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, resource, needed, free, total, megapixels_per_second } = self;
        let what = resource.as_str();
        write!(
            f,
            "{device} has {free:.2} of {total:.2} {what} free; {megapixels_per_second:.1} \
             megapixels per second take {needed:.2}"
        )
    }
}

impl std::error::Error for Overload {}

// === impl Resource ===

impl Resource {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cores => "cores",
            Self::DecodeEngines => "decode engines",
            Self::EncodeEngines => "encode engines",
            Self::EncodeSessions => "encode sessions",
        }
    }
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
