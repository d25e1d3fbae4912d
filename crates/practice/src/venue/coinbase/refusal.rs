//! Why the venue says no, in Coinbase's words. The two halves of the API have each their own form of error.
//!
//! Sources: docs.cdp.coinbase.com "Errors" and "Rate Limiting" of the Coinbase App API (read 2026-11-26) for `/v2/`; for
//! `/api/v3/`, coinbase-advanced-py (403 with "Missing required scopes") and ccxt 4.5.90, which names the words it meets.
//! What Advanced Trade sends with 429 and 5xx is not published: here it is the form of the App API.

use serde_json::{Value, json};

use super::super::book::Unplaced;
use super::super::order::Unfit;
use super::super::request::Refused;
use super::super::withdrawals::Unsent;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    #[error("Unauthorized")]
    Unauthorized,
    #[error("Missing required scopes")]
    Scope,
    #[error("{0} not found")]
    NotFound(&'static str),
    #[error("{0}")]
    Invalid(&'static str),
    #[error("Too many requests")]
    RateLimit,
    #[error("Internal error")]
    Broken { status: u16 },
    /// An order that was understood and not taken; it is told with status 200.
    #[error("{word}: {message}")]
    Order {
        word: &'static str,
        message: &'static str,
    },
}

impl Refusal {
    /// As a request to this path is told.
    pub(crate) fn at(self, path: &str) -> Refused {
        let message = self.to_string();
        let (status, word) = match self {
            Self::Unauthorized => (401, "unauthorized"),
            Self::Scope if path.starts_with("/v2/") => (403, "invalid_scope"),
            Self::Scope => (403, "PERMISSION_DENIED"),
            Self::NotFound(_) if path.starts_with("/v2/") => (404, "not_found"),
            Self::NotFound(_) => (404, "NOT_FOUND"),
            Self::Invalid(_) if path.starts_with("/v2/") => (400, "validation_error"),
            Self::Invalid(_) => (400, "INVALID_ARGUMENT"),
            Self::RateLimit => (429, "rate_limit_exceeded"),
            Self::Broken { status } => (status, "internal_server_error"),
            Self::Order { word, .. } => (200, word),
        };
        let body = match self {
            Self::Unauthorized => Value::from("Unauthorized\n"),
            Self::Order { message, .. } => json!({
                "success": false,
                "failure_reason": "UNKNOWN_FAILURE_REASON",
                "order_id": "",
                "error_response": {
                    "error": word,
                    "message": message,
                    "error_details": "",
                    "preview_failure_reason": preview(word),
                    "new_order_failure_reason": word
                }
            }),
            Self::Scope | Self::NotFound(_) | Self::Invalid(_) if !path.starts_with("/v2/") => {
                json!({ "error": word, "error_details": message, "message": message })
            }
            _ => json!({ "errors": [{ "id": word, "message": message }] }),
        };
        Refused {
            status,
            code: 0,
            error: format!("{word}: {message}"),
            body,
        }
    }
}

// The word that ccxt looks at.
fn preview(word: &str) -> String {
    match word {
        "UNKNOWN_FAILURE_REASON" => "UNKNOWN_PREVIEW_FAILURE_REASON".to_owned(),
        word => format!("PREVIEW_{word}"),
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        let (word, message) = match unfit {
            Unfit::Price => ("INVALID_PRICE_PRECISION", "Invalid price"),
            Unfit::Lot => ("INVALID_SIZE_PRECISION", "Invalid size"),
            Unfit::Notional => ("UNKNOWN_FAILURE_REASON", "Order is too small"),
        };
        Self::Order { word, message }
    }
}

impl From<Unplaced> for Refusal {
    fn from(why: Unplaced) -> Self {
        let (word, message) = match why {
            Unplaced::Balance => (
                "INSUFFICIENT_FUND",
                "Insufficient balance in source account",
            ),
            Unplaced::WouldTake => ("INVALID_LIMIT_PRICE_POST_ONLY", "Invalid limit price"),
            Unplaced::DuplicateId(_) => ("UNKNOWN_FAILURE_REASON", "Duplicate client_order_id"),
        };
        Self::Order { word, message }
    }
}

impl From<Unsent> for Refusal {
    fn from(why: Unsent) -> Self {
        Self::Invalid(match why {
            Unsent::Asset => "Currency is not the account's",
            Unsent::Network => "Network is not supported for this asset",
            Unsent::Address => "Please enter a valid address",
            Unsent::Step(_) => "Amount has too many decimals",
            Unsent::Minimum(_) => "Amount is below the minimum",
            Unsent::Balance => "You don't have that much.",
            Unsent::Randomness => return Self::Broken { status: 500 },
        })
    }
}
