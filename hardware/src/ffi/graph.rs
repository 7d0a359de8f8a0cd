//! One `AVFilterGraph` with one input and one output: scaling on a device.

use std::ffi::{CStr, CString, c_int};
use std::ptr::{self, NonNull};

use ffmpeg::ffi as sys;

use super::picture::Picture;
use super::{Error, TICKS_PER_SECOND, again, check, log, out_of_memory};

/// A configured graph. Made for pictures like its first; made anew when they change.
pub(crate) struct Graph {
    graph: NonNull<sys::AVFilterGraph>,
    /// Both belong to the graph and live as long.
    source: NonNull<sys::AVFilterContext>,
    sink: NonNull<sys::AVFilterContext>,
}

/// The owned chain ends that parsing takes.
struct Ends(*mut sys::AVFilterInOut);

// SAFETY: a graph without threads of its own may be used from any thread, one at a time;
// every use takes `&mut`.
unsafe impl Send for Graph {}

// === impl Graph ===

impl Graph {
    /// A graph that does `chain` (FFmpeg's filter syntax) to pictures like `sample`.
    pub fn new(sample: &Picture, chain: &str) -> Result<Self, String> {
        super::prepare();
        log::forget();
        Self::build(sample, chain).map_err(log::explain)
    }

    fn build(sample: &Picture, chain: &str) -> Result<Self, Error> {
        let chain = CString::new(chain).map_err(|_| Error::InvalidData)?;
        // SAFETY: takes nothing; null is the only failure.
        let graph = unsafe { sys::avfilter_graph_alloc() };
        let mut built = Self {
            graph: NonNull::new(graph).ok_or_else(out_of_memory)?,
            source: NonNull::dangling(),
            sink: NonNull::dangling(),
        };
        // SAFETY: the graph is ours. One thread: it runs inside a rung's own.
        unsafe { (*graph).nb_threads = 1 };
        built.source = built.add(c"buffer", c"in")?;
        built.describe_source(sample)?;
        // SAFETY: the context was just made and awaits its parameters.
        check(unsafe { sys::avfilter_init_str(built.source.as_ptr(), ptr::null()) })?;
        built.sink = built.add(c"buffersink", c"out")?;
        // SAFETY: as above.
        check(unsafe { sys::avfilter_init_str(built.sink.as_ptr(), ptr::null()) })?;
        let mut outputs = Ends::new(c"in", built.source)?;
        let mut inputs = Ends::new(c"out", built.sink)?;
        // SAFETY: graph, text and both ends are valid; what is left of the ends is freed.
        check(unsafe {
            sys::avfilter_graph_parse_ptr(
                graph,
                chain.as_ptr(),
                &mut inputs.0,
                &mut outputs.0,
                ptr::null_mut(),
            )
        })?;
        // SAFETY: the graph is complete.
        check(unsafe { sys::avfilter_graph_config(graph, ptr::null_mut()) })?;
        Ok(built)
    }

    fn add(&mut self, filter: &CStr, name: &CStr) -> Result<NonNull<sys::AVFilterContext>, Error> {
        // SAFETY: names are terminated; the graph is ours. The new context belongs to it.
        let context = unsafe {
            let filter = sys::avfilter_get_by_name(filter.as_ptr());
            if filter.is_null() {
                return Err(Error::FilterNotFound);
            }
            sys::avfilter_graph_alloc_filter(self.graph.as_ptr(), filter, name.as_ptr())
        };
        NonNull::new(context).ok_or_else(out_of_memory)
    }

    fn describe_source(&mut self, sample: &Picture) -> Result<(), Error> {
        let frame = sample.frame();
        // SAFETY: takes nothing; null is the only failure.
        let parameters = NonNull::new(unsafe { sys::av_buffersrc_parameters_alloc() })
            .ok_or_else(out_of_memory)?;
        // SAFETY: the parameters are ours until freed below; the sample's device reference is
        // borrowed, av_buffersrc_parameters_set takes its own.
        unsafe {
            let raw = parameters.as_ptr();
            (*raw).format = frame.format;
            (*raw).width = frame.width;
            (*raw).height = frame.height;
            (*raw).time_base = sys::AVRational { num: 1, den: TICKS_PER_SECOND };
            (*raw).sample_aspect_ratio = frame.sample_aspect_ratio;
            (*raw).hw_frames_ctx = frame.hw_frames_ctx;
            let code = sys::av_buffersrc_parameters_set(self.source.as_ptr(), raw);
            sys::av_free(raw.cast());
            check(code)?;
        }
        Ok(())
    }

    /// Puts one picture through.
    pub fn run(&mut self, picture: &Picture) -> Result<Picture, Error> {
        // SAFETY: the source is part of the configured graph; with KEEP_REF the frame stays
        // the caller's and FFmpeg takes its own reference.
        check(unsafe {
            sys::av_buffersrc_add_frame_flags(
                self.source.as_ptr(),
                picture.ptr.as_ptr(),
                sys::AV_BUFFERSRC_FLAG_KEEP_REF as c_int,
            )
        })?;
        let output = Picture::empty()?;
        // SAFETY: the sink is part of the configured graph; the frame is ours and empty.
        let code = unsafe { sys::av_buffersink_get_frame(self.sink.as_ptr(), output.ptr.as_ptr()) };
        match check(code) {
            Ok(_) => Ok(output),
            // One in, one out is what the chains here do; anything else is their fault.
            Err(error) if again(&error) => Err(Error::Bug),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let mut ptr = self.graph.as_ptr();
        // SAFETY: the graph is ours; its filters go with it and aren't used after this.
        unsafe { sys::avfilter_graph_free(&mut ptr) }
    }
}

// === impl Ends ===

impl Ends {
    fn new(name: &CStr, filter: NonNull<sys::AVFilterContext>) -> Result<Self, Error> {
        // SAFETY: takes nothing; null is the only failure.
        let ends =
            NonNull::new(unsafe { sys::avfilter_inout_alloc() }).ok_or_else(out_of_memory)?;
        // SAFETY: the end is ours; its name is a copy that goes with it.
        unsafe {
            let raw = ends.as_ptr();
            (*raw).name = sys::av_strdup(name.as_ptr());
            (*raw).filter_ctx = filter.as_ptr();
            (*raw).pad_idx = 0;
            (*raw).next = ptr::null_mut();
        }
        Ok(Self(ends.as_ptr()))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        // SAFETY: what is left is ours (FFmpeg nulls what it took); null is fine.
        unsafe { sys::avfilter_inout_free(&mut self.0) }
    }
}
