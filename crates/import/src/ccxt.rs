//! `keys.json` of ccxt's command line: an exchange's id, and its credentials and options.

use crate::{
    error::ImportError,
    json::{self, Node},
    model::{Built, Format, Import, Kind, MAX_ROWS},
    names::venue,
    source,
};

// What ccxt calls a credential, what it is called here, and whether it is secret.
const CREDENTIALS: &[(&str, &str, bool)] = &[
    ("apiKey", "api-key", false),
    ("secret", "secret", true),
    ("password", "passphrase", true),
    ("uid", "uid", false),
    ("login", "login", false),
    ("accountId", "account-id", false),
    ("walletAddress", "wallet-address", false),
    ("privateKey", "private-key", true),
    ("token", "token", true),
    ("twofa", "totp", true),
];

/// Whether ccxt calls a credential so.
pub(crate) fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|(known, ..)| *known == name)
}

/// Reads a file.
///
/// # Errors
/// When it is not JSON.
pub(crate) fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let source = source::text(bytes, Format::Ccxt)?;
    let root = json::parse(source, Format::Ccxt)?;
    if root.members().len() > MAX_ROWS {
        return Err(ImportError::TooLarge {
            what: "a file of this many exchanges",
            limit: MAX_ROWS,
        });
    }
    let mut import = Import::new(Format::Ccxt);
    for (number, (exchange, node)) in root.members().iter().enumerate() {
        let place = format!("entry {}", number + 1);
        if node.members().is_empty() {
            let loses = node.as_value(source).is_some();
            import.left(place, exchange, "There are no credentials in it.", loses);
        } else {
            import.item(place, item(exchange, node, source));
        }
    }
    Ok(import)
}

fn item(exchange: &str, node: &Node, source: &str) -> Built {
    let mut built = Built::new(exchange, Kind::ExchangeKey);
    built.proposal.venue = Some(venue(exchange));
    // A chain's key is the chief secret where there is no other.
    let lone = node.text("secret").is_empty();
    for (name, value) in node.members() {
        let Some(text) = value.as_value(source) else {
            continue;
        };
        let known = CREDENTIALS.iter().find(|(known, ..)| known == name);
        let (label, secret) = match known {
            Some(("privateKey", ..)) if lone => ("secret", true),
            Some((_, label, secret)) => (*label, *secret),
            None => (name.as_str(), true),
        };
        let span = value.str().map(|_| value.span.clone());
        built.add(label, secret, text, span);
    }
    built
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_our_names_and_options_are_kept_hidden() {
        let source = r#"{"gateio":{"apiKey":"k","secret":"s","password":"p","options":{"a":[1]},"x":true},"hyperliquid":{"walletAddress":"0x","privateKey":"pk"},"none":{},"odd":3}"#;
        let import = read(source.as_bytes()).unwrap();
        let gate = &import.items[0];
        assert_eq!(
            (gate.name.as_str(), gate.venue.as_deref()),
            ("gateio", Some("gate"))
        );
        let fields: Vec<_> = gate
            .fields
            .iter()
            .map(|f| (f.name.as_str(), f.secret, f.value.as_str()))
            .collect();
        assert_eq!(
            fields,
            [
                ("api-key", false, "k"),
                ("secret", true, "s"),
                ("passphrase", true, "p"),
                ("options", true, "{\"a\":[1]}"),
                ("x", true, "true")
            ]
        );
        assert_eq!(*import.items[1].field("secret").unwrap().value, "pk");
        assert!(
            import.rows[2].outcome.is_err() && import.rows[3].outcome.as_ref().unwrap_err().loses
        );
    }
}
