//! The program: what a channel shows at each moment, on one clock.
//!
//! It stands between the contribution and everything that makes renditions. One source passes
//! straight through; when there is none, a slate stands in, or nothing. Several sources will be
//! chosen and combined here: what the program asks of one is the narrow [`Input`].
//!
//! The program is one thread that owns its state and takes [`Message`]s; nothing it does waits.

pub mod time;

mod audio;
mod clock;
mod gop;
mod keyframes;
mod pass_through;
mod rungs;
mod selector;
mod slate;
mod source;
mod standby;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stentor_protocol::control::{AudioFormat, Event, VideoFormat};
use stentor_protocol::{BitsPerSecond, ChannelSpec, RecordingSpec, RungSpec, SourceState, TrackId};

use crate::contribution::AccessUnit;
use crate::output::Outlet;
use crate::packetise::NoFormat;
use crate::queue::{Popped, Queue};
use crate::recording::Recordings;
use crate::thumbnails::Thumbnails;
use crate::transcode::{Machine, StageEnd, Transcode};

use audio::AudioTrack;
use clock::ProgramClock;
use gop::GopCache;
use keyframes::Coalescer;
use pass_through::PassThrough;
use selector::{Selector, Showing};
use standby::Standby;
use time::ProgramTime;

/// How often the program looks at the time when nothing comes.
const TICK: Duration = Duration::from_millis(50);
/// The same while a rung catches up with its cached pictures.
const CATCH_UP_TICK: Duration = Duration::from_millis(2);
/// The same while the slate is shown: a packet of silence.
const SLATE_TICK: Duration = Duration::from_millis(audio::SILENCE_MS);
const STATS_EVERY_MS: u64 = 1_000;
const WALL_CLOCK_EVERY_MS: u64 = 10_000;

/// What the program asks of a source.
pub trait Input: Send {
    fn request_keyframe(&self);
}

/// What the program takes.
#[derive(Debug)]
pub enum Message {
    State {
        state: SourceState,
        detail: String,
    },
    VideoFormat(VideoFormat),
    AudioFormat(AudioFormat),
    Video(AccessUnit),
    Audio(AccessUnit),
    StartRung(RungSpec),
    StopRung(TrackId),
    SetBitrate(TrackId, BitsPerSecond),
    Keyframe(TrackId),
    /// The decoder can't go on without one.
    WantSourceKeyframe,
    StageEnded(StageEnd),
    StartRecording(RecordingSpec),
    StopRecording(String),
}

/// A picture of the source at its place in the program.
#[derive(Debug, Clone)]
pub struct Placed {
    pub unit: AccessUnit,
    pub time: ProgramTime,
}

pub struct Program<I> {
    input: I,
    outlet: Arc<Outlet>,
    clock: ProgramClock,
    selector: Selector,
    /// What was shown when the rungs were last told.
    told: Showing,
    source_keyframes: Coalescer,
    gop: GopCache<Placed>,
    video: Option<VideoFormat>,
    audio_format: Option<AudioFormat>,
    audio: AudioTrack,
    pass_through: BTreeMap<TrackId, PassThrough>,
    transcode: Transcode,
    standby: Standby,
    recordings: Recordings,
    thumbnails: Arc<Thumbnails>,
    /// When the keyframe came that the last thumbnail was made of.
    pictured: ProgramTime,
    next_stats: ProgramTime,
    next_wall_clock: ProgramTime,
}

#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("can't start a thread: {0}")]
    Thread(#[from] io::Error),
    #[error(transparent)]
    Format(#[from] NoFormat),
}

// === impl Message ===

impl Message {
    /// Whether the message may be dropped for want of room.
    pub fn is_media(&self) -> bool {
        matches!(self, Self::Video(_) | Self::Audio(_))
    }
}

// === impl Program ===

impl<I: Input> Program<I> {
    /// `messages` is what [`run`](Self::run) will be given.
    pub fn new(
        spec: &ChannelSpec,
        input: I,
        outlet: Arc<Outlet>,
        messages: &Arc<Queue<Message>>,
    ) -> Result<Self, ProgramError> {
        let now = ProgramTime::now();
        let events = || outlet.events.clone();
        let thumbnails = Thumbnails::start(spec.thumbnail_interval_ms, events())?;
        let machine = Machine::new(spec.probe.clone(), spec.hardware.clone(), events());
        let transcode = Transcode::new(
            machine,
            Arc::clone(&outlet),
            Arc::clone(messages),
            Arc::clone(&thumbnails),
        );
        Ok(Self {
            input,
            clock: ProgramClock::default(),
            selector: Selector::new(spec.slate, now),
            told: Showing::Nothing,
            source_keyframes: Coalescer::default(),
            gop: GopCache::default(),
            video: None,
            audio_format: None,
            audio: AudioTrack::new(&outlet)?,
            pass_through: BTreeMap::new(),
            transcode,
            standby: Standby::new(&spec.channel, now),
            recordings: Recordings::new(Arc::clone(&outlet), Arc::clone(messages)),
            thumbnails,
            pictured: ProgramTime::default(),
            next_stats: now.plus_ms(STATS_EVERY_MS),
            next_wall_clock: now.plus_ms(WALL_CLOCK_EVERY_MS),
            outlet,
        })
    }

    /// Runs until the queue is closed.
    pub fn run(mut self, messages: &Queue<Message>) {
        loop {
            let behind = self.pass_through.values().any(PassThrough::is_behind);
            let tick = match self.told {
                _ if behind => CATCH_UP_TICK,
                Showing::Slate => SLATE_TICK,
                _ => TICK,
            };
            match messages.pop_until(Instant::now() + tick) {
                Popped::Item(message) => self.handle(message, ProgramTime::now()),
                Popped::TimedOut => {}
                Popped::Closed => break,
            }
            self.handle_time(ProgramTime::now());
        }
        self.thumbnails.close();
        self.recordings.close();
    }

    fn handle(&mut self, message: Message, now: ProgramTime) {
        match message {
            Message::State { state, detail } => self.handle_state(state, detail),
            Message::VideoFormat(format) => self.handle_video_format(format),
            Message::AudioFormat(format) => self.handle_audio_format(format),
            Message::Video(unit) => self.handle_video(unit, now),
            Message::Audio(unit) => self.handle_audio(&unit),
            Message::StartRung(spec) => self.start_rung(&spec, now),
            Message::StopRung(track) => self.stop_rung(track),
            Message::SetBitrate(track, bitrate) => self.transcode.set_bitrate(track, bitrate),
            Message::Keyframe(track) => self.handle_keyframe_request(track),
            Message::WantSourceKeyframe => self.source_keyframes.want(),
            Message::StageEnded(end) => self.transcode.handle_stage_end(end, now),
            Message::StartRecording(spec) => self.recordings.start(spec),
            Message::StopRecording(recording) => self.recordings.stop(recording),
        }
    }

    fn handle_time(&mut self, now: ProgramTime) {
        self.selector.handle_time(now);
        self.follow_selector(now);
        self.stand_by(now);
        self.transcode.handle_time(now);
        for rung in self.pass_through.values_mut() {
            if rung.is_behind() && rung.catch_up() {
                self.source_keyframes.want();
            }
        }
        if self.selector.state() == SourceState::Live && self.source_keyframes.poll(now) {
            self.input.request_keyframe();
        }
        if now >= self.next_stats {
            self.next_stats = now.plus_ms(STATS_EVERY_MS);
            self.tell_stats();
        }
        if now >= self.next_wall_clock {
            self.next_wall_clock = now.plus_ms(WALL_CLOCK_EVERY_MS);
            self.outlet.wall.refresh();
        }
    }

    fn tell_stats(&self) {
        let passed = self.pass_through.values().map(|rung| rung.output().stats());
        let rungs = passed.chain(self.transcode.stats()).collect();
        let report = self.outlet.meters.report(self.outlet.socket.totals(), rungs);
        self.outlet.events.send(Event::Stats(report));
    }
}
