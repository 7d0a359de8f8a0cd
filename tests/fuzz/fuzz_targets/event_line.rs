//! Fuzzes one door; see `doors` in the crate that it belongs to.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stentor::doors::event_line(bytes));
