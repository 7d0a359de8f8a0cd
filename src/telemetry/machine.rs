//! Metrics of the process and the machine: build, processor time, memory, descriptors; GPUs
//! through NVML, where there is an NVIDIA driver; and how much of the hardware is given away.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nvml_wrapper::Nvml;
use prometheus::core::{Atomic, GenericGaugeVec};
use prometheus::{Counter, GaugeVec, IntGauge, IntGaugeVec, Registry};
use serde::Serialize;

use super::registrar::Registrar;
use crate::channels::Usage;

/// Cheap to clone.
#[derive(Clone)]
pub struct Machine {
    /// None without a driver.
    nvml: Option<Arc<Nvml>>,
    metrics: Metrics,
}

/// One NVIDIA GPU now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpu {
    pub index: u32,
    pub name: String,
    /// Parts of the last sample period in which the unit was busy, 0 to 1. None, here as below,
    /// is what the driver doesn't tell: a GPU without encoders has no use of them.
    pub gpu_ratio: Option<f64>,
    pub encoder_ratio: Option<f64>,
    pub decoder_ratio: Option<f64>,
    pub memory_used_bytes: Option<u64>,
    pub memory_total_bytes: Option<u64>,
}

#[derive(Clone)]
struct Metrics {
    cpu_seconds: Counter,
    memory: IntGauge,
    fds: IntGauge,
    threads: IntGauge,
    gpu: GaugeVec,
    gpu_encoder: GaugeVec,
    gpu_decoder: GaugeVec,
    gpu_memory: IntGaugeVec,
    budget_used: GaugeVec,
    budget_capacity: GaugeVec,
}

// === impl Machine ===

impl Machine {
    /// Makes the metrics and registers them, and looks for NVML.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        let build =
            r.gauges("stentor_build_info", "1, with what was built", &["version", "profile"])?;
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), profile]).set(1);
        let start = r.gauge("process_start_time_seconds", "Start of the process since 1970")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        start.set(now.as_secs().cast_signed());
        let resource = &["resource", "unit"];
        let metrics = Metrics {
            cpu_seconds: r.float_counter(
                "process_cpu_seconds_total",
                "Processor time of the daemon, workers not included",
            )?,
            memory: r.gauge("process_resident_memory_bytes", "Resident memory of the daemon")?,
            fds: r.gauge("process_open_fds", "Open file descriptors of the daemon")?,
            threads: r.gauge("process_threads", "Threads of the daemon")?,
            gpu: r.float_gauges("stentor_gpu_busy_ratio", "Use of the GPU", &["gpu"])?,
            gpu_encoder: r.float_gauges(
                "stentor_gpu_encoder_busy_ratio",
                "Use of the GPU's encoders",
                &["gpu"],
            )?,
            gpu_decoder: r.float_gauges(
                "stentor_gpu_decoder_busy_ratio",
                "Use of the GPU's decoders",
                &["gpu"],
            )?,
            gpu_memory: r.gauges(
                "stentor_gpu_memory_used_bytes",
                "Memory of the GPU in use",
                &["gpu"],
            )?,
            budget_used: r.float_gauges(
                "stentor_budget_used",
                "Engines that channels have reserved",
                resource,
            )?,
            budget_capacity: r.float_gauges(
                "stentor_budget_capacity",
                "Engines that channels may reserve, as measured by the probe",
                resource,
            )?,
        };
        let nvml = Nvml::init().ok().map(Arc::new);
        Ok(Self { nvml, metrics })
    }

    /// Brings the metrics up to date.
    pub fn refresh(&self, usage: &[Usage]) {
        self.refresh_process();
        let m = &self.metrics;
        for gpu in self.gpus() {
            let label = &[gpu.index.to_string()];
            show(&m.gpu, label, gpu.gpu_ratio);
            show(&m.gpu_encoder, label, gpu.encoder_ratio);
            show(&m.gpu_decoder, label, gpu.decoder_ratio);
            show(&m.gpu_memory, label, gpu.memory_used_bytes.map(u64::cast_signed));
        }
        for usage in usage {
            let labels = &[usage.resource.as_str(), usage.unit];
            m.budget_used.with_label_values(labels).set(usage.used);
            m.budget_capacity.with_label_values(labels).set(usage.capacity);
        }
    }

    /// Empty without a driver.
    pub fn gpus(&self) -> Vec<Gpu> {
        let Some(nvml) = &self.nvml else {
            return Vec::new();
        };
        let ratio = |percent: u32| f64::from(percent) / 100.0;
        let gpu = |index| {
            let device = nvml.device_by_index(index).ok()?;
            let memory = device.memory_info().ok();
            Some(Gpu {
                index,
                name: device.name().unwrap_or_default(),
                gpu_ratio: device.utilization_rates().ok().map(|u| ratio(u.gpu)),
                encoder_ratio: device.encoder_utilization().ok().map(|u| ratio(u.utilization)),
                decoder_ratio: device.decoder_utilization().ok().map(|u| ratio(u.utilization)),
                memory_used_bytes: memory.as_ref().map(|m| m.used),
                memory_total_bytes: memory.as_ref().map(|m| m.total),
            })
        };
        (0..nvml.device_count().unwrap_or(0)).filter_map(gpu).collect()
    }

    fn refresh_process(&self) {
        // The kernel counts; two scrapes at once may see it in either order.
        let more = cpu_seconds() - self.metrics.cpu_seconds.get();
        self.metrics.cpu_seconds.inc_by(more.max(0.0));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<i64>().ok()
        };
        if let Some(kib) = field("VmRSS:") {
            self.metrics.memory.set(kib * 1024);
        }
        if let Some(threads) = field("Threads:") {
            self.metrics.threads.set(threads);
        }
        if let Ok(fds) = std::fs::read_dir("/proc/self/fd") {
            // One of them is this very listing's.
            self.metrics.fds.set(fds.count() as i64 - 1);
        }
    }
}

/// Sets a series, or drops it where there is nothing to tell.
fn show<P: Atomic>(gauges: &GenericGaugeVec<P>, labels: &[String], value: Option<P::T>) {
    match value {
        Some(value) => gauges.with_label_values(labels).set(value),
        // There was none, mostly.
        None => {
            let _ = gauges.remove_label_values(labels);
        }
    }
}

/// User and system time of the whole process, in seconds.
fn cpu_seconds() -> f64 {
    // SAFETY: an all-zero rusage is a valid one, and the call writes no more than one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gpu_does_not_tell_is_absent_and_not_zero() {
        let registry = Registry::new();
        let machine = Machine::register(&registry).unwrap();
        let gauges = &machine.metrics.gpu_encoder;
        let text = || {
            let encoder = prometheus::TextEncoder::new();
            encoder.encode_to_string(&registry.gather()).unwrap()
        };
        let label = ["7".to_owned()];
        show(gauges, &label, None);
        assert!(!text().contains("gpu=\"7\""));
        show(gauges, &label, Some(0.5));
        assert!(text().contains("stentor_gpu_encoder_busy_ratio{gpu=\"7\"} 0.5"));
        show(gauges, &label, None);
        assert!(!text().contains("gpu=\"7\""));
    }

    #[test]
    fn a_scrape_shows_the_process_and_what_is_given_away() {
        let registry = Registry::new();
        let machine = Machine::register(&registry).unwrap();
        let usage =
            Usage { resource: "software cpu".into(), capacity: 1.6, used: 0.5, unit: "cores" };
        machine.refresh(&[usage]);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "stentor_budget_used{resource=\"software cpu\",unit=\"cores\"} 0.5",
            "stentor_build_info{profile=",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(machine.metrics.memory.get() > 1 << 20);
        assert!(machine.metrics.fds.get() > 2);
        assert!(machine.metrics.threads.get() > 0);
        assert!(machine.metrics.cpu_seconds.get() > 0.0);
    }
}
