//! Random 128-bit ids. On paper and in file names an id is 26 lower-case letters and digits (RFC 4648 base32,
//! no padding), so that it can be a path, a URL segment and a word in a sentence.

use std::{fmt, str::FromStr};

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Characters of an id in text.
pub const ID_TEXT_LEN: usize = 26;

fn base32() -> &'static Encoding {
    static ENCODING: std::sync::OnceLock<Encoding> = std::sync::OnceLock::new();
    ENCODING.get_or_init(|| {
        let mut spec = Specification::new();
        spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
        #[expect(
            clippy::expect_used,
            reason = "a constant alphabet of 32 distinct symbols is always valid"
        )]
        spec.encoding().expect("constant alphabet")
    })
}

/// A random 128-bit id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 16]);

/// The text is not the canonical form of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected 26 characters of a-z and 2-7")]
pub struct BadId;

impl Id {
    /// A fresh id from the operating system's randomness.
    ///
    /// # Panics
    /// When the operating system has no randomness, where nothing that we do would be safe.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0u8; 16];
        #[expect(
            clippy::expect_used,
            reason = "without randomness no id, key or nonce may be made"
        )]
        getrandom::fill(&mut bytes).expect("the operating system has no randomness");
        Self(bytes)
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32().encode(&self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        if s.len() != ID_TEXT_LEN {
            return Err(BadId);
        }
        let mut bytes = [0u8; 16];
        base32()
            .decode_mut(s.as_bytes(), &mut bytes)
            .map_err(|_| BadId)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Id);

        impl $name {
            /// A fresh id.
            #[must_use]
            pub fn random() -> Self { Self(Id::random()) }

            /// Its first six characters: enough for a person to tell a few things apart, not for a lookup.
            #[must_use]
            pub fn mark(&self) -> String { self.0.to_string().chars().take(6).collect() }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> { s.parse().map(Self) }
        }
    )+};
}

ids! {
    /// A vault, for as long as it exists and through every copy of it.
    VaultId,
    /// A member of a vault.
    UserId,
    /// A device that is enrolled in a vault.
    DeviceId,
    /// A group of items with its own key.
    EnvironmentId,
    /// One credential.
    ItemId,
    /// A process that may ask the agent for something, known by its token.
    ClientId,
    /// One request on its way through the pipeline.
    RequestId,
    /// One question to a person.
    PromptId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_one_to_one() {
        let id = Id::from_bytes(*b"0123456789abcdef");
        assert_eq!(id.to_string(), "gaytemzugu3doobzmfrggzdfmy"); // python3: base64.b32encode(...).lower().rstrip("=")
        assert_eq!(id.to_string().parse::<Id>(), Ok(id));
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        for bad in [
            "",
            "GAYTEMZUGU3DOOBZMFRGGZDFMY",
            "gaytemzugu3doobzmfrggzdfmz",
            "gaytemzugu3doobzmfrggzdfmy=",
            "gaytemzugu3doobzmfrggzdfm0",
        ] {
            assert_eq!(bad.parse::<Id>(), Err(BadId), "{bad}");
        }
    }
}
