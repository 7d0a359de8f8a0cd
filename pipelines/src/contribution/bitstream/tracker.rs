//! Follows a video stream unit by unit and says when its format changes.

use stentor_protocol::control::VideoFormat;
use stentor_protocol::spec::Codec;
use stentor_protocol::units::{FrameRate, Resolution};

use super::h264::{self, Fitness, SliceKind, Sps};
use super::{Nals, vp8};

/// What the container or the parser says about the stream; the bits win where they say it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hint {
    pub resolution: Option<Resolution>,
    pub frame_rate: Option<FrameRate>,
    /// The parser takes the unit for a place where decoding can start.
    pub keyframe: bool,
}

/// What one access unit tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// The format is new or has changed. Only ever with a keyframe.
    pub format: Option<VideoFormat>,
    pub keyframe: bool,
}

/// One stream of one codec.
#[derive(Debug)]
pub struct VideoTracker {
    codec: Codec,
    announced: Option<VideoFormat>,
    /// The parameter set's bytes, so that an unchanged one isn't parsed again.
    sps_bytes: Vec<u8>,
    sps: Option<Sps>,
    b_slice_seen: bool,
    /// Since the parameter set changed.
    pictures: u32,
}

// === impl VideoTracker ===

impl VideoTracker {
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            announced: None,
            sps_bytes: Vec::new(),
            sps: None,
            b_slice_seen: false,
            pictures: 0,
        }
    }

    /// Looks at the next access unit.
    pub fn observe(&mut self, unit: &[u8], hint: Hint) -> Observation {
        let (keyframe, format) = match self.codec {
            Codec::H264 => self.observe_h264(unit, hint),
            Codec::Vp8 => self.observe_vp8(unit, hint),
            _ => (hint.keyframe, self.format(hint.resolution, hint.frame_rate, false, None)),
        };
        let changed = format.filter(|f| keyframe && self.announced.as_ref() != Some(f));
        if changed.is_some() {
            self.announced.clone_from(&changed);
        }
        Observation { format: changed, keyframe }
    }

    /// Whether pictures are shown in the order they come in, as far as the stream promises it.
    pub fn is_in_order(&self) -> bool {
        match self.codec {
            Codec::Vp8 => true,
            Codec::H264 => !self.b_slice_seen && self.sps.is_some_and(|sps| sps.promises_order()),
            _ => false,
        }
    }

    fn observe_vp8(&self, unit: &[u8], hint: Hint) -> (bool, Option<VideoFormat>) {
        let size = vp8::keyframe_size(unit);
        (size.is_some(), self.format(size, hint.frame_rate, true, None))
    }

    fn observe_h264(&mut self, unit: &[u8], hint: Hint) -> (bool, Option<VideoFormat>) {
        self.pictures = self.pictures.saturating_add(1);
        // A delta unit matters only while it can still change the verdict.
        if !hint.keyframe && (self.b_slice_seen || self.sps.is_some_and(|s| s.profile_idc == 66)) {
            return (false, None);
        }
        let (mut has_sps, mut idr, mut intra) = (false, false, false);
        for nal in Nals::new(unit) {
            match h264::nal_type(nal) {
                h264::NAL_SPS => {
                    has_sps = true;
                    self.take_sps(nal);
                }
                kind @ (h264::NAL_SLICE | h264::NAL_IDR) => {
                    idr = kind == h264::NAL_IDR;
                    let slice = h264::slice_kind(nal);
                    intra = slice == Ok(SliceKind::I);
                    self.b_slice_seen |= slice == Ok(SliceKind::B);
                    break;
                }
                _ => {}
            }
        }
        let Some(sps) = self.sps else { return (false, None) };
        let fit = h264::fitness(&sps, self.b_slice_seen, self.pictures) == Fitness::Fit;
        let id = Some(sps.profile_level_id());
        // Broadcast streams start at intra pictures with a parameter set that are no IDRs.
        let keyframe = idr || has_sps && intra && hint.keyframe;
        (keyframe, self.format(Some(sps.resolution), hint.frame_rate, fit, id))
    }

    fn take_sps(&mut self, nal: &[u8]) {
        if self.sps_bytes == nal {
            return;
        }
        let Ok(sps) = Sps::parse(nal) else { return };
        self.sps_bytes = nal.to_vec();
        self.sps = Some(sps);
        self.b_slice_seen = false;
        self.pictures = 0;
    }

    fn format(
        &self,
        resolution: Option<Resolution>,
        frame_rate: Option<FrameRate>,
        pass_through: bool,
        profile_level_id: Option<String>,
    ) -> Option<VideoFormat> {
        Some(VideoFormat {
            codec: self.codec,
            resolution: resolution?,
            frame_rate,
            pass_through,
            profile_level_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Hint = Hint { resolution: None, frame_rate: None, keyframe: true };
    const DELTA: Hint = Hint { resolution: None, frame_rate: None, keyframe: false };
    /// Constrained baseline, 1280x720.
    const SPS_720: &[u8] = &[
        0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
        0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80,
    ];
    /// Constrained baseline, 640x480.
    const SPS_480: &[u8] =
        &[0x67, 0x42, 0xc0, 0x1e, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0x6a];
    const I_SLICE: &[u8] = &[0x65, 0b1011_0000, 0x11];
    const P_SLICE: &[u8] = &[0x41, 0b1100_0000, 0x11];
    const B_SLICE: &[u8] = &[0x01, 0b1010_0000, 0x11];

    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
    }

    /// The set without its promise: main profile, and no VUI.
    fn unpromised() -> Vec<u8> {
        // profile 77, level 31, ids 0, poc type 0, 1 reference, 1280x720, no crop, no VUI.
        let bits = concat!(
            "01100111",
            "01001101",
            "00000000",
            "00011111", // header, profile, flags, level
            "1",
            "1",
            "1",
            "1",
            "010",
            "0", // sps id, frame_num, poc type, poc lsb, refs, gaps
            "0000001010000",
            "00000101101",
            "1",
            "1",
            "0",
            "0",
            "10000000", // 80 x 45 MBs
        );
        bits.as_bytes()
            .chunks(8)
            .filter(|c| c.len() == 8)
            .map(|c| c.iter().fold(0, |byte, &b| byte << 1 | (b - b'0')))
            .collect()
    }

    #[test]
    fn the_format_is_told_once_and_again_when_the_size_changes() {
        let mut tracker = VideoTracker::new(Codec::H264);
        assert_eq!(tracker.observe(&unit(&[P_SLICE]), DELTA), Observation::default());
        let first = tracker.observe(&unit(&[SPS_720, I_SLICE]), KEY);
        let format = first.format.unwrap();
        assert!(first.keyframe && format.pass_through && tracker.is_in_order());
        assert_eq!(format.resolution, Resolution::new(1280, 720));
        assert_eq!(format.profile_level_id.as_deref(), Some("42c01f"));
        assert_eq!(tracker.observe(&unit(&[P_SLICE]), DELTA), Observation::default());
        assert_eq!(tracker.observe(&unit(&[SPS_720, I_SLICE]), KEY).format, None);
        let smaller = tracker.observe(&unit(&[SPS_480, I_SLICE]), KEY).format.unwrap();
        assert_eq!(smaller.resolution, Resolution::new(640, 480));
    }

    #[test]
    fn a_stream_without_a_promise_passes_through_from_the_keyframe_after_its_proof() {
        let sps = unpromised();
        let mut tracker = VideoTracker::new(Codec::H264);
        let first = tracker.observe(&unit(&[&sps, I_SLICE]), KEY).format.unwrap();
        assert_eq!(first.resolution, Resolution::new(1280, 720));
        assert!(!first.pass_through && !tracker.is_in_order());
        for _ in 0..h264::PROOF_PICTURES {
            assert_eq!(tracker.observe(&unit(&[P_SLICE]), DELTA).format, None);
        }
        assert!(tracker.observe(&unit(&[&sps, I_SLICE]), KEY).format.unwrap().pass_through);
        tracker.observe(&unit(&[B_SLICE]), DELTA);
        assert!(!tracker.observe(&unit(&[&sps, I_SLICE]), KEY).format.unwrap().pass_through);
    }

    #[test]
    fn an_intra_picture_with_a_parameter_set_starts_a_broadcast_stream() {
        let intra = [0x41, 0b1011_0000, 0x11];
        let mut tracker = VideoTracker::new(Codec::H264);
        assert!(tracker.observe(&unit(&[SPS_720, &intra]), KEY).keyframe);
        assert!(!tracker.observe(&unit(&[&intra]), KEY).keyframe);
    }

    #[test]
    fn vp8_passes_through_and_states_its_size_in_keyframes() {
        let key = [0x50, 0x31, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
        let mut tracker = VideoTracker::new(Codec::Vp8);
        let seen = tracker.observe(&key, KEY);
        let format = seen.format.unwrap();
        assert!(format.pass_through && seen.keyframe);
        assert_eq!(format.resolution, Resolution::new(640, 360));
        assert_eq!(tracker.observe(&[0x51, 0, 0], DELTA), Observation::default());
    }

    #[test]
    fn h265_is_never_passed_through() {
        let hint = Hint { resolution: Some(Resolution::new(1920, 1080)), ..KEY };
        let format = VideoTracker::new(Codec::H265).observe(&[0, 0, 1, 0x26], hint).format.unwrap();
        assert!(!format.pass_through);
    }
}
