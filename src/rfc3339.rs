//! Times as text (RFC 3339, UTC): whole seconds, or milliseconds.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize, Serializer};

/// Milliseconds since 1970; as text such as `2026-11-23T16:07:00.250Z`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct Millis(pub u64);

/// A text that is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as \"2026-11-23T16:07:00.250Z\"")]
pub struct NotATime;

/// Such as `2026-11-23T16:07:00Z`. Times before 1970 count as 1970.
pub fn format(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// For `#[serde(serialize_with)]`.
pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*time))
}

/// Year, month and day of a count of days since 1970. Years are taken from March on, so that
/// the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// The reverse of [`civil`]. Months from 1, days from 1.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

// === impl Millis ===

impl Millis {
    /// Times before 1970 count as 1970.
    pub fn of(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl From<Millis> for String {
    fn from(time: Millis) -> Self {
        time.to_string()
    }
}

impl FromStr for Millis {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        const SHAPE: &[u8] = b"0000-00-00T00:00:00.000Z";
        let fits = |(is, be): (u8, &u8)| if *be == b'0' { is.is_ascii_digit() } else { is == *be };
        if text.len() != SHAPE.len() || !text.bytes().zip(SHAPE).all(fits) {
            return Err(NotATime);
        }
        let number = |at: std::ops::Range<usize>| text[at].parse::<u64>().map_err(|_| NotATime);
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let days = days(year.max(1), month, day.max(1)).ok_or(NotATime)?;
        let is_day = civil(days) == (year, month, day);
        if !is_day || hour > 23 || minute > 59 || second > 59 {
            return Err(NotATime);
        }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        Ok(Self(seconds * 1000 + number(20..23)?))
    }
}

impl TryFrom<String> for Millis {
    type Error = NotATime;

    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_450_020, "2026-11-23T16:07:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(format(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn milliseconds_are_read_as_they_are_written() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_795_450_020_250, "2026-11-23T16:07:00.250Z"),
            (4_107_542_400_999, "2100-03-01T00:00:00.999Z"),
        ] {
            assert_eq!(Millis(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Millis(ms)));
        }
        for day in 0..40_000 {
            let time = Millis(day * 86_400_000 + 1);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        for wrong in [
            "",
            "2026-11-23T16:07:00Z",
            "2026-11-23 16:07:00.250Z",
            "2026-13-23T16:07:00.250Z",
            "2026-02-30T16:07:00.250Z",
            "2026-00-00T16:07:00.250Z",
            "0000-00-00T00:00:00.000Z",
            "2026-11-23T24:07:00.250Z",
            "2026-11-23T16:07:00.2500Z",
            "1969-12-31T23:59:59.999Z",
        ] {
            assert_eq!(wrong.parse::<Millis>(), Err(NotATime), "{wrong}");
        }
    }
}
