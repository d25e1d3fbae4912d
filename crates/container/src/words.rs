//! The words of statements: closed lists, and free text made fit to stand between blanks.

use std::{fmt, str::FromStr};

/// Bytes that one word may have when it is written.
pub const MAX_WORD_BYTES: usize = 4096;

/// The text is not one of the words that stand here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word of this format")]
pub struct BadWord;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }
        impl FromStr for $name {
            type Err = BadWord;
            fn from_str(text: &str) -> Result<Self, BadWord> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(BadWord) }
            }
        }
    )+};
}

words! {
    /// What a vault is for; said once, in its genesis.
    VaultKind {
        /// Real keys.
        Real = "real",
        /// Trying out: practice venues and practice cards are accepted here and nowhere else.
        Practice = "practice",
    }
    /// Kinds of devices.
    DeviceKind {
        /// Keys under a passphrase in the vault file. Weaker than hardware, so marked.
        Software = "software",
        /// A YubiKey's PIV applet.
        Piv = "piv",
        /// A token behind a PKCS#11 module.
        Pkcs11 = "pkcs11",
    }
    /// What a device's key is for.
    Purpose {
        /// Opens the user's bundle.
        Unlock = "unlock",
        /// Opens sealed values.
        Seal = "seal",
        /// Signs genesis and membership.
        SignVault = "sign-vault",
    }
    /// Algorithms of device keys.
    Algorithm {
        /// NIST P-256.
        P256 = "p256",
        /// RSA of 2048 bits.
        Rsa2048 = "rsa2048",
        /// RSA of 3072 bits.
        Rsa3072 = "rsa3072",
        /// RSA of 4096 bits.
        Rsa4096 = "rsa4096",
        /// Ed25519.
        Ed25519 = "ed25519",
        /// X25519.
        X25519 = "x25519",
    }
    /// Whether a key waits for a touch.
    Touch {
        /// No.
        Never = "never",
        /// Once in 15 seconds.
        Cached = "cached",
        /// Each time.
        Always = "always",
    }
    /// What a user may do.
    Role {
        /// Change the membership; write.
        Admin = "admin",
        /// Write items.
        Writer = "writer",
        /// Read.
        Reader = "reader",
    }
}

impl Role {
    /// Whether a commit of such a user counts.
    #[must_use]
    pub const fn may_write(self) -> bool {
        matches!(self, Self::Admin | Self::Writer)
    }
}

/// Free text as one word: bytes outside `[A-Za-z0-9._:/+=-]` become `%XX`, the empty text and a lone `-` are `%`
/// and `%2D`, so that `-` can mean "none".
#[must_use]
pub fn to_word(text: Option<&str>) -> String {
    let text = match text {
        None => return "-".into(),
        Some("") => return "%".into(),
        Some("-") => return "%2D".into(),
        Some(text) => text,
    };
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Reads what [`to_word`] wrote.
///
/// # Errors
/// Anything that it would not have written.
pub fn from_word(word: &str) -> Result<Option<String>, BadWord> {
    match word {
        "-" => return Ok(None),
        "%" => return Ok(Some(String::new())),
        _ if word.len() > MAX_WORD_BYTES => return Err(BadWord),
        _ => {}
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = if *first == b'%' {
            let (hex, after) = after.split_first_chunk::<2>().ok_or(BadWord)?;
            let hex = std::str::from_utf8(hex).map_err(|_| BadWord)?;
            bytes.push(u8::from_str_radix(hex, 16).map_err(|_| BadWord)?);
            after
        } else {
            bytes.push(*first);
            after
        };
    }
    let text = String::from_utf8(bytes).map_err(|_| BadWord)?;
    (to_word(Some(&text)) == word)
        .then_some(Some(text))
        .ok_or(BadWord)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'+' | b'=' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_is_one_word_and_back(text in proptest::option::of(".{0,40}")) {
            let word = to_word(text.as_deref());
            proptest::prop_assert!(!word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic()));
            proptest::prop_assert_eq!(from_word(&word), Ok(text));
        }

        #[test]
        fn arbitrary_words_never_panic_and_are_canonical(word in ".{0,20}") {
            if let Ok(text) = from_word(&word) {
                proptest::prop_assert_eq!(to_word(text.as_deref()), word);
            }
        }
    }

    #[test]
    fn nothing_the_empty_text_and_a_dash_are_three_things() {
        assert_eq!(
            [to_word(None), to_word(Some("")), to_word(Some("-"))],
            ["-", "%", "%2D"]
        );
        for bad in ["", "%2d", "%41", "%%", "%+f", "a b", "é"] {
            assert!(from_word(bad).is_err(), "{bad}");
        }
    }
}
