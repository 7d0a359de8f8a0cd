//! A media file, played in real time, over and over.

use std::path::PathBuf;
use std::sync::Arc;

use gst::prelude::*;

use super::demuxed::Demuxed;
use super::elements::{self, internal};
use super::pull::{self, Dial};
use super::{Contribution, OpenError, Sink};

pub struct File {
    path: PathBuf,
    repeat: bool,
}

pub fn open(
    path: &str,
    repeat: bool,
    loss_timeout_ms: u32,
    sink: Sink,
) -> Result<Box<dyn Contribution>, OpenError> {
    elements::init()?;
    elements::make("parsebin")?;
    pull::open(File { path: path.into(), repeat }, loss_timeout_ms, true, sink)
}

// === impl File ===

impl Dial for File {
    fn build(&self, pipeline: &gst::Pipeline, streams: &Arc<Demuxed>) -> Result<(), OpenError> {
        // Asked here for its clear error: GStreamer's comes late and names less.
        let kind = std::fs::metadata(&self.path).map_err(internal)?.file_type();
        if !kind.is_file() {
            return Err(internal("the path is not that of a file"));
        }
        let source = elements::make("filesrc")?;
        source.set_property("location", &self.path);
        let parse = elements::make("parsebin")?;
        streams.take_pads(&parse);
        elements::chain(pipeline.upcast_ref(), &[&source, &parse])
    }

    fn rewind(&self, pipeline: &gst::Pipeline) -> bool {
        // The timeline takes the jump back and goes on from where it was.
        self.repeat
            && pipeline
                .seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT, gst::ClockTime::ZERO)
                .is_ok()
    }

    fn finished(&self) -> Option<&str> {
        (!self.repeat).then_some("the file has ended")
    }
}

#[cfg(test)]
mod tests;
