//! Names: of fields, of exchanges, and what a label of another program means.

/// The longest name of a field.
const MAX_NAME: usize = 64;

/// Names that an item's own parts have, and `otp`, which means the present one-time code.
const RESERVED: [&str; 14] = [
    "auth",
    "base-url",
    "class",
    "created",
    "id",
    "key-set",
    "kind",
    "name",
    "note",
    "otp",
    "plaintext-seen",
    "rotate-after-days",
    "tags",
    "venue",
];

/// The name of a field for a label: lower case, blanks and signs as `-`; a number behind it where it is taken.
pub(crate) fn field_name(label: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = String::with_capacity(label.len());
    for c in label.trim().chars() {
        let c = c.to_ascii_lowercase();
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            '_' if !name.is_empty() => name.push(c),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() == MAX_NAME - 8 {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    let name = if name.is_empty() { "field" } else { name };
    let name = if RESERVED.contains(&name) {
        format!("{name}-field")
    } else {
        name.to_owned()
    };
    if !taken(&name) {
        return name;
    }
    (2_u32..)
        .map(|number| format!("{name}-{number}"))
        .find(|name| !taken(name))
        .unwrap_or_default()
}

/// A label without case, blanks and signs, to compare it.
pub(crate) fn folded(label: &str) -> String {
    label
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// What a label means for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    ApiKey,
    Secret,
    Passphrase,
    User,
    Otp,
    Other,
}

/// What a label of a custom field means.
pub(crate) fn meaning(label: &str) -> Meaning {
    match folded(label).as_str() {
        "apikey" | "key" | "accesskey" | "accesskeyid" | "publickey" | "keyid" => Meaning::ApiKey,
        "secret" | "apisecret" | "secretkey" | "apisecretkey" | "secretaccesskey"
        | "privatekey" => Meaning::Secret,
        "passphrase" | "apipassphrase" => Meaning::Passphrase,
        "user" | "username" | "login" | "email" => Meaning::User,
        "otp" | "totp" | "twofa" | "2fa" | "otpauth" => Meaning::Otp,
        _ => Meaning::Other,
    }
}

// What ccxt, freqtrade and people call an exchange, and what it is called here.
const VENUES: &[(&str, &str)] = &[
    ("binance", "binance"),
    ("binanceusdm", "binance"),
    ("binancecoinm", "binance"),
    ("binanceus", "binanceus"),
    ("bybit", "bybit"),
    ("okx", "okx"),
    ("okex", "okx"),
    ("okex5", "okx"),
    ("myokx", "okx"),
    ("kraken", "kraken"),
    ("krakenfutures", "krakenfutures"),
    ("coinbase", "coinbase"),
    ("coinbaseadvanced", "coinbase"),
    ("coinbaseexchange", "coinbaseexchange"),
    ("coinbasepro", "coinbaseexchange"),
    ("kucoin", "kucoin"),
    ("kucoinfutures", "kucoin"),
    ("gate", "gate"),
    ("gateio", "gate"),
    ("htx", "htx"),
    ("huobi", "htx"),
    ("huobipro", "htx"),
    ("bitget", "bitget"),
    ("mexc", "mexc"),
    ("mexc3", "mexc"),
    ("bitfinex", "bitfinex"),
    ("bitfinex2", "bitfinex"),
    ("bitmex", "bitmex"),
    ("bitstamp", "bitstamp"),
    ("deribit", "deribit"),
    ("gemini", "gemini"),
    ("cryptocom", "cryptocom"),
    ("upbit", "upbit"),
    ("backpack", "backpack"),
    ("bitvavo", "bitvavo"),
    ("hyperliquid", "hyperliquid"),
    ("dydx", "dydx"),
];

/// What an exchange is called here; one that is not known keeps its name.
#[must_use]
pub fn venue(name: &str) -> String {
    known_venue(name).map_or_else(|| name.trim().to_lowercase(), str::to_owned)
}

/// An exchange that is known by this name.
pub(crate) fn known_venue(name: &str) -> Option<&'static str> {
    let folded = folded(name);
    let found = VENUES.iter().find(|(known, _)| *known == folded);
    found.map(|(_, ours)| *ours)
}

/// An exchange that a title or an address speaks of: its first word, or the name before the top-level domain.
pub(crate) fn venue_in(title: &str, url: &str) -> Option<&'static str> {
    let host = url.split("//").last().unwrap_or_default();
    let host = host.split(['/', ':', '?']).next().unwrap_or_default();
    let words = title.split(|c: char| !c.is_ascii_alphanumeric());
    host.split('.').chain(words).find_map(known_venue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_name_is_always_a_name() {
        let free = |_: &str| false;
        for (label, name) in [
            ("API Secret", "api-secret"),
            ("  __x", "x"),
            ("Пароль", "field"),
            ("", "field"),
            ("a//b", "a-b"),
            ("otp", "otp-field"),
            ("Name", "name-field"),
            ("UPPER_case", "upper_case"),
        ] {
            assert_eq!(field_name(label, free), name, "{label}");
        }
        assert!(field_name(&"x".repeat(500), free).len() <= MAX_NAME);
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let taken = |name: &str| name == "pin" || name == "pin-2";
        assert_eq!(field_name("Pin", taken), "pin-3");
    }

    #[test]
    fn an_exchange_is_known_by_its_other_names() {
        assert_eq!(venue("gateio"), "gate");
        assert_eq!(venue("Huobi"), "htx");
        assert_eq!(venue("MyExchange"), "myexchange");
        assert_eq!(
            venue_in("my key", "https://www.kraken.com/u"),
            Some("kraken")
        );
        assert_eq!(venue_in("Binance trade", ""), Some("binance"));
        assert_eq!(venue_in("binancelike", "https://example.org"), None);
    }
}
