//! Why the venue says no, with the code, text and HTTP status that Binance gives.
//!
//! Codes and texts: binance-spot-api-docs `errors.md` (read 2026-07-21) and, for `-40xx`, the wallet API's list.

use serde_json::json;

use super::super::faults::Instead;
use super::super::request::Refused;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    #[error("Filter failure: {0}")]
    Filter(&'static str),
    #[error("Timestamp for this request is outside of the recvWindow.")]
    Late,
    #[error("Timestamp for this request was 1000ms ahead of the server's time.")]
    Early,
    #[error("Signature for this request is not valid.")]
    Signature,
    #[error("Illegal characters found in parameter '{name}'; legal range is '{legal}'.")]
    Illegal { name: String, legal: &'static str },
    #[error("Duplicate values for parameter '{0}' detected.")]
    Duplicate(String),
    #[error("Mandatory parameter '{0}' was not sent, was empty/null, or malformed.")]
    Mandatory(String),
    #[error("Parameter '{0}' was empty.")]
    Empty(String),
    #[error("Parameter '{0}' sent when not required.")]
    NotRequired(&'static str),
    #[error("Param '{first}' or '{second}' must be sent, but both were empty/null!")]
    OneOf {
        first: &'static str,
        second: &'static str,
    },
    #[error("Invalid timeInForce.")]
    TimeInForce,
    #[error("Invalid orderType.")]
    OrderType,
    #[error("Invalid side.")]
    Side,
    #[error("Invalid interval.")]
    Interval,
    #[error("Invalid symbol.")]
    Symbol,
    #[error("recvWindow must be less than 60000.")]
    Window,
    #[error("Account has insufficient balance for requested action.")]
    Balance,
    #[error("Order would immediately match and take.")]
    WouldTake,
    #[error("Duplicate order sent.")]
    DuplicateOrder,
    #[error("Unknown order sent.")]
    UnknownOrder,
    #[error("Order does not exist.")]
    NoSuchOrder,
    #[error("API-key format invalid.")]
    KeyFormat,
    #[error("Invalid API-key, IP, or permissions for action.")]
    Key,
    #[error("Address validation is not passed.")]
    Address,
    #[error("We don't have this asset.")]
    Asset,
    #[error("Current asset is not open for withdrawal.")]
    Network,
    #[error("Asset withdrawal must be an integer multiple of {0}.")]
    Multiple(String),
    #[error("Not less than the minimum pick-up quantity {0}.")]
    Minimum(String),
    #[error("You have insufficient balance.")]
    WithdrawBalance,
    #[error("{0} API key is not supported.")]
    LogonKey(&'static str),
    #[error("Unsupported operation")]
    Unsupported,
    #[error("Path {path}, Method {method} is invalid")]
    Path { method: String, path: String },
    #[error(
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
    )]
    RateLimit,
    #[error("An unknown error occurred while processing the request.")]
    Broken { status: u16 },
}

impl Refusal {
    /// Binance's number for it.
    pub(crate) const fn code(&self) -> i32 {
        match self {
            Self::Broken { .. } => -1000,
            Self::RateLimit => -1003,
            Self::Filter(_) => -1013,
            Self::Late | Self::Early => -1021,
            Self::Signature => -1022,
            Self::Illegal { .. } => -1100,
            Self::Duplicate(_) => -1101,
            Self::Mandatory(_) | Self::OneOf { .. } => -1102,
            Self::Empty(_) => -1105,
            Self::NotRequired(_) => -1106,
            Self::TimeInForce => -1115,
            Self::OrderType => -1116,
            Self::Side => -1117,
            Self::Interval => -1120,
            Self::Symbol => -1121,
            Self::Window => -1131,
            Self::Balance | Self::WouldTake | Self::DuplicateOrder => -2010,
            Self::UnknownOrder => -2011,
            Self::NoSuchOrder => -2013,
            Self::KeyFormat => -2014,
            Self::Key => -2015,
            Self::Address => -4007,
            Self::Asset => -4018,
            Self::Network => -4019,
            Self::Multiple(_) => -4021,
            Self::Minimum(_) => -4022,
            Self::WithdrawBalance => -4026,
            Self::Path { .. } => -5000,
            Self::LogonKey(_) => -4056,
            Self::Unsupported => -9000,
        }
    }

    /// The HTTP status it travels with.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::KeyFormat | Self::Key => 401,
            Self::Path { .. } => 404,
            Self::RateLimit => 429,
            Self::Broken { status } => *status,
            _ => 400,
        }
    }
}

impl From<Instead> for Refusal {
    fn from(instead: Instead) -> Self {
        match instead {
            Instead::RateLimit => Self::RateLimit,
            Instead::Status(status) => Self::Broken { status },
            Instead::Cut => Self::Broken { status: 500 },
        }
    }
}

impl From<Refusal> for Refused {
    // `{"code":-1022,"msg":"…"}`
    fn from(refusal: Refusal) -> Self {
        let error = refusal.to_string();
        Self {
            status: refusal.status(),
            code: refusal.code(),
            body: json!({ "code": refusal.code(), "msg": error }),
            error,
        }
    }
}
