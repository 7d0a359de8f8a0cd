//! The backends' tables against this FFmpeg: an option that it doesn't know, or a value that it
//! doesn't take, would show on a machine with that hardware only.

use crate::backend::ENGINES;
use crate::ffi::encoder::check_options;
use crate::ffi::encoder::{EncoderContext, EncoderShape};
use crate::ffi::pixel::PixelFormat;

#[test]
fn every_option_in_the_tables_is_one_that_ffmpeg_takes() {
    let mut checked = 0;
    for engine in ENGINES {
        for row in engine.encoders() {
            for variant in row.variants {
                match check_options(row.name, variant) {
                    Ok(()) => checked += 1,
                    // Newer FFmpegs have it.
                    Err(reason) if reason.starts_with("this FFmpeg has no encoder av1_") => {
                        eprintln!("SKIPPED: {reason}");
                    }
                    Err(reason) => panic!("{reason}"),
                }
            }
        }
    }
    assert!(checked >= 5, "{checked} option sets checked");
}

#[test]
fn an_unknown_option_or_value_is_found() {
    assert!(check_options("h264_nvenc", &[("tune", "ull")]).is_ok());
    assert!(check_options("h264_nvenc", &[("tune", "slowest")]).is_err());
    assert!(check_options("h264_nvenc", &[("tone", "ull")]).is_err());
}

#[test]
fn an_encoder_is_not_opened_with_an_option_it_does_not_know() {
    let shape = EncoderShape {
        width: 64,
        height: 64,
        format: PixelFormat::YUV420P,
        frame_rate: (30, 1),
        colour: None,
        pool: None,
    };
    let error = EncoderContext::open("libx264", [("forced-idr-frames", "1")], 1, None, &shape);
    assert_eq!(error.err().unwrap(), "libx264 doesn't know the option forced-idr-frames");
}
