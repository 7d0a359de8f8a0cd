//! A network that exists in memory, on a virtual clock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stentor_protocol::Codec;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind};
use str0m::net::{DatagramRecv, Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::fanout::sdp;
use crate::fanout::transport::{
    Certificate, IceCreds, Outbox, Received, Transport, TransportConfig, TransportError,
};

pub(super) const SSRC: u32 = 0x1234_5678;
const RTX_SSRC: u32 = 0x1234_5679;

/// A client, the path under test, and what carries datagrams between them.
pub(super) struct Network {
    pub(super) now: Instant,
    pub(super) client: Rtc,
    pub(super) client_address: SocketAddr,
    pub(super) server: Transport,
    pub(super) server_address: SocketAddr,
    pub(super) outbox: Outbox,
    pub(super) offer: sdp::Negotiated,
    /// What the client's stack reported.
    pub(super) events: Vec<Event>,
    /// RTCP of the client's, in the clear.
    pub(super) rtcp: Vec<Vec<u8>>,
    pub(super) connected: bool,
    pub(super) closed: bool,
    pub(super) client_timeout: Instant,
    /// Drops every n-th datagram in both directions, while set.
    pub(super) drop_every: Option<u32>,
    pub(super) datagrams: u32,
}

fn offer(now: Instant) -> (Rtc, String, SdpPendingOffer) {
    let mut client = Rtc::builder().set_rtp_mode(true).build(now);
    let address = "10.0.0.2:2000".parse().unwrap();
    client.add_local_candidate(Candidate::host(address, "udp").unwrap());
    let mut changes = client.sdp_api();
    changes.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
    changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    let (offer, pending) = changes.apply().unwrap();
    (client, offer.to_sdp_string(), pending)
}

impl Network {
    pub(super) fn new() -> Self {
        Self::with(|answer| answer, |offer| offer)
    }

    /// `edit_answer` and `edit_offer` stand in the signalling's way.
    pub(super) fn with(
        edit_answer: impl FnOnce(String) -> String,
        edit_offer: impl FnOnce(String) -> String,
    ) -> Self {
        let now = Instant::now();
        let (mut client, text, pending) = offer(now);
        let offer = sdp::negotiate(&edit_offer(text), &sdp::Capabilities::default()).unwrap();
        let certificate = Certificate::generate().unwrap();
        let local = IceCreds::generate().unwrap();
        let server_address = "10.0.0.1:5000".parse().unwrap();
        let params = sdp::AnswerParams {
            session_id: 1,
            local: &local,
            fingerprint: certificate.fingerprint(),
            candidates: &[server_address],
            tracks: &[sdp::TrackSource { media: 1, ssrc: SSRC, rtx_ssrc: Some(RTX_SSRC) }],
            cname: "cname",
            stream: "stream",
        };
        let answer = edit_answer(sdp::answer(&offer, &params));
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        client.sdp_api().accept_answer(pending, answer).unwrap();
        let config = TransportConfig {
            local,
            remote: offer.remote.clone(),
            remote_fingerprint: offer.remote_fingerprint.clone(),
            role: offer.role,
            certificate,
        };
        Self {
            now,
            client,
            client_address: "10.0.0.2:2000".parse().unwrap(),
            server: Transport::new(config, now).unwrap(),
            server_address,
            outbox: Outbox::default(),
            offer,
            events: Vec::new(),
            rtcp: Vec::new(),
            connected: false,
            closed: false,
            client_timeout: now,
            drop_every: None,
            datagrams: 0,
        }
    }

    /// Runs until `done` or for `limit` of virtual time.
    pub(super) fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<bool, TransportError> {
        let end = self.now + limit;
        while self.now < end {
            self.client_to_server()?;
            self.server_to_client()?;
            if done(self) {
                return Ok(true);
            }
            if self.outbox.is_empty() {
                self.pass_time(end)?;
            }
        }
        Ok(false)
    }

    pub(super) fn pass_time(&mut self, end: Instant) -> Result<(), TransportError> {
        let server = self.server.next_timeout().unwrap_or(end);
        let next = self.client_timeout.min(server).min(end);
        self.now = next.max(self.now + Duration::from_millis(1));
        self.client.handle_input(Input::Timeout(self.now)).unwrap();
        self.server.handle_timeout(self.now, &mut self.outbox)
    }

    pub(super) fn is_dropped(&mut self) -> bool {
        self.datagrams += 1;
        self.drop_every.is_some_and(|every| self.datagrams.is_multiple_of(every))
    }

    pub(super) fn client_to_server(&mut self) -> Result<(), TransportError> {
        loop {
            match self.client.poll_output().unwrap() {
                Output::Timeout(at) => {
                    self.client_timeout = at;
                    return Ok(());
                }
                Output::Event(event) => self.events.push(event),
                Output::Transmit(transmit) => {
                    let mut bytes = transmit.contents.to_vec();
                    if self.is_dropped() {
                        continue;
                    }
                    let (now, to) = (self.now, transmit.destination);
                    let from = self.client_address;
                    let outbox = &mut self.outbox;
                    match self.server.handle_datagram(now, from, to, &mut bytes, outbox)? {
                        Received::Connected => self.connected = true,
                        Received::Rtcp(packet) => self.rtcp.push(packet.to_vec()),
                        Received::Closed => self.closed = true,
                        _ => {}
                    }
                }
            }
        }
    }

    pub(super) fn server_to_client(&mut self) -> Result<(), TransportError> {
        let outbox = std::mem::take(&mut self.outbox);
        for datagram in outbox.iter() {
            assert_eq!(datagram.from, self.server_address);
            if datagram.to == self.client_address && !self.is_dropped() {
                self.deliver(datagram.bytes)?;
            }
        }
        Ok(())
    }

    pub(super) fn deliver(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        let receive = Receive {
            proto: Protocol::Udp,
            source: self.server_address,
            // A NAT in between: the client knows only its own address.
            destination: "10.0.0.2:2000".parse().unwrap(),
            contents: DatagramRecv::try_from(bytes).unwrap(),
        };
        self.client.handle_input(Input::Receive(self.now, receive)).unwrap();
        // The stack gives out what one datagram brought before it takes the next.
        self.client_to_server()
    }

    pub(super) fn connect(&mut self) {
        let limit = Duration::from_secs(10);
        let client_is = |n: &Self| n.events.iter().any(|e| matches!(e, Event::Connected));
        assert!(self.run_until(limit, |n| n.connected && client_is(n)).unwrap());
    }

    pub(super) fn header(&self, sequence: u16, is_rtx: bool) -> Vec<u8> {
        let (_, media, accepted) = self.offer.accepted(sdp::MediaKind::Video).next().unwrap();
        let format = accepted.format(Codec::H264).unwrap();
        let payload_type = if is_rtx { format.rtx.unwrap() } else { format.payload_type };
        let mid_id = accepted.extensions.mid.unwrap();
        let mut header = vec![0x90, payload_type];
        header.extend_from_slice(&sequence.to_be_bytes());
        header.extend_from_slice(&3000_u32.to_be_bytes());
        header.extend_from_slice(&if is_rtx { RTX_SSRC } else { SSRC }.to_be_bytes());
        let mut extension = vec![mid_id << 4 | (media.mid.len() as u8 - 1)];
        extension.extend_from_slice(media.mid.as_bytes());
        extension.resize(extension.len().next_multiple_of(4), 0);
        header.extend_from_slice(&[0xbe, 0xde, 0, (extension.len() / 4) as u8]);
        header.extend_from_slice(&extension);
        header
    }

    pub(super) fn send(&mut self, sequence: u16, payload: &[u8]) {
        let header = self.header(sequence, false);
        let mut packet = Vec::new();
        self.server.srtp().unwrap().protect_rtp(&header, payload, 0, &mut packet).unwrap();
        self.deliver(&packet).unwrap();
    }

    pub(super) fn received(&self) -> Vec<(u16, Vec<u8>)> {
        let packet = |e: &Event| match e {
            Event::RtpPacket(p) => Some((p.seq_no.as_u16(), p.payload.to_vec())),
            _ => None,
        };
        self.events.iter().filter_map(packet).collect()
    }
}

/// Sequence numbers in the generic NACKs of compound packets.
pub(super) fn nacked(compounds: &[Vec<u8>]) -> Vec<u16> {
    let mut numbers = Vec::new();
    for compound in compounds {
        let mut rest = &compound[..];
        while rest.len() >= 4 {
            let length = 4 * (1 + usize::from(u16::from_be_bytes([rest[2], rest[3]])));
            if rest[0] & 0x1f == 1 && rest[1] == 205 {
                assert_eq!(rest[8..12], SSRC.to_be_bytes());
                numbers.push(u16::from_be_bytes([rest[12], rest[13]]));
            }
            rest = &rest[length..];
        }
    }
    numbers
}
