//! AWS-LC's libssl as a DTLS 1.2 engine without sockets or a clock of its own: datagrams go in
//! and come out through memory, and time is passed in.
//!
//! libssl's raw interface stays in this folder.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_lc_sys as ffi;

mod context;

use context::check;
pub use context::{Context, LibsslError};

/// One handshake, and the records after it.
pub struct Connection {
    raw: NonNull<ffi::SSL>,
    /// What came in and wasn't read yet. Belongs to `raw`.
    incoming: NonNull<ffi::BIO>,
    /// What was written and wasn't taken yet. Belongs to `raw`.
    outgoing: NonNull<ffi::BIO>,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Handshaking,
    Open,
    /// The peer sent close_notify.
    Closed,
}

/// RFC 5764, 4.2.
const SRTP_LABEL: &[u8] = b"EXTRACTOR-dtls_srtp";
const RECORD_HEADER_BYTES: usize = 13;
/// Application data is read to be thrown away.
const WASTE_BYTES: usize = 2048;

thread_local! {
    /// The time that libssl is told on this thread.
    static NOW: Cell<Duration> = const { Cell::new(Duration::from_secs(1)) };
}

fn set_time(now: Instant) {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let since = now.saturating_duration_since(*EPOCH.get_or_init(|| now));
    // Zero means "no timer" to libssl.
    NOW.set(since + Duration::from_secs(1));
}

/// Cuts records that were written one after another into datagrams of whole records. A record
/// longer than `mtu` goes on its own.
fn datagrams(mut records: &[u8], mtu: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut end = 0;
        while let Some(length) = record_length(&records[end..]) {
            if end > 0 && end + length > mtu {
                break;
            }
            end += length;
        }
        let (datagram, rest) = records.split_at(end);
        records = rest;
        (end > 0).then_some(datagram)
    })
}

fn record_length(records: &[u8]) -> Option<usize> {
    let length = records.get(RECORD_HEADER_BYTES - 2..RECORD_HEADER_BYTES)?;
    let length = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([length[0], length[1]]));
    (length <= records.len()).then_some(length)
}

// === impl Connection ===

// SAFETY: a connection belongs to one owner at a time, and libssl keeps nothing per thread but
// its queue of errors, which is cleared before it is read.
unsafe impl Send for Connection {}

impl Connection {
    /// `mtu` bounds datagrams of the handshake; `first_timeout` is when one that isn't answered
    /// is sent again. The interval doubles.
    pub fn new(
        context: &Context,
        is_client: bool,
        mtu: usize,
        first_timeout: Duration,
    ) -> Result<Self, LibsslError> {
        // SAFETY: what is made is checked before use. From `SSL_set_bio` on, the buffers belong
        // to the connection, which frees them.
        unsafe {
            let raw = NonNull::new(ffi::SSL_new(context.raw.as_ptr()));
            let raw = raw.ok_or_else(LibsslError::last)?;
            let buffers = [ffi::BIO_new(ffi::BIO_s_mem()), ffi::BIO_new(ffi::BIO_s_mem())];
            let [Some(incoming), Some(outgoing)] = buffers.map(NonNull::new) else {
                ffi::BIO_free(buffers[0]);
                ffi::BIO_free(buffers[1]);
                ffi::SSL_free(raw.as_ptr());
                return Err(LibsslError::last());
            };
            // An empty buffer means "later", not "the end".
            ffi::BIO_set_mem_eof_return(incoming.as_ptr(), -1);
            ffi::SSL_set_bio(raw.as_ptr(), incoming.as_ptr(), outgoing.as_ptr());
            let connection = Self { raw, incoming, outgoing };
            check(ffi::SSL_set_mtu(raw.as_ptr(), mtu as u32))?;
            let first = first_timeout.as_millis() as u32;
            ffi::DTLSv1_set_initial_timeout_duration(raw.as_ptr(), first);
            if is_client {
                ffi::SSL_set_connect_state(raw.as_ptr());
            } else {
                ffi::SSL_set_accept_state(raw.as_ptr());
            }
            Ok(connection)
        }
    }

    /// Takes a datagram, and goes on as far as it leads.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<Standing, LibsslError> {
        let length = c_int::try_from(datagram.len()).unwrap_or(c_int::MAX);
        // SAFETY: the buffer lives as long as the connection; it copies the slice.
        unsafe { ffi::BIO_write(self.incoming.as_ptr(), datagram.as_ptr().cast(), length) };
        self.advance(now)
    }

    /// Goes on with what is there: at first, a client's first message.
    pub fn advance(&mut self, now: Instant) -> Result<Standing, LibsslError> {
        set_time(now);
        let raw = self.raw.as_ptr();
        // SAFETY: the connection lives.
        unsafe {
            ffi::ERR_clear_error();
            if ffi::SSL_in_init(raw) != 0 {
                let result = ffi::SSL_do_handshake(raw);
                if result != 1 {
                    return self.standing(result);
                }
            }
        }
        let mut waste = [0_u8; WASTE_BYTES];
        loop {
            // SAFETY: as above; the array has the length that is given.
            let result =
                unsafe { ffi::SSL_read(raw, waste.as_mut_ptr().cast(), WASTE_BYTES as c_int) };
            if result <= 0 {
                return self.standing(result);
            }
        }
    }

    /// Sends again what wasn't answered in time.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), LibsslError> {
        set_time(now);
        // SAFETY: the connection lives.
        let result = unsafe {
            ffi::ERR_clear_error();
            ffi::DTLSv1_handle_timeout(self.raw.as_ptr())
        };
        if result < 0 { Err(LibsslError::last()) } else { Ok(()) }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn timeout(&self, now: Instant) -> Option<Instant> {
        set_time(now);
        let mut left = ffi::timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: the connection lives, and so does the place for the time.
        let is_set = unsafe { ffi::DTLSv1_get_timeout(self.raw.as_ptr(), &raw mut left) } == 1;
        let micros = left.tv_sec as u64 * 1_000_000 + left.tv_usec as u64;
        is_set.then(|| now + Duration::from_micros(micros))
    }

    /// Gives what is to be sent, in datagrams of at most `mtu` bytes.
    pub fn take_output(&mut self, mtu: usize, send: impl FnMut(&[u8])) {
        let (mut data, mut length) = (ptr::null(), 0);
        let outgoing = self.outgoing.as_ptr();
        // SAFETY: the buffer lives; what it points out is its own until it is written to.
        let records = unsafe {
            if ffi::BIO_mem_contents(outgoing, &raw mut data, &raw mut length) != 1 || length == 0 {
                return;
            }
            std::slice::from_raw_parts(data, length)
        };
        datagrams(records, mtu).for_each(send);
        // SAFETY: the slice is no longer used.
        unsafe { ffi::BIO_reset(outgoing) };
    }

    /// The peer's own certificate.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        // SAFETY: the chain belongs to the connection, and so do its certificates; a place
        // beyond its end gives null.
        unsafe {
            let chain = ffi::SSL_get0_peer_certificates(self.raw.as_ptr());
            let first: *const ffi::CRYPTO_BUFFER = ffi::OPENSSL_sk_value(chain.cast(), 0).cast();
            if first.is_null() {
                return None;
            }
            let (data, length) = (ffi::CRYPTO_BUFFER_data(first), ffi::CRYPTO_BUFFER_len(first));
            Some(std::slice::from_raw_parts(data, length))
        }
    }

    /// IANA's number of the SRTP profile that was agreed on.
    pub fn srtp_profile(&self) -> Option<u16> {
        // SAFETY: the connection lives; profiles are static.
        let profile = unsafe { ffi::SSL_get_selected_srtp_profile(self.raw.as_ptr()).as_ref() };
        profile.and_then(|profile| u16::try_from(profile.id).ok())
    }

    /// Keying material for SRTP.
    pub fn export(&self, length: usize) -> Result<Vec<u8>, LibsslError> {
        let mut material = vec![0; length];
        // SAFETY: the connection lives, and the slices have the lengths that are given.
        check(unsafe {
            ffi::SSL_export_keying_material(
                self.raw.as_ptr(),
                material.as_mut_ptr(),
                length,
                SRTP_LABEL.as_ptr().cast(),
                SRTP_LABEL.len(),
                ptr::null(),
                0,
                0,
            )
        })?;
        Ok(material)
    }

    /// Writes close_notify.
    pub fn close(&mut self) {
        // SAFETY: the connection lives. Before the end of the handshake this writes nothing.
        unsafe { ffi::SSL_shutdown(self.raw.as_ptr()) };
    }

    fn standing(&self, result: c_int) -> Result<Standing, LibsslError> {
        let raw = self.raw.as_ptr();
        // SAFETY: the connection lives.
        let (error, handshaking) =
            unsafe { (ffi::SSL_get_error(raw, result), ffi::SSL_in_init(raw) != 0) };
        match error {
            ffi::SSL_ERROR_WANT_READ if handshaking => Ok(Standing::Handshaking),
            ffi::SSL_ERROR_WANT_READ => Ok(Standing::Open),
            ffi::SSL_ERROR_ZERO_RETURN => Ok(Standing::Closed),
            _ => Err(LibsslError::last()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: ours, given back once, and its buffers with it.
        unsafe { ffi::SSL_free(self.raw.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(length: u16) -> Vec<u8> {
        let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
        record.extend(length.to_be_bytes());
        record.extend(vec![0; usize::from(length)]);
        record
    }

    #[test]
    fn records_are_put_together_up_to_the_mtu() {
        let lengths = |sizes: &[u16], mtu: usize| {
            let written = sizes.iter().flat_map(|size| record(*size)).collect::<Vec<u8>>();
            datagrams(&written, mtu).map(<[u8]>::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[], 100), [0_usize; 0]);
        assert_eq!(lengths(&[10, 10, 10], 100), [69]);
        assert_eq!(lengths(&[10, 10, 10], 50), [46, 23]);
        assert_eq!(lengths(&[200, 10], 100), [213, 23]);
    }

    #[test]
    fn half_a_record_is_not_sent() {
        let mut written = record(10);
        written.extend(&record(10)[..15]);
        assert_eq!(datagrams(&written, 100).map(<[u8]>::len).collect::<Vec<_>>(), [23]);
    }
}
