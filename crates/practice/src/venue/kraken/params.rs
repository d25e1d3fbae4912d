//! Parameters of a request: from the query string of a public one, from the body of a private one, which is a form or a
//! JSON object.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde_json::Value;

use super::super::form::{BadForm, is_decimal, pairs};
use super::super::members::Members;
use super::super::request::Received;
use super::refusal::Refusal;

/// Names and values; of JSON, what is no list and no object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// These.
    pub(crate) const fn of(all: Vec<(String, String)>) -> Self {
        Self(all)
    }

    /// Of a public request.
    pub(crate) fn of_query(request: &Received) -> Result<Self, Refusal> {
        form(&request.query)
    }

    /// Of a private request.
    pub(crate) fn of_body(request: &Received) -> Result<Self, Refusal> {
        match request.content_type().as_str() {
            "application/json" => json(&request.body),
            _ => form(&request.body),
        }
    }

    /// The value, if it was sent and is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The value of a parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::argument(name))
    }

    /// An exact decimal: digits, at most one point, no sign, no exponent.
    pub(crate) fn decimal(&self, name: &str) -> Result<BigDecimal, Refusal> {
        let text = self.required(name)?;
        if !is_decimal(text) {
            return Err(Refusal::argument(name));
        }
        BigDecimal::from_str(text).map_err(|_| Refusal::argument(name))
    }

    /// `true` or `1`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "True" | "1"))
    }

    /// Refuses what is understood by Kraken, would change the meaning, and is not done here.
    pub(crate) fn without(&self, prefixes: &[&str]) -> Result<(), Refusal> {
        let meant = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        match self.0.iter().find(|(name, _)| meant(name)) {
            Some((name, _)) => Err(Refusal::argument(name)),
            None => Ok(()),
        }
    }
}

fn form(bytes: &[u8]) -> Result<Params, Refusal> {
    match pairs(bytes) {
        Ok(found) => Ok(Params(found)),
        Err(BadForm::Twice(name) | BadForm::Encoding(name)) => Err(Refusal::argument(&name)),
    }
}

fn json(bytes: &[u8]) -> Result<Params, Refusal> {
    let object: Members<Value> =
        serde_json::from_slice(bytes).map_err(|_| Refusal::argument("body"))?;
    let plain = |(name, value): (String, Value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, number.to_string())),
        Value::Bool(flag) => Some((name, flag.to_string())),
        Value::Null => None,
        Value::Array(_) | Value::Object(_) => Some((name, "?".to_owned())),
    };
    Ok(Params(object.0.into_iter().filter_map(plain).collect()))
}
