//! Recordings without a program and without a disk.

use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::*;
use crate::media::MediaSocket;
use crate::program::time::WallClock;

fn outlet() -> Arc<Outlet> {
    let (_, media) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    Arc::new(Outlet {
        events: crate::control::Events::detached(),
        socket: Arc::new(MediaSocket::new(media)),
        wall: WallClock::default(),
        meters: Meters::default(),
    })
}

fn shared(outlet: &Arc<Outlet>) -> Shared {
    Shared {
        queue: Queue::new(WAITING_UNITS),
        waiting_bytes: AtomicUsize::new(0),
        in_trouble: AtomicBool::new(false),
        outlet: Arc::clone(outlet),
    }
}

fn recording() -> Recording {
    let shared = shared(&outlet());
    // A disk that hangs: nobody takes anything.
    let thread = thread::spawn(|| ());
    Recording { name: "r".into(), shared: Arc::new(shared), thread, broken: false }
}

fn spec(name: &str, folder: &Path) -> RecordingSpec {
    RecordingSpec {
        recording: name.to_owned(),
        folder: folder.to_owned(),
        epoch_us: 0,
        chunk_ms: 2_000,
        max_bytes: 64 << 20,
    }
}

fn unit(bytes: usize, keyframe: bool) -> AccessUnit {
    gst::init().unwrap();
    let data = gst::Buffer::from_slice(vec![0; bytes]);
    AccessUnit { data, pts_ns: 0, keyframe, discontinuity: false }
}

fn dropped(recording: &Recording) -> u64 {
    recording.shared.outlet.meters.recording_dropped.load(Relaxed)
}

#[test]
fn a_disk_that_hangs_costs_what_came_up_to_the_next_keyframe_and_is_told_once() {
    let mut recording = recording();
    for _ in 0..WAITING_UNITS {
        recording.push_video(unit(10, false));
    }
    assert_eq!(dropped(&recording), 0);
    recording.push_video(unit(10, false));
    recording.push_audio(unit(10, true));
    assert_eq!(dropped(&recording), 2);
    // There is room again, and it is of no use to a picture that refers to a lost one.
    recording.shared.queue.clear();
    recording.push_video(unit(10, false));
    assert_eq!(dropped(&recording), 3);
    recording.push_video(unit(10, true));
    assert_eq!(dropped(&recording), 3);
    let Some(Item::Video(first)) = recording.shared.queue.pop() else { panic!("no picture") };
    assert!(first.keyframe && first.discontinuity);
    let told = recording.shared.outlet.events.take();
    assert!(matches!(told[..], [Event::RecordingTrouble { full: false, .. }]), "{told:?}");
}

#[test]
fn what_waits_for_the_disk_is_bounded_in_bytes_too() {
    let mut recording = recording();
    for _ in 0..40 {
        recording.push_video(unit(1 << 20, true));
    }
    assert_eq!(dropped(&recording), 8);
    assert_eq!(recording.shared.waiting_bytes.load(Relaxed), WAITING_BYTES);
}

#[test]
fn a_recorder_that_panics_or_is_refused_is_over_and_can_be_begun_anew() {
    let folder = std::env::temp_dir().join(format!("stentor-over-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let spec = |name: &str| spec(name, &folder);
    let outlet = outlet();
    let mut all = Recordings::new(Arc::clone(&outlet), Arc::new(Queue::new(8)));
    all.start(spec("r"));
    let running = &mut all.running[0];
    running.shared.queue.close();
    running.shared = Arc::new(shared(&outlet));
    let panicking = spawn("r", &running.shared, || panic!("as asked for")).unwrap();
    std::mem::replace(&mut running.thread, panicking).join().unwrap();
    while !all.running[0].thread.is_finished() {
        thread::yield_now();
    }
    let told = outlet.events.take();
    let [.., Event::RecordingTrouble { .. }, Event::RecordingStopped { .. }] = &told[..] else {
        panic!("{told:?}");
    };
    all.start(spec("r"));
    assert_eq!(all.running.len(), 1);
    assert!(!all.running[0].shared.queue.is_closed());
    for number in 1..MAX_RECORDINGS {
        all.start(spec(&number.to_string()));
    }
    outlet.events.take();
    all.start(spec("one too many"));
    let told = outlet.events.take();
    let [Event::RecordingTrouble { .. }, Event::RecordingStopped { recording }] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(recording, "one too many");
    all.close();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_makes_room_for_a_format_is_counted_and_leaves_a_gap_that_is_told() {
    let mut recording = recording();
    for _ in 0..WAITING_UNITS {
        recording.push_video(unit(10, true));
    }
    recording.tell(Item::VideoFormat(Codec::H264, Resolution::new(640, 360)));
    assert_eq!(dropped(&recording), 1);
    let waiting = recording.shared.waiting_bytes.load(Relaxed);
    assert_eq!(waiting, 10 * (WAITING_UNITS - 1));
    let queue = &recording.shared.queue;
    let mut gaps = Vec::new();
    for _ in 0..WAITING_UNITS {
        if let Some(Item::Video(unit)) = queue.pop() {
            gaps.push(unit.discontinuity);
        }
    }
    assert_eq!((gaps.len(), gaps[0]), (WAITING_UNITS - 1, true));
    assert!(gaps[1..].iter().all(|gap| !gap));
    assert!(!recording.broken);
}

#[test]
fn a_source_that_changes_with_every_keyframe_makes_few_files() {
    /// Constrained baseline, 640x480.
    const SPS: &[u8] =
        &[0x67, 0x42, 0xc0, 0x1e, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0x6a];
    gst::init().unwrap();
    let folder = std::env::temp_dir().join(format!("stentor-changes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let outlet = outlet();
    let shared = Arc::new(shared(&outlet));
    // Ten a second, for six seconds.
    for number in 0..60 {
        let other_pps = [0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80 + (number % 2) as u8];
        let data = [&[0, 0, 0, 1][..], SPS, &other_pps, &[0, 0, 1, 0x65, 1]].concat();
        shared.waiting_bytes.fetch_add(data.len(), Relaxed);
        let data = gst::Buffer::from_slice(data);
        let pts_ns = number * 100_000_000;
        let unit = AccessUnit { data, pts_ns, keyframe: true, discontinuity: false };
        assert!(shared.queue.push(Item::Video(unit)).is_none());
    }
    shared.queue.close();
    writer::Writer::new(spec("r", &folder), shared, Arc::new(Queue::new(8))).run();
    let told = outlet.events.take();
    let chunks = told.iter().filter(|event| matches!(event, Event::ChunkWritten { .. })).count();
    assert!((12..=20).contains(&chunks), "{chunks} chunks");
    std::fs::remove_dir_all(&folder).unwrap();
}
