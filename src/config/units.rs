//! Values with units, as people write them: `"2s"`, `"2.5Mb/s"`, `"64KiB"`, `"50000-50999"`.
//!
//! A number without a unit is refused, so that nobody mistakes seconds for milliseconds or bits
//! for bytes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use stentor_protocol::units::BitsPerSecond;

/// A length of time: `"500ms"`, `"2s"`, `"1.5m"`, `"1h"` or `"2d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// A bit rate: `"800kb/s"`, `"2.5Mb/s"`. k and M are powers of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(pub BitsPerSecond);

/// A size in bytes: `"512MiB"`, `"4GiB"`. Ki, Mi and Gi are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// UDP ports, both ends included: `"50000-50999"`; `"any"` lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortRange {
    Any,
    Between(u16, u16),
}

/// What a value should have looked like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct UnitError {
    given: String,
    expected: &'static str,
}

const PERIOD: &str =
    "a duration with its unit, such as \"500ms\", \"2s\", \"5m\", \"1h\" or \"2d\"";
const BIT_RATE: &str = "a bit rate with its unit, such as \"800kb/s\" or \"2.5Mb/s\"";
const SIZE: &str = "a size with its unit, such as \"512MiB\" or \"4GiB\"";
const PORT_RANGE: &str = "a port range such as \"50000-50999\", or \"any\"";

/// `"1.5ms"` as (1.5, "ms").
fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..end].parse().ok()?;
    number.is_finite().then_some((number, &text[end..]))
}

/// A whole number is written without a fraction.
fn write_scaled(f: &mut fmt::Formatter<'_>, value: u64, scale: u64, unit: &str) -> fmt::Result {
    if value.is_multiple_of(scale) {
        write!(f, "{}{unit}", value / scale)
    } else {
        write!(f, "{}{unit}", value as f64 / scale as f64)
    }
}

// === impl Period ===

impl Period {
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    pub const fn from_secs(s: u64) -> Self {
        Self(Duration::from_secs(s))
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError { given: text.to_owned(), expected: PERIOD };
        let (number, unit) = split_number(text).ok_or_else(error)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(error()),
        } * number;
        // A hundred years is more than anybody means.
        if seconds > 3.2e9 {
            return Err(error());
        }
        Ok(Self(Duration::from_millis((seconds * 1000.0).round() as u64)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis() as u64;
        match ms {
            0 => f.write_str("0s"),
            _ if ms.is_multiple_of(86_400_000) => write!(f, "{}d", ms / 86_400_000),
            _ if ms.is_multiple_of(3_600_000) => write!(f, "{}h", ms / 3_600_000),
            _ if ms.is_multiple_of(60_000) => write!(f, "{}m", ms / 60_000),
            _ if ms.is_multiple_of(1000) => write!(f, "{}s", ms / 1000),
            _ => write!(f, "{ms}ms"),
        }
    }
}

// === impl BitRate ===

impl FromStr for BitRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError { given: text.to_owned(), expected: BIT_RATE };
        let (number, unit) = split_number(text).ok_or_else(error)?;
        let scale = match unit {
            "b/s" => 1.0,
            "kb/s" => 1e3,
            "Mb/s" => 1e6,
            "Gb/s" => 1e9,
            _ => return Err(error()),
        };
        let bits = number * scale;
        if !(1.0..=1e12).contains(&bits) {
            return Err(error());
        }
        Ok(Self(BitsPerSecond(bits.round() as u64)))
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.0 {
            bits if bits >= 1_000_000 => write_scaled(f, bits, 1_000_000, "Mb/s"),
            bits if bits >= 1000 => write_scaled(f, bits, 1000, "kb/s"),
            bits => write!(f, "{bits}b/s"),
        }
    }
}

// === impl Size ===

impl Size {
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib << 30)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError { given: text.to_owned(), expected: SIZE };
        let (number, unit) = split_number(text).ok_or_else(error)?;
        let shift = match unit {
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return Err(error()),
        };
        let bytes = number * (1_u64 << shift) as f64;
        if !(1.0..=1e15).contains(&bytes) {
            return Err(error());
        }
        Ok(Self(bytes.round() as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 30 => write_scaled(f, bytes, 1 << 30, "GiB"),
            bytes if bytes >= 1 << 20 => write_scaled(f, bytes, 1 << 20, "MiB"),
            bytes => write_scaled(f, bytes, 1 << 10, "KiB"),
        }
    }
}

// === impl PortRange ===

impl PortRange {
    /// As the seam has it: (0, 0) lets the system choose.
    pub fn bounds(self) -> (u16, u16) {
        match self {
            Self::Any => (0, 0),
            Self::Between(first, last) => (first, last),
        }
    }
}

impl FromStr for PortRange {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let range = text.split_once('-').and_then(|(first, last)| {
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            (first > 0 && first <= last).then_some(Self::Between(first, last))
        });
        range.ok_or(UnitError { given: text.to_owned(), expected: PORT_RANGE })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Between(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

macro_rules! as_text {
    ($($name:ident, $expected:expr;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

as_text! {
    Period, PERIOD;
    BitRate, BIT_RATE;
    Size, SIZE;
    PortRange, PORT_RANGE;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_need_a_unit_that_is_known() {
        let ms = |text: &str| text.parse::<Period>().map(|p| p.0.as_millis());
        for (text, expected) in [
            ("0s", 0),
            ("500ms", 500),
            ("2s", 2000),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(ms(text), Ok(expected), "{text}");
        }
        for text in ["", "2", "2 s", "s", "-1s", "2sec", "1e9s", "..s", "99999999999d", "2S"] {
            assert!(ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bit_rates_need_a_unit_that_is_known() {
        let bits = |text: &str| text.parse::<BitRate>().map(|r| r.0.0);
        for (text, expected) in
            [("1b/s", 1), ("800kb/s", 800_000), ("2.5Mb/s", 2_500_000), ("1Gb/s", 1_000_000_000)]
        {
            assert_eq!(bits(text), Ok(expected), "{text}");
        }
        for text in ["800", "800k", "800kbps", "800kB/s", "0kb/s", "-1Mb/s", "9999Gb/s", "Mb/s"] {
            assert!(bits(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_need_a_unit_that_is_known() {
        let bytes = |text: &str| text.parse::<Size>().map(|s| s.0);
        for (text, expected) in [("64KiB", 65_536), ("1.5MiB", 1_572_864), ("4GiB", 4_294_967_296)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "4", "4G", "4GB", "4gib", "-1GiB", "0MiB", "GiB", "99999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn port_ranges_run_upwards_and_leave_out_zero() {
        let range = |text: &str| text.parse::<PortRange>();
        assert_eq!(range("any"), Ok(PortRange::Any));
        assert_eq!(range("5000-5001"), Ok(PortRange::Between(5000, 5001)));
        for text in ["", "5000", "0-10", "20-10", "1-70000", "a-b"] {
            assert!(range(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 0_u64..4_000_000_000, bits in 1_u64..10_000_000_000, bytes in 1_u64..10_000_000_000) {
            let period = Period::from_millis(ms);
            prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
            let rate = BitRate(BitsPerSecond(bits));
            prop_assert_eq!(rate.to_string().parse::<BitRate>().unwrap(), rate);
            let size = Size(bytes);
            prop_assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
    }
}
