//! One name for what a venue knows under several, so that a rule about a market or an asset, and the sum of a window, meet
//! it however a request writes it. The bytes that are sent stay as they were.
//!
//! A name is brought to another only where both can be nothing but the same; else it stays as it is. Kraken: `Assets` and
//! `AssetPairs` of docs.kraken.com (`altname`, `wsname`), as of 2026-11-27. The assets with an `X` or `Z` before their name
//! are a closed list there: none has come to it for years. Bitfinex: the colon parts names of other lengths than three
//! (docs.bitfinex.com, as of 2026-11-27). Revolut X: ccxt 4.5.90 writes `BTC-USD`, the venue's answers `BTC/USD`.

use crate::Operation;

// Assets of Kraken that have a second name, with that letter before it.
const X: [&str; 11] = [
    "ETC", "ETH", "LTC", "MLN", "REP", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC",
];
const Z: [&str; 6] = ["AUD", "CAD", "EUR", "GBP", "JPY", "USD"];
// What others call an asset, and Kraken's name for it.
const COMMON: [(&str, &str); 2] = [("BTC", "XBT"), ("DOGE", "XDG")];
// In what those are paid there: without a slash nothing else says where a name ends.
const QUOTES: [&str; 15] = [
    "AUD", "CAD", "CHF", "DAI", "ETH", "EUR", "GBP", "JPY", "PYUSD", "RLUSD", "USD", "USDC",
    "USDT", "XBT", "BTC",
];

// No market's name is near it; whoever sends a long text for one is not to cost its square.
const LONGEST: usize = 32;

/// The one name of a market.
#[must_use]
pub fn market(venue: &str, name: &str) -> String {
    one_market(venue, name).unwrap_or_else(|| name.to_owned())
}

// None where it is the name that was given.
fn one_market(venue: &str, name: &str) -> Option<String> {
    match venue {
        "bitfinex" => without_colon(name),
        "kraken" => Some(kraken_market(name)),
        "revolutx" => Some(name.replacen('/', "-", 1)),
        _ => None,
    }
}

/// The one name of an asset.
#[must_use]
pub fn asset(venue: &str, name: &str) -> String {
    match venue {
        "kraken" => kraken_asset(name),
        _ => name,
    }
    .to_owned()
}

/// All names of a market, where the venue has several.
#[must_use]
pub fn market_names(venue: &str, name: &str) -> Vec<String> {
    let spellings: fn(&str) -> Vec<String> = match venue {
        "bitfinex" => |one| with_colon(one).into_iter().collect(),
        "kraken" => kraken_spellings,
        "revolutx" => |one| vec![one.replacen('-', "/", 1)],
        _ => return Vec::new(),
    };
    let one = market(venue, name);
    let mut names = spellings(&one);
    // Only what is brought back to it is the same market: `CHZUSD` is none of `CHUSD`.
    names.retain(|other| market(venue, other) == one && *other != one);
    names.push(one);
    names
}

/// All names of an asset, where the venue has several.
#[must_use]
pub fn asset_names(venue: &str, name: &str) -> Vec<String> {
    match venue {
        "kraken" => kraken_names(kraken_asset(name)),
        _ => Vec::new(),
    }
}

impl Operation {
    /// Its market and asset under their one name each.
    #[must_use]
    pub fn with_one_name_each(mut self) -> Self {
        let venue = &self.venue;
        let one = |name: &String| one_market(venue, name);
        self.symbol = self.symbol.as_ref().and_then(one).or(self.symbol);
        self.asset = self.asset.map(|name| asset(venue, &name));
        self
    }
}

// `tBTC:USD` is `tBTCUSD`.
fn without_colon(name: &str) -> Option<String> {
    let (base, quote) = name.strip_prefix('t')?.split_once(':')?;
    (base.len() == 3 && quote.len() == 3).then(|| format!("t{base}{quote}"))
}

fn with_colon(name: &str) -> Option<String> {
    let (base, quote) = name.strip_prefix('t')?.split_at_checked(3)?;
    Some(format!("t{base}:{quote}"))
}

fn kraken_asset(name: &str) -> &str {
    let common = COMMON.iter().find(|(common, _)| *common == name);
    let longer = |letter, of: &[&str]| {
        let short = name.strip_prefix(letter)?;
        of.contains(&short).then_some(short)
    };
    common
        .map(|(_, own)| *own)
        .or_else(|| longer('X', &X))
        .or_else(|| longer('Z', &Z))
        .unwrap_or(name)
}

fn kraken_market(name: &str) -> String {
    let joined = match name.split_once('/') {
        Some((base, quote)) => format!("{}{}", kraken_asset(base), kraken_asset(quote)),
        None => name.to_owned(),
    };
    whole_of_two(&joined)
        .or_else(|| begins_commonly(&joined))
        .or_else(|| ends_commonly(&joined))
        .unwrap_or(joined)
}

// `XXBTZUSD`: two long names. The one that has a long name and a short one is `USDTZUSD`.
fn whole_of_two(name: &str) -> Option<String> {
    if name == "USDTZUSD" {
        return Some("USDTUSD".to_owned());
    }
    let (base, quote) = name.split_at_checked(4)?;
    let is_long = |part: &str| part.len() == 4 && kraken_asset(part).len() == 3;
    (is_long(base) && is_long(quote))
        .then(|| format!("{}{}", kraken_asset(base), kraken_asset(quote)))
}

fn begins_commonly(name: &str) -> Option<String> {
    COMMON.iter().find_map(|(common, own)| {
        let quote = name.strip_prefix(common)?;
        QUOTES
            .contains(&quote)
            .then(|| format!("{own}{}", kraken_asset(quote)))
    })
}

fn ends_commonly(name: &str) -> Option<String> {
    let base = name.strip_suffix("BTC")?;
    (base.len() > 1).then(|| format!("{base}XBT"))
}

fn kraken_names(own: &str) -> Vec<String> {
    let mut names = vec![own.to_owned()];
    names.extend(X.contains(&own).then(|| format!("X{own}")));
    names.extend(Z.contains(&own).then(|| format!("Z{own}")));
    let common = COMMON.iter().filter(|(_, of)| *of == own);
    names.extend(common.map(|(common, _)| (*common).to_owned()));
    names
}

// However it can be parted in two; most of them are nobody's names.
fn kraken_spellings(one: &str) -> Vec<String> {
    let mut names = Vec::new();
    if one.len() > LONGEST {
        return names;
    }
    for (at, _) in one.char_indices().skip(1) {
        let (base, quote) = one.split_at(at);
        for base in kraken_names(base) {
            for quote in kraken_names(quote) {
                names.push(format!("{base}/{quote}"));
                names.push(format!("{base}{quote}"));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_market_are_one() {
        for (venue, one, others) in [
            (
                "kraken",
                "XBTUSD",
                &["XXBTZUSD", "XBT/USD", "BTC/USD", "BTCUSD", "XXBT/ZUSD"][..],
            ),
            (
                "kraken",
                "ETHXBT",
                &["XETHXXBT", "ETH/XBT", "ETH/BTC", "ETHBTC"],
            ),
            ("kraken", "XDGUSD", &["DOGEUSD", "DOGE/USD", "XDG/USD"]),
            ("kraken", "XBTUSDT", &["BTCUSDT", "BTC/USDT", "XBT/USDT"]),
            ("kraken", "USDTUSD", &["USDTZUSD", "USDT/USD"]),
            ("kraken", "EURUSD", &["ZEURZUSD", "EUR/USD"]),
            ("kraken", "CHZUSD", &["CHZ/USD"]),
            ("kraken", "XTZEUR", &["XTZ/EUR"]),
            ("kraken", "SOLXBT", &["SOL/BTC", "SOLBTC"]),
            ("bitfinex", "tBTCUSD", &["tBTC:USD"]),
            ("revolutx", "BTC-USD", &["BTC/USD"]),
        ] {
            let names = market_names(venue, one);
            for other in others.iter().chain([&one]) {
                assert_eq!(market(venue, other), one, "{venue} {other}");
                assert!(names.iter().any(|name| name == other), "{other}: {names:?}");
                assert_eq!(market_names(venue, other), names);
            }
        }
    }

    #[test]
    fn other_markets_stay_others() {
        for (venue, name) in [
            ("kraken", "CHZUSD"),
            ("kraken", "XTZUSD"),
            ("kraken", "ZRXXBT"),
            ("kraken", "WBTCUSD"),
            ("kraken", "BTCNEW"),
            ("kraken", "PF_XBTUSD"),
            ("bitfinex", "tDUSK:USD"),
            ("bitfinex", "tBTCF0:USTF0"),
            ("bitfinex", "tBTCUSD"),
            ("binance", "BTC/USD"),
            ("mexc", "BTC_USDT"),
        ] {
            assert_eq!(market(venue, name), name, "{venue}");
            let twice = market(venue, &market(venue, name));
            assert_eq!(twice, name);
        }
        assert!(!market_names("kraken", "CHUSD").contains(&"CHZUSD".to_owned()));
        assert!(market_names("binance", "BTCUSDT").is_empty());
        let long = "A".repeat(1_000_000);
        assert_eq!(market_names("kraken", &long), [long]);
    }

    #[test]
    fn assets_too() {
        for (name, one) in [
            ("XXBT", "XBT"),
            ("BTC", "XBT"),
            ("ZUSD", "USD"),
            ("DOGE", "XDG"),
            ("XTZ", "XTZ"),
            ("USDT", "USDT"),
            ("XBT.F", "XBT.F"),
        ] {
            assert_eq!(asset("kraken", name), one);
        }
        assert_eq!(asset_names("kraken", "ZUSD"), ["USD", "ZUSD"]);
        assert_eq!(asset("binance", "BTC"), "BTC");
    }
}
