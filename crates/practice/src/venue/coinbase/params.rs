//! Parameters of a request: the query of a GET, in which a name may come again, or the JSON object of a POST.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde::de::DeserializeOwned;

use super::super::form::{self, is_decimal};
use super::super::request::Received;
use super::refusal::Refusal;

/// Query and body.
pub(crate) struct Params {
    query: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Params {
    /// Takes both; what is in the body is seen when the endpoint asks for it.
    pub(crate) fn read(request: &Received) -> Result<Self, Refusal> {
        let query = form::all(&request.query);
        Ok(Self {
            query: query.map_err(|_| Refusal::Invalid("query is not a form"))?,
            body: request.body.clone(),
        })
    }

    /// The first value of this name in the query.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let mut named = self.query.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// All values of this name in the query.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.query.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The body.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Refusal::Invalid("body is not what this endpoint takes"))
    }
}

/// An exact decimal: digits, at most one point, no sign, no exponent.
pub(crate) fn decimal(text: &str) -> Result<BigDecimal, Refusal> {
    let bad = || Refusal::Invalid("amounts are plain decimals in text");
    if !is_decimal(text) {
        return Err(bad());
    }
    BigDecimal::from_str(text).map_err(|_| bad())
}
