//! One-time codes: RFC 6238 over RFC 4226.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use touchkeep_core::{ApiSecret, UnixMillis};
use zeroize::Zeroizing;

/// What a seed says of its codes, beside the key. The defaults are those of the otpauth key address format.
struct Seed {
    key: Zeroizing<Vec<u8>>,
    algorithm: hmac::Algorithm,
    digits: u32,
    period_seconds: u64,
}

/// The code of a seed at a time: base32, or an `otpauth://totp/` address. None where it is neither.
pub(super) fn code(seed: &ApiSecret, now: UnixMillis) -> Option<String> {
    // EXPOSE: to the code that is made of it.
    let seed = Seed::read(seed.expose())?;
    let counter = now.0 / 1000 / seed.period_seconds;
    let tag = hmac::sign(
        &hmac::Key::new(seed.algorithm, &seed.key),
        &counter.to_be_bytes(),
    );
    let tag = tag.as_ref();
    let offset = usize::from(tag.last()? & 0x0f);
    let four: [u8; 4] = tag.get(offset..offset + 4)?.try_into().ok()?;
    let number = (u32::from_be_bytes(four) & 0x7fff_ffff) % 10u32.pow(seed.digits);
    Some(format!("{number:0width$}", width = seed.digits as usize))
}

impl Seed {
    fn read(text: &str) -> Option<Self> {
        let mut seed = Self {
            key: Zeroizing::new(Vec::new()),
            algorithm: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            digits: 6,
            period_seconds: 30,
        };
        let Some(address) = text.strip_prefix("otpauth://totp/") else {
            seed.key = base32(text)?;
            return Some(seed);
        };
        let (_, query) = address.split_once('?')?;
        for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
            match name {
                "secret" => seed.key = base32(value)?,
                "digits" => {
                    seed.digits = value
                        .parse()
                        .ok()
                        .filter(|digits| (6..=8).contains(digits))?
                }
                "period" => {
                    seed.period_seconds = value
                        .parse()
                        .ok()
                        .filter(|period| (1..=300).contains(period))?
                }
                "algorithm" => {
                    seed.algorithm = match value.to_ascii_uppercase().as_str() {
                        "SHA1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                        "SHA256" => hmac::HMAC_SHA256,
                        "SHA512" => hmac::HMAC_SHA512,
                        _ => return None,
                    }
                }
                _ => {}
            }
        }
        (!seed.key.is_empty()).then_some(seed)
    }
}

// As services show it: in groups, in either case, padded or not.
fn base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    plain.extend(
        text.chars()
            .filter(|c| !matches!(c, ' ' | '-' | '='))
            .map(|c| c.to_ascii_uppercase()),
    );
    let key = BASE32_NOPAD
        .decode(plain.as_bytes())
        .ok()
        .map(Zeroizing::new)?;
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B. The seeds are the ASCII digits, 20, 32 and 64 of them.
        let digits = "1234567890".repeat(7);
        let seed = |bytes: usize| BASE32_NOPAD.encode(&digits.as_bytes()[..bytes]);
        for (second, sha1, sha256, sha512) in [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000, "65353130", "77737706", "47863826"),
        ] {
            for (name, bytes, expected) in [
                ("SHA1", 20, sha1),
                ("SHA256", 32, sha256),
                ("SHA512", 64, sha512),
            ] {
                let address = format!(
                    "otpauth://totp/x?secret={}&digits=8&algorithm={name}",
                    seed(bytes)
                );
                let code = code(&ApiSecret::new(address), UnixMillis(second * 1000));
                assert_eq!(code.as_deref(), Some(expected), "{name} at {second}");
            }
        }
        let bare = ApiSecret::new("gezd gnbv gy3t qojq gezd gnbv gy3t qojq".into());
        assert_eq!(code(&bare, UnixMillis(59_000)).as_deref(), Some("287082"));
    }

    #[test]
    fn what_is_no_seed_has_no_code() {
        for bad in [
            "",
            "not base32!",
            "otpauth://totp/x",
            "otpauth://totp/x?secret=GEZD&digits=5",
            "otpauth://totp/x?secret=GEZD&period=0",
            "otpauth://hotp/x?secret=GEZD",
        ] {
            assert!(
                code(&ApiSecret::new(bad.into()), UnixMillis(0)).is_none(),
                "{bad}"
            );
        }
    }
}
