//! Writes what viewers get: sender reports with a name, and good-bye.

/// What a sender report says of one stream (RFC 3550, 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    pub ssrc: u32,
    /// 32.32 fixed point, seconds since 1900.
    pub ntp: u64,
    /// The stream's clock at that time.
    pub rtp: u32,
    pub packets: u32,
    pub payload_bytes: u32,
}

/// Seconds from 1900 to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// NTP time of a Unix time in microseconds.
pub fn ntp_from_unix_us(unix_us: u64) -> u64 {
    let seconds = unix_us / 1_000_000 + NTP_OFFSET;
    let fraction = ((unix_us % 1_000_000) << 32) / 1_000_000;
    seconds << 32 | fraction
}

/// Appends a sender report and the stream's CNAME.
pub fn sender_report(out: &mut Vec<u8>, info: &SenderInfo, cname: &str) {
    out.extend_from_slice(&[0x80, 200, 0, 6]);
    out.extend_from_slice(&info.ssrc.to_be_bytes());
    out.extend_from_slice(&info.ntp.to_be_bytes());
    out.extend_from_slice(&info.rtp.to_be_bytes());
    out.extend_from_slice(&info.packets.to_be_bytes());
    out.extend_from_slice(&info.payload_bytes.to_be_bytes());
    description(out, info.ssrc, cname);
}

/// Appends an empty receiver report (a compound begins with a report) and a BYE.
pub fn bye(out: &mut Vec<u8>, ssrcs: &[u32]) {
    let count = ssrcs.len().min(31);
    let sender = ssrcs.first().copied().unwrap_or_default();
    out.extend_from_slice(&[0x80, 201, 0, 1]);
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&[0x80 | count as u8, 203, 0, count as u8]);
    for ssrc in &ssrcs[..count] {
        out.extend_from_slice(&ssrc.to_be_bytes());
    }
}

/// One SDES chunk with a CNAME (RFC 3550, 6.5).
fn description(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    let start = out.len();
    out.extend_from_slice(&[0x81, 202, 0, 0]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.push(1);
    out.push(cname.len() as u8);
    out.extend_from_slice(cname);
    out.push(0);
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    let words = (out.len() - start) / 4 - 1;
    out[start + 3] = words as u8;
}
