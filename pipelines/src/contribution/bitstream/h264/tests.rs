//! Tests of `h264`.

use super::*;

/// Who wrote it, the parameter set in hex, and what it says: fitness, size, frames to reorder.
type Case = (&'static str, &'static str, Fitness, (u32, u32), Option<u32>);

/// What encoders really write: x264 with various settings, and openh264.
const CASES: [Case; 10] = [
    (
        "x264 constrained baseline",
        "6742c01fd9005005bb0110000003001000000303c0f1832480",
        Fitness::Fit,
        (1280, 720),
        Some(0),
    ),
    (
        "x264 main with B-frames",
        "674d401feca02802dd8088000003000800000301e078c18cb0",
        Fitness::Unfit,
        (1280, 720),
        Some(2),
    ),
    (
        "x264 high without B-frames",
        "6764001facb200a00b760220000003002000000781e30649",
        Fitness::Fit,
        (1280, 720),
        Some(0),
    ),
    (
        "x264 high, odd size",
        "6764002aacd940780227a9b01100000303e90001d4c00f183196",
        Fitness::Unfit,
        (1918, 1078),
        Some(2),
    ),
    (
        "x264 high, interlaced",
        "67640028acd94078044fde0220000003002000000643e2c5b2c0",
        Fitness::Unfit,
        (1920, 1080),
        Some(2),
    ),
    (
        "x264 high 4:2:2",
        "677a001ebcd940a02ff89c0440000003004000000c83c58b6580",
        Fitness::Unfit,
        (640, 360),
        Some(2),
    ),
    (
        "x264 high 10 bit",
        "676e001ea6cd940a02ff97011000000300100000030320f162d960",
        Fitness::Unfit,
        (640, 360),
        Some(2),
    ),
    (
        "x264 high, scaling lists",
        "6764001eacd940a02ff97011000003000100000300320f162d96",
        Fitness::Unfit,
        (640, 360),
        Some(2),
    ),
    (
        "x264 with HRD parameters",
        "6764001eacb201405ff2e02200000300020000030064c08001e848003d09c98600f162e480",
        Fitness::Fit,
        (640, 360),
        Some(0),
    ),
    ("openh264", "6742c01e8c8d40501ed00f08846a", Fitness::Fit, (640, 480), Some(0)),
];

const MAIN_WITHOUT_PROMISE: Sps = Sps {
    profile_idc: 77,
    constraints: 0,
    level_idc: 31,
    resolution: Resolution::new(1280, 720),
    chroma_format_idc: 1,
    bit_depth: 8,
    frames_only: true,
    poc_type: 0,
    max_reorder: None,
};

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn parameter_sets_of_real_encoders_are_read() {
    for (name, hex, fit, (width, height), reorder) in CASES {
        let sps = Sps::parse(&bytes(hex)).unwrap();
        assert_eq!(sps.resolution, Resolution::new(width, height), "{name}");
        assert_eq!(sps.max_reorder, reorder, "{name}");
        assert_eq!(fitness(&sps, false, 0), fit, "{name}");
        assert_eq!(sps.profile_level_id(), hex[2..8], "{name}");
    }
}

#[test]
fn fitness_follows_promise_and_proof() {
    let main = MAIN_WITHOUT_PROMISE;
    let cases = [
        ("nothing seen yet", main, false, 0, Fitness::Unproven),
        ("long without B slices", main, false, PROOF_PICTURES, Fitness::Fit),
        ("a B slice came", main, true, PROOF_PICTURES, Fitness::Unfit),
        ("baseline", Sps { profile_idc: 66, ..main }, false, 0, Fitness::Fit),
        ("baseline that lies", Sps { profile_idc: 66, ..main }, true, 0, Fitness::Unfit),
        ("display in decoding order", Sps { poc_type: 2, ..main }, false, 0, Fitness::Fit),
        ("reordering announced", Sps { max_reorder: Some(1), ..main }, false, 999, Fitness::Unfit),
        ("high", Sps { profile_idc: 100, ..main }, false, 0, Fitness::Unproven),
        ("extended", Sps { profile_idc: 88, poc_type: 2, ..main }, false, 999, Fitness::Unfit),
        (
            "monochrome",
            Sps { chroma_format_idc: 0, poc_type: 2, ..main },
            false,
            999,
            Fitness::Unfit,
        ),
        ("fields", Sps { frames_only: false, poc_type: 2, ..main }, false, 999, Fitness::Unfit),
    ];
    for (name, sps, b_slice_seen, pictures, expected) in cases {
        assert_eq!(fitness(&sps, b_slice_seen, pictures), expected, "{name}");
    }
}

#[test]
fn slices_are_told_apart() {
    // first_mb_in_slice is 0, one bit; slice_type follows: 1, 010, 011, 00110, 00111.
    let cases = [
        (0b1100_0000, SliceKind::P),
        (0b1010_0000, SliceKind::B),
        (0b1011_0000, SliceKind::I),
        (0b1001_1000, SliceKind::P),
        (0b1001_1100, SliceKind::B),
    ];
    for (byte, kind) in cases {
        assert_eq!(slice_kind(&[0x41, byte, 0x80]), Ok(kind), "{byte:08b}");
    }
    assert_eq!(slice_kind(&[0x41]), Err(Malformed));
    assert_eq!(slice_kind(&[]), Err(Malformed));
}

#[test]
fn a_cut_or_damaged_parameter_set_never_panics() {
    for (_, hex, ..) in CASES {
        let whole = bytes(hex);
        for end in 0..whole.len() {
            let _ = Sps::parse(&whole[..end]);
        }
        for at in 1..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let _ = Sps::parse(&damaged);
            }
        }
    }
}
