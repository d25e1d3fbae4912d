//! What a program is given in place of a key and its secret, and the names under which known programs look for them.
//!
//! The secrets here are none: they only have a form that libraries take. Whatever is signed with them is dropped unread.

/// Base64 of 32 bytes, so that it serves as text, as base64, and as the seed of an Ed25519 key.
pub const SECRET: &str = "dG91Y2hrZWVwLWR1bW15LXNlY3JldC1ub3QtYS1rZXk=";
/// What stands for a passphrase.
pub const PASSPHRASE: &str = "dummy";
// The private key 1 of P-256, which everybody has.
const P256_ONE: &str = "-----BEGIN EC PRIVATE KEY-----\n\
MHcCAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoAoGCCqGSM49\n\
AwEHoUQDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/\n\
m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END EC PRIVATE KEY-----\n";
// The seed in `SECRET`, in PKCS#8.
const ED25519: &str = "-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIHRvdWNoa2VlcC1kdW1teS1zZWNyZXQtbm90LWEta2V5\n-----END PRIVATE KEY-----\n";

/// A secret of the form that this venue's libraries take.
#[must_use]
pub fn secret(venue: &str) -> &'static str {
    match venue {
        "coinbase" => P256_ONE,
        "revolutx" => ED25519,
        "hyperliquid" => "0x746f7563686b6565702d64756d6d792d7365637265742d6e6f742d612d6b6579",
        _ => SECRET,
    }
}

/// The variables that a program finds its keys and addresses in: those of the libraries that read any (ccxt's own command
/// line, nautilus_trader, coinbase-advanced-py, freqtrade), and ours for all others. `proxy` is the address of the proxy.
#[must_use]
pub fn environment(venues: &[&str], token: &str, proxy: &str) -> Vec<(String, String)> {
    let mut all = vec![
        ("TOUCHKEEP_PROXY_URL".to_owned(), proxy.to_owned()),
        ("TOUCHKEEP_TOKEN".to_owned(), token.to_owned()),
    ];
    for venue in venues {
        let name = venue.to_ascii_uppercase();
        let mut set =
            |suffix: &str, value: &str| all.push((format!("{name}_{suffix}"), value.to_owned()));
        for key in ["API_KEY", "APIKEY"] {
            set(key, token);
        }
        for key in ["API_SECRET", "SECRET"] {
            set(key, secret(venue));
        }
        if crate::venue(venue).is_some_and(|venue| venue.info().passphrase) {
            for key in ["API_PASSPHRASE", "PASSPHRASE", "PASSWORD"] {
                set(key, PASSPHRASE);
            }
        }
        all.push((format!("TOUCHKEEP_{name}_URL"), format!("{proxy}/{venue}")));
    }
    if let [venue] = venues {
        let exchange =
            |what: &str, value: &str| (format!("FREQTRADE__EXCHANGE__{what}"), value.to_owned());
        all.push(exchange("NAME", venue));
        all.push(exchange("KEY", token));
        all.push(exchange("SECRET", secret(venue)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_venue_gets_a_key_a_secret_and_an_address() {
        let ids: Vec<_> = crate::venues().iter().map(|venue| venue.id).collect();
        let all = environment(&ids, "tkc_a", "http://127.0.0.1:9");
        let of = |name: &str| {
            let mut found = all.iter().filter(|(known, _)| known == name);
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none(), "{name} is there twice");
            value
        };
        for id in ids {
            let name = id.to_ascii_uppercase();
            assert_eq!(of(&format!("{name}_API_KEY")), Some("tkc_a"));
            assert!(of(&format!("{name}_API_SECRET")).is_some());
            assert!(of(&format!("TOUCHKEEP_{name}_URL")).is_some());
        }
        assert_eq!(of("OKX_API_PASSPHRASE"), Some("dummy"));
        assert_eq!(of("BINANCE_API_PASSPHRASE"), None);
        assert_eq!(of("FREQTRADE__EXCHANGE__KEY"), None);
        let one = environment(&["kraken"], "tkc_a", "u");
        assert!(one.contains(&("FREQTRADE__EXCHANGE__KEY".into(), "tkc_a".into())));
    }
}
