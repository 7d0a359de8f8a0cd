//! One `AVCodecContext`, which [`super::decoder`] and [`super::encoder`] open.

use std::ffi::CString;
use std::ptr::NonNull;

use ffmpeg::{Dictionary, ffi as sys};

use super::encoder::Rate;
use super::picture::Colour;
use super::{Error, check, log, out_of_memory};

/// An owned codec context, freed with what it holds.
pub(super) struct Context(pub(super) NonNull<sys::AVCodecContext>);

// SAFETY: a codec context may be used from any thread, one at a time; every use takes `&mut`.
unsafe impl Send for Context {}

// === impl Context ===

impl Context {
    pub(super) fn new(codec: *const sys::AVCodec) -> Result<Self, Error> {
        // SAFETY: the codec is one of FFmpeg's table; null is the only failure.
        let ptr = unsafe { sys::avcodec_alloc_context3(codec) };
        NonNull::new(ptr).map(Self).ok_or_else(out_of_memory)
    }

    pub(super) fn open<'o>(
        &self,
        codec: *const sys::AVCodec,
        options: impl Iterator<Item = (&'o str, &'o str)>,
        name: &str,
    ) -> Result<(), String> {
        let mut dictionary = Dictionary::new();
        for (key, value) in options {
            // ffmpeg-next panics on a NUL inside a text.
            if CString::new(key).is_err() || CString::new(value).is_err() {
                return Err(format!("option {key:?} of {name} has a NUL byte"));
            }
            dictionary.set(key, value);
        }
        // SAFETY: ownership of the dictionary goes to `raw` and comes back below.
        let mut raw = unsafe { dictionary.disown() };
        // SAFETY: the context is ours, made for this codec and not open yet.
        let code = unsafe { sys::avcodec_open2(self.0.as_ptr(), codec, &mut raw) };
        // SAFETY: what FFmpeg left in the dictionary is ours again.
        let left = unsafe { Dictionary::own(raw) };
        check(code).map_err(log::explain)?;
        match left.iter().next() {
            Some((key, _)) => Err(format!("{name} doesn't know the option {key}")),
            None => Ok(()),
        }
    }

    pub(super) fn set_rate(&self, rate: Rate) {
        // SAFETY: plain numbers of a valid context; encoders that can change their rate
        // compare them at each picture, others don't look again.
        unsafe {
            let raw = self.0.as_ptr();
            (*raw).bit_rate = rate.target;
            (*raw).rc_max_rate = rate.target;
            (*raw).rc_min_rate = if rate.constant { rate.target } else { 0 };
            (*raw).rc_buffer_size = rate.buffer;
        }
    }

    pub(super) fn set_colour(&self, colour: Colour) {
        // SAFETY: plain numbers of a valid context. The enums' values are those of a frame of
        // this FFmpeg, where `Colour` was read.
        unsafe {
            let raw: *mut sys::AVCodecContext = self.0.as_ptr();
            (&raw mut (*raw).color_range).cast::<u32>().write(colour.range);
            (&raw mut (*raw).color_primaries).cast::<u32>().write(colour.primaries);
            (&raw mut (*raw).color_trc).cast::<u32>().write(colour.transfer);
            (&raw mut (*raw).colorspace).cast::<u32>().write(colour.matrix);
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut ptr = self.0.as_ptr();
        // SAFETY: the context is ours and not used after this.
        unsafe { sys::avcodec_free_context(&mut ptr) }
    }
}
