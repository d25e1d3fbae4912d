//! A request in plain terms: what it would do, with exact amounts.

use std::fmt;

use serde::{Deserialize, Serialize};
use touchkeep_core::{
    Decimal,
    text::{visible, visible_ascii},
};

use crate::Json;

/// What an operation does. Ordered by danger; what is not understood is the most dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// Looks, changes nothing.
    Read,
    /// Places or changes an order.
    Trade,
    /// Cancels orders.
    Cancel,
    /// Changes leverage, margin type or position mode.
    Leverage,
    /// Moves or converts money inside the venue.
    Transfer,
    /// Moves money out of the venue.
    Withdraw,
    /// Makes, changes or deletes keys, sub-accounts or what guards withdrawals.
    KeyAdmin,
    /// Not in our tables.
    Unknown,
}

/// Which key of a key set signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyClass {
    /// May look.
    Read,
    /// May trade.
    Trade,
    /// May move money.
    MoveMoney,
    /// May administer keys.
    KeyAdmin,
}

impl KeyClass {
    /// The word for it on the command line and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Trade => "trade",
            Self::MoveMoney => "move-money",
            Self::KeyAdmin => "key-admin",
        }
    }
}

impl fmt::Display for KeyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which side of a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Buys the base asset.
    Buy,
    /// Sells the base asset.
    Sell,
}

impl Side {
    /// The word for it in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

impl OperationKind {
    /// All kinds, mildest first.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Trade,
        Self::Cancel,
        Self::Leverage,
        Self::Transfer,
        Self::Withdraw,
        Self::KeyAdmin,
        Self::Unknown,
    ];

    /// The class of key that signs it.
    #[must_use]
    pub const fn class(self) -> KeyClass {
        match self {
            Self::Read => KeyClass::Read,
            Self::Trade | Self::Cancel | Self::Leverage => KeyClass::Trade,
            Self::Transfer | Self::Withdraw | Self::Unknown => KeyClass::MoveMoney,
            Self::KeyAdmin => KeyClass::KeyAdmin,
        }
    }

    /// Whether no rule may let it through without the device's touch.
    #[must_use]
    pub const fn is_dangerous(self) -> bool {
        matches!(
            self,
            Self::Transfer | Self::Withdraw | Self::KeyAdmin | Self::Unknown
        )
    }

    /// The word for it in rules, rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Trade => "trade",
            Self::Cancel => "cancel",
            Self::Leverage => "leverage",
            Self::Transfer => "transfer",
            Self::Withdraw => "withdraw",
            Self::KeyAdmin => "key-admin",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A decoded request. Text in it is as the client sent it: show it through [`visible`], as [`Operation::sentence`] does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Operation {
    /// What it does.
    pub kind: OperationKind,
    /// At which venue: `binance`.
    pub venue: String,
    /// `GET`, `POST`, ….
    pub method: String,
    /// The path at the venue.
    pub path: String,
    /// The endpoint in plain words: `place order`.
    pub endpoint: String,
    /// The market: `BTCUSDT`.
    pub symbol: Option<String>,
    /// Which side.
    pub side: Option<Side>,
    /// The asset that moves.
    pub asset: Option<String>,
    /// How much of the asset, or of the market's base asset; contracts, where the market counts in those (coin futures,
    /// options). Absent where the request does not say it in one number.
    pub amount: Option<Decimal>,
    /// How much of the market's quote asset, where the request says so.
    pub quote_amount: Option<Decimal>,
    /// The price of a limit order.
    pub price: Option<Decimal>,
    /// Where money goes.
    pub destination: Option<String>,
    /// The address that the destination is to be, where that is a name under which the venue keeps one: the venue refuses the
    /// request where its own is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// The memo or tag that belongs to the destination.
    pub destination_tag: Option<String>,
    /// Over which network.
    pub network: Option<String>,
    /// The client's own id of this order or withdrawal.
    pub client_id: Option<String>,
    /// Whether an order or a withdrawal borrows what it needs and is not there: such an order says no amount.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub borrows: bool,
    /// The names of the parameters that the particulars were read from, as [`Operation::parameters`] has them. Known only where
    /// the request was read, and not kept with it.
    #[serde(skip)]
    pub read_from: Vec<String>,
    /// Everything that the request says, in its order, so that nothing is approved unseen. Without the authentication.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
}

/// One parameter, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value, as the venue will read it.
    pub value: String,
}

impl Parameter {
    /// What it says, piece by piece: where the value is a list or members in JSON, each value under its path; else itself.
    #[must_use]
    pub fn pieces(&self) -> Vec<Self> {
        match Json::within(&self.value) {
            Ok(Some(json)) => json.flat_under(self.name.clone()),
            Ok(None) | Err(_) => vec![self.clone()],
        }
    }
}

/// The name under which [`Operation::parameters`] has what a header says of its end.
#[must_use]
pub fn expiry_name(header: &str) -> String {
    format!("header {header}")
}

impl Operation {
    /// An operation without particulars.
    #[must_use]
    pub fn new(
        kind: OperationKind,
        venue: impl Into<String>,
        method: impl Into<String>,
        path: impl Into<String>,
        endpoint: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            venue: venue.into(),
            method: method.into(),
            path: path.into(),
            endpoint: endpoint.into(),
            symbol: None,
            side: None,
            asset: None,
            amount: None,
            quote_amount: None,
            price: None,
            destination: None,
            resolved: None,
            destination_tag: None,
            network: None,
            client_id: None,
            borrows: false,
            read_from: Vec::new(),
            parameters: Vec::new(),
        }
    }

    /// What it would do, in one sentence: `Withdraw 0.5 BTC on Binance to bc1q… (network BTC)`. One line, every character
    /// visible. A name that could pass for other words of it stands in quotes; addresses, tags and networks show nothing but
    /// ASCII, because nobody compares them by their look safely.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut words = vec![capitalised(&visible(&self.endpoint))];
        if let Some(side) = self.side {
            words.push(side.as_str().to_owned());
        }
        words.extend(self.amount.as_ref().map(ToString::to_string));
        words.extend(self.asset.as_deref().map(visible).map(quoted));
        words.extend(self.symbol.as_deref().map(visible).map(quoted));
        if let Some(quote) = &self.quote_amount {
            words.push(format!("for {quote}"));
        }
        if let Some(price) = &self.price {
            words.push(format!("at {price}"));
        }
        words.push(format!("on {}", capitalised(&visible(&self.venue))));
        if self.borrows {
            words.push("and borrows what is missing".to_owned());
        }
        if let Some(destination) = &self.destination {
            let to = match self.kind {
                OperationKind::KeyAdmin => "for",
                _ => "to",
            };
            words.push(format!("{to} {}", quoted(visible_ascii(destination))));
        }
        if let Some(resolved) = &self.resolved {
            words.push(format!("which is {}", quoted(visible_ascii(resolved))));
        }
        if let Some(tag) = &self.destination_tag {
            words.push(format!("tag {}", quoted(visible_ascii(tag))));
        }
        if let Some(network) = &self.network {
            words.push(format!("(network {})", quoted(visible_ascii(network))));
        }
        if self.kind == OperationKind::Unknown {
            words.push(format!(
                "[not understood: {} {}]",
                visible(&self.method),
                visible(&self.path)
            ));
        }
        words.join(" ")
    }
}

// What a stranger wrote, in quotes where a blank, a quote or a bracket would let it pass for words of ours.
fn quoted(shown: String) -> String {
    if shown.contains([' ', '"', '(', ')', '[', ']']) {
        format!("\"{}\"", shown.replace('"', "\\u{22}"))
    } else {
        shown
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_is_said_in_one_line_with_nothing_hidden() {
        let mut op = Operation::new(
            OperationKind::Withdraw,
            "binance",
            "POST",
            "/sapi/v1/capital/withdraw/apply",
            "withdraw",
        );
        op.amount = "0.50".parse().ok();
        op.asset = Some("BTC".into());
        op.destination = Some("bc1q\u{202e}x".into());
        op.network = Some("BTC\n".into());
        assert_eq!(
            op.sentence(),
            "Withdraw 0.5 BTC on Binance to bc1q\\u{202e}x (network BTC\\u{a})"
        );
    }

    #[test]
    fn a_name_cannot_pass_for_other_words_of_the_sentence() {
        let mut op = Operation::new(
            OperationKind::Transfer,
            "binance",
            "POST",
            "/sapi/v1/asset/transfer",
            "transfer",
        );
        op.asset = Some("BTC on Binance to bc1qgood (network".into());
        op.destination = Some("bc1q\u{430}".into());
        op.destination_tag = Some("\"1\"".into());
        assert_eq!(
            op.sentence(),
            "Transfer \"BTC on Binance to bc1qgood (network\" on Binance to bc1q\\u{430} tag \"\\u{22}1\\u{22}\""
        );
    }

    #[test]
    fn an_order_is_said_with_side_amount_and_price() {
        let mut op = Operation::new(
            OperationKind::Trade,
            "binance",
            "POST",
            "/api/v3/order",
            "place order",
        );
        op.side = Some(Side::Buy);
        op.symbol = Some("LTCBTC".into());
        op.amount = "1".parse().ok();
        op.price = "0.1".parse().ok();
        assert_eq!(op.sentence(), "Place order buy 1 LTCBTC at 0.1 on Binance");
    }

    #[test]
    fn what_is_not_understood_says_so_loudly() {
        let op = Operation::new(
            OperationKind::Unknown,
            "binance",
            "POST",
            "/sapi/v9/x",
            "unknown request",
        );
        assert_eq!(
            op.sentence(),
            "Unknown request on Binance [not understood: POST /sapi/v9/x]"
        );
    }

    #[test]
    fn kinds_are_ordered_by_danger_and_unknown_is_last() {
        assert!(OperationKind::ALL.is_sorted());
        assert_eq!(OperationKind::ALL.last(), Some(&OperationKind::Unknown));
        for kind in OperationKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
