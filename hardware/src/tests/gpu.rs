//! What takes a GPU. Each test says loudly when there is none.

use std::io::Write as _;

use stentor_protocol::{Backend, Choice, Codec};

use super::media::{config, frame, psnr, stream};
use crate::backend::engine;
use crate::{Decoder, Frame, Memory, RungEncoder};

/// Past the test harness, which swallows what a passing test prints.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// The first device of a backend, or a loud line and None.
fn device(backend: Backend, what: &str) -> Option<Choice> {
    match engine(backend).devices().into_iter().next() {
        Some(found) => Some(Choice { backend, device: Some(found.id), fallbacks: vec![] }),
        None => {
            let kind = if backend == Backend::Nvenc { "CUDA" } else { "VAAPI" };
            skipped(&format!("no {kind} device ({what})"));
            None
        }
    }
}

fn decode_on(choice: &Choice) -> Vec<Frame> {
    let units = stream(Codec::H264, 1280, 720, 6);
    let mut decoder = Decoder::open(Codec::H264, choice).unwrap();
    let mut frames: Vec<Frame> =
        units.iter().flat_map(|unit| decoder.decode(&unit.data, unit.pts).unwrap()).collect();
    frames.extend(decoder.flush());
    assert_eq!(decoder.bus_bytes(), 0);
    frames
}

/// Decodes on the device, and makes a 360p rung by `choice`. Gives the bytes that crossed the
/// bus; None where the device can't encode.
fn ladder(decoding: &Choice, encoding: &Choice, size: (u32, u32)) -> Option<u64> {
    let frames = decode_on(decoding);
    let config = config(Codec::H264, size.0, size.1, 2000);
    let mut rung = match RungEncoder::open(config, encoding) {
        Ok(rung) => rung,
        Err(error) => {
            skipped(&format!("no encoder on this device: {error}"));
            return None;
        }
    };
    let mut check = Decoder::open(Codec::H264, &Choice::software()).unwrap();
    for (index, source) in frames.iter().enumerate() {
        let units = rung.encode(source, index == 0).unwrap();
        assert_eq!((units.len(), units[0].pts), (1, source.pts));
        assert_eq!(units[0].keyframe, index == 0);
        let seen = check.decode(&units[0].data, units[0].pts).unwrap();
        if size == (640, 360) {
            let shown = frame(1280, 720, index as u32).half().unwrap().to_i420().unwrap();
            assert!(psnr(&seen[0].to_i420().unwrap(), &shown) > 24.0);
        }
    }
    Some(rung.bus_bytes())
}

fn decodes_in_its_own_memory(backend: Backend, memory: Memory) {
    let Some(choice) = device(backend, "decoding") else { return };
    for (index, seen) in decode_on(&choice).iter().enumerate() {
        assert_eq!(seen.memory(), memory);
        let shown = frame(1280, 720, index as u32).to_i420().unwrap();
        assert!(psnr(&seen.to_i420().unwrap(), &shown) > 24.0);
        assert_eq!(seen.to_jpeg(320, 80).unwrap()[..2], [0xff, 0xd8]);
    }
}

fn keeps_pictures_on_the_device(backend: Backend) {
    let Some(choice) = device(backend, "decode, scale, encode") else { return };
    if let Some(bytes) = ladder(&choice, &choice, (640, 360)) {
        assert_eq!(bytes, 0, "pictures crossed the bus");
    }
}

fn brings_down_scaled_pictures_only(backend: Backend) {
    let Some(choice) = device(backend, "decode and scale, software encode") else { return };
    let bytes = ladder(&choice, &Choice::software(), (640, 360)).unwrap();
    assert_eq!(bytes, 6 * 640 * 360 * 3 / 2);
}

fn letterboxes_over_the_host(backend: Backend) {
    let Some(choice) = device(backend, "letterbox") else { return };
    // Content 640x360 in 640x480.
    if let Some(bytes) = ladder(&choice, &choice, (640, 480)) {
        assert_eq!(bytes, 6 * (640 * 360 + 640 * 480) * 3 / 2);
    }
}

fn takes_pictures_from_the_host(backend: Backend) {
    let Some(choice) = device(backend, "encode from host memory") else { return };
    let software = Choice::software();
    if let Some(bytes) = ladder(&software, &choice, (640, 360)) {
        assert_eq!(bytes, 6 * 640 * 360 * 3 / 2);
    }
}

#[test]
fn nvdec_decodes_in_gpu_memory() {
    decodes_in_its_own_memory(Backend::Nvenc, Memory::Cuda);
}

#[test]
fn nvenc_keeps_pictures_on_the_gpu() {
    keeps_pictures_on_the_device(Backend::Nvenc);
}

#[test]
fn a_gpu_without_nvenc_scales_for_the_software_encoder() {
    brings_down_scaled_pictures_only(Backend::Nvenc);
}

#[test]
fn nvenc_letterboxes_over_the_host() {
    letterboxes_over_the_host(Backend::Nvenc);
}

#[test]
fn nvenc_takes_pictures_from_the_host() {
    takes_pictures_from_the_host(Backend::Nvenc);
}

#[test]
fn vaapi_decodes_in_surfaces() {
    decodes_in_its_own_memory(Backend::Vaapi, Memory::Vaapi);
}

#[test]
fn vaapi_keeps_pictures_on_the_device() {
    keeps_pictures_on_the_device(Backend::Vaapi);
}

#[test]
fn vaapi_scales_for_the_software_encoder() {
    brings_down_scaled_pictures_only(Backend::Vaapi);
}

#[test]
fn vaapi_letterboxes_over_the_host() {
    letterboxes_over_the_host(Backend::Vaapi);
}

#[test]
fn vaapi_takes_pictures_from_the_host() {
    takes_pictures_from_the_host(Backend::Vaapi);
}
