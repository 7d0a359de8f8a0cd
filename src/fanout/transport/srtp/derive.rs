//! Session keys from a master key (RFC 3711, 4.3; RFC 6188, 3; RFC 7714, 11).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use super::{SrtpError, SrtpProfile};

/// What a session key is for: the label of RFC 3711, 4.3.1 is this plus 3 for SRTCP.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// RTP or RTCP; their keys are never the same.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Rtp = 0,
    Rtcp = 3,
}

pub(super) struct MasterKey {
    pub profile: SrtpProfile,
    key: [u8; 32],
    /// A salt of 96 bits is padded on the right (RFC 7714, 11).
    salt: [u8; 14],
}

/// Encrypts in place with AES in counter mode.
pub(super) fn aes_cm(key: &EncryptingKey, iv: [u8; 16], bytes: &mut [u8]) -> Result<(), SrtpError> {
    if bytes.is_empty() {
        return Ok(());
    }
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from(iv)))
        .map(|_| ())
        .map_err(|_| SrtpError::Cipher)
}

pub(super) fn aes_cm_key(key: &[u8]) -> Result<EncryptingKey, SrtpError> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    let key = UnboundCipherKey::new(algorithm, key).map_err(|_| SrtpError::KeyLength)?;
    EncryptingKey::ctr(key).map_err(|_| SrtpError::Cipher)
}

// === impl MasterKey ===

impl MasterKey {
    /// `key` and `salt` have the profile's lengths.
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Self {
        let mut master = Self { profile, key: [0; 32], salt: [0; 14] };
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        master
    }

    /// The key derivation rate is 0: one session key for the life of the master key.
    pub fn derive(
        &self,
        stream: Stream,
        purpose: Purpose,
        out: &mut [u8],
    ) -> Result<(), SrtpError> {
        let key = aes_cm_key(&self.key[..self.profile.key_bytes()])?;
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        iv[7] ^= stream as u8 + purpose as u8;
        out.fill(0);
        aes_cm(&key, iv, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::transport::srtp::vectors::hex;

    #[test]
    fn the_vectors_of_rfc_3711_b3_come_out() {
        let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::new(SrtpProfile::Aes128CmSha1_80, &key, &salt);
        let mut cipher_key = [0; 16];
        master.derive(Stream::Rtp, Purpose::Encryption, &mut cipher_key).unwrap();
        assert_eq!(cipher_key[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        let mut cipher_salt = [0; 14];
        master.derive(Stream::Rtp, Purpose::Salt, &mut cipher_salt).unwrap();
        assert_eq!(cipher_salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        let mut auth_key = [0; 94];
        master.derive(Stream::Rtp, Purpose::Authentication, &mut auth_key).unwrap();
        let expected = hex("CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
            E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
            6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2");
        assert_eq!(auth_key[..], expected);
    }

    #[test]
    fn the_vectors_of_rfc_3711_b2_come_out() {
        let key = aes_cm_key(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
        let iv = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
        let mut keystream = [0; 48];
        aes_cm(&key, iv, &mut keystream).unwrap();
        let expected = hex("E03EAD0935C95E80E166B16DD92B4EB4
            D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0");
        assert_eq!(keystream[..], expected);
    }
}
