//! One direction's session keys for RTP or for RTCP, and what to do with them.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::EncryptingKey;
use aws_lc_rs::{constant_time, hmac};

use super::derive::{MasterKey, Purpose, Stream, aes_cm, aes_cm_key};
use super::{SrtpError, SrtpProfile};

pub(super) const GCM_TAG_BYTES: usize = 16;
pub(super) const HMAC_TAG_BYTES: usize = 10;
/// RFC 3711, 5.2.
const HMAC_KEY_BYTES: usize = 20;

pub(super) enum Cipher {
    Gcm {
        key: LessSafeKey,
        salt: [u8; 12],
    },
    /// Boxed: the rarer and the larger one.
    CmSha1(Box<CmSha1>),
}

pub(super) struct CmSha1 {
    key: EncryptingKey,
    salt: [u8; 14],
    authentication: hmac::Key,
}

// === impl Cipher ===

impl Cipher {
    pub fn new(master: &MasterKey, stream: Stream) -> Result<Self, SrtpError> {
        let mut key = [0; 32];
        let key = &mut key[..master.profile.key_bytes()];
        master.derive(stream, Purpose::Encryption, key)?;
        if master.profile != SrtpProfile::Aes128CmSha1_80 {
            let mut salt = [0; 12];
            master.derive(stream, Purpose::Salt, &mut salt)?;
            return Self::from_gcm_session_key(master.profile, key, salt);
        }
        let mut salt = [0; 14];
        master.derive(stream, Purpose::Salt, &mut salt)?;
        let mut authentication = [0; HMAC_KEY_BYTES];
        master.derive(stream, Purpose::Authentication, &mut authentication)?;
        Ok(Self::CmSha1(Box::new(CmSha1 {
            key: aes_cm_key(key)?,
            salt,
            authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &authentication),
        })))
    }

    pub fn from_gcm_session_key(
        profile: SrtpProfile,
        key: &[u8],
        salt: [u8; 12],
    ) -> Result<Self, SrtpError> {
        let algorithm = match profile {
            SrtpProfile::AeadAes256Gcm => &AES_256_GCM,
            _ => &AES_128_GCM,
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| SrtpError::KeyLength)?;
        Ok(Self::Gcm { key: LessSafeKey::new(key), salt })
    }
}

/// RFC 7714, 8.1 and 9.1: SSRC, then 48 bits that never repeat for it.
pub(super) fn gcm_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[6..12].copy_from_slice(&index.to_be_bytes()[2..]);
    nonce.iter_mut().zip(salt).for_each(|(byte, salt)| *byte ^= salt);
    Nonce::assume_unique_for_key(nonce)
}

pub(super) fn gcm_seal(
    key: &LessSafeKey,
    nonce: Nonce,
    associated: &[u8],
    plain: &mut [u8],
) -> Result<[u8; GCM_TAG_BYTES], SrtpError> {
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(associated), plain)
        .map_err(|_| SrtpError::Cipher)?;
    tag.as_ref().try_into().map_err(|_| SrtpError::Cipher)
}

pub(super) fn gcm_open(
    key: &LessSafeKey,
    nonce: Nonce,
    associated: &[u8],
    tag: &[u8],
    cipher_text: &mut [u8],
) -> Result<(), SrtpError> {
    key.open_in_place_separate_tag(nonce, Aad::from(associated), tag, cipher_text)
        .map(|_| ())
        .map_err(|_| SrtpError::Unauthentic)
}

// === impl CmSha1 ===

impl CmSha1 {
    /// Encrypts or decrypts: RFC 3711, 4.1.1.
    pub fn crypt(&self, ssrc: u32, index: u64, bytes: &mut [u8]) -> Result<(), SrtpError> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        let mask = u128::from(ssrc) << 64 | u128::from(index) << 16;
        let iv = (u128::from_be_bytes(iv) ^ mask).to_be_bytes();
        aes_cm(&self.key, iv, bytes)
    }

    /// `trailer` is the roll-over counter of SRTP; SRTCP has its index in the message.
    pub fn tag(&self, message: &[u8], trailer: &[u8]) -> [u8; HMAC_TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(message);
        context.update(trailer);
        let mut tag = [0; HMAC_TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..HMAC_TAG_BYTES]);
        tag
    }

    pub fn verify(&self, message: &[u8], trailer: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        constant_time::verify_slices_are_equal(&self.tag(message, trailer), tag)
            .map_err(|_| SrtpError::Unauthentic)
    }
}
