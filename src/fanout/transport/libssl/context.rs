//! What all DTLS connections with one certificate share.

use std::ffi::{CStr, c_int, c_long};
use std::ptr::{self, NonNull};

use aws_lc_sys as ffi;

use super::NOW;

/// What all connections with one certificate share.
pub struct Context {
    pub(super) raw: NonNull<ffi::SSL_CTX>,
}

/// What libssl says of its failure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LibsslError(String);

/// DTLS 1.2, on the wire.
const VERSION: u16 = 0xfefd;
/// The cheapest first. All of them exist with RSA, too, for a peer that is the server.
const CIPHERS: &CStr = c"ECDHE+AESGCM:ECDHE+CHACHA20";
const SRTP_PROFILES: &CStr = c"SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";
/// How a peer may sign, with RSA too: webrtcbin's certificates are. No SHA-1.
const SIGNATURES: [u16; 7] = [
    ffi::SSL_SIGN_ECDSA_SECP256R1_SHA256 as u16,
    ffi::SSL_SIGN_ECDSA_SECP384R1_SHA384 as u16,
    ffi::SSL_SIGN_RSA_PSS_RSAE_SHA256 as u16,
    ffi::SSL_SIGN_RSA_PKCS1_SHA256 as u16,
    ffi::SSL_SIGN_RSA_PSS_RSAE_SHA384 as u16,
    ffi::SSL_SIGN_RSA_PKCS1_SHA384 as u16,
    ffi::SSL_SIGN_RSA_PKCS1_SHA512 as u16,
];

/// Reports the time that was passed in, not the system's.
///
/// # Safety
/// `out` points to a `timeval`.
unsafe extern "C" fn tell_time(_: *const ffi::SSL, out: *mut ffi::timeval) {
    let now = NOW.get();
    let time = ffi::timeval {
        tv_sec: now.as_secs() as c_long,
        tv_usec: c_long::from(now.subsec_micros() as i32),
    };
    // SAFETY: libssl gives a place for the time.
    unsafe { out.write(time) };
}

/// Takes any certificate: it is compared with the peer's description after the handshake, which
/// proves that the peer has its key.
unsafe extern "C" fn accept_certificate(_: *mut ffi::SSL, _: *mut u8) -> ffi::ssl_verify_result_t {
    ffi::ssl_verify_result_t_ssl_verify_ok
}

// === impl LibsslError ===

impl LibsslError {
    /// The last failure on this thread.
    pub(super) fn last() -> Self {
        // SAFETY: reads this thread's own queue; the text is static.
        let reason = unsafe {
            let code = ffi::ERR_peek_last_error();
            let text = ffi::ERR_reason_error_string(code);
            (!text.is_null()).then(|| CStr::from_ptr(text))
        };
        let reason = reason.map_or("no reason given".into(), CStr::to_string_lossy);
        Self(reason.to_lowercase().replace('_', " "))
    }
}

pub(super) fn check(result: c_int) -> Result<(), LibsslError> {
    if result == 1 { Ok(()) } else { Err(LibsslError::last()) }
}

// === impl Context ===

// SAFETY: libssl counts references to a context atomically and locks what connections change in
// it; nothing here changes it once it is made.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// `key`: PKCS #8.
    pub fn new(certificate: &[u8], key: &[u8]) -> Result<Self, LibsslError> {
        // SAFETY: the method is static.
        let raw = unsafe { ffi::SSL_CTX_new(ffi::DTLS_with_buffers_method()) };
        let raw = NonNull::new(raw).ok_or_else(LibsslError::last)?;
        let context = Self { raw };
        let raw = raw.as_ptr();
        // SAFETY: the context lives, strings end with 0, the list has the length that is given.
        unsafe {
            check(ffi::SSL_CTX_set_min_proto_version(raw, VERSION))?;
            check(ffi::SSL_CTX_set_max_proto_version(raw, VERSION))?;
            check(ffi::SSL_CTX_set_strict_cipher_list(raw, CIPHERS.as_ptr()))?;
            check(ffi::SSL_CTX_set_srtp_profiles(raw, SRTP_PROFILES.as_ptr()))?;
            check(ffi::SSL_CTX_set_verify_algorithm_prefs(
                raw,
                SIGNATURES.as_ptr(),
                SIGNATURES.len(),
            ))?;
            let demand = ffi::SSL_VERIFY_PEER | ffi::SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
            ffi::SSL_CTX_set_custom_verify(raw, demand, Some(accept_certificate));
            ffi::SSL_CTX_set_session_cache_mode(raw, ffi::SSL_SESS_CACHE_OFF);
            let options = ffi::SSL_OP_NO_TICKET | ffi::SSL_OP_NO_QUERY_MTU;
            ffi::SSL_CTX_set_options(raw, options as u32);
            ffi::SSL_CTX_set_current_time_cb(raw, Some(tell_time));
        }
        context.set_identity(certificate, key)?;
        Ok(context)
    }

    fn set_identity(&self, certificate: &[u8], key: &[u8]) -> Result<(), LibsslError> {
        // SAFETY: the slices outlive the calls, which copy them; what is made is checked, and
        // given back here, since the context takes references of its own.
        unsafe {
            let mut reader = ffi::CBS { data: key.as_ptr(), len: key.len() };
            let key = ffi::EVP_parse_private_key(&raw mut reader);
            let certificate =
                ffi::CRYPTO_BUFFER_new(certificate.as_ptr(), certificate.len(), ptr::null_mut());
            let result = if key.is_null() || certificate.is_null() {
                Err(LibsslError::last())
            } else {
                let chain = [certificate];
                let raw = self.raw.as_ptr();
                check(ffi::SSL_CTX_set_chain_and_key(raw, chain.as_ptr(), 1, key, ptr::null()))
            };
            ffi::CRYPTO_BUFFER_free(certificate);
            ffi::EVP_PKEY_free(key);
            result
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: our reference, given back once.
        unsafe { ffi::SSL_CTX_free(self.raw.as_ptr()) };
    }
}
