//! A load generator: real WHEP viewers on a WebRTC stack that is not the server's own.
//!
//! Each viewer is a whole client with its own socket: ICE, DTLS, SRTP, NACK and PLI, by str0m.
//! Nothing is decoded; a picture counts once every packet of it is there and it can be decoded
//! after what came before. [`run`] is the library's door, [`cli`] the command line's; [`call`] has
//! cameras and calls as well.

#[cfg(test)]
mod against_transport;
pub mod call;
pub mod cli;
mod dial;
mod frames;
mod histogram;
mod loss;
mod media;
mod options;
mod run;
mod smoothness;
mod socket;
mod summary;
mod viewer;
mod whep;

pub use options::{LoadOptions, OptionsError};
pub use run::{LoadError, Progress, run};
pub use summary::{Latency, Quantiles, Summary};
