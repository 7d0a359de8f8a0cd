//! The DTLS handshake, whose only products are SRTP keys and a verified peer.

use std::time::{Duration, Instant};

use super::certificate::{Certificate, Fingerprint};
use super::libssl::{Connection, LibsslError, Standing};
use super::srtp::{self, SrtpError, SrtpProfile, SrtpReceiver, SrtpSender};

/// Of handshake datagrams, in bytes.
const MTU: usize = 1200;
/// RFC 6347's default of 1 s would show as a second of black after one lost packet.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(200);

/// Why a handshake ended without keys.
#[derive(Debug, thiserror::Error)]
pub enum DtlsError {
    #[error("the handshake failed: {0}")]
    Engine(#[from] LibsslError),
    #[error("the peer's certificate is not the one its description names")]
    Fingerprint,
    #[error("the peer agreed to no SRTP profile")]
    NoSrtp,
    #[error("the exported keys could not be used: {0}")]
    Keys(#[from] SrtpError),
}

/// What a turn of the engine came to.
pub(super) enum Progress {
    Nothing,
    Connected(Box<SrtpSender>, Box<SrtpReceiver>),
    /// The peer sent close_notify.
    Closed,
}

pub(super) struct Dtls {
    connection: Connection,
    we_are_client: bool,
    expected: Fingerprint,
    /// The keys were handed out.
    connected: bool,
    timeout: Option<Instant>,
}

// === impl Dtls ===

impl Dtls {
    pub fn new(
        certificate: &Certificate,
        expected: Fingerprint,
        we_are_client: bool,
        now: Instant,
    ) -> Result<Self, DtlsError> {
        let context = certificate.context();
        let connection = Connection::new(context, we_are_client, MTU, FIRST_RETRANSMISSION)?;
        // A client has its first message to send: at once.
        let timeout = we_are_client.then_some(now);
        Ok(Self { connection, we_are_client, expected, connected: false, timeout })
    }

    pub fn handle_datagram(
        &mut self,
        now: Instant,
        bytes: &[u8],
        send: impl FnMut(&[u8]),
    ) -> Result<Progress, DtlsError> {
        let standing = self.connection.handle_datagram(now, bytes);
        self.conclude(now, standing, send)
    }

    pub fn handle_timeout(
        &mut self,
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Result<Progress, DtlsError> {
        let standing =
            self.connection.handle_timeout(now).and_then(|()| self.connection.advance(now));
        self.conclude(now, standing, send)
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Sends close_notify.
    pub fn close(&mut self, send: impl FnMut(&[u8])) {
        self.connection.close();
        self.connection.take_output(MTU, send);
    }

    fn conclude(
        &mut self,
        now: Instant,
        standing: Result<Standing, LibsslError>,
        send: impl FnMut(&[u8]),
    ) -> Result<Progress, DtlsError> {
        // Also after a failure: the peer is told by an alert.
        self.connection.take_output(MTU, send);
        self.timeout = self.connection.timeout(now);
        match standing? {
            Standing::Handshaking => Ok(Progress::Nothing),
            Standing::Closed => Ok(Progress::Closed),
            Standing::Open if self.connected => Ok(Progress::Nothing),
            Standing::Open => {
                self.connected = true;
                self.keys()
            }
        }
    }

    fn keys(&self) -> Result<Progress, DtlsError> {
        let algorithm = self.expected.algorithm;
        let shown = self.connection.peer_certificate().map(|der| Fingerprint::of(algorithm, der));
        if shown.as_ref() != Some(&self.expected) {
            return Err(DtlsError::Fingerprint);
        }
        let profile = self.connection.srtp_profile().and_then(SrtpProfile::from_number);
        let profile = profile.ok_or(DtlsError::NoSrtp)?;
        let material = self.connection.export(profile.exported_bytes())?;
        let (sender, receiver) = srtp::contexts(profile, &material, self.we_are_client)?;
        Ok(Progress::Connected(Box::new(sender), Box::new(receiver)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::transport::HashAlgorithm;

    /// As GStreamer's webrtcbin makes one for each of its sessions.
    fn rsa() -> Certificate {
        let certificate = include_bytes!("libssl/fixtures/rsa-certificate.der");
        let key = include_bytes!("libssl/fixtures/rsa-key.der");
        Certificate::new(certificate.to_vec(), key.to_vec()).unwrap()
    }

    struct Pair {
        client: Dtls,
        server: Dtls,
        now: Instant,
        /// Datagrams that were sent by now.
        sent: usize,
        keys: [bool; 2],
    }

    impl Pair {
        fn new(client: &Certificate, server: &Certificate) -> Self {
            let now = Instant::now();
            let (to_client, to_server) = (client.fingerprint(), server.fingerprint());
            Self {
                client: Dtls::new(client, to_server.clone(), true, now).unwrap(),
                server: Dtls::new(server, to_client.clone(), false, now).unwrap(),
                now,
                sent: 0,
                keys: [false; 2],
            }
        }

        /// Runs the handshake; `loses` tells which datagrams don't arrive.
        fn shake(&mut self, loses: impl Fn(usize) -> bool) -> Result<(), DtlsError> {
            let mut waiting: [Vec<Vec<u8>>; 2] = Default::default();
            for _ in 0..200 {
                for side in 0..2 {
                    let mut out = Vec::new();
                    let mut collect = |bytes: &[u8]| out.push(bytes.to_vec());
                    let engine = if side == 0 { &mut self.client } else { &mut self.server };
                    for datagram in std::mem::take(&mut waiting[side]) {
                        let progress = engine.handle_datagram(self.now, &datagram, &mut collect)?;
                        self.keys[side] |= matches!(progress, Progress::Connected(..));
                    }
                    if engine.timeout().is_some_and(|at| at <= self.now) {
                        let progress = engine.handle_timeout(self.now, &mut collect)?;
                        self.keys[side] |= matches!(progress, Progress::Connected(..));
                    }
                    for datagram in out {
                        assert!(datagram.len() <= MTU);
                        self.sent += 1;
                        if !loses(self.sent) {
                            waiting[1 - side].push(datagram);
                        }
                    }
                }
                self.now += Duration::from_millis(10);
                if self.keys == [true; 2] {
                    return Ok(());
                }
            }
            Ok(())
        }
    }

    #[test]
    fn peers_with_ecdsa_and_with_rsa_certificates_get_keys_in_both_roles() {
        let ours = Certificate::generate().unwrap();
        for theirs in [Certificate::generate().unwrap(), rsa()] {
            for (client, server) in [(&theirs, &ours), (&ours, &theirs)] {
                let mut pair = Pair::new(client, server);
                pair.shake(|_| false).unwrap();
                assert_eq!(pair.keys, [true; 2]);
            }
        }
    }

    #[test]
    fn any_datagram_of_a_handshake_may_be_lost() {
        let (ours, theirs) = (Certificate::generate().unwrap(), rsa());
        for lost in 1..=5 {
            let mut pair = Pair::new(&theirs, &ours);
            let begin = pair.now;
            pair.shake(|number| number == lost).unwrap();
            assert_eq!(pair.keys, [true; 2], "{lost}");
            assert!(pair.now - begin < Duration::from_millis(500), "{lost}");
        }
    }

    #[test]
    fn a_certificate_that_the_description_does_not_name_gets_no_keys() {
        let (ours, theirs) = (Certificate::generate().unwrap(), rsa());
        let mut pair = Pair::new(&theirs, &ours);
        pair.server.expected = Fingerprint::of(HashAlgorithm::Sha256, b"another");
        assert!(matches!(pair.shake(|_| false), Err(DtlsError::Fingerprint)));
        assert!(!pair.keys[1]);
    }
}
