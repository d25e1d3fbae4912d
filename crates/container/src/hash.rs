//! SHA-256 as this format writes it: 64 lower-case hex digits.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest;

/// Hex digits of a hash in text.
pub const HASH_TEXT_LEN: usize = 64;

/// A SHA-256 hash (FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

/// The text is not 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash: expected 64 lower-case hex digits")]
pub struct BadHash;

impl Hash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        for (to, from) in out
            .iter_mut()
            .zip(digest::digest(&digest::SHA256, bytes).as_ref())
        {
            *to = *from;
        }
        Self(out)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = BadHash;
    fn from_str(text: &str) -> Result<Self, BadHash> {
        if text.len() != HASH_TEXT_LEN {
            return Err(BadHash);
        }
        let mut out = [0; 32];
        for (to, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let &[high, low] = pair else {
                return Err(BadHash);
            };
            *to = nibble(high)? << 4 | nibble(low)?;
        }
        Ok(Self(out))
    }
}

fn nibble(digit: u8) -> Result<u8, BadHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(BadHash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_sha256sum() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // printf abc | sha256sum
        assert_eq!(Hash::of(b"abc").to_string(), text);
        assert_eq!(text.parse(), Ok(Hash::of(b"abc")));
    }

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_read() {
        for bad in [
            String::new(),
            "A".repeat(64),
            "g".repeat(64),
            "a".repeat(63),
            "a".repeat(65),
        ] {
            assert_eq!(bad.parse::<Hash>(), Err(BadHash), "{bad}");
        }
    }
}
