//! VP8 into RTP: RFC 7741, with a 15-bit picture ID, which decoders use to tell a lost picture
//! from a skipped one.

use super::{Emit, MAX_PAYLOAD};

const DESCRIPTOR_BYTES: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Vp8 {
    picture_id: u16,
}

// === impl Vp8 ===

impl Vp8 {
    pub(super) fn packetise(&mut self, data: &[u8], emit: Emit<'_>) {
        let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        let pieces = data.chunks(MAX_PAYLOAD - DESCRIPTOR_BYTES);
        let count = pieces.len();
        for (index, piece) in pieces.enumerate() {
            // X: an extension follows. S: a partition starts here; the first piece only.
            let start = if index == 0 { 0x10 } else { 0 };
            emit(&[0x80 | start, 0x80, high, low], piece, index + 1 == count);
        }
    }
}
