//! What it costs to make an access unit's packets and hand them over the seam, and what
//! GStreamer's payloader takes for making them alone. CPU time of the whole process, per packet.

use std::error::Error;
use std::hint::black_box;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread;

use gst::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::time::{ClockId, clock_gettime};
use stentor_pipelines::media::{MediaSocket, Sent, TrackSender};
use stentor_pipelines::packetise::{Packetiser, Unit};
use stentor_protocol::media::{MediaBatch, MediaReader};
use stentor_protocol::{Codec, TrackId};

/// A 720p picture at 2 Mb/s and 30 frames a second.
const UNIT_BYTES: usize = 8_300;
const UNITS: u64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut unit = vec![0, 0, 0, 1, 0x41];
    unit.extend((0..UNIT_BYTES).map(|i| (i * 31 % 251 + 4) as u8));
    let (alone, packets) = packetise(&unit)?;
    print("packetise", alone, packets)?;
    let (both, packets) = seam(&unit)?;
    print("packetise and send, while another thread reads", both, packets)?;
    let (theirs, packets) = gstreamer(&unit)?;
    print("appsrc ! rtph264pay ! appsink", theirs, packets)
}

fn packetise(unit: &[u8]) -> Result<(f64, u64), Box<dyn Error>> {
    let mut packetiser = Packetiser::new(TrackId(1), Codec::H264)?;
    let mut batch = MediaBatch::default();
    let mut packets = 0;
    let before = cpu_seconds();
    for number in 0..UNITS {
        packetiser.packetise(at(unit, number), false, &mut batch);
        packets += batch.len() as u64;
        black_box(&batch);
        batch.clear();
    }
    Ok((cpu_seconds() - before, packets))
}

fn seam(unit: &[u8]) -> Result<(f64, u64), Box<dyn Error>> {
    let (near, far) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let watched = near.try_clone()?;
    let socket = Arc::new(MediaSocket::new(near));
    let reader = thread::spawn(move || drain(&far));
    let mut sender = TrackSender::new(&socket, TrackId(1), Codec::H264)?;
    let before = thread_seconds();
    for number in 0..UNITS {
        if sender.send(Unit { keyframe: true, ..at(unit, number) }) != Sent::Whole {
            // In life the reader is never this far behind: wait for it.
            poll(&mut [PollFd::new(&watched, PollFlags::OUT)], None)?;
        }
    }
    let spent = thread_seconds() - before;
    let packets = socket.totals().packets;
    drop((sender, socket, watched));
    let (read, received) = reader.join().map_err(|_| "the reader panicked")?;
    print("receive", read, received)?;
    Ok((spent, packets))
}

fn drain(far: &OwnedFd) -> (f64, u64) {
    let mut reader = MediaReader::default();
    let mut packets = 0;
    let before = thread_seconds();
    while let Ok(1..) = reader.receive(far.as_fd(), |packet| {
        black_box(packet);
        packets += 1;
    }) {}
    (thread_seconds() - before, packets)
}

fn gstreamer(unit: &[u8]) -> Result<(f64, u64), Box<dyn Error>> {
    gst::init()?;
    let pipeline = gst::parse::launch(
        "appsrc name=in is-live=true format=time max-bytes=0 \
         caps=video/x-h264,stream-format=byte-stream,alignment=au ! \
         rtph264pay mtu=1200 config-interval=-1 aggregate-mode=zero-latency ! \
         appsink name=out sync=false async=false",
    )?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| "no pipeline")?;
    let part = |name| pipeline.by_name(name).ok_or("no such element");
    let src = part("in")?.downcast::<gst_app::AppSrc>().map_err(|_| "no appsrc")?;
    let sink = part("out")?.downcast::<gst_app::AppSink>().map_err(|_| "no appsink")?;
    pipeline.set_state(gst::State::Playing)?;
    let before = cpu_seconds();
    let reader = thread::spawn(move || {
        let mut packets = 0;
        while let Ok(sample) = sink.pull_sample() {
            black_box(sample);
            packets += 1;
        }
        packets
    });
    let bytes = gst::Buffer::from_slice(unit.to_vec());
    for number in 0..UNITS {
        let mut buffer = bytes.copy();
        buffer.make_mut().set_pts(gst::ClockTime::from_mseconds(number * 33));
        src.push_buffer(buffer)?;
    }
    src.end_of_stream()?;
    let packets = reader.join().map_err(|_| "the reader panicked")?;
    let spent = cpu_seconds() - before;
    pipeline.set_state(gst::State::Null)?;
    Ok((spent, packets))
}

fn at(data: &[u8], number: u64) -> Unit<'_> {
    let timestamp = number as u32 * 3_000;
    Unit { data, timestamp, keyframe: false, capture_unix_us: number }
}

fn cpu_seconds() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

fn thread_seconds() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn print(what: &str, seconds: f64, packets: u64) -> Result<(), Box<dyn Error>> {
    let each = seconds * 1e6 / packets.max(1) as f64;
    writeln!(std::io::stdout(), "{what}: {each:.2} us a packet ({packets} packets)")?;
    Ok(())
}
