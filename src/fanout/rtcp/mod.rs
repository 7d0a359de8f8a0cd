//! RTCP (RFC 3550, 4585, 5104; transport-wide congestion control; REMB): what viewers send, read
//! without a copy, and what we send them.

mod compose;
mod parse;
mod twcc;

pub use compose::{SenderInfo, bye, ntp_from_unix_us, sender_report};
pub use parse::{Message, NackPairs, ReportBlock, parse};
pub use twcc::{TransportFeedback, WRAP_TICKS as ARRIVAL_WRAP_TICKS};

#[cfg(test)]
mod tests;
