//! References: how a value of the vault is named in a file that may be read by anybody.
//!
//! ```text
//! tk://<environment>/<item>/<field>[@version][?vault=name]
//! ```
//! Environment and item are a display name or an id, percent-encoded (RFC 3986); a field's name needs no encoding. There is one
//! reading of a reference or none: what is not exactly of this form is refused, and what is read is written in one way.

use std::{fmt, str::FromStr};

/// How every reference begins.
pub const SCHEME: &str = "tk://";
/// Characters that a field's name may have.
pub const MAX_FIELD_NAME: usize = 64;
const MAX_REFERENCE_BYTES: usize = 8192;

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The environment's name or id.
    pub environment: String,
    /// The item's name or id.
    pub item: String,
    /// The field's name as a person sees it, or `otp`.
    pub field: String,
    /// An earlier version of it.
    pub version: Option<u32>,
    /// In which vault, where not in the usual one.
    pub vault: Option<String>,
}

/// The text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadReference {
    /// It begins with something else.
    #[error("a reference begins with tk://")]
    Scheme,
    /// Not an environment, an item and a field.
    #[error("a reference has an environment, an item and a field: tk://environment/item/field")]
    Parts,
    /// A character that has to be percent-encoded, or an encoding that is none.
    #[error("a character in it has to be percent-encoded, or the encoding is wrong")]
    Encoding,
    /// Not the name of a field.
    #[error("a field's name is made of a-z, 0-9, - and _")]
    Field,
    /// Not a version.
    #[error("a version is a number from 1, as in @3")]
    Version,
    /// Something else than `?vault=name` after the question mark.
    #[error("nothing but ?vault=name can follow")]
    Query,
    /// Longer than any reference.
    #[error("it is too long")]
    Length,
}

/// Whether a text can be the name of a field: `[a-z0-9][a-z0-9_-]{0,63}`.
#[must_use]
pub fn is_field_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let first = text.bytes().next();
    first.is_some_and(letter)
        && text.len() <= MAX_FIELD_NAME
        && text.bytes().all(|b| letter(b) || matches!(b, b'_' | b'-'))
}

impl Reference {
    /// Whether a text means to be a reference. It may still be a bad one, and is then not a value either.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(BadReference::Length);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(BadReference::Scheme)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let mut parts = path.split('/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (environment, item, last) = (next(), next(), next());
        let (Some(environment), Some(item), Some(last), None) =
            (environment, item, last, parts.next())
        else {
            return Err(BadReference::Parts);
        };
        let (field, version) = match last.split_once('@') {
            Some((field, version)) => (field, Some(number(version)?)),
            None => (last, None),
        };
        if !is_field_name(field) {
            return Err(BadReference::Field);
        }
        let vault = query.map(|query| {
            let name = query.strip_prefix("vault=").filter(|name| !name.is_empty());
            decoded(name.ok_or(BadReference::Query)?)
        });
        Ok(Self {
            environment: decoded(environment)?,
            item: decoded(item)?,
            field: field.to_owned(),
            version,
            vault: vault.transpose()?,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        encode(f, &self.environment)?;
        f.write_str("/")?;
        encode(f, &self.item)?;
        write!(f, "/{}", self.field)?;
        if let Some(version) = self.version {
            write!(f, "@{version}")?;
        }
        if let Some(vault) = &self.vault {
            f.write_str("?vault=")?;
            encode(f, vault)?;
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<u32, BadReference> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    let number = Some(text)
        .filter(|_| is_plain)
        .and_then(|it| it.parse().ok());
    number.ok_or(BadReference::Version)
}

// What may stand as it is: RFC 3986's pchar, but for `@`, which says a version, and for what shells and quotes make something of.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b',' | b':' | b'=')
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        if is_plain(byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

fn decoded(text: &str) -> Result<String, BadReference> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || {
                    let digit = rest.next().map(char::from)?.to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(BadReference::Encoding);
                };
                high << 4 | low
            }
            plain if is_plain(plain) => plain,
            _ => return Err(BadReference::Encoding),
        });
    }
    String::from_utf8(bytes).map_err(|_| BadReference::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(environment: &str, item: &str, field: &str) -> Reference {
        Reference {
            environment: environment.into(),
            item: item.into(),
            field: field.into(),
            version: None,
            vault: None,
        }
    }

    #[test]
    fn a_reference_is_read_and_written_in_one_way() {
        // The encodings are Python's: urllib.parse.quote(text, safe="-._~+,:=").
        for (text, expected) in [
            (
                "tk://prod/trade/secret",
                reference("prod", "trade", "secret"),
            ),
            (
                "tk://prod/a%2Fb%40c%20d/api-key",
                reference("prod", "a/b@c d", "api-key"),
            ),
            (
                "tk://test%3Fnet/Zo%C3%AB%20%E5%8F%96%E5%BC%95/otp",
                reference("test?net", "Zoë 取引", "otp"),
            ),
            (
                "tk://prod/50%25%20off/secret",
                reference("prod", "50% off", "secret"),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string(), text);
        }
        let full = "tk://prod/trade/secret@12?vault=team%20a";
        let expected = Reference {
            version: Some(12),
            vault: Some("team a".into()),
            ..reference("prod", "trade", "secret")
        };
        assert_eq!(full.parse(), Ok(expected.clone()));
        assert_eq!(expected.to_string(), full);
    }

    #[test]
    fn hex_of_either_case_is_read() {
        let lower: Reference = "tk://prod/a%2fb/secret".parse().unwrap();
        assert_eq!(lower.to_string(), "tk://prod/a%2Fb/secret");
    }

    #[test]
    fn what_is_not_of_this_form_is_refused() {
        use BadReference::{Encoding, Field, Parts, Query, Scheme, Version};
        for (bad, why) in [
            ("", Scheme),
            ("op://prod/trade/secret", Scheme),
            ("TK://prod/trade/secret", Scheme),
            (" tk://prod/trade/secret", Scheme),
            ("tk://prod/trade", Parts),
            ("tk://prod//secret", Parts),
            ("tk:///trade/secret", Parts),
            ("tk://prod/trade/", Parts),
            ("tk://prod/trade/secret/", Parts),
            ("tk://prod/trade/secret/more", Parts),
            ("tk://prod/a b/secret", Encoding),
            ("tk://prod/a@2/secret", Encoding),
            ("tk://prod/Zoë/secret", Encoding),
            ("tk://prod/a%/secret", Encoding),
            ("tk://prod/a%4/secret", Encoding),
            ("tk://prod/a%+4/secret", Encoding),
            ("tk://prod/a%FF/secret", Encoding),
            ("tk://prod/trade/Secret", Field),
            ("tk://prod/trade/-secret", Field),
            ("tk://prod/trade/se.cret", Field),
            ("tk://prod/trade/secret#x", Field),
            ("tk://prod/trade/secret\n", Field),
            ("tk://prod/trade/secret@", Version),
            ("tk://prod/trade/secret@0", Version),
            ("tk://prod/trade/secret@03", Version),
            ("tk://prod/trade/secret@+3", Version),
            ("tk://prod/trade/secret@4294967296", Version),
            ("tk://prod/trade/secret@1@2", Version),
            ("tk://prod/trade/secret?", Query),
            ("tk://prod/trade/secret?vault=", Query),
            ("tk://prod/trade/secret?attribute=otp", Query),
            ("tk://prod/trade/secret?vault=a&vault=b", Encoding),
        ] {
            assert_eq!(bad.parse::<Reference>(), Err(why), "{bad}");
        }
        let long = format!("tk://prod/{}/secret", "a".repeat(9000));
        assert_eq!(long.parse::<Reference>(), Err(BadReference::Length));
    }

    #[test]
    fn names_of_fields() {
        for good in ["a", "0", "secret", "refresh_token-2", &"x".repeat(64)] {
            assert!(is_field_name(good), "{good}");
        }
        for bad in ["", "A", "_a", "-a", "a.b", "a b", "é", &"x".repeat(65)] {
            assert!(!is_field_name(bad), "{bad}");
        }
    }
}
