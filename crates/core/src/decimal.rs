//! Exact decimals. Amounts of money are never floats, and never rounded: what cannot be read exactly is refused.

use std::{cmp::Ordering, fmt, str::FromStr};

use bigdecimal::{BigDecimal, ToPrimitive, num_bigint::BigInt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits that one amount may have. The longest that a venue sends have under 40.
pub const MAX_DIGITS: usize = 64;

/// A decimal, exact. One that is read has up to [`MAX_DIGITS`] digits; a sum or a product may have more.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal(Form);

// Equal numbers have one form: a small one, wherever that can be.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    Small(Small),
    Big(BigDecimal),
}

// Nearly all amounts: whole units of the last of so many places, which is no zero. Reckoning with them takes no memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Small {
    units: i128,
    places: u32,
}

/// The text is not a plain decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a plain decimal number of at most 64 digits")]
pub struct BadDecimal;

impl Decimal {
    /// Nothing.
    #[must_use]
    pub const fn zero() -> Self {
        Self(Form::Small(Small {
            units: 0,
            places: 0,
        }))
    }

    /// The sum, exact.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.reckoned(other, Small::plus, |a, b| a + b)
    }

    /// The difference, exact.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.reckoned(other, Small::minus, |a, b| a - b)
    }

    /// The product, exact.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        self.reckoned(other, Small::times, |a, b| a * b)
    }

    /// How the sum of this and `more` compares with another number, exactly.
    #[must_use]
    pub fn plus_compared(&self, more: &Self, other: &Self) -> Ordering {
        if let (Form::Small(a), Form::Small(b), Form::Small(c)) = (&self.0, &more.0, &other.0)
            && let Some(order) = a.sum_compared(*b, *c)
        {
            return order;
        }
        self.plus(more).cmp(other)
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Form::Small(small) => small.units < 0,
            Form::Big(big) => *big < 0,
        }
    }

    // Small where both are and the result is; else as what can be of any size.
    fn reckoned(
        &self,
        other: &Self,
        small: fn(Small, Small) -> Option<Small>,
        big: fn(BigDecimal, BigDecimal) -> BigDecimal,
    ) -> Self {
        if let (Form::Small(a), Form::Small(b)) = (&self.0, &other.0)
            && let Some(result) = small(*a, *b)
        {
            return Self(Form::Small(result));
        }
        Self(Form::of(&big(self.0.to_big(), other.0.to_big())))
    }
}

impl Form {
    fn of(number: &BigDecimal) -> Self {
        let number = number.normalized();
        let (digits, exponent) = number.as_bigint_and_exponent();
        Small::of(&digits, exponent).map_or(Self::Big(number), Self::Small)
    }

    fn to_big(&self) -> BigDecimal {
        match self {
            Self::Small(small) => BigDecimal::new(small.units.into(), small.places.into()),
            Self::Big(big) => big.clone(),
        }
    }
}

impl Small {
    // Digits without a zero at their end.
    fn of(digits: &BigInt, places: i64) -> Option<Self> {
        let units = digits.to_i128()?;
        if let Ok(places) = u32::try_from(places) {
            return (places <= MAX_PLACES).then_some(Self { units, places });
        }
        let zeros = u32::try_from(places.checked_neg()?).ok()?;
        Some(Self {
            units: units.checked_mul(power(zeros)?)?,
            places: 0,
        })
    }

    // Without zeros behind the point.
    const fn stripped(mut self) -> Self {
        while self.places > 0 && self.ends_in_zero() {
            self.units /= 10;
            self.places -= 1;
        }
        self
    }

    // Division of half the width takes a tenth of the time.
    #[expect(clippy::cast_possible_truncation, reason = "compared with the whole")]
    const fn ends_in_zero(self) -> bool {
        let short = self.units as i64;
        if short as i128 == self.units {
            short % 10 == 0
        } else {
            self.units % 10 == 0
        }
    }

    // The units of both, in the places of that which has more.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let places = self.places.max(other.places);
        Some((self.scaled(places)?, other.scaled(places)?, places))
    }

    // The units in no fewer places than its own.
    fn scaled(self, places: u32) -> Option<i128> {
        let more = places - self.places;
        if more == 0 {
            return Some(self.units);
        }
        let power = power(more)?;
        // What is twice as wide as both has room for their product.
        match (i64::try_from(self.units), i64::try_from(power)) {
            (Ok(units), Ok(power)) => Some(i128::from(units) * i128::from(power)),
            _ => self.units.checked_mul(power),
        }
    }

    fn sum_compared(self, more: Self, other: Self) -> Option<Ordering> {
        let places = self.places.max(more.places).max(other.places);
        let sum = self.scaled(places)?.checked_add(more.scaled(places)?)?;
        Some(sum.cmp(&other.scaled(places)?))
    }

    fn plus(self, other: Self) -> Option<Self> {
        // Mostly one of two sums is nothing.
        match (self.units, other.units) {
            (0, _) => return Some(other),
            (_, 0) => return Some(self),
            _ => {}
        }
        let (a, b, places) = self.aligned(other)?;
        let units = a.checked_add(b)?;
        Some(Self { units, places }.stripped())
    }

    fn minus(self, other: Self) -> Option<Self> {
        let (a, b, places) = self.aligned(other)?;
        let units = a.checked_sub(b)?;
        Some(Self { units, places }.stripped())
    }

    fn times(self, other: Self) -> Option<Self> {
        let units = self.units.checked_mul(other.units)?;
        let places = self.places + other.places;
        let product = Self { units, places }.stripped();
        (product.places <= MAX_PLACES).then_some(product)
    }

    fn compared(self, other: Self) -> Option<Ordering> {
        let (a, b, _) = self.aligned(other)?;
        Some(a.cmp(&b))
    }

    // Digits that are plain already.
    fn read(whole: &str, fraction: &str, negative: bool) -> Option<Self> {
        let places = u32::try_from(fraction.len()).ok()?;
        let digits = || whole.bytes().chain(fraction.bytes()).map(|b| b - b'0');
        let units = if whole.len() + fraction.len() <= SHORT {
            i128::from(digits().fold(0_u64, |units, digit| units * 10 + u64::from(digit)))
        } else {
            digits().try_fold(0_i128, |units, digit| {
                units.checked_mul(10)?.checked_add(i128::from(digit))
            })?
        };
        let units = if negative { -units } else { units };
        let read = Self { units, places }.stripped();
        (read.places <= MAX_PLACES).then_some(read)
    }
}

// As many as the largest number of units has digits; so a power of ten never fails for what is small.
const MAX_PLACES: u32 = 38;

// Digits that every number of 64 bits has room for.
const SHORT: usize = 19;

#[expect(clippy::indexing_slicing, reason = "reckoned while it is compiled")]
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

fn power(exponent: u32) -> Option<i128> {
    POWERS.get(usize::try_from(exponent).ok()?).copied()
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Form::Small(a), Form::Small(b)) = (&self.0, &other.0)
            && let Some(order) = a.compared(*b)
        {
            return order;
        }
        self.0.to_big().cmp(&other.0.to_big())
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
        if let Some(small) = Small::read(whole, fraction, unsigned.len() < s.len()) {
            return Ok(Self(Form::Small(small)));
        }
        BigDecimal::from_str(s)
            .map(|number| Self(Form::of(&number)))
            .map_err(|_| BadDecimal)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Small(small) => small.fmt(f),
            Form::Big(big) => f.write_str(&big.normalized().to_plain_string()),
        }
    }
}

impl fmt::Display for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, digits) = (
            if self.units < 0 { "-" } else { "" },
            self.units.unsigned_abs(),
        );
        let Ok(places) = usize::try_from(self.places) else {
            return Err(fmt::Error);
        };
        if places == 0 {
            return write!(f, "{sign}{digits}");
        }
        let one = 10_u128.pow(self.places);
        write!(f, "{sign}{}.{:0places$}", digits / one, digits % one)
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
    use proptest::prelude::*;

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

    // The crate for numbers of any size has other code than ours for small ones.
    fn numbers() -> impl Strategy<Value = String> {
        let digits = prop_oneof![Just(0..=3usize), Just(17..=20), Just(30..=32)];
        let digits = digits.prop_flat_map(|many| (many.clone(), many));
        (any::<bool>(), digits, "[0-9]{32}", "[0-9]{32}", 0..9usize).prop_map(
            |(negative, (whole, fraction), a, b, zeros)| {
                let sign = if negative { "-" } else { "" };
                let (whole, fraction) = (&a[..whole.max(1)], &b[..fraction]);
                // Many that end in zeros, and many that are equal.
                let at = fraction.len().saturating_sub(zeros);
                let fraction = format!(
                    "{}{}",
                    &fraction[..at],
                    "0".repeat(zeros.min(fraction.len()))
                );
                match fraction.as_str() {
                    "" => format!("{sign}{whole}"),
                    fraction => format!("{sign}{whole}.{fraction}"),
                }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn sums_products_and_order_are_those_of_numbers_of_any_size(a in numbers(), b in numbers(), c in numbers()) {
            let plain = |number: BigDecimal| number.normalized().to_plain_string();
            let [x, y, z] = [&a, &b, &c].map(|text| BigDecimal::from_str(text).unwrap());
            let [p, q, r] = [&a, &b, &c].map(|text| text.parse::<Decimal>().unwrap());
            prop_assert_eq!(p.to_string(), plain(x.clone()));
            prop_assert_eq!(p.plus(&q).to_string(), plain(&x + &y));
            prop_assert_eq!(p.minus(&q).to_string(), plain(&x - &y));
            prop_assert_eq!(p.times(&q).to_string(), plain(&x * &y));
            prop_assert_eq!(p.times(&q).plus(&r).to_string(), plain(&x * &y + &z));
            prop_assert_eq!(p.cmp(&q), x.cmp(&y));
            prop_assert_eq!(p.plus_compared(&q, &r), (&x + &y).cmp(&z));
            prop_assert_eq!(p.plus_compared(&q, &p.plus(&q)), Ordering::Equal);
            prop_assert_eq!(p == q, x == y);
            prop_assert_eq!(p.is_negative(), x < 0);
            // However it came about, one number has one form.
            let back = p.times(&q).plus(&r).minus(&p.times(&q));
            prop_assert!(back == r && back.to_string() == r.to_string());
            let hash = |number: &Decimal| {
                let mut hasher = std::hash::DefaultHasher::new();
                std::hash::Hash::hash(number, &mut hasher);
                std::hash::Hasher::finish(&hasher)
            };
            prop_assert_eq!(hash(&back), hash(&r));
        }
    }

    #[test]
    fn what_outgrows_the_small_form_stays_exact_and_comes_back() {
        let most: Decimal = i128::MAX.to_string().parse().unwrap();
        let one: Decimal = "1".parse().unwrap();
        let more = most.plus(&one);
        assert_eq!(more.to_string(), "170141183460469231731687303715884105728");
        assert!(more > most && more.minus(&one) == most);
        assert!(matches!(more.0, Form::Big(_)) && matches!(more.minus(&one).0, Form::Small(_)));
        let tiny: Decimal = format!("0.{}1", "0".repeat(40)).parse().unwrap();
        let whole = tiny.times(&format!("1{}", "0".repeat(41)).parse().unwrap());
        assert!(whole == one && matches!(whole.0, Form::Small(_)));
        assert!(matches!(tiny.0, Form::Big(_)) && tiny < one && !tiny.is_negative());
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
