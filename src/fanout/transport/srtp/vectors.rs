//! Whole packets from RFC 7714, 16 and 17, and from libsrtp's tests.

use super::cipher::Cipher;
use super::derive::MasterKey;
use super::replay::Sources;
use super::*;

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

const SALT: &[u8; 12] = b"Quid pro quo";

const RTP: &str = "8040f17b 8041f8d3 5501a0b2
    47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";
const RTCP: &str = "81c8000d 4d617273
    4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef";
const RTCP_INDEX: u32 = 0x5d4;

struct Vector {
    key_bytes: u8,
    rtp: &'static str,
    rtcp: &'static str,
}

const VECTORS: [Vector; 2] = [
    Vector {
        key_bytes: 16,
        rtp: "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f
            42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        rtcp: "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1
            730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    },
    Vector {
        key_bytes: 32,
        rtp: "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3
            b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        rtcp: "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1
            110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
    },
];

#[test]
fn the_packets_of_rfc_7714_come_out() {
    for vector in VECTORS {
        let profile = match vector.key_bytes {
            16 => SrtpProfile::AeadAes128Gcm,
            _ => SrtpProfile::AeadAes256Gcm,
        };
        let key: Vec<u8> = (0..vector.key_bytes).collect();
        let cipher = || Cipher::from_gcm_session_key(profile, &key, *SALT).unwrap();
        let mut sender =
            SrtpSender { profile, rtp: cipher(), rtcp: cipher(), srtcp_index: RTCP_INDEX };
        let mut receiver = SrtpReceiver {
            rtp: cipher(),
            rtcp: cipher(),
            rtp_sources: Sources::default(),
            rtcp_sources: Sources::default(),
        };

        let (plain, mut out) = (hex(RTP), Vec::new());
        sender.protect_rtp(&plain[..12], &plain[12..], 0, &mut out).unwrap();
        assert_eq!(out, hex(vector.rtp));
        assert_eq!(receiver.unprotect_rtp(&mut out).unwrap(), plain);

        let (plain, mut out) = (hex(RTCP), Vec::new());
        sender.protect_rtcp(&plain, &mut out).unwrap();
        assert_eq!(out, hex(vector.rtcp));
        assert_eq!(receiver.unprotect_rtcp(&mut out).unwrap(), plain);
    }
}

#[test]
fn the_packets_of_libsrtp_come_out() {
    let master = MasterKey::new(
        SrtpProfile::Aes128CmSha1_80,
        &hex("e1f97a0d3e018be0d64fa32c06de4139"),
        &hex("0ec675ad498afeebb6960b3aabe6"),
    );
    let mut sender = SrtpSender::new(&master).unwrap();
    let mut out = Vec::new();
    let header = hex("800f1234 decafbad cafebabe");
    sender.protect_rtp(&header, &[0xab; 16], 0, &mut out).unwrap();
    let expected = hex("800f1234 decafbad cafebabe
        4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb");
    assert_eq!(out, expected);

    sender.srtcp_index = 1;
    let mut plain = hex("81c8000b cafebabe");
    plain.extend_from_slice(&[0xab; 16]);
    let mut out = Vec::new();
    sender.protect_rtcp(&plain, &mut out).unwrap();
    let expected = hex("81c8000b cafebabe
        7128035b e487b9bd bef89041 f977a5a8 80000001 993e08cd 54d6c123 0798");
    assert_eq!(out, expected);
}
