//! The probe of the hardware, beside everything else that starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stentor_protocol::spec::HardwarePolicy;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::channels::{Admission, Findings, probe};

/// Probes the hardware, and tells who waits for it.
pub async fn find(
    program: PathBuf,
    at_most: Duration,
    policy: HardwarePolicy,
    admission: Arc<Admission>,
    findings: watch::Sender<Option<Findings>>,
) {
    let began = Instant::now();
    let found = match probe(&program, at_most).await {
        Ok(report) => {
            info!(devices = report.devices.len(), took = ?began.elapsed(), "hardware probed");
            admission.handle_report(&report);
            Findings::new(report, &policy)
        }
        Err(error) => {
            warn!(%error, "without a probe the CPU does the work, and nothing bounds it");
            Findings::failed(error.to_string(), &policy)
        }
    };
    findings.send_replace(Some(found));
}
