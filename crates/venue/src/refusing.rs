//! What a client is told in place of its venue's answer, in the venue's own error shape, so that the library raises the error
//! that a person expects, with our words in it.
//!
//! # Why these codes
//! Each is the venue's own code for the nearest thing, as ccxt 4.5.90 maps it (read 2026-11-26): a denial must become an error
//! that bots do not answer by trying again, never one of rate limits, bans or maintenance; and a request whose fate is unknown
//! must become neither a success nor one of ccxt's `OperationFailed`, which its `maxRetriesOnFailure` sends again. Where a code
//! would be read so, a neighbour stands. Bybit and Kraken put errors in answers of status 200, and their libraries look there
//! alone; Bitfinex answers 500 to everything.

use crate::{
    Json,
    drafting::{members, text},
};

/// Why a client gets no answer of its venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It shows no key that is known.
    Key,
    /// It may not do this.
    Denied,
    /// It cannot be read.
    Malformed,
    /// Not sent, and may be sent later: the vault is locked, the venue cannot be reached.
    Unavailable,
    /// Sent, and nobody knows what became of it.
    Unknown,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Key,
        Self::Denied,
        Self::Malformed,
        Self::Unavailable,
        Self::Unknown,
    ];

    const fn status(self) -> u16 {
        match self {
            Self::Key => 401,
            Self::Denied => 403,
            Self::Malformed => 400,
            Self::Unavailable => 503,
            Self::Unknown => 504,
        }
    }
}

/// The status and body, in JSON, of a refusal.
#[must_use]
pub fn refusal(venue: &str, reason: Reason, words: &str) -> (u16, String) {
    let status = status(venue, reason);
    (status, body(venue, code(venue, reason), words).to_text())
}

fn status(venue: &str, reason: Reason) -> u16 {
    match (venue, reason) {
        ("bybit" | "kraken", _) => 200,
        ("bitfinex", _) => 500,
        // No code in the body says it there, so the status must.
        ("coinbaseexchange" | "revolutx", Reason::Denied) => 401,
        ("coinbaseexchange", Reason::Unknown) => 400,
        ("revolutx", Reason::Malformed | Reason::Unknown) => 422,
        _ => reason.status(),
    }
}

// In the order of `Reason`.
fn code(venue: &str, reason: Reason) -> &'static str {
    let codes: [&'static str; 5] = match venue {
        "backpack" => [
            "UNAUTHORIZED",
            "UNAUTHORIZED",
            "INVALID_CLIENT_REQUEST",
            "SERVICE_UNAVAILABLE",
            "UNKNOWN_STATE",
        ],
        "bitfinex" => ["10100", "10001", "10020", "10000", "10000"],
        "bitget" => ["40006", "40014", "40020", "40015", "40710"],
        "bitstamp" => [
            "API key not found",
            "No permission found",
            "Bad request",
            "Unavailable",
            "Unknown state",
        ],
        "bybit" => ["10003", "10005", "10001", "10016", "10016"],
        "coinbase" => [
            "unauthorized",
            "PERMISSION_DENIED",
            "INVALID_ARGUMENT",
            "unavailable",
            "unknown_state",
        ],
        "cryptocom" => ["40101", "10002", "40001", "50001", "50001"],
        "deribit" => ["13004", "13021", "11050", "11094", "11094"],
        "gate" => [
            "INVALID_KEY",
            "FORBIDDEN",
            "BAD_REQUEST",
            "INTERNAL",
            "UNKNOWN_STATE",
        ],
        "gemini" => [
            "InvalidApiKey",
            "MissingRole",
            "BadRequest",
            "System",
            "System",
        ],
        "htx" => [
            "api-signature-not-valid",
            "403",
            "bad-request",
            "gateway-internal-error",
            "unknown-state",
        ],
        "kraken" => [
            "EAPI:Invalid key",
            "EGeneral:Permission denied",
            "EGeneral:Invalid arguments",
            "EService:Unavailable",
            "EGeneral:Unknown state",
        ],
        "krakenfutures" => [
            "authenticationError",
            "authenticationError",
            "invalidArgument",
            "Unavailable",
            "unknownState",
        ],
        "kucoin" | "kucoinfutures" => ["400003", "400007", "400100", "500000", "500999"],
        "mexc" => ["700001", "700007", "33333", "503", "10099"],
        "okx" => ["50111", "50110", "51000", "50026", "1"],
        "upbit" => [
            "invalid_access_key",
            "out_of_scope",
            "validation_error",
            "server_unavailable",
            "unknown_state",
        ],
        // Binance's error table (developers.binance.com, read 2026-11-22). -2015 would be the obvious code of a denial, but
        // ccxt reads it as a temporary ban once a private call has succeeded.
        // So it does, for `OperationFailed`, with every code that means an unknown outcome: this number is none of the venue's.
        _ => ["-2014", "-1002", "-1100", "-1001", "-1999"],
    };
    let [key, denied, malformed, unavailable, unknown] = codes;
    match reason {
        Reason::Key => key,
        Reason::Denied => denied,
        Reason::Malformed => malformed,
        Reason::Unavailable => unavailable,
        Reason::Unknown => unknown,
    }
}

fn body(venue: &str, code: &str, words: &str) -> Json {
    let number = || Json::Number(code.to_owned());
    let (code_text, words) = (text(code), text(words));
    match venue {
        "backpack" => members([("code", code_text), ("message", words)]),
        "bitfinex" => Json::List(vec![text("error"), number(), words]),
        "bitget" => members([("code", code_text), ("msg", words), ("data", Json::Null)]),
        "bitstamp" => members([
            ("status", text("error")),
            ("error", code_text),
            ("reason", words),
        ]),
        "bybit" => members([
            ("retCode", number()),
            ("retMsg", words),
            ("result", members([])),
            ("retExtInfo", members([])),
        ]),
        "coinbase" => members([
            ("error", code_text),
            ("error_details", words.clone()),
            ("message", words),
        ]),
        "coinbaseexchange" => members([("message", words)]),
        "cryptocom" => members([("code", number()), ("message", words)]),
        "deribit" => {
            let error = members([("code", number()), ("message", words)]);
            members([("jsonrpc", text("2.0")), ("error", error)])
        }
        "gate" => members([("label", code_text), ("message", words)]),
        "gemini" => members([
            ("result", text("error")),
            ("reason", code_text),
            ("message", words),
        ]),
        // Spot reads the one pair, contracts the other.
        "htx" => members([
            ("status", text("error")),
            ("err-code", code_text.clone()),
            ("err-msg", words.clone()),
            ("err_code", code_text),
            ("err_msg", words),
            ("data", Json::Null),
        ]),
        // `status` and `response` are the venue's; its own library wants the other two of a 4xx.
        "hyperliquid" => members([
            ("status", text("err")),
            ("response", words.clone()),
            ("code", Json::Null),
            ("msg", words),
        ]),
        "kraken" => members([("error", Json::List(vec![code_text, words]))]),
        "krakenfutures" => members([
            ("result", text("error")),
            ("error", code_text),
            ("message", words),
        ]),
        "kucoin" | "kucoinfutures" => members([("code", code_text), ("msg", words)]),
        "mexc" => members([
            ("success", Json::Bool(false)),
            ("code", number()),
            ("msg", words.clone()),
            ("message", words),
        ]),
        "okx" => members([
            ("code", code_text),
            ("msg", words),
            ("data", Json::List(vec![])),
        ]),
        // ccxt looks for `not found` and `insufficient` in `message`, and would take a refusal for an order that is gone.
        "revolutx" => members([
            ("message", text("refused by Touchkeep")),
            ("details", words),
        ]),
        "robinhood" => {
            let error = members([("detail", words), ("attr", Json::Null)]);
            members([
                ("type", text("client_error")),
                ("errors", Json::List(vec![error])),
            ])
        }
        "upbit" => {
            let error = members([("name", code_text), ("message", words)]);
            members([("error", error)])
        }
        _ => members([("code", number()), ("msg", words)]),
    }
}
