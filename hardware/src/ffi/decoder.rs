//! A codec context opened as a decoder.

use std::ffi::c_int;
use std::ptr;

use ffmpeg::ffi as sys;

use super::codec::Context;
use super::device::{Device, DeviceKind};
use super::packet::Packet;
use super::picture::Picture;
use super::pixel::PixelFormat;
use super::{Error, TICKS_PER_SECOND, again, check, log};

/// Larger than any camera's picture: 8K and a margin. A broken sequence header can claim
/// 16384x16384, and the decoder would allocate it.
const MAX_PIXELS: i64 = 8192 * 4608;

/// Pictures a hardware decoder's pool holds beyond its own need: those that wait for rungs.
const EXTRA_DEVICE_PICTURES: c_int = 8;

/// An open decoder.
pub(crate) struct DecoderContext {
    context: Context,
}

// === impl DecoderContext ===

impl DecoderContext {
    /// Opens the decoder called `name`, on `device` if given. `slice_threads` above 1 splits
    /// pictures that have slices; frame threads are never used, each adds a frame's delay.
    pub fn open(
        name: &str,
        options: &[(&str, &str)],
        slice_threads: u32,
        device: Option<(DeviceKind, &Device)>,
    ) -> Result<Self, String> {
        super::prepare();
        log::forget();
        let codec = ffmpeg::decoder::find_by_name(name)
            .ok_or_else(|| format!("this FFmpeg has no decoder {name}"))?;
        // SAFETY: the codec comes from FFmpeg's own table.
        let context = Context::new(unsafe { codec.as_ptr() }).map_err(log::explain)?;
        let raw = context.0.as_ptr();
        // SAFETY: the context is ours and not open yet, which is when these fields are set.
        // `opaque` is a number to FFmpeg; `choose_format` reads it back as one.
        unsafe {
            (*raw).pkt_timebase = sys::AVRational { num: 1, den: TICKS_PER_SECOND };
            (*raw).thread_count = slice_threads.clamp(1, 16) as c_int;
            (*raw).thread_type = sys::FF_THREAD_SLICE;
            (*raw).max_pixels = MAX_PIXELS;
            if let Some((kind, device)) = device {
                (*raw).hw_device_ctx = device.reference().give().map_err(log::explain)?;
                (*raw).extra_hw_frames = EXTRA_DEVICE_PICTURES;
                // Cameras say "baseline" and mean the constrained one, which is all that
                // hardware has.
                (*raw).hwaccel_flags |= sys::AV_HWACCEL_FLAG_ALLOW_PROFILE_MISMATCH;
                (*raw).opaque = ptr::without_provenance_mut(kind.pixel_format().0 as usize);
                (*raw).get_format = Some(choose_format);
            }
        }
        // SAFETY: as above.
        context.open(unsafe { codec.as_ptr() }, options.iter().copied(), name)?;
        Ok(Self { context })
    }

    /// Hands over one access unit. Pictures are to be received before and after.
    pub fn send(&mut self, unit: &[u8], pts: i64) -> Result<(), Error> {
        if unit.is_empty() {
            // To FFmpeg, no bytes mean the end of the stream.
            return Err(Error::InvalidData);
        }
        let packet = Packet::empty()?;
        // SAFETY: the packet is ours. It borrows the caller's bytes for this call only: it
        // has no buffer of its own, so avcodec_send_packet copies them, with the padding that
        // decoders need, and dropping the packet frees nothing. FFmpeg doesn't write to them.
        unsafe {
            let raw = packet.ptr.as_ptr();
            (*raw).data = unit.as_ptr().cast_mut();
            (*raw).size = c_int::try_from(unit.len()).map_err(|_| Error::InvalidData)?;
            (*raw).pts = pts;
            check(sys::avcodec_send_packet(self.context.0.as_ptr(), raw)).map(drop)
        }
    }

    /// Says that no more units come.
    pub fn finish(&mut self) -> Result<(), Error> {
        // SAFETY: null is how the end of the stream is said.
        check(unsafe { sys::avcodec_send_packet(self.context.0.as_ptr(), ptr::null()) }).map(drop)
    }

    /// The next picture, or None until more units come.
    pub fn receive(&mut self) -> Result<Option<Picture>, Error> {
        let picture = Picture::empty()?;
        // SAFETY: context and frame are valid and ours.
        let code =
            unsafe { sys::avcodec_receive_frame(self.context.0.as_ptr(), picture.ptr.as_ptr()) };
        match check(code) {
            Ok(_) => Ok(Some(picture)),
            Err(error) if again(&error) || error == Error::Eof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Drops everything in flight, ready for a keyframe.
    pub fn reset(&mut self) {
        // SAFETY: the context is open.
        unsafe { sys::avcodec_flush_buffers(self.context.0.as_ptr()) }
    }
}

/// Takes the device's format or none: a decoder that quietly went on in software would be a
/// fall-back that nobody sees.
unsafe extern "C" fn choose_format(
    context: *mut sys::AVCodecContext,
    offered: *const sys::AVPixelFormat,
) -> sys::AVPixelFormat {
    // SAFETY: FFmpeg hands over its open context, whose `opaque` was set at open, and a list
    // that ends with NONE.
    unsafe {
        let wanted = PixelFormat((*context).opaque.addr() as c_int).raw();
        let mut entry = offered;
        while *entry != sys::AVPixelFormat::AV_PIX_FMT_NONE {
            if *entry == wanted {
                return wanted;
            }
            entry = entry.add(1);
        }
    }
    sys::AVPixelFormat::AV_PIX_FMT_NONE
}
