//! `stentor load whep URL`: the command line of a run.
#![allow(clippy::print_stdout, reason = "a command's result goes to standard output")]

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use stentor_protocol::{Codec, Secret};

use super::call::CallSummary;
use super::options::LoadOptions;
use super::run::{LoadError, Progress, run};
use super::summary::Summary;

mod call;

pub use call::CallArgs;

/// What `stentor load` can do.
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// Watch a channel with many viewers over WHEP
    Whep(WhepArgs),
    /// Have a call of many participants, through the call server of one server
    Call(CallArgs),
}

#[derive(Debug, Args)]
pub struct WhepArgs {
    /// The channel's WHEP endpoint, such as http://127.0.0.1:8080/whep/demo
    url: String,
    /// How many viewers
    #[arg(long, value_name = "N", default_value_t = 1)]
    viewers: usize,
    /// How long, from the first join on: 500ms, 60s, 2m, 1h
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = duration)]
    duration: Duration,
    /// How many viewers join per second: 100 or 100/s
    #[arg(long, value_name = "RATE", default_value = "100/s", value_parser = rate)]
    rate: f64,
    /// Rendition to pin; without it the server chooses
    #[arg(long, value_name = "NAME")]
    rendition: Option<String>,
    /// Video codec to offer; without it H.264 and VP8
    #[arg(long, value_enum)]
    codec: Option<VideoCodec>,
    /// Bearer token, where the channel wants one
    #[arg(long, env = "STENTOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Received media packets to drop at random, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    loss: f64,
    /// Seed of the random drops
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    common: Common,
}

/// What every load has.
#[derive(Debug, Args)]
struct Common {
    /// Threads for media
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// PEM of the certificates to trust with https; without it the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Read datagram by datagram, as browsers do
    #[arg(long)]
    no_gro: bool,
    /// Read what has come only so often: 5ms. Latency then has that grain
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    read_every: Duration,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VideoCodec {
    H264,
    Vp8,
    Av1,
}

/// Runs the command. The status is 0 when every viewer played to the end, or every participant
/// had all others' pictures; 1 when some didn't, and 2 when the run could not be made.
pub fn main(command: LoadCommand) -> ExitCode {
    let ended = match &command {
        LoadCommand::Whep(args) => whep(args).map(|summary| {
            print_summary(&summary, args.common.json);
            summary.failed.is_empty()
        }),
        LoadCommand::Call(args) => args.run().map(|summary: CallSummary| {
            print_summary(&summary, args.common.json);
            summary.failed.is_empty()
        }),
    };
    match ended {
        Ok(is_well) => ExitCode::from(u8::from(!is_well)),
        Err(error) => {
            eprintln!("stentor load: {error}");
            ExitCode::from(2)
        }
    }
}

fn whep(args: &WhepArgs) -> Result<Summary, LoadError> {
    let options = LoadOptions {
        rate: args.rate,
        rendition: args.rendition.clone(),
        codec: args.codec.map(VideoCodec::codec),
        token: args.token.clone().map(Secret),
        loss_percent: args.loss,
        seed: args.seed,
        threads: args.common.threads,
        ca_file: args.common.ca.clone(),
        receive_offload: !args.common.no_gro,
        read_interval: args.common.read_every,
        ..LoadOptions::new(&args.url, args.viewers, args.duration)?
    };
    let is_terminal = std::io::stderr().is_terminal();
    let summary = run(&options, |progress| show(progress, is_terminal))?;
    if is_terminal {
        eprintln!();
    }
    Ok(summary)
}

/// One line, rewritten in place on a terminal; else one every ten reports.
fn show(progress: &Progress, is_terminal: bool) {
    let line = format!(
        "{:5.1} s  {} joined  {} connected  {} playing  {} failed  {:.1} Mb/s  {} packets  \
         {} lost  {} freezes",
        progress.elapsed.as_secs_f64(),
        progress.joined,
        progress.connected,
        progress.playing,
        progress.failed,
        progress.bits_per_second / 1e6,
        progress.packets,
        progress.lost,
        progress.freezes,
    );
    show_line(&line, progress.elapsed, is_terminal);
}

fn show_line(line: &str, elapsed: Duration, is_terminal: bool) {
    let mut out = std::io::stderr();
    // Progress that can't be shown is no reason to end.
    if is_terminal {
        let _ = write!(out, "\r\x1b[K{line}");
    } else if elapsed.as_millis() % 5000 < 500 {
        let _ = writeln!(out, "{line}");
    }
}

fn print_summary(summary: &(impl Serialize + Display), as_json: bool) {
    if as_json {
        match serde_json::to_string_pretty(summary) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("stentor load: {error}"),
        }
    } else {
        println!("{summary}");
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time such as 500ms, 60s, 2m or 1h");
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().map_err(|_| format!("{text:?} is not a rate such as 100 or 100/s"))
}

// === impl VideoCodec ===

impl VideoCodec {
    fn codec(self) -> Codec {
        match self {
            Self::H264 => Codec::H264,
            Self::Vp8 => Codec::Vp8,
            Self::Av1 => Codec::Av1,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Whole {
        #[command(subcommand)]
        command: LoadCommand,
    }

    #[test]
    fn the_command_of_the_manual_is_understood() {
        let line = "load whep http://h/whep/a --viewers 500 --for 60s --rate 100/s --codec vp8";
        let command = Whole::try_parse_from(line.split(' ')).unwrap().command;
        let LoadCommand::Whep(args) = command else { panic!("{command:?}") };
        assert_eq!((args.viewers, args.duration.as_secs(), args.rate), (500, 60, 100.0));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "s", "60", "-1s", "1d", "1e30h", "NaNs"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
