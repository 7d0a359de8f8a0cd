//! One `AVPacket`: encoded bytes on their way in or out.

use std::ptr::{self, NonNull};

use ffmpeg::ffi as sys;

use super::{Error, out_of_memory};

/// An owned `AVPacket`, used again and again by one codec context.
pub(crate) struct Packet {
    pub(super) ptr: NonNull<sys::AVPacket>,
}

// SAFETY: an AVPacket has no thread of its own and its buffer is counted atomically.
unsafe impl Send for Packet {}

// === impl Packet ===

impl Packet {
    pub fn empty() -> Result<Self, Error> {
        // SAFETY: takes nothing; null is the only failure.
        let ptr = unsafe { sys::av_packet_alloc() };
        Ok(Self { ptr: NonNull::new(ptr).ok_or_else(out_of_memory)? })
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the pointer is valid until Drop.
        let packet = unsafe { self.ptr.as_ref() };
        match usize::try_from(packet.size) {
            // SAFETY: FFmpeg states `size` valid bytes at `data`, alive until unreferenced,
            // which takes `&mut self`.
            Ok(size) if !packet.data.is_null() => unsafe {
                std::slice::from_raw_parts(packet.data, size)
            },
            _ => &[],
        }
    }

    pub fn pts(&self) -> i64 {
        // SAFETY: the pointer is valid until Drop.
        unsafe { self.ptr.as_ref() }.pts
    }

    pub fn is_key(&self) -> bool {
        // SAFETY: the pointer is valid until Drop.
        unsafe { self.ptr.as_ref() }.flags & sys::AV_PKT_FLAG_KEY != 0
    }

    /// Lets go of the bytes.
    pub fn clear(&mut self) {
        // SAFETY: the packet is ours and valid; it is left empty.
        unsafe { sys::av_packet_unref(self.ptr.as_ptr()) }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut ptr = self.ptr.as_ptr();
        // SAFETY: the packet is ours and not used after this.
        unsafe { sys::av_packet_free(ptr::from_mut(&mut ptr)) }
    }
}
