//! What a call is asked to be.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use stentor_protocol::{Resolution, Secret};

use crate::load::options::{OptionsError, in_ranges};

/// A call through one server.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// Such as `https://media.example.com`, http or https.
    pub server: Uri,
    /// 2 to 100, the one who invites included.
    pub participants: usize,
    /// Of these, those who send picture and sound: 1 to 25, the one who invites among them.
    pub cameras: usize,
    /// From the invitation to the end, 1 s to 1 h.
    pub duration: Duration,
    /// Participants that accept per second, so that all do within half a minute. Default 20.
    pub rate: f64,
    /// Private key of the server's tokens, in PEM. None: the server asks for none.
    pub key: Option<Secret>,
    /// What users are called, before their numbers. Default `load`.
    pub name: String,
    /// H.264 in Annex B, sent over and over. None: a test pattern of 640x360.
    pub video: Option<PathBuf>,
    /// Of that file.
    pub size: Resolution,
    /// Of that file, 1 to 60.
    pub frame_rate: u32,
    /// Of each tile, in pixels: low ones are sent in SD. Default 720.
    pub tile_height: u32,
    /// Threads; 1 to 64. Default 1.
    pub threads: usize,
    /// As for viewers of a channel.
    pub ca_file: Option<PathBuf>,
    /// As for viewers of a channel.
    pub receive_offload: bool,
    /// As for viewers of a channel.
    pub read_interval: Duration,
    /// To sign in, to be rung and to be let in, each. Default 30 s.
    pub patience: Duration,
}

// === impl CallOptions ===

impl CallOptions {
    pub fn new(
        server: &str,
        participants: usize,
        cameras: usize,
        duration: Duration,
    ) -> Result<Self, OptionsError> {
        Ok(Self {
            server: server.parse().map_err(|_| OptionsError::Url(server.to_owned()))?,
            participants,
            cameras,
            duration,
            rate: 20.0,
            key: None,
            name: "load".to_owned(),
            video: None,
            size: Resolution::new(1280, 720),
            frame_rate: 30,
            tile_height: 720,
            threads: 1,
            ca_file: None,
            receive_offload: true,
            read_interval: Duration::ZERO,
            patience: Duration::from_secs(30),
        })
    }

    pub(super) fn check(&self) -> Result<(), OptionsError> {
        if !matches!(self.server.scheme_str(), Some("http" | "https"))
            || self.server.host().is_none()
        {
            return Err(OptionsError::UrlParts);
        }
        let people = self.participants as f64;
        in_ranges(&[
            ("participants", people, 2.0, 100.0),
            ("cameras", self.cameras as f64, 1.0, people.min(25.0)),
            ("the duration in seconds", self.duration.as_secs_f64(), 1.0, 3600.0),
            ("the rate per second", self.rate, people / 30.0, 1000.0),
            ("the frame rate", f64::from(self.frame_rate), 1.0, 60.0),
            ("the width", f64::from(self.size.width), 16.0, 8192.0),
            ("the height", f64::from(self.size.height), 16.0, 8192.0),
            ("the tiles' height", f64::from(self.tile_height), 16.0, 8192.0),
            ("threads", self.threads as f64, 1.0, 64.0),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_out_of_range_is_refused_by_name() {
        let good = CallOptions::new("http://[::1]:8080", 100, 6, Duration::from_secs(60)).unwrap();
        assert!(good.check().is_ok());
        let wrong = |change: fn(&mut CallOptions)| {
            let mut options = good.clone();
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        assert!(wrong(|o| o.participants = 101).starts_with("participants"));
        assert!(wrong(|o| (o.participants, o.cameras) = (3, 4)).starts_with("cameras"));
        assert!(wrong(|o| o.rate = 1.0).starts_with("the rate"));
        assert!(wrong(|o| o.duration = Duration::from_secs(7200)).starts_with("the duration"));
        assert!(wrong(|o| o.server = "/ws".parse().unwrap()).contains("scheme"));
    }
}
