//! A program on its thread, with the test as its source and as its daemon.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use stentor_pipelines::control::Events;
use stentor_pipelines::media::MediaSocket;
use stentor_pipelines::output::Outlet;
use stentor_pipelines::program::time::{ProgramTime, WallClock};
use stentor_pipelines::program::{Input, Message, Program};
use stentor_pipelines::queue::Queue;
use stentor_pipelines::stats::Meters;
use stentor_protocol::control::{AudioFormat, Event, FrameReader, VideoFormat};
use stentor_protocol::{
    BitsPerSecond, ChannelSpec, Codec, FrameRate, Resolution, RungKind, RungSpec, SourceSpec,
    SourceState, TrackId,
};

use super::camera::{Camera, FRAME_NS};
use crate::packets::{Collector, wait_for};

pub struct Stage {
    messages: Arc<Queue<Message>>,
    thread: Option<JoinHandle<()>>,
    events: Arc<Mutex<Vec<Event>>>,
    pub media: Collector,
    /// How often the source was asked for a keyframe.
    asked: Arc<AtomicU64>,
    obeyed: u64,
}

struct Asked(Arc<AtomicU64>);

impl Input for Asked {
    fn request_keyframe(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

// === impl Stage ===

impl Stage {
    pub fn new() -> Self {
        let (control, theirs) = UnixStream::pair().unwrap();
        let (media, their_media) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let outlet = Arc::new(Outlet {
            events: Events::start(theirs).unwrap(),
            socket: Arc::new(MediaSocket::new(their_media)),
            wall: WallClock::default(),
            meters: Meters::default(),
        });
        let spec = ChannelSpec {
            channel: "Stage".into(),
            source: SourceSpec::Whip { second_publisher: Default::default() },
            hardware: Default::default(),
            probe: Default::default(),
            whip: Default::default(),
            loss_timeout_ms: 700,
            thumbnail_interval_ms: 0,
            slate: true,
        };
        let messages = Arc::new(Queue::new(256));
        let asked = Arc::new(AtomicU64::new(0));
        let program = Program::new(&spec, Asked(Arc::clone(&asked)), outlet, &messages).unwrap();
        let queue = Arc::clone(&messages);
        let thread = thread::spawn(move || program.run(&queue));
        let events = Arc::default();
        keep_events(control, Arc::clone(&events));
        let media = Collector::start(media);
        Self { messages, thread: Some(thread), events, media, asked, obeyed: 0 }
    }

    pub fn tell(&self, message: Message) {
        assert!(self.messages.push(message).is_none(), "the program is too slow");
    }

    pub fn state(&self, state: SourceState) {
        self.tell(Message::State { state, detail: String::new() });
    }

    pub fn live(&self, format: VideoFormat) {
        self.state(SourceState::Live);
        self.tell(Message::VideoFormat(format));
        self.tell(Message::AudioFormat(AudioFormat {
            codec: Codec::Opus,
            sample_rate_hz: 48_000,
            channels: 2,
        }));
    }

    pub fn pass_through(&self, track: u16, codec: Codec) {
        self.start(track, codec, RungKind::PassThrough);
    }

    pub fn encode(&self, track: u16, codec: Codec, resolution: Resolution) {
        let bitrate = BitsPerSecond::from_kilo(300);
        self.start(track, codec, RungKind::Encode { resolution, frame_rate: None, bitrate });
    }

    fn start(&self, track: u16, codec: Codec, kind: RungKind) {
        let name = format!("rung {track}");
        self.tell(Message::StartRung(RungSpec { track: TrackId(track), name, codec, kind }));
    }

    /// Plays so many pictures in real time, as a camera does that is asked for keyframes, and
    /// sound with them. `time` makes a source's time of now.
    pub fn play(&mut self, camera: &mut Camera, pictures: u32, time: impl Fn(u64) -> u64) {
        let start = Instant::now();
        for picture in 0..pictures {
            if self.asked() > self.obeyed {
                self.obeyed = self.asked();
                camera.ask_for_keyframe();
            }
            let due = start + Duration::from_nanos(FRAME_NS) * picture;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let now = ProgramTime::now().0;
            self.tell(Message::Video(camera.shoot(time(now))));
            let packet = vec![0xfc, 0x12, 0x34];
            self.tell(Message::Audio(super::camera::access_unit(packet, time(now), true)));
        }
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub fn wait_event<T>(&self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        wait_for(what, || self.events().iter().find_map(&wanted))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.messages.close();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the program panicked");
        }
    }
}

pub fn format(codec: Codec, resolution: Resolution) -> VideoFormat {
    VideoFormat {
        codec,
        resolution,
        frame_rate: Some(FrameRate::new(30, 1)),
        pass_through: true,
        profile_level_id: None,
    }
}

fn keep_events(mut control: UnixStream, events: Arc<Mutex<Vec<Event>>>) {
    thread::spawn(move || {
        let mut reader = FrameReader::default();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = control.read(&mut bytes) {
            reader.handle_bytes(&bytes[..count]);
            while let Some(event) = reader.poll_message::<Event>().unwrap() {
                events.lock().unwrap().push(event);
            }
        }
    });
}
