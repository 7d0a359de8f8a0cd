//! Brings a frame, wherever it lies, to what a rung's encoder takes.
//!
//! Scaling follows the frame: on the device where the frame lies there, on the CPU otherwise.
//! Only scaled pictures cross the bus, and their bytes are counted.

use std::sync::Arc;

use ffmpeg::software::scaling::Flags;
use stentor_protocol::{Backend, Resolution};

use crate::backend::{Landing, engine};
use crate::ffi::device::{Device, DeviceKind, Pool};
use crate::ffi::graph::Graph;
use crate::ffi::picture::Picture;
use crate::ffi::pixel::PixelFormat;
use crate::ffi::scaler::{Scaler, Shape};
use crate::ffi::{self, log};
use crate::fit::Fit;
use crate::frame::{Frame, Memory};
use crate::scale::{HostScaler, with_bars};

/// One rung's scaler.
pub(crate) struct Stage {
    rung: Resolution,
    /// Where the encoder wants its pictures; None for host memory.
    target: Option<Target>,
    host: HostScaler,
    /// Host pictures into the device's layout.
    repack: Option<Scaler>,
    graph: Option<DeviceScaler>,
    bus_bytes: u64,
}

/// An encoder's device.
pub(crate) struct Target {
    pub device: Arc<Device>,
    /// Pictures of the rung's size there.
    pub pool: Pool,
}

/// A graph and what it was made for.
struct DeviceScaler {
    made_for: (usize, u32, u32, (u32, u32)),
    landing: Landing,
    graph: Graph,
}

// === impl Stage ===

impl Stage {
    pub fn new(rung: Resolution, target: Option<Target>) -> Self {
        let host = HostScaler::new(rung);
        Self { rung, target, host, repack: None, graph: None, bus_bytes: 0 }
    }

    pub fn pool(&self) -> Option<&Pool> {
        self.target.as_ref().map(|target| &target.pool)
    }

    pub fn bus_bytes(&self) -> u64 {
        self.bus_bytes
    }

    /// The frame as the encoder takes it: a picture of its own or a reference.
    pub fn run(&mut self, frame: &Frame) -> Result<Picture, String> {
        log::forget();
        let host = match frame.memory() {
            Memory::Host => self.host.run(frame).map_err(log::explain)?,
            Memory::Cuda => match self.on_device(frame, Backend::Nvenc)? {
                (picture, Landing::Device) => return Ok(picture),
                (picture, Landing::Host) => picture,
            },
            Memory::Vaapi => match self.on_device(frame, Backend::Vaapi)? {
                (picture, Landing::Device) => return Ok(picture),
                (picture, Landing::Host) => picture,
            },
        };
        self.upload(host).map_err(log::explain)
    }

    /// Scales on the frame's own device, and leaves the picture there if the encoder is there
    /// too and no bars are to be painted.
    fn on_device(&mut self, frame: &Frame, backend: Backend) -> Result<(Picture, Landing), String> {
        let picture = frame.picture();
        let fit = Fit::new(frame.resolution(), picture.sample_aspect(), self.rung);
        let same = self
            .target
            .as_ref()
            .is_some_and(|target| picture.device_identity() == Some(target.device.identity()));
        let landing =
            if same && !fit.has_bars(self.rung) { Landing::Device } else { Landing::Host };
        let made_for = (
            picture.pool_identity().unwrap_or_default(),
            picture.width(),
            picture.height(),
            picture.sample_aspect(),
        );
        let fits = |scaler: &DeviceScaler| scaler.made_for == made_for && scaler.landing == landing;
        let scaler = match self.graph.take().filter(fits) {
            Some(scaler) => self.graph.insert(scaler),
            None => {
                let chain = engine(backend).scale_chain(fit.content, landing);
                let graph = Graph::new(picture, &chain)?;
                self.graph.insert(DeviceScaler { made_for, landing, graph })
            }
        };
        let scaled = scaler.graph.run(picture).map_err(log::explain)?;
        if landing == Landing::Device {
            return Ok((scaled, landing));
        }
        self.bus_bytes += bytes_of(&scaled);
        let planar = self.host.planar(scaled, fit.content).map_err(log::explain)?;
        let whole = match fit.has_bars(self.rung) {
            true => with_bars(&planar, &fit, self.rung).map_err(log::explain)?,
            false => planar,
        };
        Ok((whole, landing))
    }

    fn upload(&mut self, host: Picture) -> Result<Picture, ffi::Error> {
        let Some(target) = &self.target else { return Ok(host) };
        let from = Shape::of(&host);
        let to = Shape { format: PixelFormat::NV12, ..from };
        let repack = match self.repack.take().filter(|scaler| scaler.fits(from, to)) {
            Some(scaler) => self.repack.insert(scaler),
            None => self.repack.insert(Scaler::new(from, to, Flags::BILINEAR)?),
        };
        let mut packed = Picture::host(PixelFormat::NV12, to.width, to.height)?;
        repack.run(&host, &mut packed)?;
        packed.copy_colour(&host);
        let mut uploaded = target.pool.picture()?;
        uploaded.upload_from(&packed)?;
        self.bus_bytes += bytes_of(&packed);
        Ok(uploaded)
    }
}

// === impl Target ===

impl Target {
    pub fn new(
        device: Arc<Device>,
        kind: DeviceKind,
        rung: Resolution,
    ) -> Result<Self, ffi::Error> {
        let size = (rung.width, rung.height);
        let pool = Pool::new(&device, kind, PixelFormat::NV12, size, 0)?;
        Ok(Self { device, pool })
    }
}

/// 4:2:0 with 8 bits a sample: what crosses the bus here.
fn bytes_of(picture: &Picture) -> u64 {
    u64::from(picture.width()) * u64::from(picture.height()) * 3 / 2
}
