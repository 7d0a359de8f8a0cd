//! H.264 and H.265 as containers want them: lengths instead of start codes, and the parameter
//! sets in a record of their own (ISO/IEC 14496-15).

use stentor_protocol::{Codec, Resolution};

use crate::contribution::bitstream::h264::{self, NAL_SPS, Sps};
use crate::contribution::bitstream::{Nals, vp8};

const NAL_PPS: u8 = 8;
const HEVC_VPS: u8 = 32;
const HEVC_PPS: u8 = 34;
/// Parameter sets of one kind that a record holds at most.
const MOST_SETS: usize = 16;

/// What a decoder has to know before the first picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoEntry {
    pub codec: Codec,
    pub resolution: Resolution,
    /// `AVCDecoderConfigurationRecord` or its like; empty where the codec has none.
    pub private: Vec<u8>,
}

/// Appends an annex B access unit with four bytes of length in front of each NAL unit.
pub fn put_lengths(unit: &[u8], out: &mut Vec<u8>) {
    for nal in Nals::new(unit).filter(|nal| !nal.is_empty()) {
        out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
        out.extend_from_slice(nal);
    }
}

/// Appends a unit with lengths as annex B. What isn't whole is left out.
pub fn put_annex_b(mut unit: &[u8], out: &mut Vec<u8>) {
    while let Some((length, rest)) = unit.split_first_chunk::<4>() {
        let Some(nal) = rest.get(..u32::from_be_bytes(*length) as usize) else { return };
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(nal);
        unit = &rest[nal.len()..];
    }
}

/// The entry for a stream that can be decoded from this keyframe on; None where the unit doesn't
/// say enough. `told` is the size that the source has told.
pub fn entry(codec: Codec, keyframe: &[u8], told: Resolution) -> Option<VideoEntry> {
    match codec {
        Codec::H264 => h264_entry(keyframe),
        Codec::H265 => h265_entry(keyframe, told),
        Codec::Vp8 => {
            let resolution = vp8::keyframe_size(keyframe)?;
            Some(VideoEntry { codec, resolution, private: Vec::new() })
        }
        Codec::Av1 | Codec::Opus | Codec::Aac => None,
    }
}

fn h264_entry(keyframe: &[u8]) -> Option<VideoEntry> {
    let of_kind = |kind| {
        let sets = Nals::new(keyframe).filter(move |nal| h264::nal_type(nal) == kind);
        sets.filter(move |nal| nal.len() >= 4 || kind != NAL_SPS).take(MOST_SETS)
    };
    let first = of_kind(NAL_SPS).next()?;
    let sps = Sps::parse(first).ok()?;
    of_kind(NAL_PPS).next()?;
    let mut private = vec![1, first[1], first[2], first[3], 0xff];
    private.push(0xe0 | of_kind(NAL_SPS).count() as u8);
    of_kind(NAL_SPS).for_each(|set| put_set(&mut private, set));
    private.push(of_kind(NAL_PPS).count() as u8);
    of_kind(NAL_PPS).for_each(|set| put_set(&mut private, set));
    if matches!(first[1], 100 | 110 | 122 | 144) {
        let depth = sps.bit_depth.saturating_sub(8) as u8;
        let chroma = sps.chroma_format_idc as u8 & 3;
        private.extend_from_slice(&[0xfc | chroma, 0xf8 | depth & 7, 0xf8 | depth & 7, 0]);
    }
    Some(VideoEntry { codec: Codec::H264, resolution: sps.resolution, private })
}

/// `HEVCDecoderConfigurationRecord`. Chroma and depth are told as 4:2:0 and 8 bits; decoders
/// read them from the sets.
fn h265_entry(keyframe: &[u8], resolution: Resolution) -> Option<VideoEntry> {
    let kind_of = |nal: &[u8]| nal.first().map_or(0, |byte| byte >> 1 & 0x3f);
    let of_kind =
        |kind| Nals::new(keyframe).filter(move |nal| kind_of(nal) == kind).take(MOST_SETS);
    let sps = of_kind(HEVC_VPS + 1).next()?;
    // The profile, tier and level follow the header and a byte of ids.
    let general = without_emulation(sps).get(3..15)?.to_vec();
    let mut private = vec![1];
    private.extend_from_slice(&general);
    private.extend_from_slice(&[0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3]);
    for kind in HEVC_VPS..=HEVC_PPS {
        private.push(0x80 | kind);
        private.extend_from_slice(&(of_kind(kind).count() as u16).to_be_bytes());
        of_kind(kind).for_each(|set| put_set(&mut private, set));
    }
    Some(VideoEntry { codec: Codec::H265, resolution, private })
}

fn put_set(out: &mut Vec<u8>, set: &[u8]) {
    let set = &set[..set.len().min(usize::from(u16::MAX))];
    out.extend_from_slice(&(set.len() as u16).to_be_bytes());
    out.extend_from_slice(set);
}

/// The first bytes of a NAL unit as they were before zeros were guarded.
fn without_emulation(nal: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    for byte in nal.iter().take(32) {
        if *byte == 3 && bytes.ends_with(&[0, 0]) {
            continue;
        }
        bytes.push(*byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Constrained baseline, 640x480.
    const SPS: &[u8] =
        &[0x67, 0x42, 0xc0, 0x1e, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0x6a];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

    #[test]
    fn a_unit_changes_its_form_and_back() {
        let unit = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 1, 2, 0, 0, 0, 1, 0x65, 7];
        let mut lengths = Vec::new();
        put_lengths(&unit, &mut lengths);
        assert_eq!(lengths, [0, 0, 0, 2, 9, 0xf0, 0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 2, 0x65, 7]);
        let mut back = Vec::new();
        put_annex_b(&lengths, &mut back);
        assert!(Nals::new(&back).eq(Nals::new(&unit)));
        let mut cut = Vec::new();
        put_annex_b(&lengths[..12], &mut cut);
        assert_eq!(cut, [0, 0, 0, 1, 9, 0xf0]);
    }

    #[test]
    fn a_keyframe_tells_what_a_decoder_needs() {
        let unit = [&[0, 0, 0, 1][..], SPS, &[0, 0, 0, 1], PPS, &[0, 0, 1, 0x65, 1]].concat();
        let entry = entry(Codec::H264, &unit, Resolution::new(1, 1)).unwrap();
        assert_eq!(entry.resolution, Resolution::new(640, 480));
        let record = [&[1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 14][..], SPS, &[1, 0, 4], PPS].concat();
        assert_eq!(entry.private, record);
    }

    #[test]
    fn a_keyframe_without_parameter_sets_tells_nothing() {
        let told = Resolution::new(1, 1);
        assert_eq!(entry(Codec::H264, &[0, 0, 1, 0x65, 1], told), None);
        assert_eq!(entry(Codec::H264, &[&[0, 0, 1][..], SPS].concat(), told), None);
        assert_eq!(entry(Codec::Vp8, &[1, 2, 3], told), None);
    }
}
