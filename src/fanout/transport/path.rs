//! The state machine of one viewer's secured path.

use std::net::SocketAddr;
use std::time::Instant;

use super::certificate::{Certificate, Fingerprint};
use super::demux::{Kind, demux};
use super::dtls::{Dtls, DtlsError, Progress};
use super::ice::{Check, IceCreds, IceLite, Path};
use super::outbox::Outbox;
use super::srtp::{SrtpError, SrtpReceiver, SrtpSender};

/// What a session is made of, from its offer and its answer.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// Ours, as the answer names them.
    pub local: IceCreds,
    /// The peer's. A lite agent sends no checks, so only the ufrag counts.
    pub remote: IceCreds,
    /// Of the certificate that the peer must present.
    pub remote_fingerprint: Fingerprint,
    /// Ours. Default: passive, as the answer's `a=setup` says.
    pub role: DtlsRole,
    pub certificate: Certificate,
}

/// Who begins the DTLS handshake (RFC 8842).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DtlsRole {
    /// We begin: `a=setup:active`.
    Active,
    /// The peer begins: `a=setup:passive`.
    #[default]
    Passive,
}

/// What a datagram came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Handled; the caller has nothing to do.
    Nothing,
    /// The address it came from has proven to be the peer's: route its datagrams here.
    /// `evicted` is one to route here no longer.
    NewPath { evicted: Option<SocketAddr> },
    /// Keys are there: media may flow.
    Connected,
    /// A compound RTCP packet in the clear.
    Rtcp(&'a [u8]),
    /// An RTP packet in the clear.
    Rtp(&'a [u8]),
    /// The peer has closed the session.
    Closed,
    /// Not taken, and why. Nothing changed: anyone can send anything.
    Dropped(DropReason),
}

/// Why a datagram was not taken. A bounded set, fit for a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Neither STUN, DTLS, RTP nor RTCP.
    Unknown,
    /// A STUN message that is not a check of this peer.
    Unverified,
    /// More checks than anyone needs.
    Limited,
    /// From an address that has not proven itself.
    ForeignPath,
    /// Media before its keys.
    Early,
    /// SRTP or SRTCP that is damaged or forged.
    Unauthentic,
    /// SRTP or SRTCP that came twice.
    Replayed,
}

/// The session is over.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("DTLS: {0}")]
    Dtls(#[from] DtlsError),
}

/// One viewer's secured path: an ICE-lite agent, DTLS, SRTP and SRTCP.
pub struct Transport {
    ice: IceLite,
    /// None before an active handshake begins, and once it is of no more use. It outlives the
    /// handshake, at 11.6 of a connected path's 15.1 kB (measured), so that a viewer that closes
    /// its tab is noticed at once and not after `dead_after`.
    dtls: Option<Box<Dtls>>,
    pending: Option<Box<Pending>>,
    keys: Option<Keys>,
    /// The last authenticated datagram.
    last_heard: Instant,
    closed: bool,
}

/// What an active handshake needs once there is a path.
struct Pending {
    certificate: Certificate,
    remote_fingerprint: Fingerprint,
}

struct Keys {
    sender: Box<SrtpSender>,
    receiver: Box<SrtpReceiver>,
}

// === impl DropReason ===

impl DropReason {
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Unverified,
        Self::Limited,
        Self::ForeignPath,
        Self::Early,
        Self::Unauthentic,
        Self::Replayed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unverified => "unverified",
            Self::Limited => "limited",
            Self::ForeignPath => "foreign_path",
            Self::Early => "early",
            Self::Unauthentic => "unauthentic",
            Self::Replayed => "replayed",
        }
    }
}

impl From<SrtpError> for DropReason {
    fn from(error: SrtpError) -> Self {
        match error {
            SrtpError::Replayed => Self::Replayed,
            _ => Self::Unauthentic,
        }
    }
}

// === impl Transport ===

impl Transport {
    pub fn new(config: TransportConfig, now: Instant) -> Result<Self, TransportError> {
        let ice = IceLite::new(config.local, &config.remote.ufrag, now);
        let (dtls, pending) = match config.role {
            DtlsRole::Passive => {
                let dtls = Dtls::new(&config.certificate, config.remote_fingerprint, false, now)?;
                (Some(Box::new(dtls)), None)
            }
            DtlsRole::Active => {
                let TransportConfig { certificate, remote_fingerprint, .. } = config;
                (None, Some(Box::new(Pending { certificate, remote_fingerprint })))
            }
        };
        Ok(Self { ice, dtls, pending, keys: None, last_heard: now, closed: false })
    }

    /// Takes a datagram that came `from` the peer `to` a local address. An error ends the
    /// session; what merely isn't for it is [`Received::Dropped`].
    pub fn handle_datagram<'a>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &'a mut [u8],
        out: &mut Outbox,
    ) -> Result<Received<'a>, TransportError> {
        let path = Path { local: to, remote: from };
        match demux(bytes) {
            None => Ok(Received::Dropped(DropReason::Unknown)),
            Some(Kind::Stun) => self.handle_stun(now, path, bytes, out),
            Some(_) if !self.ice.knows(path) => Ok(Received::Dropped(DropReason::ForeignPath)),
            Some(Kind::Dtls) => self.handle_dtls(now, path, bytes, out),
            Some(kind) => Ok(self.handle_media(now, kind, bytes)),
        }
    }

    /// Retransmits what is due. Call at [`Self::next_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Result<(), TransportError> {
        let Some(dtls) = &mut self.dtls else {
            return Ok(());
        };
        let path = self.ice.best();
        let result = dtls.handle_timeout(now, |bytes| send(path, bytes, out));
        self.advance(result).map(|_| ())
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.dtls.as_ref().and_then(|dtls| dtls.timeout())
    }

    /// Says good-bye to the peer. Nothing is sent afterwards.
    pub fn close(&mut self, out: &mut Outbox) {
        if let (Some(mut dtls), Some(_)) = (self.dtls.take(), &self.keys) {
            let path = self.ice.best();
            dtls.close(|bytes| send(path, bytes, out));
        }
        self.keys = None;
        self.closed = true;
    }

    /// New ICE credentials for the same session (RFC 8445, 9). Media goes on meanwhile.
    pub fn restart_ice(&mut self, local: IceCreds, remote: &IceCreds) {
        self.ice.restart(local, &remote.ufrag);
    }

    /// When the last authenticated datagram came: a check, RTCP, RTP or DTLS.
    pub fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// Where media goes: the pair that the peer nominated, and until then one that has proven
    /// itself. It changes when the peer moves.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.ice.best().map(|path| path.remote)
    }

    /// Our address of the same pair.
    pub fn local(&self) -> Option<SocketAddr> {
        self.ice.best().map(|path| path.local)
    }

    /// Keys to send with, once [`Received::Connected`].
    pub fn srtp(&mut self) -> Option<&mut SrtpSender> {
        self.keys.as_mut().map(|keys| &mut *keys.sender)
    }

    fn handle_stun<'a>(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &[u8],
        out: &mut Outbox,
    ) -> Result<Received<'a>, TransportError> {
        if self.closed {
            return Ok(Received::Dropped(DropReason::Unverified));
        }
        let check = self.ice.handle_check(now, path, bytes, out);
        let received = match check {
            Check::Unverified => return Ok(Received::Dropped(DropReason::Unverified)),
            Check::Limited => return Ok(Received::Dropped(DropReason::Limited)),
            Check::Known => Received::Nothing,
            Check::New { evicted } => Received::NewPath { evicted },
        };
        self.last_heard = now;
        if self.ice.nominated().is_some()
            && let Some(pending) = self.pending.take()
        {
            let Pending { certificate, remote_fingerprint } = *pending;
            self.dtls = Some(Box::new(Dtls::new(&certificate, remote_fingerprint, true, now)?));
            self.handle_timeout(now, out)?;
        }
        Ok(received)
    }

    fn handle_dtls<'a>(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &[u8],
        out: &mut Outbox,
    ) -> Result<Received<'a>, TransportError> {
        let Some(dtls) = &mut self.dtls else {
            return Ok(Received::Dropped(DropReason::Early));
        };
        self.ice.prefer(path);
        let answer_to = self.ice.nominated().unwrap_or(path);
        let result = dtls.handle_datagram(now, bytes, |b| send(Some(answer_to), b, out));
        let received = self.advance(result)?;
        if received == Received::Connected {
            self.last_heard = now;
        }
        Ok(received)
    }

    fn advance<'a>(
        &mut self,
        result: Result<Progress, DtlsError>,
    ) -> Result<Received<'a>, TransportError> {
        match result {
            Ok(Progress::Nothing) => Ok(Received::Nothing),
            Ok(Progress::Connected(sender, receiver)) => {
                self.keys = Some(Keys { sender, receiver });
                Ok(Received::Connected)
            }
            Ok(Progress::Closed) => {
                self.keys = None;
                self.dtls = None;
                self.closed = true;
                Ok(Received::Closed)
            }
            // The keys are agreed; the engine was kept only for close_notify.
            Err(_) if self.keys.is_some() => {
                self.dtls = None;
                Ok(Received::Nothing)
            }
            Err(error) => {
                self.dtls = None;
                self.closed = true;
                Err(error.into())
            }
        }
    }

    fn handle_media<'a>(&mut self, now: Instant, kind: Kind, bytes: &'a mut [u8]) -> Received<'a> {
        let Some(keys) = &mut self.keys else {
            return Received::Dropped(DropReason::Early);
        };
        let result = match kind {
            Kind::Rtcp => keys.receiver.unprotect_rtcp(bytes).map(Received::Rtcp),
            _ => keys.receiver.unprotect_rtp(bytes).map(Received::Rtp),
        };
        match result {
            Ok(received) => {
                self.last_heard = now;
                received
            }
            Err(error) => Received::Dropped(error.into()),
        }
    }
}

fn send(path: Option<Path>, bytes: &[u8], out: &mut Outbox) {
    if let Some(path) = path {
        out.push(path.local, path.remote, bytes);
    }
}
