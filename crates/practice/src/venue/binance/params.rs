//! Parameters of a request: what stands in its query string and its form body, read as Binance reads them.

use std::str::FromStr;

use bigdecimal::BigDecimal;

use super::super::form::{self, BadForm, is_decimal, pairs};
use super::refusal::Refusal;

const DECIMAL: &str = "^([0-9]{1,20})(\\.[0-9]{1,20})?$";
const INTEGER: &str = "^[0-9]{1,20}$";
const ENCODED: &str = "^(%[0-9A-Fa-f]{2}|[^%])*$";

/// Names and values in the order they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    all: Vec<(String, String)>,
    /// How many of them stood in the query string; they come first.
    in_query: usize,
}

impl Params {
    /// Reads both places. A name in both is taken from the query string (Binance's rule); twice in one is refused.
    pub(crate) fn parse(query: &[u8], form: &[u8]) -> Result<Self, Refusal> {
        let mut all = pairs(query)?;
        let in_query = all.len();
        for (name, value) in pairs(form)? {
            if !all.iter().any(|(known, _)| *known == name) {
                all.push((name, value));
            }
        }
        Ok(Self { all, in_query })
    }

    /// These, from a JSON object.
    pub(crate) const fn of(all: Vec<(String, String)>) -> Self {
        Self { all, in_query: 0 }
    }

    /// `name=value` of all but this one, sorted by name, joined by `&`.
    pub(crate) fn sorted_without(&self, left_out: &str) -> String {
        let named = self.all.iter().filter(|(name, _)| name != left_out);
        let mut pieces: Vec<&(String, String)> = named.collect();
        pieces.sort();
        let pieces = pieces.iter().map(|(name, value)| format!("{name}={value}"));
        pieces.collect::<Vec<_>>().join("&")
    }

    /// Did it stand in the query string?
    pub(crate) fn is_in_query(&self, name: &str) -> bool {
        let mut in_query = self.all.iter().take(self.in_query);
        in_query.any(|(known, _)| known == name)
    }

    /// The value, if it was sent; sent but empty is refused.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.all.iter().find(|(known, _)| known == name) {
            None => Ok(None),
            Some((_, value)) if value.is_empty() => Err(Refusal::Empty(name.to_owned())),
            Some((_, value)) => Ok(Some(value)),
        }
    }

    /// The value of a parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        match self.text(name) {
            Ok(Some(value)) => Ok(value),
            Ok(None) | Err(_) => Err(Refusal::Mandatory(name.to_owned())),
        }
    }

    /// An exact decimal: digits, at most one point, no sign, no exponent.
    pub(crate) fn decimal(&self, name: &str) -> Result<Option<BigDecimal>, Refusal> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let illegal = || illegal(name, DECIMAL);
        if !is_decimal(text) {
            return Err(illegal());
        }
        BigDecimal::from_str(text).map(Some).map_err(|_| illegal())
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(illegal(name, INTEGER)),
        }
    }
}

/// A refusal that names the parameter and what it may hold.
pub(crate) fn illegal(name: &str, legal: &'static str) -> Refusal {
    Refusal::Illegal {
        name: name.to_owned(),
        legal,
    }
}

/// A value's text without its percent-encoding.
pub(crate) fn decode(bytes: &[u8], name: &str) -> Result<String, Refusal> {
    form::decode(bytes).ok_or_else(|| illegal(name, ENCODED))
}

impl From<BadForm> for Refusal {
    fn from(bad: BadForm) -> Self {
        match bad {
            BadForm::Twice(name) => Self::Duplicate(name),
            BadForm::Encoding(name) => illegal(&name, ENCODED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_both_places_is_taken_from_the_query() {
        let params = Params::parse(b"symbol=A", b"symbol=B&side=BUY").unwrap();
        assert_eq!(params.required("symbol"), Ok("A"));
        assert_eq!(params.required("side"), Ok("BUY"));
    }

    #[test]
    fn a_name_twice_in_one_place_is_refused() {
        let refused = Params::parse(b"amount=1&amount=2", b"");
        assert_eq!(refused, Err(Refusal::Duplicate("amount".to_owned())));
    }

    #[test]
    fn amounts_are_plain_decimals_only() {
        for bad in [
            "-1", "1e3", ".5", "5.", "1.2.3", "NaN", "1,5", "0x1", "+1", "1_0",
        ] {
            let query = format!("amount={}", bad.replace('+', "%2B"));
            let params = Params::parse(query.as_bytes(), b"").unwrap();
            assert!(params.decimal("amount").is_err(), "{bad}");
        }
        let params = Params::parse(b"amount=0.10", b"").unwrap();
        let expected = BigDecimal::new(1.into(), 1);
        assert_eq!(params.decimal("amount"), Ok(Some(expected)));
    }

    #[test]
    fn broken_percent_encoding_is_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%FF"] {
            assert!(Params::parse(bad.as_bytes(), b"").is_err(), "{bad}");
        }
        let params = Params::parse(b"a=x%2By+z", b"").unwrap();
        assert_eq!(params.required("a"), Ok("x+y z"));
    }
}
