//! What is written here is read by GStreamer's depayloaders, which are not ours.

use gst::prelude::*;

use super::*;

fn unit(data: &[u8], keyframe: bool) -> Unit<'_> {
    Unit { data, timestamp: 90_000, keyframe, capture_unix_us: 1 }
}

/// The packets of one unit, with their flags.
fn packets(packetiser: &mut Packetiser, unit: Unit<'_>) -> Vec<(MediaFlags, Vec<u8>)> {
    let mut batch = MediaBatch::default();
    packetiser.packetise(unit, false, &mut batch);
    batch
        .packets()
        .map(|message| {
            let (header, packet) = MediaHeader::parse(message).unwrap();
            (header.flags, packet.to_vec())
        })
        .collect()
}

/// What GStreamer makes of the packets, buffer by buffer.
fn depayloaded(caps: &str, depayloader: &str, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    gst::init().unwrap();
    let text = format!(
        "appsrc name=in format=time caps=\"application/x-rtp,{caps}\" ! {depayloader} ! \
         appsink name=out sync=false"
    );
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let src = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    let sink = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for packet in packets {
        src.push_buffer(gst::Buffer::from_slice(packet.clone())).unwrap();
    }
    src.end_of_stream().unwrap();
    let mut units = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        units.push(sample.buffer().unwrap().map_readable().unwrap().to_vec());
    }
    pipeline.set_state(gst::State::Null).unwrap();
    units
}

fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
}

/// Bytes without a zero among them, so that no start code arises.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 % 255 + 1) as u8).collect()
}

#[test]
fn an_h264_picture_comes_out_of_a_foreign_depayloader_as_it_went_in() {
    let sps = [&[0x67, 0x42, 0xe0, 0x1f][..], &noise(20)].concat();
    let pps = [0x68, 0xce, 0x3c, 0x80];
    let idr = [&[0x65][..], &noise(5000)].concat();
    let second_slice = [&[0x65][..], &noise(300)].concat();
    let picture = annex_b(&[&sps, &pps, &idr, &second_slice]);
    let mut packetiser = Packetiser::new(TrackId(1), Codec::H264).unwrap();
    let sent = packets(&mut packetiser, unit(&picture, true));

    assert!(sent.iter().all(|(_, packet)| packet.len() <= MTU));
    assert_eq!(sent[0].0, MediaFlags::KEYFRAME_START);
    assert!(sent[1..sent.len() - 1].iter().all(|(flags, _)| *flags == MediaFlags::default()));
    assert_eq!(sent[sent.len() - 1].0, MediaFlags::FRAME_END);
    let sequences: Vec<u16> = sent.iter().map(|(_, p)| u16::from_be_bytes([p[2], p[3]])).collect();
    assert_eq!(sequences, (0..sent.len() as u16).collect::<Vec<_>>());

    let bytes: Vec<_> = sent.into_iter().map(|(_, packet)| packet).collect();
    let caps = "media=video,clock-rate=90000,encoding-name=H264,payload=96";
    let read = depayloaded(
        caps,
        "rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=au",
        &bytes,
    );
    assert_eq!(read, [picture]);
}

#[test]
fn a_keyframe_without_parameter_sets_gets_those_of_before() {
    let sps = [0x67, 0x42, 0xe0, 0x1f, 0x91];
    let pps = [0x68, 0xce, 0x3c, 0x80];
    let idr = [0x65, 0x88, 0x84, 0x21];
    let mut packetiser = Packetiser::new(TrackId(1), Codec::H264).unwrap();
    let first = packets(&mut packetiser, unit(&annex_b(&[&sps, &pps, &idr]), true));
    let second = packets(&mut packetiser, unit(&annex_b(&[&idr]), true));
    assert_eq!(first[0].1[12..], second[0].1[12..]);
}

#[test]
fn delimiters_and_filler_are_not_sent() {
    let slice = [0x41, 0x9a, 0x02];
    let picture = annex_b(&[&[0x09, 0xf0], &slice, &[0x0c, 0xff, 0x80]]);
    let mut packetiser = Packetiser::new(TrackId(1), Codec::H264).unwrap();
    let sent = packets(&mut packetiser, unit(&picture, false));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1[12..], slice);
    assert_eq!(sent[0].1[1] & 0x80, 0x80, "the only packet has the marker");
}

#[test]
fn nal_units_end_before_start_codes_of_either_length() {
    let stream = [0, 0, 1, 0x65, 1, 2, 0, 0, 0, 1, 0x41, 3, 0, 0, 1, 0x41, 0, 0, 3, 0];
    let nals: Vec<_> = h264::nal_units(&stream).collect();
    assert_eq!(nals, [&[0x65, 1, 2][..], &[0x41, 3], &[0x41, 0, 0, 3]]);
    for garbage in [&[][..], &[0, 0], &[0, 0, 1], &[5; 9], &[0; 9]] {
        assert_eq!(h264::nal_units(garbage).count(), 0);
    }
}

#[test]
fn a_vp8_picture_comes_out_of_a_foreign_depayloader_as_it_went_in() {
    // A keyframe's header with its start code and 16x16 pixels, then whatever.
    let head = [0x50, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x10, 0x00, 0x10, 0x00];
    let picture = [&head[..], &noise(4000)].concat();
    let mut packetiser = Packetiser::new(TrackId(2), Codec::Vp8).unwrap();
    let sent = packets(&mut packetiser, unit(&picture, true));
    assert!(sent.iter().all(|(_, packet)| packet.len() <= MTU));
    assert_eq!(sent[0].0, MediaFlags::KEYFRAME_START);
    let bytes: Vec<_> = sent.into_iter().map(|(_, packet)| packet).collect();
    let caps = "media=video,clock-rate=90000,encoding-name=VP8,payload=96";
    assert_eq!(depayloaded(caps, "rtpvp8depay", &bytes), [picture]);
}

#[test]
fn every_vp8_picture_has_the_next_picture_id() {
    let mut packetiser = Packetiser::new(TrackId(2), Codec::Vp8).unwrap();
    for id in 0..3 {
        let sent = packets(&mut packetiser, unit(&noise(10), false));
        assert_eq!(sent[0].1[14..16], [0x80, id]);
    }
}

/// Joins elements back into OBUs as the payload format's section 4.4 says.
fn av1_obus(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut obus: Vec<Vec<u8>> = Vec::new();
    let mut open = false;
    for packet in packets {
        let (aggregation, mut rest) = packet[12..].split_first().unwrap();
        assert_eq!(aggregation & 0x80 != 0, open, "Z says what the packet before left open");
        let mut continues = open;
        while !rest.is_empty() {
            let mut length = usize::from(rest[0] & 0x7f);
            let two = rest[0] & 0x80 != 0;
            if two {
                length |= usize::from(rest[1]) << 7;
            }
            let (element, behind) = rest[1 + usize::from(two)..].split_at(length);
            match obus.last_mut() {
                Some(last) if continues => last.extend_from_slice(element),
                _ => obus.push(element.to_vec()),
            }
            continues = false;
            rest = behind;
        }
        open = aggregation & 0x40 != 0;
    }
    assert!(!open);
    obus
}

#[test]
fn an_av1_temporal_unit_is_cut_into_elements_and_comes_together_again() {
    let sequence_header = [0x0a, 3, 1, 2, 3]; // type 1, with a size of 3
    let delimiter = [0x12, 0];
    for length in [1, 100, 126, 127, 128, 1170, 1185, 1186, 1187, 2370, 5000] {
        let payload = noise(length);
        let mut frame = vec![0x32, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
        frame.extend_from_slice(&payload);
        let temporal_unit = [&delimiter[..], &sequence_header, &frame, &sequence_header].concat();
        let mut packetiser = Packetiser::new(TrackId(3), Codec::Av1).unwrap();
        let sent = packets(&mut packetiser, unit(&temporal_unit, true));
        assert!(sent.iter().all(|(_, packet)| packet.len() <= MTU));
        assert_eq!(sent[0].1[12] & 0x08, 0x08, "N marks the sequence's start");
        let bytes: Vec<_> = sent.into_iter().map(|(_, packet)| packet).collect();
        let expected = [vec![0x08, 1, 2, 3], [&[0x30][..], &payload].concat(), vec![0x08, 1, 2, 3]];
        assert_eq!(av1_obus(&bytes), expected, "frame of {length} bytes");
    }
}

/// Temporal units of a real encoder, and whether each is a keyframe.
fn coded_av1(count: usize) -> Vec<(Vec<u8>, bool)> {
    gst::init().unwrap();
    let text = format!(
        "videotestsrc num-buffers={count} pattern=ball ! \
         video/x-raw,width=320,height=180,framerate=30/1 ! \
         av1enc cpu-used=8 keyframe-max-dist=5 target-bitrate=2000 ! av1parse ! \
         video/x-av1,stream-format=obu-stream,alignment=tu ! appsink name=out sync=false"
    );
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut units = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().unwrap();
        let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        units.push((buffer.map_readable().unwrap().to_vec(), keyframe));
    }
    pipeline.set_state(gst::State::Null).unwrap();
    units
}

#[test]
fn real_av1_decodes_after_its_way_through_packets() {
    let units = coded_av1(10);
    assert_eq!(units.len(), 10);
    let mut packetiser = Packetiser::new(TrackId(3), Codec::Av1).unwrap();
    let mut decoder =
        stentor_hardware::Decoder::open(Codec::Av1, &stentor_hardware::Choice::software()).unwrap();
    let mut frames = 0;
    for (index, (data, keyframe)) in units.iter().enumerate() {
        let sent = packets(&mut packetiser, unit(data, *keyframe));
        let bytes: Vec<_> = sent.into_iter().map(|(_, packet)| packet).collect();
        let mut rebuilt = Vec::new();
        for obu in av1_obus(&bytes) {
            let header = if obu[0] & 0x04 != 0 { 2 } else { 1 };
            rebuilt.push(obu[0] | 0x02);
            rebuilt.extend_from_slice(&obu[1..header]);
            av1::push_leb128(&mut rebuilt, obu.len() - header);
            rebuilt.extend_from_slice(&obu[header..]);
        }
        frames += decoder.decode(&rebuilt, index as i64 * 3_000).unwrap().len();
    }
    frames += decoder.flush().len();
    assert_eq!(frames, 10);
}

#[test]
fn a_cut_off_av1_unit_ends_without_a_panic() {
    let mut packetiser = Packetiser::new(TrackId(3), Codec::Av1).unwrap();
    for garbage in [&[][..], &[0x0a], &[0x0a, 0xff], &[0x0a, 9, 1], &[0x0e], &[0x0a; 40]] {
        packets(&mut packetiser, unit(garbage, false));
    }
}

#[test]
fn an_opus_packet_is_a_payload_as_it_is() {
    let mut packetiser = Packetiser::new(TrackId::AUDIO, Codec::Opus).unwrap();
    let sent = packets(&mut packetiser, unit(&[0xf8, 0xff, 0xfe], true));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, MediaFlags::FRAME_END);
    assert_eq!(sent[0].1[12..], [0xf8, 0xff, 0xfe]);
    assert_eq!(sent[0].1[4..8], 90_000_u32.to_be_bytes());
}
