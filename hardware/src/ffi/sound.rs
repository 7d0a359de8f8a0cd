//! A codec context opened as an encoder of sound: AAC, stereo, 48 kHz.

use std::ffi::c_int;
use std::ptr;

use ffmpeg::ffi as sys;

use super::codec::Context;
use super::packet::Packet;
use super::picture::Picture;
use super::{Error, again, check, log};

pub(crate) const RATE_HZ: c_int = 48_000;
const CHANNELS: c_int = 2;

/// An open encoder.
pub(crate) struct SoundEncoder {
    context: Context,
    packet: Packet,
    /// Samples sent so far.
    sent: i64,
}

// === impl SoundEncoder ===

impl SoundEncoder {
    /// Opens the encoder called `name`. It says what a decoder has to know in
    /// [`Self::config`], and not in its packets.
    pub fn open(name: &str, bits_per_second: i64) -> Result<Self, String> {
        super::prepare();
        log::forget();
        let codec = ffmpeg::encoder::find_by_name(name)
            .ok_or_else(|| format!("this FFmpeg has no encoder {name}"))?;
        // SAFETY: the codec comes from FFmpeg's own table.
        let context = Context::new(unsafe { codec.as_ptr() }).map_err(log::explain)?;
        let raw = context.0.as_ptr();
        // SAFETY: the context is ours and not open yet, which is when these fields are set.
        unsafe {
            (*raw).sample_fmt = sys::AVSampleFormat::AV_SAMPLE_FMT_FLTP;
            (*raw).sample_rate = RATE_HZ;
            sys::av_channel_layout_default(&raw mut (*raw).ch_layout, CHANNELS);
            (*raw).bit_rate = bits_per_second;
            (*raw).time_base = sys::AVRational { num: 1, den: RATE_HZ };
            (*raw).flags |= sys::AV_CODEC_FLAG_GLOBAL_HEADER as c_int;
        }
        // SAFETY: as above.
        context.open(unsafe { codec.as_ptr() }, std::iter::empty(), name)?;
        Ok(Self { context, packet: Packet::empty().map_err(log::explain)?, sent: 0 })
    }

    /// Samples of each channel that a packet holds.
    pub fn frame_size(&self) -> usize {
        // SAFETY: the context is open.
        usize::try_from(unsafe { (*self.context.0.as_ptr()).frame_size }).unwrap_or(0)
    }

    /// What a decoder has to know (`AudioSpecificConfig`).
    pub fn config(&self) -> Vec<u8> {
        // SAFETY: the context is open; FFmpeg states so many valid bytes there.
        unsafe {
            let raw = self.context.0.as_ptr();
            match usize::try_from((*raw).extradata_size) {
                Ok(size) if !(*raw).extradata.is_null() => {
                    std::slice::from_raw_parts((*raw).extradata, size).to_vec()
                }
                _ => Vec::new(),
            }
        }
    }

    /// Takes a frame of both channels, from -1 to 1, each [`Self::frame_size`] long.
    pub fn send(&mut self, left: &[f32], right: &[f32]) -> Result<(), Error> {
        let size = self.frame_size();
        if size == 0 || left.len() != size || right.len() != size {
            return Err(Error::InvalidData);
        }
        let frame = Picture::empty()?;
        let raw = frame.ptr.as_ptr();
        // SAFETY: the frame is ours and empty. Planar floats of two channels have two planes
        // of `size` samples each, which av_frame_get_buffer allocates.
        unsafe {
            (*raw).nb_samples = size as c_int;
            (*raw).format = sys::AVSampleFormat::AV_SAMPLE_FMT_FLTP as c_int;
            (*raw).sample_rate = RATE_HZ;
            sys::av_channel_layout_default(&raw mut (*raw).ch_layout, CHANNELS);
            (*raw).pts = self.sent;
            check(sys::av_frame_get_buffer(raw, 0))?;
            for (plane, samples) in [left, right].into_iter().enumerate() {
                let to = (*raw).data[plane].cast::<f32>();
                ptr::copy_nonoverlapping(samples.as_ptr(), to, size);
            }
            check(sys::avcodec_send_frame(self.context.0.as_ptr(), raw))?;
        }
        self.sent += size as i64;
        Ok(())
    }

    pub fn finish(&mut self) -> Result<(), Error> {
        // SAFETY: null is how the end of the stream is said.
        check(unsafe { sys::avcodec_send_frame(self.context.0.as_ptr(), ptr::null()) }).map(drop)
    }

    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        // SAFETY: context and packet are valid and ours.
        let code = unsafe {
            sys::avcodec_receive_packet(self.context.0.as_ptr(), self.packet.ptr.as_ptr())
        };
        match check(code) {
            Ok(_) => {}
            Err(error) if again(&error) || error == Error::Eof => return Ok(None),
            Err(error) => return Err(error),
        }
        let bytes = self.packet.bytes().to_vec();
        self.packet.clear();
        Ok(Some(bytes))
    }
}

/// The samples of a decoded frame of sound, 16 bits, channels interleaved; how many channels.
/// None where it is of another kind.
pub(crate) fn interleaved(frame: &Picture) -> Option<(&[i16], usize)> {
    let raw = frame.frame();
    let channels = usize::try_from(raw.ch_layout.nb_channels).ok()?;
    let samples = usize::try_from(raw.nb_samples).ok()?;
    let sixteen = raw.format == sys::AVSampleFormat::AV_SAMPLE_FMT_S16 as c_int;
    if !sixteen || raw.data[0].is_null() || !(1..=2).contains(&channels) {
        return None;
    }
    // SAFETY: packed 16-bit samples lie in the first plane, channels times samples of them,
    // aligned as FFmpeg aligns all its buffers, alive as long as the frame.
    let all = unsafe {
        std::slice::from_raw_parts(raw.data[0].cast::<i16>().cast_const(), samples * channels)
    };
    Some((all, channels))
}
