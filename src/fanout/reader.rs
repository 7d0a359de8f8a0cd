//! Reads a worker's media socket: packets become access units, access units go into the
//! rendition's history and to the shards that have viewers of it.
//!
//! One thread per worker. It ends with the socket, or when the socket is shut down.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use stentor_protocol::media::{MediaFlags, MediaHeader, MediaReader};
use stentor_protocol::{Codec, TrackId};

use super::burst::BurstBuilder;
use super::channel::{Channel, Track, Unnumbered};
use super::inbox::Inbox;
use super::rtp::Incoming;
use super::timeline::{Timeline, TrackClock};

/// Turns messages into bursts.
pub struct Reader {
    channel: Arc<Channel>,
    shards: Arc<[Arc<Inbox>]>,
    tracks: BTreeMap<u16, Ingest>,
    /// Version of the renditions that `tracks` was filled from.
    version: u32,
    counters: Arc<ReaderCounters>,
    /// Counted here and handed on with each read.
    packets: u64,
    bytes: u64,
}

/// What readers count, in sum.
#[derive(Default)]
pub struct ReaderCounters {
    pub packets: AtomicU64,
    pub bytes: AtomicU64,
    pub gaps: AtomicU64,
    /// Packets of tracks that no rendition names.
    pub unknown_track: AtomicU64,
    /// Messages that are not of the protocol.
    pub malformed: AtomicU64,
}

/// What is known of a track between its packets.
struct Ingest {
    /// None: nobody listed it.
    track: Option<Arc<Track>>,
    clock: TrackClock,
    builder: BurstBuilder,
    frame: Option<Frame>,
    last_sequence: Option<u16>,
    /// Packets were lost since the last whole burst.
    gap: bool,
    /// Timestamp of an access unit that lost packets: the rest of it is of no use.
    damaged: Option<u32>,
}

/// The access unit that is being collected.
#[derive(Clone, Copy)]
struct Frame {
    timestamp: u32,
    capture_us: u64,
    keyframe: bool,
}

const VIDEO_HZ: u32 = 90_000;
const AUDIO_HZ: u32 = 48_000;
/// Errors in a row after which a socket is given up.
const MAX_ERRORS: u32 = 16;

// === impl Reader ===

impl Reader {
    pub fn new(
        channel: Arc<Channel>,
        shards: Arc<[Arc<Inbox>]>,
        counters: Arc<ReaderCounters>,
    ) -> Self {
        Self {
            channel,
            shards,
            tracks: BTreeMap::new(),
            version: 0,
            counters,
            packets: 0,
            bytes: 0,
        }
    }

    /// Reads until the socket ends.
    pub fn run(&mut self, socket: &OwnedFd) {
        self.begin();
        let mut reader = MediaReader::default();
        let mut errors = 0;
        loop {
            match reader.receive(socket.as_fd(), |message| self.handle_message(message)) {
                Ok(0) => break,
                Ok(_) => errors = 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A first ECONNRESET may precede the end of the stream.
                Err(error) => {
                    errors += 1;
                    if errors > MAX_ERRORS {
                        tracing::warn!(channel = %self.channel.name, %error, "media socket failed");
                        break;
                    }
                }
            }
            self.hand_on_counters();
        }
        self.hand_on_counters();
    }

    /// A worker begins: its clocks have nothing to do with the last one's.
    fn begin(&self) {
        for clock in [&self.channel.video_clock, &self.channel.audio_clock] {
            let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(line) = clock.as_mut() {
                line.handle_restart();
            }
        }
        self.channel.audio.handle_restart();
        for offered in self.channel.renditions().iter() {
            offered.track.handle_restart();
        }
    }

    /// Takes one message of the media socket.
    pub fn handle_message(&mut self, message: &[u8]) {
        let Ok((header, packet)) = MediaHeader::parse(message) else {
            self.counters.malformed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Some(rtp) = Incoming::parse(packet) else {
            self.counters.malformed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.packets += 1;
        self.bytes += packet.len() as u64;
        let version = self.channel.version();
        if version != self.version {
            self.version = version;
            for (id, ingest) in &mut self.tracks {
                ingest.track = self.channel.track(TrackId(*id));
            }
        }
        let (channel, shards, counters) = (&self.channel, &self.shards, &self.counters);
        let ingest =
            self.tracks.entry(header.track).or_insert_with(|| Ingest::new(channel, header.track));
        let Some(track) = ingest.track.clone() else {
            counters.unknown_track.fetch_add(1, Ordering::Relaxed);
            return;
        };
        ingest.handle_packet(&header, &rtp, &track, &mut |ingest, frame| {
            publish(channel, shards, counters, ingest, frame, &track);
        });
    }

    fn hand_on_counters(&mut self) {
        self.counters.packets.fetch_add(std::mem::take(&mut self.packets), Ordering::Relaxed);
        self.counters.bytes.fetch_add(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

/// Numbers the collected access unit and tells the shards.
fn publish(
    channel: &Channel,
    shards: &[Arc<Inbox>],
    counters: &ReaderCounters,
    ingest: &mut Ingest,
    frame: Frame,
    track: &Arc<Track>,
) {
    let (clock, rate) = if track.is_audio() {
        (&channel.audio_clock, AUDIO_HZ)
    } else {
        (&channel.video_clock, VIDEO_HZ)
    };
    let time = {
        let mut line = clock.lock().unwrap_or_else(PoisonError::into_inner);
        line.get_or_insert_with(|| Timeline::new(rate, frame.capture_us)).place(
            &mut ingest.clock,
            frame.timestamp,
            frame.capture_us,
        )
    };
    let gap = std::mem::take(&mut ingest.gap);
    if gap {
        counters.gaps.fetch_add(1, Ordering::Relaxed);
    }
    let unnumbered = Unnumbered {
        time,
        capture_us: frame.capture_us,
        keyframe: frame.keyframe,
        gap,
        arrived: Instant::now(),
    };
    let burst = track.publish(&mut ingest.builder, &unnumbered);
    let mut interest = track.interest();
    while interest != 0 {
        let shard = interest.trailing_zeros() as usize;
        interest &= interest - 1;
        if let Some(inbox) = shards.get(shard) {
            inbox.push_burst(track.key, burst.clone());
        }
    }
}

// === impl Ingest ===

impl Ingest {
    fn new(channel: &Channel, id: u16) -> Self {
        Self {
            track: channel.track(TrackId(id)),
            clock: TrackClock::default(),
            builder: BurstBuilder::default(),
            frame: None,
            last_sequence: None,
            gap: false,
            damaged: None,
        }
    }

    fn handle_packet(
        &mut self,
        header: &MediaHeader,
        rtp: &Incoming<'_>,
        track: &Arc<Track>,
        publish: &mut dyn FnMut(&mut Self, Frame),
    ) {
        let follows = self.last_sequence.is_none_or(|last| last.wrapping_add(1) == rtp.sequence);
        self.last_sequence = Some(rtp.sequence);
        let marked = header.flags.contains(MediaFlags::GAP);
        if !follows || marked {
            // What was collected has lost its end.
            self.give_up_frame();
            // A gap that is marked ends with a whole access unit, and so does one in front of a
            // keyframe's first packet: a rung that starts again counts anew.
            let whole = marked || header.flags.contains(MediaFlags::KEYFRAME_START);
            self.damaged = (!whole && !track.is_audio()).then_some(rtp.timestamp);
        }
        if self.damaged == Some(rtp.timestamp) {
            return;
        }
        self.damaged = None;
        if let Some(frame) = self.frame
            && frame.timestamp != rtp.timestamp
        {
            self.frame = None;
            publish(self, frame);
        }
        let frame = self.frame.get_or_insert(Frame {
            timestamp: rtp.timestamp,
            capture_us: header.capture_unix_us,
            keyframe: false,
        });
        frame.keyframe |= header.flags.contains(MediaFlags::KEYFRAME_START);
        let frame = *frame;
        if !self.builder.push(rtp.payload, rtp.marker, track.codec == Codec::Vp8) {
            self.give_up_frame();
            self.damaged = Some(rtp.timestamp);
        } else if header.flags.contains(MediaFlags::FRAME_END) || track.is_audio() {
            self.frame = None;
            publish(self, frame);
        }
    }

    fn give_up_frame(&mut self) {
        self.gap = true;
        self.frame = None;
        self.builder.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use stentor_protocol::{BitsPerSecond, Resolution};

    use super::super::Rendition;
    use super::super::channel::ChannelKey;
    use super::*;

    fn reader() -> Reader {
        let channel = Channel::new(ChannelKey(1), "test", Arc::new(AtomicU32::new(0)));
        channel.set_renditions(vec![Rendition {
            track: TrackId(1),
            name: "source".into(),
            codec: Codec::H264,
            resolution: Resolution::new(1280, 720),
            bitrate: BitsPerSecond(1_500_000),
            pass_through: true,
        }]);
        Reader::new(Arc::new(channel), Arc::new([]), Arc::default())
    }

    fn message(track: u16, flags: MediaFlags, sequence: u16, timestamp: u32) -> Vec<u8> {
        let header = MediaHeader { track, flags, capture_unix_us: 1_700_000_000_000_000 };
        let mut message = header.to_bytes().to_vec();
        message.extend_from_slice(&[0x80, 96]);
        message.extend_from_slice(&sequence.to_be_bytes());
        message.extend_from_slice(&timestamp.to_be_bytes());
        message.extend_from_slice(b"ssrcpayload");
        message
    }

    const NONE: MediaFlags = MediaFlags(0);

    #[test]
    fn packets_become_access_units() {
        let mut reader = reader();
        reader.handle_message(&message(1, MediaFlags::KEYFRAME_START, 1, 0));
        reader.handle_message(&message(1, NONE, 2, 0));
        let track = reader.channel.track(TrackId(1)).unwrap();
        assert!(track.last().is_none());
        reader.handle_message(&message(1, MediaFlags::FRAME_END, 3, 0));
        let first = track.last().unwrap();
        assert_eq!((first.index, first.len(), first.keyframe), (0, 3, true));
        // Without its end marked, the next one's start ends it.
        reader.handle_message(&message(1, NONE, 4, 3000));
        reader.handle_message(&message(1, NONE, 5, 6000));
        let second = track.last().unwrap();
        assert_eq!((second.index, second.position, second.len()), (1, 3, 1));
        assert_eq!(second.time.since(first.time), 3000);
    }

    #[test]
    fn an_access_unit_that_lost_a_packet_is_not_passed_on() {
        let mut reader = reader();
        reader.handle_message(&message(1, MediaFlags::KEYFRAME_START, 1, 0));
        reader.handle_message(&message(1, MediaFlags::FRAME_END, 3, 0));
        let track = reader.channel.track(TrackId(1)).unwrap();
        assert!(track.last().is_none());
        let marked = MediaFlags::KEYFRAME_START.with(MediaFlags::FRAME_END).with(MediaFlags::GAP);
        reader.handle_message(&message(1, marked, 4, 3000));
        let burst = track.last().unwrap();
        assert!(burst.gap && burst.keyframe);
        assert_eq!(reader.counters.gaps.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_rung_that_starts_again_loses_nothing_of_its_first_picture() {
        let mut reader = reader();
        let whole = MediaFlags::KEYFRAME_START.with(MediaFlags::FRAME_END);
        reader.handle_message(&message(1, whole, 700, 0));
        reader.handle_message(&message(1, MediaFlags::KEYFRAME_START, 0, 90_000));
        reader.handle_message(&message(1, MediaFlags::FRAME_END, 1, 90_000));
        let burst = reader.channel.track(TrackId(1)).unwrap().last().unwrap();
        assert_eq!((burst.index, burst.len(), burst.keyframe, burst.gap), (1, 2, true, true));
    }

    #[test]
    fn foreign_messages_are_counted_and_nothing_else() {
        let mut reader = reader();
        reader.handle_message(b"garbage that is long enough to be a message");
        reader.handle_message(&message(9, NONE, 1, 0));
        let mut short = message(1, NONE, 1, 0);
        short.truncate(20);
        reader.handle_message(&short);
        assert_eq!(reader.counters.malformed.load(Ordering::Relaxed), 2);
        assert_eq!(reader.counters.unknown_track.load(Ordering::Relaxed), 1);
    }
}
