//! The compile command, and chunks made by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use stentor_hardware::{Choice, EncodedUnit, EncoderConfig, Frame, RungEncoder};
use stentor_pipelines::container::avc::{self, VideoEntry, put_lengths};
use stentor_pipelines::container::matroska::{Cluster, Header, Kind};
use stentor_protocol::{BitsPerSecond, Codec, FrameRate, Resolution};

/// Runs a plan. Gives what it says on standard output, or its status and complaint.
pub fn compile(folder: &Path, plan: &Value) -> Result<Value, (i32, String)> {
    let path = folder.join("plan.json");
    fs::write(&path, plan.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stentor-worker"))
        .arg("compile")
        .arg(&path)
        .env("STENTOR_LOG", "error")
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    match output.status.code() {
        Some(0) => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        status => Err((status.unwrap_or(-1), words)),
    }
}

pub fn track(output: &Path, chunks: &[PathBuf]) -> Value {
    json!({ "form": "track", "output": output, "sources": [{ "name": "Ann", "chunks": chunks }] })
}

/// So many pictures of this size; the first is a keyframe.
pub fn pictures(size: Resolution, count: u32) -> Vec<EncodedUnit> {
    let config = EncoderConfig {
        codec: Codec::H264,
        resolution: size,
        frame_rate: FrameRate::new(30, 1),
        bitrate: BitsPerSecond::from_kilo(200),
    };
    let mut encoder = RungEncoder::open(config, &Choice::software()).unwrap();
    let (w, h) = (size.width as usize, size.height as usize);
    let chroma = vec![128; w.div_ceil(2) * h.div_ceil(2)];
    let mut units = Vec::new();
    for index in 0..count {
        let y: Vec<u8> =
            (0..w * h).map(|i| (i % w * 3 + index as usize * 5) as u8 / 2 + 40).collect();
        let frame = Frame::from_i420(size, i64::from(index) * 3_000, &y, &chroma, &chroma).unwrap();
        units.extend(encoder.encode(&frame, index == 0).unwrap());
    }
    units
}

pub fn entry(units: &[EncodedUnit]) -> VideoEntry {
    avc::entry(Codec::H264, &units[0].data, Resolution::new(0, 0)).unwrap()
}

/// Writes a chunk: blocks in the order given, each with its time in ticks.
pub fn write_chunk(path: &Path, entry: &VideoEntry, blocks: &[(Kind, i64, bool, &[u8])]) {
    let header = Header::new(Some(entry), true);
    let mut bytes = header.bytes.clone();
    let mut cluster = Cluster::new(blocks[0].1);
    for (kind, ticks, keyframe, data) in blocks {
        if !cluster.fits(*ticks) {
            let full = std::mem::replace(&mut cluster, Cluster::new(*ticks));
            bytes.extend(full.finish());
        }
        cluster.push(*kind, *ticks, *keyframe, |out| match kind {
            Kind::Video => put_lengths(data, out),
            Kind::Audio => out.extend_from_slice(data),
        });
    }
    bytes.extend(cluster.finish());
    fs::write(path, bytes).unwrap();
}

/// Time in seconds, size and keyframe of each of a stream's packets, as ffprobe reads them.
pub fn packets(file: &Path, stream: &str) -> Vec<(f64, usize, bool)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-of", "csv=p=0"])
        .args(["-show_entries", "packet=pts_time,size,flags"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let packet = |line: &str| {
        let mut fields = line.split(',');
        let time = fields.next()?.parse().ok()?;
        Some((time, fields.next()?.parse().ok()?, fields.next()?.contains('K')))
    };
    text.lines().filter_map(packet).collect()
}
