//! Exact decimals. Amounts of money are never floats, and never rounded: what cannot be read exactly is refused.

use std::{fmt, str::FromStr};

use bigdecimal::BigDecimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits that one amount may have. The longest that a venue sends have under 40.
pub const MAX_DIGITS: usize = 64;

/// A decimal, exact. One that is read has up to [`MAX_DIGITS`] digits; a sum or a product may have more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(BigDecimal);

/// The text is not a plain decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a plain decimal number of at most 64 digits")]
pub struct BadDecimal;

impl Decimal {
    /// Nothing.
    #[must_use]
    pub fn zero() -> Self {
        Self(BigDecimal::from(0))
    }

    /// The sum, exact.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self(&self.0 + &other.0)
    }

    /// The difference, exact.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// The product, exact.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0 < 0
    }
}

/// `digits`, or `digits.digits`, with an optional `-`; ASCII only; no exponent, no `+`, no space, no bare point.
/// Venues that accept more read it with rules of their own, and two readings of one amount are how money is lost.
impl FromStr for Decimal {
    type Err = BadDecimal;
    fn from_str(s: &str) -> Result<Self, BadDecimal> {
        let unsigned = s.strip_prefix('-').unwrap_or(s);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || whole.len() + fraction.len() > MAX_DIGITS {
            return Err(BadDecimal);
        }
        BigDecimal::from_str(s)
            .map(|d| Self(d.normalized()))
            .map_err(|_| BadDecimal)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.normalized().to_plain_string())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_and_two_tenths_are_three_tenths() {
        let sum = "0.1"
            .parse::<Decimal>()
            .unwrap()
            .plus(&"0.2".parse().unwrap());
        assert_eq!(sum, "0.3".parse().unwrap());
        assert_eq!(sum.to_string(), "0.3");
        let rest = sum.minus(&"0.1".parse().unwrap());
        assert_eq!(rest, "0.2".parse().unwrap());
    }

    #[test]
    fn only_plain_numbers_are_read() {
        for bad in [
            "", ".", "1.", ".5", "1e3", "+1", " 1", "1 ", "--1", "NaN", "inf", "1_000", "1,0", "٣",
            "0x10",
        ] {
            assert_eq!(bad.parse::<Decimal>(), Err(BadDecimal), "{bad:?}");
        }
        assert_eq!(
            "9".repeat(MAX_DIGITS + 1).parse::<Decimal>(),
            Err(BadDecimal)
        );
    }

    #[test]
    fn equal_numbers_are_equal_however_written() {
        for (a, b) in [
            ("1.0", "1"),
            ("-0", "0"),
            ("000.500", "0.5"),
            ("100", "100.00"),
        ] {
            assert_eq!(a.parse::<Decimal>().unwrap(), b.parse::<Decimal>().unwrap());
        }
        assert_eq!("100".parse::<Decimal>().unwrap().to_string(), "100");
    }
}
