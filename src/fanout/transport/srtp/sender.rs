//! Protects packets on their way out.

use super::cipher::{Cipher, gcm_nonce, gcm_seal};
use super::derive::{MasterKey, Stream};
use super::{SrtpError, SrtpProfile, ssrc_at};

/// SRTCP packets that one key may protect (RFC 3711, 9.2).
const MAX_SRTCP_INDEX: u32 = (1 << 31) - 1;
const ENCRYPTED_FLAG: u32 = 1 << 31;

/// The sending half of a session's keys.
///
/// A sequence number (with its roll-over counter) may be used once per SSRC; sending different
/// bytes under a number that was used reveals both. Retransmissions therefore go by RTX, under
/// their own SSRC and numbers.
pub struct SrtpSender {
    pub(super) profile: SrtpProfile,
    pub(super) rtp: Cipher,
    pub(super) rtcp: Cipher,
    /// Index of the next SRTCP packet; one count for all SSRCs, as RFC 3711, 3.4 allows.
    pub(super) srtcp_index: u32,
}

// === impl SrtpSender ===

impl SrtpSender {
    pub(super) fn new(master: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self {
            profile: master.profile,
            rtp: Cipher::new(master, Stream::Rtp)?,
            rtcp: Cipher::new(master, Stream::Rtcp)?,
            srtcp_index: 0,
        })
    }

    pub fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// Appends the protected packet to `out`. `header` is a whole RTP header with its extension;
    /// `roc` counts how often its sequence number has wrapped. On an error `out` is unchanged.
    pub fn protect_rtp(
        &mut self,
        header: &[u8],
        payload: &[u8],
        roc: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        self.protect(header, &[], payload, roc, out)
    }

    /// The same for a retransmission (RFC 4588): `original` is the sequence number of the packet
    /// that `payload` is from.
    pub fn protect_rtx(
        &mut self,
        header: &[u8],
        original: u16,
        payload: &[u8],
        roc: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        self.protect(header, &original.to_be_bytes(), payload, roc, out)
    }

    fn protect(
        &mut self,
        header: &[u8],
        prefix: &[u8],
        payload: &[u8],
        roc: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        let ssrc = ssrc_at(header, 8).ok_or(SrtpError::Short)?;
        let sequence = u16::from_be_bytes([header[2], header[3]]);
        let index = u64::from(roc) << 16 | u64::from(sequence);
        let start = out.len();
        let length = header.len() + prefix.len() + payload.len();
        out.reserve(length + self.profile.rtp_overhead());
        out.extend_from_slice(header);
        out.extend_from_slice(prefix);
        out.extend_from_slice(payload);
        let packet = &mut out[start..];
        let result = match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let (header, plain) = packet.split_at_mut(header.len());
                gcm_seal(key, gcm_nonce(salt, ssrc, index), header, plain)
                    .map(|tag| out.extend_from_slice(&tag))
            }
            Cipher::CmSha1(cipher) => cipher
                .crypt(ssrc, index, &mut packet[header.len()..])
                .map(|()| cipher.tag(packet, &roc.to_be_bytes()))
                .map(|tag| out.extend_from_slice(&tag)),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Appends the protected compound packet to `out`. On an error `out` is unchanged.
    pub fn protect_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), SrtpError> {
        let ssrc = ssrc_at(packet, 4).ok_or(SrtpError::Short)?;
        if self.srtcp_index > MAX_SRTCP_INDEX {
            return Err(SrtpError::Exhausted);
        }
        let index = self.srtcp_index;
        self.srtcp_index += 1;
        let word = (ENCRYPTED_FLAG | index).to_be_bytes();
        let start = out.len();
        out.extend_from_slice(packet);
        let protected = &mut out[start..];
        let result = match &self.rtcp {
            Cipher::Gcm { key, salt } => {
                let mut associated = [0; 12];
                associated[..8].copy_from_slice(&protected[..8]);
                associated[8..].copy_from_slice(&word);
                let nonce = gcm_nonce(salt, ssrc, index.into());
                gcm_seal(key, nonce, &associated, &mut protected[8..]).map(|tag| {
                    out.extend_from_slice(&tag);
                    out.extend_from_slice(&word);
                })
            }
            Cipher::CmSha1(cipher) => {
                cipher.crypt(ssrc, index.into(), &mut protected[8..]).map(|()| {
                    out.extend_from_slice(&word);
                    let tag = cipher.tag(&out[start..], &[]);
                    out.extend_from_slice(&tag);
                })
            }
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}
