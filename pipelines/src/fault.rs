//! Faults on demand, for tests: an encoder that hangs, falls silent, panics or fails.
//!
//! Only in debug builds and with the feature `fault-injection`; otherwise nothing of this is in
//! the binary. `STENTOR_FAULT` is a list, separated by commas, of
//! `what@track:units` or `what@track:units+`: after so many units the rung of that track suffers
//! `hang`, `silence`, `panic` once, or with `+` in each of its lives; track `d` is the decoder,
//! `s` the source's close.

#[cfg(any(debug_assertions, feature = "fault-injection"))]
mod active {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    struct Fault {
        what: String,
        place: String,
        after: u64,
        again: bool,
        seen: AtomicU64,
    }

    fn faults() -> &'static [Fault] {
        static FAULTS: OnceLock<Vec<Fault>> = OnceLock::new();
        FAULTS.get_or_init(|| {
            let text = std::env::var("STENTOR_FAULT").unwrap_or_default();
            text.split(',').filter_map(parse).collect()
        })
    }

    fn parse(text: &str) -> Option<Fault> {
        let (what, rest) = text.split_once('@')?;
        let (place, after) = rest.split_once(':')?;
        let again = after.ends_with('+');
        Some(Fault {
            what: what.to_owned(),
            place: place.to_owned(),
            after: after.trim_end_matches('+').parse().ok()?,
            again,
            seen: AtomicU64::new(0),
        })
    }

    /// Suffers what is due at the place. Gives whether the unit is swallowed.
    pub fn strike(place: &str) -> bool {
        let mut silent = false;
        for fault in faults().iter().filter(|fault| fault.place == place) {
            let seen = fault.seen.fetch_add(1, Relaxed);
            if seen < fault.after || (seen > fault.after && !fault.again) {
                continue;
            }
            match fault.what.as_str() {
                "hang" => loop {
                    std::thread::sleep(Duration::from_secs(3600));
                },
                "panic" => panic!("a fault on demand"),
                _ => silent = true,
            }
        }
        silent
    }
}

/// Whether the rung's unit is swallowed.
#[cfg(any(debug_assertions, feature = "fault-injection"))]
pub fn strikes_encoder(track: stentor_protocol::TrackId) -> bool {
    active::strike(&track.to_string())
}

#[cfg(not(any(debug_assertions, feature = "fault-injection")))]
pub fn strikes_encoder(_: stentor_protocol::TrackId) -> bool {
    false
}

/// Whether the decoder's frames are swallowed.
#[cfg(any(debug_assertions, feature = "fault-injection"))]
pub fn strikes_decoder() -> bool {
    active::strike("d")
}

#[cfg(not(any(debug_assertions, feature = "fault-injection")))]
pub fn strikes_decoder() -> bool {
    false
}

/// Before the source is closed.
#[cfg(any(debug_assertions, feature = "fault-injection"))]
pub fn strike_close() {
    active::strike("s");
}

#[cfg(not(any(debug_assertions, feature = "fault-injection")))]
pub fn strike_close() {}
