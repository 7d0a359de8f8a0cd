//! Opens packets on their way in, each once.

use super::cipher::{Cipher, GCM_TAG_BYTES, HMAC_TAG_BYTES, gcm_nonce, gcm_open};
use super::derive::{MasterKey, Stream};
use super::replay::Sources;
use super::{SrtpError, rtp_header_length, ssrc_at};

/// RTCP header and SSRC, which stay readable.
const RTCP_CLEAR_BYTES: usize = 8;
const WORD_BYTES: usize = 4;

/// The receiving half of a session's keys.
pub struct SrtpReceiver {
    pub(super) rtp: Cipher,
    pub(super) rtcp: Cipher,
    pub(super) rtp_sources: Sources,
    pub(super) rtcp_sources: Sources,
}

// === impl SrtpReceiver ===

impl SrtpReceiver {
    pub(super) fn new(master: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self {
            rtp: Cipher::new(master, Stream::Rtp)?,
            rtcp: Cipher::new(master, Stream::Rtcp)?,
            rtp_sources: Sources::default(),
            rtcp_sources: Sources::default(),
        })
    }

    /// Opens an SRTP packet in place; gives header and payload. After an error the bytes are of
    /// no use.
    pub fn unprotect_rtp<'a>(&mut self, bytes: &'a mut [u8]) -> Result<&'a [u8], SrtpError> {
        let header = rtp_header_length(bytes).ok_or(SrtpError::Short)?;
        let ssrc = ssrc_at(bytes, 8).ok_or(SrtpError::Short)?;
        let sequence = u16::from_be_bytes([bytes[2], bytes[3]]);
        let index = self.guess_index(ssrc, sequence);
        self.rtp_sources.check(ssrc, index)?;
        let end = match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let end = tag_at(bytes, header, GCM_TAG_BYTES)?;
                let (packet, tag) = bytes.split_at_mut(end);
                let (header, cipher_text) = packet.split_at_mut(header);
                gcm_open(key, gcm_nonce(salt, ssrc, index), header, tag, cipher_text)?;
                end
            }
            Cipher::CmSha1(cipher) => {
                let end = tag_at(bytes, header, HMAC_TAG_BYTES)?;
                let (packet, tag) = bytes.split_at_mut(end);
                let roc = (index >> 16) as u32;
                cipher.verify(packet, &roc.to_be_bytes(), tag)?;
                cipher.crypt(ssrc, index, &mut packet[header..])?;
                end
            }
        };
        self.rtp_sources.accept(ssrc, index);
        Ok(&bytes[..end])
    }

    /// Opens an SRTCP packet in place; gives the compound packet. After an error the bytes are
    /// of no use. An unencrypted one is opened too where the profile authenticates it.
    pub fn unprotect_rtcp<'a>(&mut self, bytes: &'a mut [u8]) -> Result<&'a [u8], SrtpError> {
        let ssrc = ssrc_at(bytes, 4).ok_or(SrtpError::Short)?;
        let word_at = match &self.rtcp {
            Cipher::Gcm { .. } => tag_at(bytes, RTCP_CLEAR_BYTES + GCM_TAG_BYTES, WORD_BYTES)?,
            Cipher::CmSha1(_) => tag_at(bytes, RTCP_CLEAR_BYTES, WORD_BYTES + HMAC_TAG_BYTES)?,
        };
        let word = *bytes[word_at..].first_chunk::<WORD_BYTES>().ok_or(SrtpError::Short)?;
        let encrypted = word[0] & 0x80 != 0;
        let index = u64::from(u32::from_be_bytes(word) & 0x7fff_ffff);
        self.rtcp_sources.check(ssrc, index)?;
        let end = match &self.rtcp {
            // An unencrypted GCM packet has all of itself as associated data; nobody sends it.
            Cipher::Gcm { .. } if !encrypted => return Err(SrtpError::Unauthentic),
            Cipher::Gcm { key, salt } => {
                let end = word_at - GCM_TAG_BYTES;
                let mut associated = [0; RTCP_CLEAR_BYTES + WORD_BYTES];
                associated[..RTCP_CLEAR_BYTES].copy_from_slice(&bytes[..RTCP_CLEAR_BYTES]);
                associated[RTCP_CLEAR_BYTES..].copy_from_slice(&word);
                let (packet, rest) = bytes.split_at_mut(end);
                let tag = &rest[..GCM_TAG_BYTES];
                let cipher_text = &mut packet[RTCP_CLEAR_BYTES..];
                gcm_open(key, gcm_nonce(salt, ssrc, index), &associated, tag, cipher_text)?;
                end
            }
            Cipher::CmSha1(cipher) => {
                let (message, tag) = bytes.split_at_mut(word_at + WORD_BYTES);
                cipher.verify(message, &[], tag)?;
                if encrypted {
                    cipher.crypt(ssrc, index, &mut message[RTCP_CLEAR_BYTES..word_at])?;
                }
                word_at
            }
        };
        self.rtcp_sources.accept(ssrc, index);
        Ok(&bytes[..end])
    }

    /// The index nearest to the highest one received (RFC 3711, 3.3.1).
    fn guess_index(&self, ssrc: u32, sequence: u16) -> u64 {
        let Some(window) = self.rtp_sources.window(ssrc) else {
            return sequence.into();
        };
        let highest = window.highest();
        let distance = sequence.wrapping_sub(highest as u16) as i16;
        highest.checked_add_signed(distance.into()).unwrap_or(sequence.into())
    }
}

/// Where the last `tail` bytes begin, if at least `head` bytes are in front of them.
fn tag_at(bytes: &[u8], head: usize, tail: usize) -> Result<usize, SrtpError> {
    bytes.len().checked_sub(tail).filter(|at| *at >= head).ok_or(SrtpError::Short)
}
