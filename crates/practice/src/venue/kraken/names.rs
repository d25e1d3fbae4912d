//! What Kraken calls assets, pairs, orders, trades and withdrawals.

use bigdecimal::BigDecimal;
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::super::market::{Market, Symbol};

/// An asset's two names and how many decimals it has.
pub(crate) struct Asset {
    /// As everybody but Kraken says.
    pub(crate) plain: &'static str,
    pub(crate) id: &'static str,
    pub(crate) altname: &'static str,
    pub(crate) decimals: i64,
}

/// All assets.
pub(crate) const ASSETS: [Asset; 3] = [
    Asset {
        plain: "BTC",
        id: "XXBT",
        altname: "XBT",
        decimals: 10,
    },
    Asset {
        plain: "ETH",
        id: "XETH",
        altname: "ETH",
        decimals: 10,
    },
    Asset {
        plain: "USDT",
        id: "USDT",
        altname: "USDT",
        decimals: 8,
    },
];

/// A pair's names.
pub(crate) struct Pair {
    /// As the market has it.
    pub(crate) symbol: &'static str,
    pub(crate) id: &'static str,
    pub(crate) altname: &'static str,
    pub(crate) wsname: &'static str,
}

/// All pairs.
pub(crate) const PAIRS: [Pair; 3] = [
    Pair {
        symbol: "BTCUSDT",
        id: "XBTUSDT",
        altname: "XBTUSDT",
        wsname: "XBT/USDT",
    },
    Pair {
        symbol: "ETHUSDT",
        id: "ETHUSDT",
        altname: "ETHUSDT",
        wsname: "ETH/USDT",
    },
    Pair {
        symbol: "ETHBTC",
        id: "XETHXXBT",
        altname: "ETHXBT",
        wsname: "ETH/XBT",
    },
];

/// The asset that goes by either of Kraken's names.
pub(crate) fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS
        .iter()
        .find(|asset| asset.id == name || asset.altname == name)
}

/// Kraken's names of an asset.
pub(crate) fn of_plain(plain: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.plain == plain)
}

/// Kraken's id of an asset, or the asset itself where it has none.
pub(crate) fn id_of(plain: &'static str) -> &'static str {
    of_plain(plain).map_or(plain, |asset| asset.id)
}

/// The pair that goes by any of its names. The newer WebSocket says `BTC/USDT` where all else says `XBT/USDT`.
pub(crate) fn pair(name: &str) -> Option<&'static Pair> {
    let older = name.replace("BTC", "XBT");
    PAIRS.iter().find(|pair| {
        pair.id == name || pair.altname == name || pair.wsname == name || pair.wsname == older
    })
}

/// The names of a market's pair.
pub(crate) fn pair_of(symbol: &Symbol) -> Option<&'static Pair> {
    PAIRS.iter().find(|pair| pair.symbol == symbol.name)
}

/// The market's pair of these names.
pub(crate) fn symbol<'m>(market: &'m Market, pair: &Pair) -> Option<&'m Symbol> {
    market.find(|symbol| symbol.name == pair.symbol)
}

/// An amount with this many decimals.
pub(crate) fn amount(amount: &BigDecimal, decimals: i64) -> String {
    amount.with_scale(decimals).to_plain_string()
}

/// An order's id: `OQCLML-BW3P3-BUCMWZ`.
pub(crate) fn order_id(number: u64) -> String {
    let letters = letters("order", &number.to_string());
    let part = |from, to| letters.get(from..to).unwrap_or_default();
    format!("O{}-{}-{}", part(0, 5), part(5, 10), part(10, 16))
}

/// A trade's id: `THVRQM-33VKH-UCI7BS`.
pub(crate) fn trade_id(number: u64) -> String {
    let letters = letters("trade", &number.to_string());
    let part = |from, to| letters.get(from..to).unwrap_or_default();
    format!("T{}-{}-{}", part(0, 5), part(5, 10), part(10, 16))
}

/// A withdrawal's reference: `AGBSO6T-UFMTTQ-I7KGS6`.
pub(crate) fn reference(id: &str) -> String {
    let letters = letters("withdrawal", id);
    let part = |from, to| letters.get(from..to).unwrap_or_default();
    format!("A{}-{}-{}", part(0, 6), part(6, 12), part(12, 18))
}

// The venue counts; what the client sees tells neither how many there are nor which comes next.
fn letters(kind: &str, id: &str) -> String {
    let hash = Sha256::new().chain_update(kind).chain_update(id).finalize();
    BASE32_NOPAD.encode(&hash)
}
