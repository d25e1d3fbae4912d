//! Plain fields that mean something: what their text has to be, and the one form that it is stored in.
//!
//! Texts are judged where somebody sets them. What a vault holds from before stays readable, and is shown as it is.

use std::net::IpAddr;

use touchkeep_core::{
    UnixMillis,
    text::quoted,
    time::{from_date, from_rfc3339, rfc3339},
};

use crate::item::{Item, ItemKind};

/// The field that says when the credential ends at its venue or service.
pub const EXPIRES: &str = "expires";
/// Elements of one list.
const MAX_WORDS: usize = 256;
/// Bytes of one of them.
const MAX_WORD_BYTES: usize = 256;

/// How the key can be replaced.
const ROTATION_CLASSES: &[&str] = &["hands-free", "guided"];
/// The most private kind of data that the key reaches.
const DATA_REACHES: &[&str] = &["public", "account", "personal"];
/// The hashes of RFC 6238, 1.2.
const ALGORITHMS: &[&str] = &["SHA1", "SHA256", "SHA512"];

/// What a plain field's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Any text.
    Text,
    /// A day or a time (RFC 3339), stored as a time in UTC. A day means its beginning.
    Time,
    /// IP addresses and networks in CIDR notation, stored with a blank between them.
    Networks,
    /// Words, stored with a blank between them.
    Words,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The hash of one-time codes.
    Algorithm,
    /// A number within these bounds.
    Number {
        /// The least.
        least: u64,
        /// The greatest.
        most: u64,
    },
    /// An `https` address; `http` only of this machine or a private network.
    Url,
}

/// A text is not what its field takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is {why}", quoted(.part))]
pub struct Misfit {
    /// The part of the text that does not fit.
    pub part: String,
    /// What is wrong with it: `no date or time`.
    pub why: &'static str,
    /// How it is written: `a date (2027-01-31) or …`.
    pub form: String,
}

impl FieldType {
    /// The type of an item's plain field.
    #[must_use]
    pub fn of(kind: ItemKind, field: &str) -> Self {
        match field {
            EXPIRES => Self::Time,
            "ips" => Self::Networks,
            "consumers" | "permissions" | "scopes" => Self::Words,
            "rotation-class" => Self::OneOf(ROTATION_CLASSES),
            "data-reach" => Self::OneOf(DATA_REACHES),
            "token-url" | "url" => Self::Url,
            // Elsewhere these are words of everyday.
            "algorithm" if kind == ItemKind::OtpSeed => Self::Algorithm,
            "digits" if kind == ItemKind::OtpSeed => Self::Number { least: 6, most: 8 },
            "period" if kind == ItemKind::OtpSeed => Self::Number {
                least: 1,
                most: 3600,
            },
            _ => Self::Text,
        }
    }

    /// The form in which a text is stored.
    ///
    /// # Errors
    /// The text is none of this type.
    pub fn read(self, text: &str) -> Result<String, Misfit> {
        let misfit = |part: &str, why| Misfit {
            part: part.to_owned(),
            why,
            form: self.form(),
        };
        let trimmed = text.trim();
        match self {
            Self::Text => return Ok(text.to_owned()),
            _ if trimmed.is_empty() => return Err(misfit("", "empty")),
            _ => {}
        }
        match self {
            Self::Text => Ok(text.to_owned()),
            Self::Time => time(trimmed)
                .map(rfc3339)
                .ok_or_else(|| misfit(trimmed, "no date or time")),
            Self::Networks => {
                list(trimmed, network).map_err(|part| misfit(&part, "no IP address or network"))
            }
            Self::Words => list(trimmed, word).map_err(|part| misfit(&part, "no single word")),
            Self::OneOf(words) => known(words, &trimmed.to_ascii_lowercase())
                .ok_or_else(|| misfit(trimmed, "not one of the words that there are")),
            Self::Algorithm => {
                let word = trimmed.to_ascii_uppercase().replace(['-', '_'], "");
                let word = word.strip_prefix("HMAC").unwrap_or(&word);
                known(ALGORITHMS, word).ok_or_else(|| misfit(trimmed, "no hash of one-time codes"))
            }
            Self::Number { least, most } => {
                let number = trimmed.parse().ok();
                let number = number.filter(|number| (least..=most).contains(number));
                number
                    .map(|number: u64| number.to_string())
                    .ok_or_else(|| misfit(trimmed, "not within the bounds"))
            }
            Self::Url => url(trimmed).ok_or_else(|| match without_user(trimmed) {
                // What stands before the @ may be a password.
                Some(rest) => misfit(&format!("…@{rest}"), "an address with a user in it"),
                None => misfit(trimmed, "no https address"),
            }),
        }
    }

    /// How its texts are written.
    #[must_use]
    pub fn form(self) -> String {
        let fixed = match self {
            Self::Text => "any text",
            Self::Time => "a day (2027-01-31) or a time (2027-01-31T18:00:00Z)",
            Self::Networks => {
                "IP addresses and networks, a blank or a comma between them (203.0.113.7 10.0.0.0/8)"
            }
            Self::Words => "words, a blank or a comma between them (read spot-trade)",
            Self::OneOf(words) => return words.join(" or "),
            Self::Algorithm => return ALGORITHMS.join(" or "),
            Self::Number { least, most } => return format!("a number from {least} to {most}"),
            Self::Url => {
                "an address (https://example.com/path); http:// only of this machine or a private network"
            }
        };
        fixed.to_owned()
    }
}

impl Item {
    /// When it ends at its venue or service, where that is known.
    #[must_use]
    pub fn expires(&self) -> Option<UnixMillis> {
        time(self.fields.get(EXPIRES)?.trim())
    }
}

fn time(text: &str) -> Option<UnixMillis> {
    from_date(text).or_else(|| from_rfc3339(text))
}

fn known(words: &[&str], word: &str) -> Option<String> {
    words.contains(&word).then(|| word.to_owned())
}

// Each once, in the order in which they were given; or the part that is none. Where there are commas, a blank inside of an
// element is none between two.
fn list(text: &str, one: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let is_between = |c: char| matches!(c, ',' | ';' | '\n' | '\r');
    let parts: Vec<&str> = match text.contains(is_between) {
        true => text.split(is_between).map(str::trim).collect(),
        false => text.split_whitespace().collect(),
    };
    let mut words: Vec<String> = Vec::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let word = one(part).ok_or_else(|| part.to_owned())?;
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match words.len() {
        0 => Err(text.to_owned()),
        1..=MAX_WORDS => Ok(words.join(" ")),
        count => Err(format!("a list of {count}")),
    }
}

fn word(text: &str) -> Option<String> {
    let is_word = text.len() <= MAX_WORD_BYTES
        && !text.contains(char::is_whitespace)
        && touchkeep_core::text::visible(text) == text;
    is_word.then(|| text.to_owned())
}

// An address, or a network whose bits beyond its length are zero: what has some is a slip of one or the other.
fn network(text: &str) -> Option<String> {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(|it| it.to_string());
    };
    let address: IpAddr = address.parse().ok()?;
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u32 = length.parse().ok().filter(|_| is_number)?;
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32_u32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let beyond = width.checked_sub(length)?;
    let rest = bits & 1_u128.checked_shl(beyond).map_or(u128::MAX, |end| end - 1);
    (rest == 0).then(|| format!("{address}/{length}"))
}

// What stands after the user of an address that has one.
fn without_user(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(rest.get(..end)?.rsplit_once('@')?.1)
}

// Scheme and host in small letters, the rest as it was.
fn url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let authority = authority.to_ascii_lowercase();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                port.strip_prefix(':')
                    .or_else(|| port.is_empty().then_some("443"))?,
            )
        }
        None => authority.split_once(':').unwrap_or((&authority, "443")),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_name = host.split('.').all(|label| {
        let mut bytes = label.bytes();
        !label.is_empty()
            && !label.starts_with('-')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    let scheme = scheme.to_ascii_lowercase();
    let may_be = match scheme.as_str() {
        "https" => true,
        "http" => is_near(host),
        _ => false,
    };
    let is_address = host.parse::<IpAddr>().is_ok();
    (may_be && is_port && is_plain && (is_name || is_address))
        .then(|| format!("{scheme}://{authority}{path}"))
}

// What does not cross a network of others.
fn is_near(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => host == "localhost" || host.ends_with(".localhost") || host.ends_with(".local"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: ItemKind, field: &str, text: &str) -> Result<String, String> {
        let read = FieldType::of(kind, field).read(text);
        read.map_err(|misfit| format!("{misfit}; {}", misfit.form))
    }

    #[test]
    fn each_type_has_one_form() {
        let key = ItemKind::ExchangeKey;
        let seed = ItemKind::OtpSeed;
        for (kind, field, text, stored) in [
            (key, "expires", "2027-01-31", "2027-01-31T00:00:00Z"),
            (
                key,
                "expires",
                " 2027-01-31T18:00:00+01:00 ",
                "2027-01-31T17:00:00Z",
            ),
            (
                key,
                "expires",
                "2027-01-31t18:00:00.25z",
                "2027-01-31T18:00:00Z",
            ),
            (key, "ips", "203.0.113.7", "203.0.113.7"),
            (
                key,
                "ips",
                "203.0.113.7,10.0.0.0/8;2001:DB8:0::1\n203.0.113.7",
                "203.0.113.7 10.0.0.0/8 2001:db8::1",
            ),
            (
                key,
                "ips",
                "0.0.0.0/0 ::/0 2001:db8::/32",
                "0.0.0.0/0 ::/0 2001:db8::/32",
            ),
            (key, "permissions", "Spot_Trade,  read", "Spot_Trade read"),
            (key, "permissions", "read read", "read"),
            (key, "consumers", "grid-bot\tbacktest", "grid-bot backtest"),
            (
                ItemKind::OauthClient,
                "scopes",
                "openid https://www.googleapis.com/auth/drive",
                "openid https://www.googleapis.com/auth/drive",
            ),
            (key, "rotation-class", "Hands-Free", "hands-free"),
            (key, "data-reach", "account", "account"),
            (seed, "algorithm", "sha-256", "SHA256"),
            (seed, "algorithm", "HmacSHA1", "SHA1"),
            (seed, "digits", "08", "8"),
            (seed, "period", "60", "60"),
            (
                key,
                "url",
                "HTTPS://Example.COM/Path?a=B",
                "https://example.com/Path?a=B",
            ),
            (
                key,
                "token-url",
                "https://[2001:db8::1]:8443/t",
                "https://[2001:db8::1]:8443/t",
            ),
            (key, "url", "http://192.168.1.1/", "http://192.168.1.1/"),
            (key, "url", "http://localhost:8080", "http://localhost:8080"),
            // What has no type is as it was written; so are words that mean something else in other kinds.
            (key, "owner", " Ada  Lovelace ", " Ada  Lovelace "),
            (key, "algorithm", "ed25519", "ed25519"),
            (key, "digits", "many", "many"),
        ] {
            assert_eq!(
                read(kind, field, text).as_deref(),
                Ok(stored),
                "{field}={text}"
            );
            let again = read(kind, field, stored);
            assert_eq!(
                again.as_deref(),
                Ok(stored),
                "what is stored stays as it is"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_form() {
        let key = ItemKind::ExchangeKey;
        let seed = ItemKind::OtpSeed;
        for (kind, field, text) in [
            (key, "expires", "soon"),
            (key, "expires", "2027-02-29"),
            (key, "expires", "31.01.2027"),
            (key, "expires", "1801353600"),
            (key, "expires", ""),
            (key, "ips", "*"),
            (key, "ips", "203.0.113.256"),
            (key, "ips", "10.0.0.5/8"),
            (key, "ips", "10.0.0.0/33"),
            (key, "ips", "10.0.0.0/+8"),
            (key, "ips", "10.0.0.0/"),
            (key, "ips", "10.0.0.1-10.0.0.9"),
            (key, "ips", "fe80::1%eth0"),
            (key, "ips", " , "),
            (key, "permissions", "Enable Reading, Enable Withdrawals"),
            (key, "permissions", "read\u{202e}"),
            (key, "scopes", ""),
            (key, "rotation-class", "never"),
            (key, "data-reach", "everything"),
            (seed, "algorithm", "MD5"),
            (seed, "algorithm", "SHA3-256"),
            (seed, "digits", "5"),
            (seed, "digits", "9"),
            (seed, "digits", "six"),
            (seed, "period", "0"),
            (seed, "period", "3601"),
            (key, "url", "example.com"),
            (key, "url", "http://example.com"),
            (key, "url", "javascript:alert(1)"),
            (key, "url", "https://"),
            (key, "url", "https:///path"),
            (key, "url", "https://ada:hunter2@example.com"),
            (key, "url", "https://example.com:99999"),
            (key, "url", "https://exa mple.com"),
            (key, "url", "https://example.com/a b"),
            (key, "url", "https://exämple.com"),
            (key, "url", "https://[::1"),
            (key, "token-url", "http://10.example.com/"),
        ] {
            let refused = read(kind, field, text).expect_err(text);
            let form = FieldType::of(kind, field).form();
            assert!(refused.ends_with(&form), "{field}={text}: {refused}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let refused =
            read(ItemKind::Login, "url", "https://ada:hunter2@example.com/x").unwrap_err();
        assert!(
            refused.starts_with("\"…@example.com\" is an address with a user"),
            "{refused}"
        );
        assert!(
            !refused.contains("hunter2") && !refused.contains("ada"),
            "{refused}"
        );
    }

    #[test]
    fn a_list_has_an_end() {
        let words = |count: usize| (0..count).map(|n| format!("w{n} ")).collect::<String>();
        let key = ItemKind::ExchangeKey;
        assert!(read(key, "consumers", &words(MAX_WORDS)).is_ok());
        assert!(read(key, "consumers", &words(MAX_WORDS + 1)).is_err());
        assert!(read(key, "consumers", &"w".repeat(MAX_WORD_BYTES + 1)).is_err());
    }

    #[test]
    fn an_older_text_still_has_its_day() {
        let mut item = Item::new(
            touchkeep_core::EnvironmentId::random(),
            ItemKind::ApiKey,
            "x".to_owned(),
        );
        for (text, seconds) in [
            ("2027-01-31", Some(1_801_353_600)),
            ("2027-01-31T00:00:00Z", Some(1_801_353_600)),
            ("when it ends", None),
        ] {
            item.fields.insert(EXPIRES.to_owned(), text.to_owned());
            let at = seconds.map(|seconds| UnixMillis(seconds * 1000));
            assert_eq!(item.expires(), at, "{text}");
        }
    }
}
