//! Device contexts and pools of pictures on a device.
//!
//! Decoders, scalers and encoders of one device must share one context, or their pictures are
//! foreign to each other. So contexts are found by name in a table of the process.
//!
//! Lock order: the table's lock is the only one; it is held while a device is opened, so that
//! two threads never open it twice.

use std::collections::HashMap;
use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ffmpeg::ffi as sys;

use super::picture::Picture;
use super::pixel::PixelFormat;
use super::{Error, check, out_of_memory};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DeviceKind {
    Cuda,
    Vaapi,
}

/// An open device.
#[derive(Debug)]
pub(crate) struct Device {
    reference: BufferRef,
}

/// Allocates pictures on a device, all of one size.
#[derive(Debug)]
pub(crate) struct Pool {
    reference: BufferRef,
}

/// An owned `AVBufferRef`.
#[derive(Debug)]
pub(super) struct BufferRef(NonNull<sys::AVBufferRef>);

// SAFETY: buffer references are counted atomically; what they refer to here (hardware device
// and frames contexts) is used by FFmpeg from several threads under its own locks.
unsafe impl Send for BufferRef {}
// SAFETY: as above; `&BufferRef` gives out references only.
unsafe impl Sync for BufferRef {}

/// Open devices by kind and id.
type Table = HashMap<(DeviceKind, String), Weak<Device>>;

static OPEN: Mutex<Option<Table>> = Mutex::new(None);

// === impl DeviceKind ===

impl DeviceKind {
    /// The format of pictures on such a device.
    pub fn pixel_format(self) -> PixelFormat {
        match self {
            Self::Cuda => PixelFormat::CUDA,
            Self::Vaapi => PixelFormat::VAAPI,
        }
    }

    fn raw(self) -> sys::AVHWDeviceType {
        match self {
            Self::Cuda => sys::AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA,
            Self::Vaapi => sys::AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI,
        }
    }
}

// === impl Device ===

impl Device {
    /// The device with this id (a CUDA index, a DRM render node), opened where it isn't yet.
    pub fn shared(kind: DeviceKind, id: &str) -> Result<Arc<Self>, Error> {
        let mut table = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let table = table.get_or_insert_default();
        table.retain(|_, device| device.strong_count() > 0);
        let key = (kind, id.to_owned());
        if let Some(device) = table.get(&key).and_then(Weak::upgrade) {
            return Ok(device);
        }
        let device = Arc::new(Self::open(kind, id)?);
        table.insert(key, Arc::downgrade(&device));
        Ok(device)
    }

    /// What [`Picture::device_identity`] gives for pictures of this device.
    pub fn identity(&self) -> usize {
        self.reference.data().addr()
    }

    fn open(kind: DeviceKind, id: &str) -> Result<Self, Error> {
        super::prepare();
        let id = CString::new(id).map_err(|_| Error::InvalidData)?;
        let mut reference = ptr::null_mut();
        // SAFETY: the out-pointer is ours; the name is terminated; no options.
        check(unsafe {
            sys::av_hwdevice_ctx_create(&mut reference, kind.raw(), id.as_ptr(), ptr::null_mut(), 0)
        })?;
        Ok(Self { reference: BufferRef::own(reference)? })
    }

    pub(super) fn reference(&self) -> &BufferRef {
        &self.reference
    }
}

// === impl Pool ===

impl Pool {
    /// Pictures of `format` (in device terms), sized as stated. `count` 0 lets it grow where
    /// the device can.
    pub fn new(
        device: &Device,
        kind: DeviceKind,
        format: PixelFormat,
        (width, height): (u32, u32),
        count: u32,
    ) -> Result<Self, Error> {
        // SAFETY: the device reference is valid; null is the only failure.
        let reference = unsafe { sys::av_hwframe_ctx_alloc(device.reference.as_ptr()) };
        let reference = BufferRef::own(reference)?;
        let size = |n: u32| i32::try_from(n).map_err(|_| Error::InvalidData);
        let context = reference.data().cast::<sys::AVHWFramesContext>();
        // SAFETY: av_hwframe_ctx_alloc made an AVHWFramesContext of which we hold the only
        // reference; these fields are to be set before init.
        unsafe {
            (*context).format = kind.pixel_format().raw();
            (*context).sw_format = format.raw();
            (*context).width = size(width)?;
            (*context).height = size(height)?;
            (*context).initial_pool_size = size(count)?;
        }
        // SAFETY: the context is complete and not yet initialised.
        check(unsafe { sys::av_hwframe_ctx_init(reference.as_ptr()) })?;
        Ok(Self { reference })
    }

    /// A picture with undefined samples.
    pub fn picture(&self) -> Result<Picture, Error> {
        let picture = Picture::empty()?;
        // SAFETY: the pool is initialised and the frame is ours and empty.
        check(unsafe {
            sys::av_hwframe_get_buffer(self.reference.as_ptr(), picture.ptr.as_ptr(), 0)
        })?;
        Ok(picture)
    }

    pub(super) fn reference(&self) -> &BufferRef {
        &self.reference
    }
}

// === impl BufferRef ===

impl BufferRef {
    /// Takes over a reference that FFmpeg handed out; null means out of memory.
    fn own(ptr: *mut sys::AVBufferRef) -> Result<Self, Error> {
        NonNull::new(ptr).map(Self).ok_or_else(out_of_memory)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::AVBufferRef {
        self.0.as_ptr()
    }

    /// One more reference, to be given to FFmpeg, which then owns it.
    pub(super) fn give(&self) -> Result<*mut sys::AVBufferRef, Error> {
        // SAFETY: the reference is valid; null is the only failure.
        let ptr = unsafe { sys::av_buffer_ref(self.as_ptr()) };
        NonNull::new(ptr).map(NonNull::as_ptr).ok_or_else(out_of_memory)
    }

    fn data(&self) -> *mut u8 {
        // SAFETY: the reference is valid until Drop.
        unsafe { self.0.as_ref() }.data
    }
}

impl Drop for BufferRef {
    fn drop(&mut self) {
        let mut ptr = self.as_ptr();
        // SAFETY: the reference is ours and not used after this.
        unsafe { sys::av_buffer_unref(&mut ptr) }
    }
}
