//! EBML's elements (RFC 8794): an id, a size, a body.

/// An element's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub id: u32,
    /// None: not known, up to the end of what it is in.
    pub size: Option<u64>,
    /// Bytes of the head itself.
    pub length: usize,
}

/// A size in eight bytes that says "not known".
pub const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// A size in eight bytes.
pub fn long_size(size: u64) -> [u8; 8] {
    (size & 0x00ff_ffff_ffff_ffff | 1 << 56).to_be_bytes()
}

pub fn put_id(out: &mut Vec<u8>, id: u32) {
    let bytes = id.to_be_bytes();
    let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(3);
    out.extend_from_slice(&bytes[from..]);
}

pub fn put_size(out: &mut Vec<u8>, size: u64) {
    for length in 1..8_u32 {
        // All ones mean "not known".
        if size < (1 << (7 * length)) - 1 {
            let bytes = (size | 1 << (7 * length)).to_be_bytes();
            out.extend_from_slice(&bytes[8 - length as usize..]);
            return;
        }
    }
    out.extend_from_slice(&long_size(size));
}

pub fn put(out: &mut Vec<u8>, id: u32, body: &[u8]) {
    put_id(out, id);
    put_size(out, body.len() as u64);
    out.extend_from_slice(body);
}

pub fn put_uint(out: &mut Vec<u8>, id: u32, value: u64) {
    let bytes = value.to_be_bytes();
    let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
    put(out, id, &bytes[from..]);
}

pub fn put_float(out: &mut Vec<u8>, id: u32, value: f64) {
    put(out, id, &value.to_be_bytes());
}

/// The head of the element that begins here; None where the bytes end or are none.
pub fn head(bytes: &[u8]) -> Option<Head> {
    let id_length = bytes.first()?.leading_zeros() as usize + 1;
    if id_length > 4 {
        return None;
    }
    let id = bytes.get(..id_length)?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let rest = &bytes[id_length..];
    let size_length = rest.first()?.leading_zeros() as usize + 1;
    if size_length > 8 {
        return None;
    }
    let marked = rest.get(..size_length)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let most = (1_u64 << (7 * size_length)) - 1;
    let size = marked & most;
    Some(Head { id, size: (size != most).then_some(size), length: id_length + size_length })
}

/// The elements inside a body, those that are whole.
pub fn children(mut body: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let head = head(body)?;
        let size = usize::try_from(head.size?).ok()?;
        let inside = body.get(head.length..head.length.checked_add(size)?)?;
        body = &body[head.length + size..];
        Some((head.id, inside))
    })
}

pub fn uint(body: &[u8]) -> u64 {
    body.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_at_every_length() {
        for size in [0, 1, 126, 127, 128, 16_382, 16_383, 1 << 20, (1 << 28) - 1, 1 << 40] {
            let mut bytes = Vec::new();
            put_id(&mut bytes, 0x1f43_b675);
            put_size(&mut bytes, size);
            let read = head(&bytes).unwrap();
            assert_eq!(read, Head { id: 0x1f43_b675, size: Some(size), length: bytes.len() });
        }
        assert_eq!(head(&[&[0xa3][..], &UNKNOWN_SIZE].concat()).unwrap().size, None);
        assert_eq!(head(&[&[0xa3][..], &long_size(77)].concat()).unwrap().size, Some(77));
    }

    #[test]
    fn children_end_with_the_last_whole_one() {
        let mut body = Vec::new();
        put_uint(&mut body, 0xd7, 300);
        put(&mut body, 0x86, b"A_OPUS");
        let whole = body.len();
        put(&mut body, 0x63a2, &[1, 2, 3]);
        let all = |bytes| children(bytes).map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(all(&body), [0xd7, 0x86, 0x63a2]);
        assert_eq!(all(&body[..body.len() - 1]), [0xd7, 0x86]);
        assert_eq!(all(&body[..whole]), [0xd7, 0x86]);
        assert_eq!(uint(children(&body).next().unwrap().1), 300);
    }
}
