//! One outgoing RTP stream of a viewer: bursts in, protected packets out.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::super::burst::{Burst, Packet};
use super::super::bwe::Estimator;
use super::super::join::StreamParams;
use super::super::rtcp::{SenderInfo, ntp_from_unix_us};
use super::super::rtp::{Extensions, Fixed, Header};
use super::super::switch::{Outgoing, Placement};
use super::super::timeline::Ticks;
use super::super::transport::SrtpSender;
use super::super::vp8::Counters;
use super::batch::Batch;

/// A stream's numbering and totals.
pub struct Stream {
    pub params: StreamParams,
    pub out: Outgoing,
    rate_hz: u32,
    packets: u32,
    payload_bytes: u32,
    /// Time and capture time of the last burst, for sender reports.
    clock: Option<(Ticks, u64)>,
    /// From the capture of the last burst to its sending.
    pub latency: Option<Duration>,
    /// When the capture time was last written into a packet.
    capture_time_at: Option<Instant>,
    /// The viewer has reported on this stream: it knows whose it is.
    known: bool,
}

/// Where packets go, and what is needed to make them.
pub struct Outlet<'a> {
    pub srtp: &'a mut SrtpSender,
    pub estimator: &'a mut Estimator,
    pub batch: &'a mut Batch,
    /// For payloads that have to be changed.
    pub scratch: &'a mut Vec<u8>,
    pub to: SocketAddr,
    pub now: Instant,
    /// Now, in microseconds since the Unix epoch.
    pub wall_us: u64,
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SentAmount {
    pub packets: u64,
    pub bytes: u64,
}

/// A packet that is sent again.
pub struct Again<'a> {
    pub burst: &'a Burst,
    /// Its place in the burst.
    pub place: usize,
    pub placement: Placement,
}

/// How a retransmission goes out: payload type, SSRC and sequence number with roll-overs.
#[derive(Debug, Clone, Copy)]
pub struct Rtx {
    pub payload_type: u8,
    pub ssrc: u32,
    pub sequence: u64,
}

/// How often the capture time is written (it is interpolated in between).
const CAPTURE_TIME_INTERVAL: Duration = Duration::from_secs(1);

// === impl Stream ===

impl Stream {
    pub fn new(params: StreamParams, rate_hz: u32, step: u64) -> Self {
        Self {
            params,
            out: Outgoing::new(params.first_sequence, params.time_offset, step),
            rate_hz,
            packets: 0,
            payload_bytes: 0,
            clock: None,
            latency: None,
            capture_time_at: None,
            known: false,
        }
    }

    /// The viewer has reported on the stream.
    pub fn set_known(&mut self) {
        self.known = true;
    }

    /// Writes packets `range` of a burst that was placed.
    pub fn send(
        &mut self,
        outlet: &mut Outlet<'_>,
        payload_type: u8,
        burst: &Burst,
        placement: &Placement,
        range: Range<usize>,
    ) -> SentAmount {
        self.clock = Some((burst.time, burst.capture_us));
        self.latency = outlet.wall_us.checked_sub(burst.capture_us).map(Duration::from_micros);
        let params = self.params;
        let extensions = extensions(&params, self.known, outlet.wall_us);
        let fixed = Fixed {
            payload_type,
            timestamp: placement.timestamp,
            ssrc: self.params.ssrc,
            extensions,
        };
        let mut header = Header::new(&fixed);
        let mut last_header = self.capture_header(&fixed, burst, outlet.now);
        let first = outlet.batch.buffer().len();
        let tag = outlet.srtp.profile().rtp_overhead();
        let overhead = header.as_bytes().len() + tag;
        let mut transport = match self.params.transport_id {
            Some(_) => {
                let sizes = burst.packets_in(range.clone()).map(|(_, p)| p.len() + overhead);
                outlet.estimator.handle_sent(outlet.now, sizes)
            }
            None => None,
        };
        let last = burst.len() - 1;
        let mut payload_bytes = 0;
        for (place, (packet, payload)) in range.clone().zip(burst.packets_in(range.clone())) {
            let header = match &mut last_header {
                Some(with_capture) if place == last => with_capture,
                _ => &mut header,
            };
            let sequence = placement.sequence + place as u64;
            header.patch(sequence as u16, packet.marker, transport);
            transport = transport.map(|number| number.wrapping_add(1));
            payload_bytes += payload.len();
            let payload = rewritten(outlet.scratch, &packet, payload, placement.counters, burst);
            let start = outlet.batch.buffer().len();
            let roc = (sequence >> 16) as u32;
            // Protection fails only for headers that aren't RTP.
            if outlet
                .srtp
                .protect_rtp(header.as_bytes(), payload, roc, outlet.batch.buffer())
                .is_ok()
            {
                outlet.batch.commit(outlet.to, start);
            }
        }
        self.packets = self.packets.wrapping_add(range.len() as u32);
        self.payload_bytes = self.payload_bytes.wrapping_add(payload_bytes as u32);
        let bytes = outlet.batch.buffer().len().saturating_sub(first) as u64;
        SentAmount { packets: range.len() as u64, bytes }
    }

    /// Writes a packet once more: as RTX (RFC 4588), or where that wasn't negotiated the very
    /// same packet.
    pub fn send_again(
        &mut self,
        outlet: &mut Outlet<'_>,
        payload_type: u8,
        again: &Again<'_>,
        rtx: Option<Rtx>,
    ) -> SentAmount {
        let Some((packet, payload)) = again.burst.packet(again.place) else {
            return SentAmount::default();
        };
        let placement = &again.placement;
        // Firefox drops what comes under an SSRC that it has not learned from a MID, also where the
        // description names it, and reports on no RTX stream. So each of its packets tells.
        let extensions = extensions(&self.params, false, outlet.wall_us);
        let mut header = Header::new(&Fixed {
            payload_type: rtx.map_or(payload_type, |rtx| rtx.payload_type),
            timestamp: placement.timestamp,
            ssrc: rtx.map_or(self.params.ssrc, |rtx| rtx.ssrc),
            extensions,
        });
        let sequence = rtx.map_or(placement.sequence, |rtx| rtx.sequence);
        let extra = header.as_bytes().len() + 2 + outlet.srtp.profile().rtp_overhead();
        let transport = match self.params.transport_id {
            Some(_) => {
                outlet.estimator.handle_sent(outlet.now, std::iter::once(payload.len() + extra))
            }
            None => None,
        };
        header.patch(sequence as u16, packet.marker, transport);
        let payload = rewritten(outlet.scratch, &packet, payload, placement.counters, again.burst);
        let roc = (sequence >> 16) as u32;
        let start = outlet.batch.buffer().len();
        let buffer = outlet.batch.buffer();
        let protected = match rtx {
            Some(_) => {
                let original = placement.sequence as u16;
                outlet.srtp.protect_rtx(header.as_bytes(), original, payload, roc, buffer)
            }
            None => outlet.srtp.protect_rtp(header.as_bytes(), payload, roc, buffer),
        };
        if protected.is_err() {
            return SentAmount::default();
        }
        let bytes = (outlet.batch.buffer().len() - start) as u64;
        outlet.batch.commit(outlet.to, start);
        SentAmount { packets: 1, bytes }
    }

    /// What a sender report says at `wall_us`. None before the first packet.
    pub fn sender_info(&self, wall_us: u64) -> Option<SenderInfo> {
        let (time, capture_us) = self.clock?;
        let since = i128::from(wall_us) - i128::from(capture_us);
        let ticks = since * i128::from(self.rate_hz) / 1_000_000;
        let now = Ticks(time.0.saturating_add_signed(ticks as i64));
        Some(SenderInfo {
            ssrc: self.params.ssrc,
            ntp: ntp_from_unix_us(wall_us),
            rtp: self.out.timestamp(now),
            packets: self.packets,
            payload_bytes: self.payload_bytes,
        })
    }

    /// The header of the burst's last packet, where it is time to tell when it was captured. The
    /// last one, because a longer one in the middle would cut the GSO message in two.
    fn capture_header(&mut self, fixed: &Fixed<'_>, burst: &Burst, now: Instant) -> Option<Header> {
        let id = self.params.capture_time_id?;
        let is_due = self.capture_time_at.is_none_or(|at| now - at >= CAPTURE_TIME_INTERVAL);
        if !is_due {
            return None;
        }
        self.capture_time_at = Some(now);
        let capture_time = Some((id, ntp_from_unix_us(burst.capture_us)));
        let extensions = Extensions { capture_time, ..fixed.extensions };
        Some(Header::new(&Fixed { extensions, ..*fixed }))
    }
}

/// Those of every packet.
fn extensions(params: &StreamParams, known: bool, wall_us: u64) -> Extensions<'_> {
    let mid = params.mid_id.filter(|_| !known).map(|id| (id, params.mid()));
    let send_time = params.send_time_id.map(|id| (id, send_time(wall_us)));
    Extensions { mid, transport: params.transport_id, send_time, capture_time: None }
}

/// The payload with the VP8 counters that the viewer expects.
fn rewritten<'a>(
    scratch: &'a mut Vec<u8>,
    packet: &Packet,
    payload: &'a [u8],
    offset: Counters,
    burst: &Burst,
) -> &'a [u8] {
    let Some(counters) = burst.vp8 else { return payload };
    if offset == Counters::default() || !packet.vp8.has_counters() {
        return payload;
    }
    scratch.clear();
    scratch.extend_from_slice(payload);
    packet.vp8.write(scratch, counters.plus(offset));
    scratch
}

/// Seconds as 6.18 fixed point.
fn send_time(wall_us: u64) -> u32 {
    let seconds = (u128::from(wall_us) << 18) / 1_000_000;
    seconds as u32 & 0x00ff_ffff
}

// === impl SentAmount ===

impl std::ops::AddAssign for SentAmount {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}
