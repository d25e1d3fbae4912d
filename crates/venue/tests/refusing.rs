//! What ccxt makes of our refusals, for every venue that it has.
//!
//! `TOUCHKEEP_PYTHON` names a Python with `tests/requirements.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use serde_json::Value;
use touchkeep_venue::{Reason, refusal, venues};

#[path = "common/raised.rs"]
mod ccxt;

// Words with what a person's own names may hold.
const WORDS: &str = "Touchkeep: no rule allows \"withdraw 1 BTC to bc1qx\" (é), so it is denied";
// What names a limit is not to be taken for the venue's own.
const OVER: [&str; 7] = [
    "over max_amount of the rule",
    "over max_notional of the rule",
    "over window_amount of the rule",
    "over window_notional of the rule",
    "over requests_per_minute of the rule",
    "over requests_per_day of the rule",
    "the request does not say its amount in one number above 0, which the rule",
];

fn raised(cases: &[(String, Reason)], words: &str) -> Vec<(Vec<String>, String)> {
    let cases = cases.iter().map(|(venue, reason)| {
        let (status, body) = refusal(venue, *reason, words);
        let url = format!("http://127.0.0.1:9/{venue}/order");
        (venue.as_str(), status, body, url)
    });
    ccxt::raised(&cases.collect::<Vec<_>>())
}

#[test]
fn ccxt_raises_what_a_person_expects() {
    let mut cases = Vec::new();
    // ccxt has no Robinhood.
    for venue in venues().iter().filter(|venue| venue.id != "robinhood") {
        cases.extend(Reason::ALL.map(|reason| (venue.id.to_owned(), reason)));
    }
    let limits = format!(
        "{WORDS}: {}, and no other rule allows it; why: touchkeep policy explain 181",
        OVER.join(", ")
    );
    let mut all = raised(&cases, WORDS);
    all.extend(raised(&cases, &limits));
    let mut wrong = Vec::new();
    for ((venue, reason), (raised, message)) in cases.iter().cycle().zip(&all) {
        let is = |class: &str| raised.iter().any(|name| name == class);
        let fits = match reason {
            // Hyperliquid's errors have no classes.
            Reason::Key | Reason::Denied => is("AuthenticationError") || venue == "hyperliquid",
            Reason::Malformed | Reason::Unknown => is("ExchangeError"),
            Reason::Unavailable => is("ExchangeError") || is("OperationFailed"),
        };
        let never = [
            "DDoSProtection",
            "RateLimitExceeded",
            "InvalidNonce",
            "OnMaintenance",
            "RequestTimeout",
            "OrderNotFound",
            "InvalidOrder",
            "InsufficientFunds",
            "BadSymbol",
            "AccountSuspended",
        ];
        let again = is("OperationFailed") && *reason != Reason::Unavailable;
        // The words themselves, as JSON or as text.
        let words = ["Touchkeep: no rule allows", "withdraw 1 BTC to bc1qx"];
        let worded = words.iter().all(|words| message.contains(words));
        if !fits || again || !worded || never.iter().any(|class| is(class)) {
            wrong.push(format!("{venue} {reason:?}: {raised:?} {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_refusal_is_json_and_no_success() {
    for venue in venues() {
        for reason in Reason::ALL {
            let (status, body) = refusal(venue.id, reason, WORDS);
            let read: Value = serde_json::from_str(&body).unwrap();
            assert!(read.is_object() || venue.id == "bitfinex", "{body}");
            assert!(
                status >= 400 || ["bybit", "kraken"].contains(&venue.id),
                "{body}"
            );
        }
    }
}
