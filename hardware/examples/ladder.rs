//! Runs a ladder over an H.264 file as fast as it goes, and prints what it cost.
//!
//! `ladder FILE.h264 [SECONDS] [WIDTHxHEIGHT:KBPS …]`: FILE is Annex B with 30 frames a second;
//! SECONDS of media are run, the file from the start again where it is shorter; without, the
//! file is run once. The rungs are 640x360:800 and 320x180:250 unless given. Each has its
//! thread, as in the worker. Prints one line of JSON: the process's CPU seconds, frames, CPU
//! seconds per media second. With `STENTOR_LADDER_OUT=PREFIX` each rung's stream is written to
//! PREFIX.WIDTHxHEIGHT.h264.
//!
//! The command line that does the same, for comparison:
//! `ffmpeg -threads 1 -r 30 -i FILE.h264 -filter_complex "[0:v]split[a][b];
//! [a]scale=640:360:flags=bilinear[x];[b]scale=320:180:flags=bilinear[y]"`, then for each rung
//! `-map [x] -c:v libx264 -preset veryfast -tune zerolatency -profile:v baseline -g 1000000
//! -sc_threshold 0 -bf 0 -forced-idr 1 -threads 1 -b:v 800k -maxrate 800k -bufsize 400k
//! -f h264 OUT` (the buffer is half a second).

use std::error::Error;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, sync_channel};
use std::{env, fs, io, thread};

use rustix::time::{ClockId, clock_gettime};
use stentor_hardware::{Choice, Decoder, EncoderConfig, Frame, RungEncoder};
use stentor_protocol::{BitsPerSecond, Codec, FrameRate, Resolution};

const FRAMES_PER_SECOND: u32 = 30;

/// Frames that wait for a rung. The worker's queues are as short.
const QUEUE: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, rest @ ..] = arguments.as_slice() else {
        return Err("usage: ladder FILE.h264 [SECONDS] [WIDTHxHEIGHT:KBPS …]".into());
    };
    let stream = fs::read(file)?;
    let units = access_units(&stream);
    let once = units.len() as u32 / FRAMES_PER_SECOND;
    let seconds: u32 = rest.first().map_or(Ok(once), |text| text.parse())?;
    let rungs = match rest.get(1..) {
        Some(texts) if !texts.is_empty() => {
            texts.iter().map(|text| rung(text)).collect::<Result<Vec<_>, _>>()?
        }
        _ => vec![rung("640x360:800")?, rung("320x180:250")?],
    };
    let mut senders = Vec::new();
    let mut threads = Vec::new();
    for config in rungs {
        let (sender, receiver) = sync_channel(QUEUE);
        senders.push(sender);
        threads.push(thread::spawn(move || run_rung(config, &receiver)));
    }
    let mut decoder = Decoder::open(Codec::H264, &Choice::software())?;
    for index in 0..seconds * FRAMES_PER_SECOND {
        let unit = units[index as usize % units.len()];
        let pts = i64::from(index) * 90_000 / i64::from(FRAMES_PER_SECOND);
        for frame in decoder.decode(unit, pts)? {
            senders.iter().try_for_each(|sender| sender.send(frame.clone()))?;
        }
    }
    drop(senders);
    let mut rungs = Vec::new();
    for thread in threads {
        let rung = thread.join().map_err(|_| "a rung's thread panicked")?;
        rungs.push(rung.map_err(|reason| -> Box<dyn Error> { reason.into() })?);
    }
    let cpu = cpu_seconds();
    let report = serde_json::json!({
        "media_seconds": seconds,
        "frames": decoder.frames(),
        "cpu_seconds": cpu,
        "cpu_per_media_second": cpu / f64::from(seconds),
        "decode_seconds": decoder.seconds(),
        "rungs": rungs,
    });
    writeln!(io::stdout(), "{report}")?;
    Ok(())
}

fn run_rung(config: EncoderConfig, frames: &Receiver<Frame>) -> Result<serde_json::Value, String> {
    let open = RungEncoder::open(config, &Choice::software());
    let mut encoder = open.map_err(|error| error.to_string())?;
    let mut out = env::var("STENTOR_LADDER_OUT")
        .ok()
        .map(|prefix| fs::File::create(format!("{prefix}.{}.h264", config.resolution)))
        .transpose()
        .map_err(|error| error.to_string())?;
    let (mut bytes, mut count) = (0, 0_u64);
    for frame in frames {
        let units = encoder.encode(&frame, count == 0).map_err(|error| error.to_string())?;
        count += 1;
        for unit in units {
            bytes += unit.data.len();
            if let Some(out) = &mut out {
                out.write_all(&unit.data).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(serde_json::json!({
        "resolution": config.resolution.to_string(),
        "frames": count,
        "bytes": bytes,
        "scale_seconds": encoder.scale_seconds(),
        "encode_seconds": encoder.encode_seconds(),
    }))
}

fn rung(text: &str) -> Result<EncoderConfig, Box<dyn Error>> {
    let parse = || {
        let (size, kbps) = text.split_once(':')?;
        let (width, height) = size.split_once('x')?;
        Some((width.parse().ok()?, height.parse().ok()?, kbps.parse().ok()?))
    };
    let (width, height, kbps) = parse().ok_or_else(|| format!("not a rung: {text}"))?;
    Ok(EncoderConfig {
        codec: Codec::H264,
        resolution: Resolution::new(width, height),
        frame_rate: FrameRate::new(FRAMES_PER_SECOND, 1),
        bitrate: BitsPerSecond::from_kilo(kbps),
    })
}

/// Cuts an Annex B stream in front of every access unit: a parameter set, delimiter or SEI
/// after a picture, or a picture's first slice (`first_mb_in_slice` 0) after a picture.
fn access_units(stream: &[u8]) -> Vec<&[u8]> {
    let mut cuts = Vec::new();
    let mut seen_picture = true;
    for start in memchr_starts(stream) {
        let Some(&[header, first, ..]) = stream.get(start + 3..) else { break };
        let kind = header & 0x1f;
        let picture = matches!(kind, 1 | 5);
        let begins = matches!(kind, 6..=9) || (picture && first & 0x80 != 0);
        if begins && seen_picture {
            // A start code may have a zero more in front.
            let zero = start > 0 && stream[start - 1] == 0;
            cuts.push(start - usize::from(zero));
            seen_picture = false;
        }
        seen_picture |= picture;
    }
    cuts.push(stream.len());
    cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

fn memchr_starts(stream: &[u8]) -> impl Iterator<Item = usize> {
    stream.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0, 0, 1]).map(|(at, _)| at)
}

/// User and system time of all threads so far.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
