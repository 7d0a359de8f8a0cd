//! The VP8 payload descriptor (RFC 7741, 4.2): what must stay continuous when a viewer is moved
//! from one VP8 stream to another.

/// Where picture ID and TL0PICIDX stand in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Offset of the picture ID, 0 for none, and whether it has 15 bits or 7.
    picture_at: u8,
    long: bool,
    /// Offset of TL0PICIDX, 0 for none.
    tl0_at: u8,
}

/// The two counters as one stream has them at a frame. Wider than on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    pub picture: u16,
    pub tl0: u8,
}

// === impl Descriptor ===

impl Descriptor {
    /// None for a payload that ends inside its descriptor.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        let first = *payload.first()?;
        if first & 0x80 == 0 {
            return Some(found);
        }
        let extension = *payload.get(1)?;
        let mut at = 2;
        if extension & 0x80 != 0 {
            found.picture_at = at;
            found.long = payload.get(usize::from(at))? & 0x80 != 0;
            at += if found.long { 2 } else { 1 };
        }
        if extension & 0x40 != 0 {
            found.tl0_at = at;
            at += 1;
        }
        if extension & 0x30 != 0 {
            at += 1;
        }
        (payload.len() >= usize::from(at)).then_some(found)
    }

    pub fn read(&self, payload: &[u8]) -> Counters {
        let byte = |at: u8| payload.get(usize::from(at)).copied().unwrap_or_default();
        let mut counters = Counters::default();
        if self.picture_at != 0 {
            counters.picture = u16::from(byte(self.picture_at) & 0x7f);
            if self.long {
                counters.picture = counters.picture << 8 | u16::from(byte(self.picture_at + 1));
            }
        }
        if self.tl0_at != 0 {
            counters.tl0 = byte(self.tl0_at);
        }
        counters
    }

    /// Writes `counters` in place of those of the stream the payload comes from.
    pub fn write(&self, payload: &mut [u8], counters: Counters) {
        let at = usize::from(self.picture_at);
        if at != 0 {
            if self.long {
                if let Some(bytes) = payload.get_mut(at..at + 2) {
                    bytes.copy_from_slice(&(counters.picture | 0x8000).to_be_bytes());
                }
            } else if let Some(byte) = payload.get_mut(at) {
                *byte = counters.picture as u8 & 0x7f;
            }
        }
        let at = usize::from(self.tl0_at);
        if at != 0
            && let Some(byte) = payload.get_mut(at)
        {
            *byte = counters.tl0;
        }
    }

    /// Whether there is anything to keep continuous.
    pub fn has_counters(&self) -> bool {
        self.picture_at != 0 || self.tl0_at != 0
    }
}

// === impl Counters ===

impl Counters {
    /// What must be added to a stream at `self` so that it reads `wanted` instead.
    pub fn offset_to(self, wanted: Self) -> Self {
        Self {
            picture: wanted.picture.wrapping_sub(self.picture) & 0x7fff,
            tl0: wanted.tl0.wrapping_sub(self.tl0),
        }
    }

    #[must_use]
    pub fn plus(self, offset: Self) -> Self {
        Self {
            picture: self.picture.wrapping_add(offset.picture) & 0x7fff,
            tl0: self.tl0.wrapping_add(offset.tl0),
        }
    }

    /// The counters of a keyframe that follows.
    #[must_use]
    pub fn next(self) -> Self {
        self.plus(Self { picture: 1, tl0: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_every_layout_are_found_and_replaced() {
        let wanted = Counters { picture: 0x1234, tl0: 99 };
        for (payload, read, picture) in [
            (vec![0x90, 0xc0, 0x81, 0x02, 7, 1], Counters { picture: 0x102, tl0: 7 }, 0x1234),
            (vec![0x90, 0xe0, 0x05, 7, 0x20, 1], Counters { picture: 5, tl0: 7 }, 0x34),
        ] {
            let mut payload = payload;
            let found = Descriptor::parse(&payload).unwrap();
            assert_eq!(found.read(&payload), read);
            found.write(&mut payload, wanted);
            assert_eq!(Descriptor::parse(&payload), Some(found));
            assert_eq!(found.read(&payload), Counters { picture, tl0: 99 });
        }
    }

    #[test]
    fn a_plain_descriptor_has_nothing_to_replace() {
        let mut payload = vec![0x10, 1, 2, 3];
        let found = Descriptor::parse(&payload).unwrap();
        assert!(!found.has_counters());
        found.write(&mut payload, Counters { picture: 5, tl0: 5 });
        assert_eq!(payload, [0x10, 1, 2, 3]);
    }

    #[test]
    fn a_payload_cut_in_its_descriptor_is_refused() {
        for cut in [&[][..], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x80], &[0x90, 0x40]] {
            assert_eq!(Descriptor::parse(cut), None, "{cut:?}");
        }
    }

    #[test]
    fn an_offset_leads_from_one_stream_to_the_other() {
        let (from, to) = (Counters { picture: 0x7ffe, tl0: 250 }, Counters { picture: 3, tl0: 2 });
        assert_eq!(from.plus(from.offset_to(to)), to);
    }
}
