//! VP8 frame headers (RFC 6386, 9.1).

use stentor_protocol::units::Resolution;

/// Whether a frame is a key frame.
pub fn is_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|b| b & 1 == 0)
}

/// The size that a key frame states; None for other frames and for nonsense.
pub fn keyframe_size(frame: &[u8]) -> Option<Resolution> {
    let head: &[u8; 10] = frame.first_chunk()?;
    if !is_keyframe(frame) || head[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let size = Resolution::new(side(head[6], head[7]), side(head[8], head[9]));
    (size.pixels() > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_read_from_key_frames_only() {
        let key = [0x50, 0x31, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0xd0, 0x02];
        assert!(is_keyframe(&key));
        assert_eq!(keyframe_size(&key), Some(Resolution::new(640, 720)));
        let mut delta = key;
        delta[0] |= 1;
        assert!(!is_keyframe(&delta));
        assert_eq!(keyframe_size(&delta), None);
        assert_eq!(keyframe_size(&key[..9]), None);
        assert_eq!(keyframe_size(&[]), None);
    }
}
