//! Which backend and device decodes or encodes: a pure decision over a probe report.
//!
//! Both sides make it: the worker to open the right session, the daemon to reckon what a
//! channel will cost before it is started. Every step down from a better backend carries its
//! reason; none is silent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::probe::{Device, Direction, Entry, ProbeReport};
use crate::spec::{Backend, Codec, HardwarePolicy};

/// In order of preference.
const ORDER: [Backend; 3] = [Backend::Nvenc, Backend::Vaapi, Backend::Software];

/// One decoder or encoder to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task<'a> {
    pub direction: Direction,
    pub codec: Codec,
    /// The device that decodes the same pictures: preferred, so that they needn't move.
    pub near: Option<&'a Choice>,
    /// What was opened before and failed, and is not to be tried again.
    pub failed: &'a [Failed],
}

/// A session that could not be opened, or stopped working.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub backend: Backend,
    pub device: Option<String>,
    pub reason: String,
}

/// Where to decode or encode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub backend: Backend,
    /// CUDA index or DRM render node; None on the CPU.
    pub device: Option<String>,
    /// Better backends that were passed over, best first. One is listed if the machine has
    /// such a device or the policy asked for it.
    pub fallbacks: Vec<Fallback>,
}

/// One step down, to be logged, counted and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    pub from: Backend,
    pub to: Backend,
    pub reason: String,
}

/// Nothing that may do the work can. This server's fault: its hardware or its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub direction: Direction,
    pub codec: Codec,
    /// Why not, for every backend that was considered.
    pub reasons: Vec<(Backend, String)>,
}

/// Places one task.
pub fn choose(
    report: &ProbeReport,
    policy: &HardwarePolicy,
    task: &Task<'_>,
) -> Result<Choice, Refusal> {
    let mut passed: Vec<(Backend, String)> = Vec::new();
    for backend in ORDER {
        if policy.backend.is_some_and(|wanted| backend < wanted) {
            continue;
        }
        let asked = policy.backend == Some(backend);
        match place(report, policy, task, backend) {
            Placing::On(device) => {
                let step = |(from, reason)| Fallback { from, to: backend, reason };
                let fallbacks = passed.into_iter().map(step).collect();
                return Ok(Choice { backend, device, fallbacks });
            }
            Placing::No(reason) => passed.push((backend, reason)),
            // A machine without such a device falls back from nothing.
            Placing::NoDevice if !asked && !policy.require_hardware => {}
            Placing::NoDevice => {
                passed.push((backend, format!("no {} device was found", backend.as_str())));
            }
        }
    }
    Err(Refusal { direction: task.direction, codec: task.codec, reasons: passed })
}

enum Placing {
    On(Option<String>),
    No(String),
    NoDevice,
}

fn place(
    report: &ProbeReport,
    policy: &HardwarePolicy,
    task: &Task<'_>,
    backend: Backend,
) -> Placing {
    if backend == Backend::Software {
        return on_the_cpu(report, policy, task);
    }
    let all: Vec<&Device> = report.devices.iter().filter(|d| d.backend == backend).collect();
    if all.is_empty() {
        return Placing::NoDevice;
    }
    let wanted = |device: &&&Device| policy.device.as_ref().is_none_or(|id| *id == device.id);
    let mut devices: Vec<&Device> = all.iter().filter(wanted).copied().collect();
    if devices.is_empty() {
        let ids: Vec<&str> = all.iter().map(|device| device.id.as_str()).collect();
        let id = policy.device.as_deref().unwrap_or_default();
        return Placing::No(format!("device {id} is not among {}", ids.join(", ")));
    }
    let decodes_there = |device: &Device| {
        task.near.is_some_and(|near| {
            near.backend == backend && near.device.as_deref() == Some(device.id.as_str())
        })
    };
    // Stable: devices that are alike stay in the probe's order.
    devices.sort_by_key(|device| (!decodes_there(device), !does_both(device)));
    let mut reasons = Vec::new();
    for device in devices {
        match usable(device, task) {
            Ok(()) => return Placing::On(Some(device.id.clone())),
            Err(reason) => reasons.push(format!("{} ({}): {reason}", device.name, device.id)),
        }
    }
    Placing::No(reasons.join("; "))
}

fn on_the_cpu(report: &ProbeReport, policy: &HardwarePolicy, task: &Task<'_>) -> Placing {
    if policy.require_hardware {
        return Placing::No("the policy requires hardware".into());
    }
    match report.devices.iter().find(|device| device.backend == Backend::Software) {
        Some(device) => match usable(device, task) {
            Ok(()) => Placing::On(None),
            Err(reason) => Placing::No(reason),
        },
        // Not probed: the CPU's codecs are part of the installation, so try.
        None => match failed_before(task, Backend::Software, None) {
            None => Placing::On(None),
            Some(reason) => Placing::No(reason),
        },
    }
}

/// Whether a device can be a channel's all: decode and encode what every viewer takes.
fn does_both(device: &Device) -> bool {
    let does = |direction| entry(device, direction, Codec::H264).is_some_and(|entry| entry.works);
    does(Direction::Decode) && does(Direction::Encode)
}

fn usable(device: &Device, task: &Task<'_>) -> Result<(), String> {
    let id = (device.backend != Backend::Software).then_some(device.id.as_str());
    if let Some(reason) = failed_before(task, device.backend, id) {
        return Err(reason);
    }
    match entry(device, task.direction, task.codec) {
        None => Err(format!(
            "{} has no {} {}",
            device.backend.as_str(),
            task.codec.as_str(),
            doer(task.direction)
        )),
        Some(entry) if entry.works => Ok(()),
        Some(entry) => Err(format!("{} doesn't work: {}", entry.implementation, entry.reason)),
    }
}

fn failed_before(task: &Task<'_>, backend: Backend, device: Option<&str>) -> Option<String> {
    let same = |f: &&Failed| f.backend == backend && f.device.as_deref() == device;
    Some(format!("failed before: {}", task.failed.iter().find(same)?.reason))
}

pub(crate) fn entry(device: &Device, direction: Direction, codec: Codec) -> Option<&Entry> {
    device.entries.iter().find(|entry| entry.direction == direction && entry.codec == codec)
}

fn doer(direction: Direction) -> &'static str {
    match direction {
        Direction::Decode => "decoder",
        Direction::Scale => "scaler",
        Direction::Encode => "encoder",
    }
}

// === impl Task ===

impl Task<'_> {
    pub const fn decode(codec: Codec) -> Self {
        Self { direction: Direction::Decode, codec, near: None, failed: &[] }
    }

    pub const fn encode(codec: Codec) -> Self {
        Self { direction: Direction::Encode, codec, near: None, failed: &[] }
    }
}

// === impl Choice ===

impl Choice {
    /// The CPU, where there is nothing to choose.
    pub const fn software() -> Self {
        Self { backend: Backend::Software, device: None, fallbacks: Vec::new() }
    }
}

// === impl Refusal ===

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} {} may be used", self.codec.as_str(), doer(self.direction))?;
        for (index, (backend, reason)) in self.reasons.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{}: {reason}", backend.as_str())?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
