//! SRTP and SRTCP: AEAD AES-GCM (RFC 7714), and AES-CM with HMAC-SHA1 (RFC 3711) for peers that
//! have nothing better.
//!
//! A sender appends protected packets to a buffer of the caller's; a receiver opens them in
//! place. Neither allocates per packet.

mod cipher;
mod derive;
mod receiver;
mod replay;
mod sender;
#[cfg(test)]
mod vectors;

pub use receiver::SrtpReceiver;
pub use sender::SrtpSender;

use derive::MasterKey;

/// Protection profiles of RFC 5764, 4.1.2 and RFC 7714, 14.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    AeadAes128Gcm,
    AeadAes256Gcm,
    Aes128CmSha1_80,
}

/// Why a packet was neither protected nor opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    #[error("the packet is shorter than its headers and tag")]
    Short,
    #[error("the packet is not what its sender protected")]
    Unauthentic,
    #[error("the packet was received before, or is too old to tell")]
    Replayed,
    #[error("the peer uses more SSRCs than are followed")]
    TooManySources,
    #[error("the key has protected all the packets that it may")]
    Exhausted,
    #[error("the keying material has the wrong length for its profile")]
    KeyLength,
    #[error("the cipher failed")]
    Cipher,
}

/// Bytes of an RTP header with its CSRCs and extension.
fn rtp_header_length(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut length = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (length <= packet.len()).then_some(length)
}

fn ssrc_at(packet: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}

// === impl SrtpProfile ===

impl SrtpProfile {
    /// The name that DTLS and metrics know it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::Aes128CmSha1_80 => "AES128_CM_HMAC_SHA1_80",
        }
    }

    /// By IANA's registry of DTLS-SRTP protection profiles.
    pub(super) const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Aes128CmSha1_80),
            7 => Some(Self::AeadAes128Gcm),
            8 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// Bytes of keying material that DTLS exports for both directions.
    pub(super) const fn exported_bytes(self) -> usize {
        2 * (self.key_bytes() + self.salt_bytes())
    }

    /// Bytes that protection adds to an RTP packet.
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => cipher::GCM_TAG_BYTES,
            Self::Aes128CmSha1_80 => cipher::HMAC_TAG_BYTES,
        }
    }

    const fn key_bytes(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    const fn salt_bytes(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }
}

/// The two directions' contexts from what DTLS exported (RFC 5764, 4.2): client key, server
/// key, client salt, server salt.
pub(super) fn contexts(
    profile: SrtpProfile,
    exported: &[u8],
    we_are_client: bool,
) -> Result<(SrtpSender, SrtpReceiver), SrtpError> {
    let (key, salt) = (profile.key_bytes(), profile.salt_bytes());
    if exported.len() != profile.exported_bytes() {
        return Err(SrtpError::KeyLength);
    }
    let (keys, salts) = exported.split_at(2 * key);
    let client = MasterKey::new(profile, &keys[..key], &salts[..salt]);
    let server = MasterKey::new(profile, &keys[key..], &salts[salt..]);
    let (ours, theirs) = if we_are_client { (client, server) } else { (server, client) };
    Ok((SrtpSender::new(&ours)?, SrtpReceiver::new(&theirs)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: [SrtpProfile; 3] =
        [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80];

    fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
        let length = 2 * (profile.key_bytes() + profile.salt_bytes());
        let exported: Vec<u8> = (0..length as u8).collect();
        let (sender, _) = contexts(profile, &exported, true).unwrap();
        let (_, receiver) = contexts(profile, &exported, false).unwrap();
        (sender, receiver)
    }

    fn rtp_header(sequence: u16) -> Vec<u8> {
        let mut header = vec![0x90, 96];
        header.extend_from_slice(&sequence.to_be_bytes());
        header.extend_from_slice(&[0, 0, 0, 9, 0xca, 0xfe, 0xba, 0xbe]);
        header.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0x33, 0, 0]);
        header
    }

    fn rtcp() -> Vec<u8> {
        let mut packet = vec![0x81, 206, 0, 3, 0xca, 0xfe, 0xba, 0xbe];
        packet.extend_from_slice(b"feedback");
        packet
    }

    #[test]
    fn what_one_side_protects_the_other_opens() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let mut out = b"earlier packet".to_vec();
            sender.protect_rtp(&rtp_header(5), b"payload", 0, &mut out).unwrap();
            let mut packet = out.split_off(14);
            assert_eq!(packet.len(), 20 + 7 + profile.rtp_overhead());
            assert!(!packet.windows(7).any(|w| w == b"payload"));
            let plain = receiver.unprotect_rtp(&mut packet).unwrap();
            assert_eq!(plain, [rtp_header(5), b"payload".to_vec()].concat());

            let mut out = Vec::new();
            sender.protect_rtcp(&rtcp(), &mut out).unwrap();
            assert_eq!(receiver.unprotect_rtcp(&mut out).unwrap(), rtcp());
        }
    }

    #[test]
    fn a_retransmission_carries_the_original_number_in_front_of_its_payload() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let mut out = Vec::new();
            sender.protect_rtx(&rtp_header(5), 0x1234, b"payload", 0, &mut out).unwrap();
            let plain = receiver.unprotect_rtp(&mut out).unwrap();
            assert_eq!(plain[20..], b"\x12\x34payload"[..]);
        }
    }

    #[test]
    fn a_bit_that_changes_anywhere_is_noticed() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let (mut rtp, mut feedback) = (Vec::new(), Vec::new());
            sender.protect_rtp(&rtp_header(5), b"payload", 0, &mut rtp).unwrap();
            sender.protect_rtcp(&rtcp(), &mut feedback).unwrap();
            for at in 0..rtp.len() {
                let mut bent = rtp.clone();
                bent[at] ^= 1;
                assert!(receiver.unprotect_rtp(&mut bent).is_err(), "{profile:?} byte {at}");
            }
            for at in 0..feedback.len() {
                let mut bent = feedback.clone();
                bent[at] ^= 1;
                assert!(receiver.unprotect_rtcp(&mut bent).is_err(), "{profile:?} byte {at}");
            }
            assert!(receiver.unprotect_rtp(&mut rtp).is_ok());
            assert!(receiver.unprotect_rtcp(&mut feedback).is_ok());
        }
    }

    #[test]
    fn a_packet_passes_once() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let (mut rtp, mut feedback) = (Vec::new(), Vec::new());
            sender.protect_rtp(&rtp_header(5), b"payload", 0, &mut rtp).unwrap();
            sender.protect_rtcp(&rtcp(), &mut feedback).unwrap();
            assert!(receiver.unprotect_rtp(&mut rtp.clone()).is_ok());
            assert!(receiver.unprotect_rtcp(&mut feedback.clone()).is_ok());
            assert_eq!(receiver.unprotect_rtp(&mut rtp), Err(SrtpError::Replayed));
            assert_eq!(receiver.unprotect_rtcp(&mut feedback), Err(SrtpError::Replayed));
        }
    }

    #[test]
    fn the_roll_over_counter_is_followed_through_reordering() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            for index in [65530_u32, 65537, 65535, 65536, 65538, 65534, 90_000, 120_000, 131_073] {
                let mut out = Vec::new();
                let header = rtp_header(index as u16);
                sender.protect_rtp(&header, b"payload", index >> 16, &mut out).unwrap();
                assert!(receiver.unprotect_rtp(&mut out).is_ok(), "{profile:?} index {index}");
            }
        }
    }

    #[test]
    fn garbage_of_every_length_is_refused() {
        for profile in PROFILES {
            let (_, mut receiver) = pair(profile);
            for length in 0..120 {
                for fill in [0x00, 0x80, 0x8f, 0x90, 0x9f, 0xff] {
                    let mut bytes = vec![fill; length];
                    assert!(receiver.unprotect_rtp(&mut bytes).is_err());
                    assert!(receiver.unprotect_rtcp(&mut bytes).is_err());
                }
            }
        }
    }

    #[test]
    fn a_peer_of_countless_sources_is_bounded() {
        let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
        let refused = (0..1000_u32)
            .filter(|ssrc| {
                let mut packet = rtcp();
                packet[4..8].copy_from_slice(&ssrc.to_be_bytes());
                let mut out = Vec::new();
                sender.protect_rtcp(&packet, &mut out).unwrap();
                receiver.unprotect_rtcp(&mut out) == Err(SrtpError::TooManySources)
            })
            .count();
        assert_eq!(refused, 1000 - 32);
    }
}
