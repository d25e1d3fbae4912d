//! Why the venue says no, in Kraken's words.
//!
//! Source: docs.kraken.com "Errors" and support.kraken.com "API error messages" (read 2026-11-26).

use std::borrow::Cow;

use serde_json::json;

use super::super::book::Unplaced;
use super::super::order::Unfit;
use super::super::request::Refused;

/// A refused request: `EAPI:Invalid nonce`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(Cow<'static, str>);

impl Refusal {
    pub(crate) const KEY: Self = Self(Cow::Borrowed("EAPI:Invalid key"));
    pub(crate) const SIGNATURE: Self = Self(Cow::Borrowed("EAPI:Invalid signature"));
    pub(crate) const NONCE: Self = Self(Cow::Borrowed("EAPI:Invalid nonce"));
    pub(crate) const SESSION: Self = Self(Cow::Borrowed("ESession:Invalid session"));
    pub(crate) const RATE_LIMIT: Self = Self(Cow::Borrowed("EAPI:Rate limit exceeded"));
    pub(crate) const PERMISSION: Self = Self(Cow::Borrowed("EGeneral:Permission denied"));
    pub(crate) const UNKNOWN_METHOD: Self = Self(Cow::Borrowed("EGeneral:Unknown method"));
    pub(crate) const INTERNAL: Self = Self(Cow::Borrowed("EGeneral:Internal error"));
    pub(crate) const UNAVAILABLE: Self = Self(Cow::Borrowed("EService:Unavailable"));
    pub(crate) const PAIR: Self = Self(Cow::Borrowed("EQuery:Unknown asset pair"));
    pub(crate) const ASSET: Self = Self(Cow::Borrowed("EQuery:Unknown asset"));
    pub(crate) const ORDER: Self = Self(Cow::Borrowed("EOrder:Unknown order"));
    pub(crate) const FUNDING_ASSET: Self = Self(Cow::Borrowed("EFunding:Unknown asset"));
    pub(crate) const WITHDRAW_KEY: Self = Self(Cow::Borrowed("EFunding:Unknown withdraw key"));
    pub(crate) const ADDRESS: Self = Self(Cow::Borrowed("EFunding:Invalid withdrawal address"));
    pub(crate) const AMOUNT: Self = Self(Cow::Borrowed("EFunding:Invalid amount"));
    pub(crate) const MAX_FEE: Self = Self(Cow::Borrowed("EFunding:Max fee exceeded"));

    /// What was sent under this name cannot be used.
    pub(crate) fn argument(name: &str) -> Self {
        Self(format!("EGeneral:Invalid arguments:{name}").into())
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Price => Self(Cow::Borrowed("EOrder:Invalid price:Invalid price argument")),
            Unfit::Lot => Self::argument("volume"),
            Unfit::Notional => Self(Cow::Borrowed("EOrder:Order minimum not met")),
        }
    }
}

impl From<Unplaced> for Refusal {
    fn from(why: Unplaced) -> Self {
        Self(Cow::Borrowed(match why {
            Unplaced::Balance => "EOrder:Insufficient funds",
            Unplaced::WouldTake => "EOrder:Post only order",
            Unplaced::DuplicateId(_) => "EGeneral:Invalid arguments:cl_ord_id",
        }))
    }
}

impl From<Refusal> for Refused {
    fn from(Refusal(word): Refusal) -> Self {
        Self {
            status: 200,
            code: 0,
            body: json!({ "error": [word] }),
            error: word.into_owned(),
        }
    }
}
