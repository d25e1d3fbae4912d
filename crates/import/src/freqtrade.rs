//! freqtrade's `config.json`: JSON with comments and trailing commas. Its secrets become items, its settings stay there.

use std::collections::BTreeSet;

use crate::{
    dotenv::is_called_secret,
    error::ImportError,
    json::{self, Json, Node},
    model::{Built, Format, Import, Kind},
    names::venue,
    source,
};

// Every name that freqtrade has had for a part of an exchange's credentials.
const EXCHANGE: &[(&str, &str, bool)] = &[
    ("key", "api-key", false),
    ("api_key", "api-key", false),
    ("apiKey", "api-key", false),
    ("secret", "secret", true),
    ("password", "passphrase", true),
    ("uid", "uid", false),
    ("account_id", "account-id", false),
    ("accountId", "account-id", false),
    ("wallet_address", "wallet-address", false),
    ("walletAddress", "wallet-address", false),
    ("private_key", "private-key", true),
    ("privateKey", "private-key", true),
];
const CCXT: &[&str] = &["ccxt_config", "ccxt_sync_config", "ccxt_async_config"];

/// Reads a file.
///
/// # Errors
/// When it is not JSON, or names no exchange.
pub(crate) fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let source = source::text(bytes, Format::Freqtrade)?;
    let root = json::parse(source, Format::Freqtrade)?;
    let mut import = Import::new(Format::Freqtrade);
    let bot = match root.text("bot_name") {
        "" => "freqtrade",
        name => name,
    };
    for (name, node) in root.members() {
        match name.as_str() {
            "exchange" => import.item(name.clone(), exchange(&root, node)),
            "telegram" => section(
                &mut import,
                name,
                node,
                bot,
                Kind::ApiKey,
                &[("token", "secret", true), ("chat_id", "chat-id", false)],
            ),
            "discord" => section(
                &mut import,
                name,
                node,
                bot,
                Kind::ApiKey,
                &[("webhook_url", "secret", true)],
            ),
            "webhook" => section(
                &mut import,
                name,
                node,
                bot,
                Kind::ApiKey,
                &[("url", "secret", true)],
            ),
            "api_server" => section(
                &mut import,
                name,
                node,
                bot,
                Kind::Login,
                &[
                    ("password", "secret", true),
                    ("username", "username", false),
                    ("jwt_secret_key", "jwt-secret-key", true),
                    ("ws_token", "ws-token", true),
                ],
            ),
            _ => {}
        }
    }
    let mut settings = Built::new(&format!("{bot} settings"), Kind::Note);
    settings.proposal.tags.push("freqtrade".to_owned());
    others(&mut settings, "", "", &root, &taken(&import));
    if !settings.proposal.fields.is_empty() {
        import.item("file".to_owned(), settings);
    }
    let words = "The bot's settings that are no secrets by name and value stay in the file.";
    import.left("file".to_owned(), "settings", words, true);
    Ok(import)
}

// Where the values stand that became fields.
fn taken(import: &Import) -> BTreeSet<usize> {
    let fields = import.items.iter().flat_map(|item| &item.fields);
    let spans = fields.filter_map(|field| field.span.as_ref());
    spans.map(|span| span.start).collect()
}

// Whatever is called a secret elsewhere: new versions have new sections, and strategies settings of their own.
fn others(built: &mut Built, path: &str, name: &str, node: &Node, taken: &BTreeSet<usize>) {
    match &node.json {
        Json::String(text) if is_called_secret(&in_words(name), text) => {
            if !taken.contains(&node.span.start) {
                add(built, path, true, node);
            }
        }
        Json::Array(values) => {
            for value in values {
                others(built, path, name, value, taken);
            }
        }
        _ => {
            for (name, value) in node.members() {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}-{name}"),
                };
                others(built, &path, name, value, taken);
            }
        }
    }
}

// `apiKey` is as good as `api_key`.
fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && words.ends_with(|c: char| c.is_ascii_lowercase()) {
            words.push('_');
        }
        words.push(c);
    }
    words
}

fn exchange(root: &Node, node: &Node) -> Built {
    let name = node.text("name");
    let mut built = Built::new(name, Kind::ExchangeKey);
    built.proposal.venue = Some(venue(name));
    built.proposal.tags.push("freqtrade".to_owned());
    if root.is("dry_run") {
        built.proposal.tags.push("dry-run".to_owned());
    }
    let lone = node.text("secret").is_empty();
    for (key, value) in node.members() {
        if let Some((_, label, secret)) = EXCHANGE.iter().find(|(known, ..)| known == key) {
            let (label, secret) = if *label == "private-key" && lone {
                ("secret", true)
            } else {
                (*label, *secret)
            };
            add(&mut built, label, secret, value);
        } else if CCXT.contains(&key.as_str()) {
            ccxt(&mut built, value);
        }
    }
    built
}

// What is a credential for ccxt is one here; headers may hold others.
fn ccxt(built: &mut Built, node: &Node) {
    for (key, value) in node.members() {
        let (label, secret) = match key.as_str() {
            "apiKey" => ("api-key", false),
            "secret" | "privateKey" if built.proposal.field("secret").is_none() => ("secret", true),
            "password" => ("passphrase", true),
            "uid" | "login" | "accountId" | "walletAddress" => (key.as_str(), false),
            "secret" | "privateKey" | "token" | "twofa" => (key.as_str(), true),
            "headers" => {
                for (header, value) in value.members() {
                    add(built, header, true, value);
                }
                continue;
            }
            _ => continue,
        };
        add(built, label, secret, value);
    }
}

fn section(
    import: &mut Import,
    name: &str,
    node: &Node,
    bot: &str,
    kind: Kind,
    parts: &[(&str, &str, bool)],
) {
    let mut built = Built::new(&format!("{bot} {}", name.replace('_', " ")), kind);
    built.proposal.tags.push("freqtrade".to_owned());
    for (key, value) in node.members() {
        if let Some((_, label, secret)) = parts.iter().find(|(known, ..)| known == key) {
            add(&mut built, label, *secret, value);
        }
    }
    import.item(name.to_owned(), built);
}

fn add(built: &mut Built, label: &str, secret: bool, value: &Node) {
    match &value.json {
        Json::String(text) => built.add(label, secret, text.clone(), Some(value.span.clone())),
        Json::Number(text) => built.add(label, secret, text.clone(), None),
        Json::Array(values) => values
            .iter()
            .for_each(|value| add(built, label, secret, value)),
        Json::Null | Json::Bool(_) | Json::Object(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_a_secret_is_taken_wherever_it_stands() {
        let source = r#"{"strategy": "NostalgiaForInfinityX5", "db_url": "postgresql://bot:pw@host/db", "coingecko": {"apiKey": "cg-1234"},
            "exchange": {"name": "kraken", "key": "k-12345", "secret": "s-12345", "pair_whitelist": ["KEY/USDT"],
                "ccxt_async_config": {"aiohttp_proxy": "http://u:p@host"}},
            "webhook": {"url": "https://hook", "entry": {"Authorization": "Bearer x"}},
            "external_message_consumer": {"producers": [{"name": "a", "ws_token": "t-12345"}, {"name": "b", "ws_token": "tk://prod/b/secret"}]}}"#;
        let import = read(source.as_bytes()).unwrap();
        let settings = import.items.last().unwrap();
        assert_eq!(settings.name, "freqtrade settings");
        let fields = settings.fields.iter();
        let fields: Vec<_> = fields
            .map(|f| (f.name.as_str(), f.secret, f.value.as_str()))
            .collect();
        assert_eq!(
            fields,
            [
                ("db_url", true, "postgresql://bot:pw@host/db"),
                ("coingecko-apikey", true, "cg-1234"),
                (
                    "exchange-ccxt_async_config-aiohttp_proxy",
                    true,
                    "http://u:p@host"
                ),
                ("webhook-entry-authorization", true, "Bearer x"),
                (
                    "external_message_consumer-producers-ws_token",
                    true,
                    "t-12345"
                ),
            ]
        );
    }

    #[test]
    fn secrets_become_items_and_settings_stay() {
        let source = r#"{
            // the bot
            "dry_run": true, "bot_name": "grid", "max_open_trades": 3,
            "exchange": {"name": "kucoin", "api_key": "k", "secret": "s", "password": "p",
                "ccxt_config": {"enableRateLimit": true, "headers": {"X-Token": "h"}}, "pair_whitelist": ["A/B"],},
            "telegram": {"enabled": true, "token": "1:t", "chat_id": 42},
            "api_server": {"username": "u", "password": "w", "jwt_secret_key": "j", "CORS_origins": [],},
        }"#;
        let import = read(source.as_bytes()).unwrap();
        let names: Vec<_> = import.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["kucoin", "grid telegram", "grid api server"]);
        let fields: Vec<_> = import.items[0]
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
                ("x-token", true, "h")
            ]
        );
        assert_eq!(import.items[0].tags, ["freqtrade", "dry-run"]);
        assert_eq!(*import.items[1].field("chat-id").unwrap().value, "42");
        assert!(
            import
                .rows
                .last()
                .unwrap()
                .outcome
                .as_ref()
                .unwrap_err()
                .loses
        );
    }
}
