//! `gst-peer SECONDS PIPELINE…`: gst-launch with GStreamer's own WHIP and WHEP clients built in
//! (`whipclientsink`, `whepclientsrc`), which Debian 12 doesn't carry.
//!
//! Prints one JSON object a line: `playing`, `ended`, `error`; from every appsink named
//! `frames…` a `frame` per decoded picture, with what the synthetic camera's stamp says; from
//! every appsink named `buffers…` a `buffer` a second with the count. Ends after SECONDS, at the
//! end of the stream, or at SIGINT. Exit status 1 after an error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gst::prelude::*;
use gst_video::VideoFrameExt as _;
use serde_json::{Value, json};
use stentor_protocol::stamp::Stamp;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().ok_or("usage: gst-peer SECONDS PIPELINE…")?.parse()?;
    let description: Vec<String> = arguments.collect();
    gst::init()?;
    gstrswebrtc::plugin_register_static()?;
    let pipeline = gst::parse::launch(&description.join(" "))?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "the description is one element, not a pipeline")?;
    for element in pipeline.iterate_elements() {
        let element = element?;
        let name = element.name().to_string();
        if let Ok(sink) = element.downcast::<gst_app::AppSink>() {
            if name.starts_with("frames") {
                report_frames(&sink, name);
            } else if name.starts_with("buffers") {
                report_buffers(&sink, name);
            }
        }
    }
    pipeline.set_state(gst::State::Playing)?;
    say(json!({"event": "playing"}));
    let result = watch(&pipeline, Duration::from_secs(seconds));
    pipeline.set_state(gst::State::Null)?;
    say(json!({"event": "ended"}));
    result.map_err(Into::into)
}

fn say(line: Value) {
    use std::io::Write as _;
    // A reader that has gone is no reason to panic.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}

/// One line per decoded I420 picture.
fn report_frames(sink: &gst_app::AppSink, name: String) {
    let caps = gst_video::VideoCapsBuilder::new().format(gst_video::VideoFormat::I420).build();
    sink.set_caps(Some(&caps));
    sink.set_sync(false);
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
        let at_ms = unix_ms();
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else {
            return Err(gst::FlowError::Error);
        };
        let info = gst_video::VideoInfo::from_caps(caps).map_err(|_| gst::FlowError::Error)?;
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
            .map_err(|_| gst::FlowError::Error)?;
        let luma = frame.plane_data(0).map_err(|_| gst::FlowError::Error)?;
        let (width, height) = (info.width() as usize, info.height() as usize);
        let stamp = Stamp::read(luma, frame.plane_stride()[0] as usize, width, height);
        say(json!({
            "event": "frame",
            "sink": name,
            "at_ms": at_ms,
            "width": width,
            "height": height,
            "number": stamp.map(|s| s.frame),
            "latency_ms": stamp.map(|s| at_ms - s.capture_unix_ms as f64),
        }));
        Ok(gst::FlowSuccess::Ok)
    });
    sink.set_callbacks(callbacks.build());
}

/// One line a second.
fn report_buffers(sink: &gst_app::AppSink, name: String) {
    sink.set_sync(false);
    let (count, last) = (AtomicU64::new(0), AtomicU64::new(0));
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
        sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let count = count.fetch_add(1, Ordering::Relaxed) + 1;
        let second = unix_ms() as u64 / 1000;
        if last.swap(second, Ordering::Relaxed) != second {
            say(json!({"event": "buffer", "sink": name, "count": count}));
        }
        Ok(gst::FlowSuccess::Ok)
    });
    sink.set_callbacks(callbacks.build());
}

/// Follows the bus until the time is up or the stream ends.
fn watch(pipeline: &gst::Pipeline, time: Duration) -> Result<(), String> {
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
    let until = Instant::now() + time;
    while Instant::now() < until {
        let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(200)) else { continue };
        match message.view() {
            gst::MessageView::Eos(_) => {
                say(json!({"event": "end_of_stream"}));
                return Ok(());
            }
            gst::MessageView::Error(error) => {
                let reason = format!("{}: {:?}", error.error(), error.debug());
                say(json!({"event": "error", "reason": reason}));
                return Err(reason);
            }
            _ => {}
        }
    }
    Ok(())
}
