//! One viewer's secured path: ICE-lite, DTLS and SRTP, without I/O.
//!
//! Datagrams and time go in through [`Transport::handle_datagram`] and
//! [`Transport::handle_timeout`]; what has to be sent comes out in an [`Outbox`]. Media does not
//! pass through the outbox: [`SrtpSender`] appends protected packets straight to the caller's
//! send buffer.
//!
//! A shard that hears from an unknown address asks [`demux`] what it is and [`stun_username`]
//! whose it is, and learns from [`Received::NewPath`] that the address has proven itself.

#[cfg(test)]
mod against_str0m;
mod certificate;
mod demux;
mod dtls;
mod ice;
mod libssl;
mod outbox;
mod path;
mod srtp;
mod stun;

pub use certificate::{Certificate, CertificateError, Fingerprint, HashAlgorithm};
pub use demux::{Kind, demux, stun_username};
pub use dtls::DtlsError;
pub use ice::IceCreds;
pub use libssl::LibsslError;
pub use outbox::{Datagram, Outbox};
pub use path::{DropReason, DtlsRole, Received, Transport, TransportConfig, TransportError};
pub use srtp::{SrtpError, SrtpProfile, SrtpReceiver, SrtpSender};
