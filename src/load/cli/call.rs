//! `stentor load call URL`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use stentor_protocol::{Resolution, Secret};

use super::{Common, duration, rate, show_line};
use crate::load::call::{CallOptions, CallProgress, CallSummary, run};
use crate::load::run::LoadError;

#[derive(Debug, Args)]
pub struct CallArgs {
    /// The server, such as http://127.0.0.1:8080
    url: String,
    /// How many take part, 2 to 100
    #[arg(long, value_name = "N", default_value_t = 100)]
    participants: usize,
    /// How many of them have a camera on, 1 to 25; the others watch and listen
    #[arg(long, value_name = "N", default_value_t = 6)]
    cameras: usize,
    /// How long, from the invitation on: 60s, 10m, 1h
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = duration)]
    duration: Duration,
    /// How many accept per second, so that all do within 30 s: 20 or 20/s
    #[arg(long, value_name = "RATE", default_value = "20/s", value_parser = rate)]
    rate: f64,
    /// Private key (PEM) that signs the users' tokens, where the server asks for them
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What users are called before their numbers; not those of another run
    #[arg(long, value_name = "NAME", default_value = "load")]
    name: String,
    /// H.264 in Annex B that cameras send over and over; without it a test pattern of 640x360
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// Picture size of that file
    #[arg(long, value_name = "WxH", default_value = "1280x720", value_parser = size)]
    size: Resolution,
    /// Pictures a second of that file
    #[arg(long, value_name = "N", default_value_t = 30)]
    frame_rate: u32,
    /// Height of each tile in pixels; low ones are sent in SD
    #[arg(long, value_name = "N", default_value_t = 720)]
    tile_height: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

// === impl CallArgs ===

impl CallArgs {
    pub(super) fn run(&self) -> Result<CallSummary, LoadError> {
        let key = self.key.as_ref().map(std::fs::read_to_string).transpose()?;
        let base = CallOptions::new(&self.url, self.participants, self.cameras, self.duration)?;
        let options = CallOptions {
            rate: self.rate,
            key: key.map(Secret),
            name: self.name.clone(),
            video: self.video.clone(),
            size: self.size,
            frame_rate: self.frame_rate,
            tile_height: self.tile_height,
            threads: self.common.threads,
            ca_file: self.common.ca.clone(),
            receive_offload: !self.common.no_gro,
            read_interval: self.common.read_every,
            ..base
        };
        let is_terminal = std::io::stderr().is_terminal();
        let summary = run(&options, |progress| show(progress, is_terminal))?;
        if is_terminal {
            eprintln!();
        }
        Ok(summary)
    }
}

fn show(progress: &CallProgress, is_terminal: bool) {
    let CallProgress { elapsed, signed_in, joined, playing, failed } = progress;
    let seconds = elapsed.as_secs_f64();
    let line = format!(
        "{seconds:5.1} s  {signed_in} signed in  {joined} joined  {playing} tiles  {failed} failed"
    );
    show_line(&line, *elapsed, is_terminal);
}

fn size(text: &str) -> Result<Resolution, String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let (width, height) =
        sides.ok_or_else(|| format!("{text:?} is not a size such as 1280x720"))?;
    Ok(Resolution::new(width, height))
}
