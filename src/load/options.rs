//! What a run is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use stentor_protocol::{Codec, Secret};

/// A run of WHEP viewers.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The WHEP endpoint, http or https.
    pub url: Uri,
    /// 1 to 20 000.
    pub viewers: usize,
    /// From the first join to the last leave.
    pub duration: Duration,
    /// Viewers that join per second; above 0. Default 100.
    pub rate: f64,
    /// Rendition to pin; None: the server's choice.
    pub rendition: Option<String>,
    /// Video codec to offer alone; None: H.264 and VP8.
    pub codec: Option<Codec>,
    /// Bearer token.
    pub token: Option<Secret>,
    /// Received media packets to drop at random, in percent, 0 to below 100.
    pub loss_percent: f64,
    /// Of the random drops: the same seed drops the same packets of the same arrivals.
    pub seed: u64,
    /// Threads for media; 1 to 64. Default 1.
    pub threads: usize,
    /// PEM of the certificates to trust with https. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// Take bursts of equal datagrams in one call (UDP_GRO): cheaper on this side. Browsers don't,
    /// and where both sides share a machine the server's cost depends on it. Default true.
    pub receive_offload: bool,
    /// Read sockets this often only. Where both sides share a machine, the wake-up of a reader is
    /// the sender's cost. Default zero: at once.
    pub read_interval: Duration,
    /// A join without its first keyframe after this long has failed. Default 10 s.
    pub join_timeout: Duration,
}

/// What is wrong with the options. The caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("not a URL: {0:?}")]
    Url(String),
    #[error("the URL needs a scheme, http or https, and a host")]
    UrlParts,
    #[error("{0} must be from {1} to {2}")]
    Range(&'static str, f64, f64),
    #[error("viewers are offered h264, vp8 or av1")]
    Codec,
}

// === impl LoadOptions ===

impl LoadOptions {
    pub fn new(url: &str, viewers: usize, duration: Duration) -> Result<Self, OptionsError> {
        Ok(Self {
            url: url.parse().map_err(|_| OptionsError::Url(url.to_owned()))?,
            viewers,
            duration,
            rate: 100.0,
            rendition: None,
            codec: None,
            token: None,
            loss_percent: 0.0,
            seed: 1,
            threads: 1,
            ca_file: None,
            receive_offload: true,
            read_interval: Duration::ZERO,
            join_timeout: Duration::from_secs(10),
        })
    }

    pub(super) fn check(&self) -> Result<(), OptionsError> {
        if !matches!(self.url.scheme_str(), Some("http" | "https")) || self.url.host().is_none() {
            return Err(OptionsError::UrlParts);
        }
        if !matches!(self.codec, None | Some(Codec::H264 | Codec::Vp8 | Codec::Av1)) {
            return Err(OptionsError::Codec);
        }
        let ranges = [
            ("viewers", self.viewers as f64, 1.0, 20_000.0),
            ("the duration in seconds", self.duration.as_secs_f64(), 0.1, 86_400.0),
            ("the rate per second", self.rate, 0.01, 10_000.0),
            ("the loss in percent", self.loss_percent, 0.0, 99.9),
            ("threads", self.threads as f64, 1.0, 64.0),
        ];
        in_ranges(&ranges)
    }
}

/// What each is, its value, the least and the most: the first that is out of it is named.
pub(super) fn in_ranges(ranges: &[(&'static str, f64, f64, f64)]) -> Result<(), OptionsError> {
    match ranges.iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
        Some((what, _, least, most)) => Err(OptionsError::Range(what, *least, *most)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let good = LoadOptions::new("http://[::1]:8080/whep/demo", 1, Duration::from_secs(1));
        let good = good.unwrap();
        assert!(good.check().is_ok());
        let wrong = |change: fn(&mut LoadOptions)| {
            let mut options = good.clone();
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        assert!(wrong(|o| o.viewers = 0).starts_with("viewers"));
        assert!(wrong(|o| o.rate = f64::NAN).starts_with("the rate"));
        assert!(wrong(|o| o.loss_percent = 100.0).starts_with("the loss"));
        assert!(wrong(|o| o.codec = Some(Codec::Opus)).contains("h264"));
        assert!(wrong(|o| o.url = "/whep/demo".parse().unwrap()).contains("scheme"));
    }
}
