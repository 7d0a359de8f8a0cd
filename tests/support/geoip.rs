//! A database of addresses in MaxMind's format, with one network: 127.0.0.0/8 is in Berlin.

/// Nodes of the tree: one for each bit of the network's prefix.
const NODES: u32 = 8;
const NETWORK: u8 = 127;

pub fn loopback_in_berlin() -> Vec<u8> {
    let mut file = Vec::new();
    for node in 0..NODES {
        let is_last = node + 1 == NODES;
        // The data section begins 16 bytes after the tree.
        let next = if is_last { NODES + 16 } else { node + 1 };
        let bit = NETWORK >> (7 - node) & 1;
        for side in [0, 1] {
            let record = if side == bit { next } else { NODES };
            file.extend(&record.to_be_bytes()[1..]);
        }
    }
    file.extend([0; 16]);
    let names = map(&[("en", text("Berlin")), ("de", text("Berlin"))]);
    let city = map(&[("names", names)]);
    let country = map(&[("iso_code", text("DE"))]);
    let location = map(&[("latitude", double(52.5)), ("longitude", double(13.4))]);
    file.extend(map(&[("city", city), ("country", country), ("location", location)]));
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let uint16 = |of: u8| vec![0xa1, of];
    file.extend(map(&[
        ("node_count", vec![0xc1, NODES as u8]),
        ("record_size", uint16(24)),
        ("ip_version", uint16(4)),
        ("database_type", text("Test-City")),
        ("languages", vec![0x00, 0x04]),
        ("binary_format_major_version", uint16(2)),
        ("binary_format_minor_version", uint16(0)),
        ("build_epoch", vec![0x01, 0x02, 1]),
        ("description", map(&[])),
    ]));
    file
}

fn text(of: &str) -> Vec<u8> {
    assert!(of.len() < 29);
    [&[0x40 | of.len() as u8], of.as_bytes()].concat()
}

fn double(of: f64) -> Vec<u8> {
    [&[0x68], &of.to_be_bytes()[..]].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut all = vec![0xe0 | entries.len() as u8];
    for (key, value) in entries {
        all.extend(text(key));
        all.extend(value);
    }
    all
}
