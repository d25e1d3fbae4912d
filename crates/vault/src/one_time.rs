//! One-time codes of a seed (RFC 6238 over RFC 4226), as authenticator apps show them.

use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use touchkeep_core::UnixMillis;
use zeroize::Zeroizing;

use crate::item::Item;

const DIGITS: u32 = 6;
const PERIOD_S: u64 = 30;

/// A code, and how long it is good.
pub struct OneTimeCode {
    /// Its digits.
    pub code: Zeroizing<String>,
    /// Until the next one.
    pub left: Duration,
}

/// The text is no seed of one-time codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSeed {
    /// Another way to make codes.
    #[error("its algorithm is none of SHA1, SHA256, SHA512")]
    Algorithm,
    /// Too few or too many digits, or a period that is none.
    #[error("codes have 6 to 8 digits, and a period of 1 to 3600 seconds")]
    Shape,
    /// Not base32.
    #[error("it is not base32 (A-Z and 2-7)")]
    Encoding,
}

struct Seed {
    key: Zeroizing<Vec<u8>>,
    algorithm: hmac::Algorithm,
    digits: u32,
    period_s: u64,
}

/// The code of a seed that an item keeps: base32, or an `otpauth://totp/` address. What the address says goes before the
/// item's own fields.
///
/// # Errors
/// The seed is none.
pub fn code(item: &Item, seed: &str, now: UnixMillis) -> Result<OneTimeCode, BadSeed> {
    let field = |name: &str| item.fields.get(name).map(String::as_str);
    Ok(Seed::read(seed, field)?.code(now))
}

/// Whether codes can be made with a seed.
///
/// # Errors
/// It is none.
pub fn check(seed: &str) -> Result<(), BadSeed> {
    Seed::read(seed, |_| None).map(drop)
}

impl Seed {
    fn read<'a>(text: &str, field: impl Fn(&str) -> Option<&'a str>) -> Result<Self, BadSeed> {
        let address = text.trim().strip_prefix("otpauth://totp/");
        let said = |name: &str| -> Option<Zeroizing<String>> {
            let (_, query) = address?.split_once('?')?;
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(key, _)| *key == name)?;
            Some(Zeroizing::new(value.to_owned()))
        };
        let of = |name: &str| {
            said(name).map_or_else(|| field(name).unwrap_or("").to_owned(), |it| it.to_string())
        };
        let secret = match address {
            Some(_) => said("secret").unwrap_or_default(),
            None => Zeroizing::new(text.to_owned()),
        };
        let algorithm = match of("algorithm").to_ascii_uppercase().as_str() {
            "" | "SHA1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            "SHA256" => hmac::HMAC_SHA256,
            "SHA512" => hmac::HMAC_SHA512,
            _ => return Err(BadSeed::Algorithm),
        };
        let number = |name: &str, usual: u64| match of(name).as_str() {
            "" => Some(usual),
            text => text.parse().ok(),
        };
        let digits = number("digits", u64::from(DIGITS)).and_then(|it| u32::try_from(it).ok());
        let digits = digits.filter(|it| (6..=8).contains(it));
        let period = number("period", PERIOD_S).filter(|it| (1..=3600).contains(it));
        let (Some(digits), Some(period_s)) = (digits, period) else {
            return Err(BadSeed::Shape);
        };
        Ok(Self {
            key: key(&secret).ok_or(BadSeed::Encoding)?,
            algorithm,
            digits,
            period_s,
        })
    }

    fn code(&self, now: UnixMillis) -> OneTimeCode {
        let seconds = now.0 / 1000;
        let code = self.at(seconds / self.period_s);
        let left = self.period_s - seconds % self.period_s;
        OneTimeCode {
            code,
            left: Duration::from_secs(left),
        }
    }

    // RFC 4226, 5.3.
    fn at(&self, counter: u64) -> Zeroizing<String> {
        let key = hmac::Key::new(self.algorithm, &self.key);
        let tag = hmac::sign(&key, &counter.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or(0) & 0x0f);
        let bytes = tag.get(offset..offset + 4).unwrap_or(&[0; 4]);
        let number = bytes
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let number = (number & 0x7fff_ffff) % 10_u32.pow(self.digits);
        let width = usize::try_from(self.digits).unwrap_or(0);
        Zeroizing::new(format!("{number:0width$}"))
    }
}

// Services print seeds in groups, in either case, with or without padding.
fn key(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let letters = text.chars().filter(|c| !matches!(c, ' ' | '-' | '='));
    let letters: Zeroizing<String> =
        Zeroizing::new(letters.map(|c| c.to_ascii_uppercase()).collect());
    let key = Zeroizing::new(BASE32_NOPAD.decode(letters.as_bytes()).ok()?);
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE32;

    use super::*;

    // RFC 6238, appendix B: times, and codes of eight digits for SHA-1, SHA-256 and SHA-512.
    const PUBLISHED: [(u64, [&str; 3]); 6] = [
        (59, ["94287082", "46119246", "90693936"]),
        (1_111_111_109, ["07081804", "68084774", "25091201"]),
        (1_111_111_111, ["14050471", "67062674", "99943326"]),
        (1_234_567_890, ["89005924", "91819424", "93441116"]),
        (2_000_000_000, ["69279037", "90698825", "38618901"]),
        (20_000_000_000, ["65353130", "77737706", "47863826"]),
    ];

    #[test]
    fn codes_are_those_of_the_standard() {
        let seeds = [
            ("SHA1", &b"12345678901234567890"[..]),
            ("SHA256", b"12345678901234567890123456789012"),
            (
                "SHA512",
                b"1234567890123456789012345678901234567890123456789012345678901234",
            ),
        ];
        for (seconds, codes) in PUBLISHED {
            for ((algorithm, seed), code) in seeds.into_iter().zip(codes) {
                let address = format!(
                    "otpauth://totp/ACME:ada?secret={}&algorithm={algorithm}&digits=8",
                    BASE32.encode(seed).trim_end_matches('=')
                );
                let seed = Seed::read(&address, |_| None).unwrap();
                let made = seed.code(UnixMillis(seconds * 1000 + 999));
                assert_eq!(*made.code, code, "{algorithm} {seconds}");
                assert_eq!(made.left.as_secs(), 30 - seconds % 30);
            }
        }
    }

    // RFC 4226, appendix D.
    #[test]
    fn codes_of_six_digits_are_those_of_the_standard() {
        let seed = Seed::read("gezd gnbv GY3T-QOJQ gezd gnbv gy3t qojq", |_| None).unwrap();
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0..).zip(codes) {
            assert_eq!(*seed.at(counter), code);
        }
    }

    #[test]
    fn the_fields_of_an_item_say_what_its_seed_does_not() {
        let field = |name: &str| (name == "digits").then_some("8");
        let seed = Seed::read("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", field).unwrap();
        assert_eq!(*seed.code(UnixMillis(59_000)).code, "94287082");
    }

    #[test]
    fn what_is_no_seed_is_refused() {
        for bad in [
            "",
            "hunter2!",
            "otpauth://totp/x",
            "otpauth://hotp/x?secret=GEZDGNBV",
            "otpauth://totp/x?secret=GEZDGNBV&digits=9",
            "otpauth://totp/x?secret=GEZDGNBV&period=0",
            "otpauth://totp/x?secret=GEZDGNBV&algorithm=MD5",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
