//! A codec context opened as an encoder.

use std::ffi::c_int;
use std::ptr;

use ffmpeg::ffi as sys;

use super::codec::Context;
use super::device::Pool;
use super::packet::Packet;
use super::picture::{Colour, Picture};
use super::pixel::PixelFormat;
use super::{Error, TICKS_PER_SECOND, again, check, log};

/// An open encoder.
pub(crate) struct EncoderContext {
    context: Context,
    packet: Packet,
}

/// What an encoder is opened with besides its options.
pub(crate) struct EncoderShape<'a> {
    pub width: u32,
    pub height: u32,
    pub format: PixelFormat,
    /// Frames per second as a fraction.
    pub frame_rate: (u32, u32),
    pub colour: Option<Colour>,
    /// Where pictures lie that come on a device.
    pub pool: Option<&'a Pool>,
}

/// Bytes that came out of an encoder.
pub(crate) struct Encoded {
    pub data: Vec<u8>,
    pub pts: i64,
    pub keyframe: bool,
}

/// An encoder's rate in bits per second, and its buffer in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub target: i64,
    pub buffer: i32,
    /// Whether the rate is a floor as well: constant rather than bounded.
    pub constant: bool,
}

// === impl EncoderContext ===

impl EncoderContext {
    /// Opens the encoder called `name`. An option that it doesn't know is an error: it would
    /// otherwise do something else than its table says.
    pub fn open<'o>(
        name: &str,
        options: impl IntoIterator<Item = (&'o str, &'o str)>,
        threads: u32,
        rate: Option<Rate>,
        shape: &EncoderShape<'_>,
    ) -> Result<Self, String> {
        super::prepare();
        log::forget();
        let codec = ffmpeg::encoder::find_by_name(name)
            .ok_or_else(|| format!("this FFmpeg has no encoder {name}"))?;
        // SAFETY: the codec comes from FFmpeg's own table.
        let context = Context::new(unsafe { codec.as_ptr() }).map_err(log::explain)?;
        let raw = context.0.as_ptr();
        let size = |n: u32| c_int::try_from(n).map_err(|_| format!("size {n} is too large"));
        // SAFETY: the context is ours and not open yet, which is when these fields are set.
        unsafe {
            (*raw).width = size(shape.width)?;
            (*raw).height = size(shape.height)?;
            (*raw).pix_fmt = shape.format.raw();
            (*raw).time_base = sys::AVRational { num: 1, den: TICKS_PER_SECOND };
            (*raw).framerate = sys::AVRational {
                num: size(shape.frame_rate.0)?,
                den: size(shape.frame_rate.1.max(1))?,
            };
            (*raw).thread_count = threads.clamp(1, 16) as c_int;
            if let Some(pool) = shape.pool {
                (*raw).hw_frames_ctx = pool.reference().give().map_err(log::explain)?;
            }
        }
        if let Some(colour) = shape.colour {
            context.set_colour(colour);
        }
        if let Some(rate) = rate {
            context.set_rate(rate);
        }
        // SAFETY: as above.
        context.open(unsafe { codec.as_ptr() }, options.into_iter(), name)?;
        Ok(Self { context, packet: Packet::empty().map_err(log::explain)? })
    }

    pub fn send(&mut self, picture: &Picture) -> Result<(), Error> {
        // SAFETY: context and frame are valid; FFmpeg takes its own reference.
        check(unsafe { sys::avcodec_send_frame(self.context.0.as_ptr(), picture.ptr.as_ptr()) })
            .map(drop)
    }

    /// Says that no more pictures come.
    pub fn finish(&mut self) -> Result<(), Error> {
        // SAFETY: null is how the end of the stream is said.
        check(unsafe { sys::avcodec_send_frame(self.context.0.as_ptr(), ptr::null()) }).map(drop)
    }

    /// The next bytes, or None until more pictures come.
    pub fn receive(&mut self) -> Result<Option<Encoded>, Error> {
        // SAFETY: context and packet are valid and ours.
        let code = unsafe {
            sys::avcodec_receive_packet(self.context.0.as_ptr(), self.packet.ptr.as_ptr())
        };
        match check(code) {
            Ok(_) => {}
            Err(error) if again(&error) || error == Error::Eof => return Ok(None),
            Err(error) => return Err(error),
        }
        let encoded = Encoded {
            data: self.packet.bytes().to_vec(),
            pts: self.packet.pts(),
            keyframe: self.packet.is_key(),
        };
        self.packet.clear();
        Ok(Some(encoded))
    }

    /// A new rate from the next picture on, for encoders that read it again.
    pub fn set_rate(&mut self, rate: Rate) {
        self.context.set_rate(rate);
    }
}

/// Whether an encoder knows these options and takes their values. For tests: opening one that
/// needs a device it hasn't got fails before it gets that far.
#[cfg(test)]
pub(crate) fn check_options(name: &str, options: &[(&str, &str)]) -> Result<(), String> {
    super::prepare();
    let codec = ffmpeg::encoder::find_by_name(name)
        .ok_or_else(|| format!("this FFmpeg has no encoder {name}"))?;
    // SAFETY: the codec comes from FFmpeg's own table.
    let context = Context::new(unsafe { codec.as_ptr() }).map_err(log::explain)?;
    for (key, value) in options {
        let (raw_key, raw_value) = (std::ffi::CString::new(*key), std::ffi::CString::new(*value));
        let (Ok(raw_key), Ok(raw_value)) = (raw_key, raw_value) else {
            return Err(format!("{name}: NUL in {key}"));
        };
        // SAFETY: the context is ours, made for this codec and not open; texts are terminated.
        check(unsafe {
            sys::av_opt_set(
                context.0.as_ptr().cast(),
                raw_key.as_ptr(),
                raw_value.as_ptr(),
                sys::AV_OPT_SEARCH_CHILDREN as c_int,
            )
        })
        .map_err(|error| format!("{name} {key}={value}: {}", log::explain(error)))?;
    }
    Ok(())
}
