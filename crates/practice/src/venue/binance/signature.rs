//! Was this request signed with that key, and in time?
//!
//! Source: binance-spot-api-docs `rest-api.md`, "SIGNED endpoint security" (read 2026-07-21). Signed is the query
//! string followed by the form body, without anything between them, exactly as received and without the
//! `signature` parameter, which must be the last one of the place where it stands.

use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use ed25519_dalek::VerifyingKey;
use hmac::{Hmac, KeyInit, Mac};
use rsa::RsaPublicKey;
use rsa::pkcs1v15;
use rsa::signature::Verifier;
use sha2::Sha256;

use super::super::credential::Credential;
use super::params::{Params, decode, illegal};
use super::refusal::Refusal;

const NAME: &str = "signature";
const AHEAD_US: u64 = 1_000_000;
const DEFAULT_WINDOW_US: u64 = 5_000_000;
const MAX_WINDOW_US: u64 = 60_000_000;
// A millisecond clock reaches this in the year 5138; Binance takes microseconds in the same field.
const FIRST_MICROSECOND_STAMP: u64 = 100_000_000_000_000;

/// Refuses what this credential did not sign.
pub(crate) fn check(credential: &Credential, signed: &Signed) -> Result<(), Refusal> {
    let text = signed.signature.as_bytes();
    let base64 = || BASE64.decode(text);
    let good = match credential {
        // RFC 2104; hex of either case.
        Credential::Hmac(secret) => HEXLOWER_PERMISSIVE
            .decode(text)
            .is_ok_and(|tag| hmac_matches(secret, &signed.payload, &tag)),
        // RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017.
        Credential::Rsa(key) => {
            base64().is_ok_and(|bytes| rsa_matches(key, &signed.payload, &bytes))
        }
        // RFC 8032.
        Credential::Ed25519(key) => {
            base64().is_ok_and(|bytes| ed25519_matches(key, &signed.payload, &bytes))
        }
        // Binance has no keys of this type.
        Credential::Es256(_) => false,
    };
    if good {
        Ok(())
    } else {
        Err(Refusal::Signature)
    }
}

/// A request taken apart into what was signed and the signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Query string and body without the signature, byte for byte.
    pub(crate) payload: Vec<u8>,
    /// The signature's text, percent-decoded.
    pub(crate) signature: String,
}

impl Signed {
    /// Finds the one signature at the end of the query string or of the body.
    pub(crate) fn split(query: &[u8], form: &[u8]) -> Result<Self, Refusal> {
        // Since 2026-01-15 what is not ASCII must be percent-encoded before it is signed.
        if !query.is_ascii() || !form.is_ascii() {
            return Err(Refusal::Signature);
        }
        let (query, in_query) = cut(query)?;
        let (form, in_form) = cut(form)?;
        let raw = match (in_query, in_form) {
            (Some(raw), None) | (None, Some(raw)) => raw,
            (Some(_), Some(_)) => return Err(Refusal::Signature),
            (None, None) => return Err(Refusal::Mandatory(NAME.to_owned())),
        };
        Ok(Self {
            payload: [query, form].concat(),
            signature: decode(raw, NAME)?,
        })
    }
}

/// Refuses a `timestamp` outside its `recvWindow`, by the server's clock in microseconds.
pub(crate) fn check_time(params: &Params, now_us: u64) -> Result<(), Refusal> {
    params.required("timestamp")?;
    let stamp = params.integer("timestamp")?.unwrap_or_default();
    let stamp_us = if stamp < FIRST_MICROSECOND_STAMP {
        stamp * 1000
    } else {
        stamp
    };
    let window_us = window_us(params)?;
    if stamp_us >= now_us.saturating_add(AHEAD_US) {
        return Err(Refusal::Early);
    }
    if now_us.saturating_sub(stamp_us) > window_us {
        return Err(Refusal::Late);
    }
    Ok(())
}

fn window_us(params: &Params) -> Result<u64, Refusal> {
    let Some(text) = params.text("recvWindow")? else {
        return Ok(DEFAULT_WINDOW_US);
    };
    let bad = || illegal("recvWindow", "^[0-9]{1,5}(\\.[0-9]{1,3})?$");
    let (_, fraction) = text.split_once('.').unwrap_or((text, ""));
    let ms = BigDecimal::from_str(text).map_err(|_| bad())?;
    if fraction.len() > 3 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(bad());
    }
    let us = (ms * BigDecimal::from(1000)).to_u64().ok_or_else(bad)?;
    if us > MAX_WINDOW_US {
        Err(Refusal::Window)
    } else {
        Ok(us)
    }
}

/// The part without its signature, and the signature's raw text where it has one.
fn cut(part: &[u8]) -> Result<(&[u8], Option<&[u8]>), Refusal> {
    let prefix = b"signature=";
    let mut here = part
        .split(|&b| b == b'&')
        .filter(|piece| piece.starts_with(prefix));
    let Some(piece) = here.next() else {
        return Ok((part, None));
    };
    let rest = part.strip_suffix(piece).ok_or(Refusal::Signature)?;
    let rest = match rest.strip_suffix(b"&") {
        Some(before) => before,
        None if rest.is_empty() => rest,
        None => return Err(Refusal::Signature),
    };
    if here.next().is_some() {
        return Err(Refusal::Signature);
    }
    Ok((rest, piece.strip_prefix(prefix)))
}

fn hmac_matches(secret: &[u8], payload: &[u8], tag: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret)
        .is_ok_and(|mac| mac.chain_update(payload).verify_slice(tag).is_ok())
}

fn rsa_matches(key: &RsaPublicKey, payload: &[u8], bytes: &[u8]) -> bool {
    let verifier = pkcs1v15::VerifyingKey::<Sha256>::new(key.clone());
    pkcs1v15::Signature::try_from(bytes)
        .is_ok_and(|signature| verifier.verify(payload, &signature).is_ok())
}

fn ed25519_matches(key: &VerifyingKey, payload: &[u8], bytes: &[u8]) -> bool {
    ed25519_dalek::Signature::from_slice(bytes)
        .is_ok_and(|signature| key.verify_strict(payload, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use rsa::pkcs8::DecodePublicKey;
    use serde_json::Value;

    use super::*;

    const PUBLISHED: &str = include_str!("../../../tests/vectors/binance-published.json");
    const CCXT: &str = include_str!("../../../tests/vectors/binance-ccxt.json");
    const OPENSSL: &str = include_str!("../../../tests/vectors/rsa-openssl.json");

    fn vectors(text: &str) -> Vec<Value> {
        let all: Value = serde_json::from_str(text).unwrap();
        all["vectors"].as_array().unwrap().clone()
    }

    fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
        vector[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name} in {vector}"))
    }

    fn hmac(vector: &Value) -> Credential {
        Credential::Hmac(text(vector, "key").to_owned().into_bytes())
    }

    fn rsa(vector: &Value) -> Credential {
        let key = RsaPublicKey::from_public_key_pem(text(vector, "public_key_pem")).unwrap();
        Credential::Rsa(Box::new(key))
    }

    fn accepted(key: &Credential, query: &str, form: &str) -> Result<(), Refusal> {
        check(key, &Signed::split(query.as_bytes(), form.as_bytes())?)
    }

    #[test]
    fn published_hmac_examples_are_accepted_wherever_query_ends_and_body_begins() {
        let all = vectors(PUBLISHED);
        assert_eq!(all.len(), 3);
        for vector in all {
            let (payload, signature) = (text(&vector, "payload"), text(&vector, "expected"));
            let key = hmac(&vector);
            let end = format!("&signature={signature}");
            assert_eq!(accepted(&key, &format!("{payload}{end}"), ""), Ok(()));
            assert_eq!(accepted(&key, "", &format!("{payload}{end}")), Ok(()));
            for cut in 1..payload.len() {
                let (query, form) = payload.split_at(cut);
                assert_eq!(accepted(&key, query, &format!("{form}{end}")), Ok(()));
                assert_eq!(accepted(&key, &format!("{query}{end}"), form), Ok(()));
            }
            assert_eq!(
                accepted(
                    &key,
                    &format!("{payload}&signature={}", signature.to_uppercase()),
                    ""
                ),
                Ok(())
            );
        }
    }

    #[test]
    fn ccxt_requests_are_accepted_at_their_time_and_no_other() {
        let all = vectors(CCXT);
        assert_eq!(all.len(), 7);
        for vector in all {
            let (query, form) = (text(&vector, "query"), text(&vector, "body"));
            assert_eq!(accepted(&hmac(&vector), query, form), Ok(()));
            let params = Params::parse(query.as_bytes(), form.as_bytes()).unwrap();
            let sent_us = vector["clock_ms"].as_u64().unwrap() * 1000;
            // ccxt asks for a recvWindow of 10 s.
            assert_eq!(check_time(&params, sent_us + 10_000_000), Ok(()));
            assert_eq!(
                check_time(&params, sent_us + 10_000_001),
                Err(Refusal::Late)
            );
            assert_eq!(check_time(&params, sent_us - 999_999), Ok(()));
            assert_eq!(
                check_time(&params, sent_us - 1_000_000),
                Err(Refusal::Early)
            );
        }
    }

    #[test]
    fn openssl_rsa_signatures_are_accepted_and_only_percent_encoded() {
        let all = vectors(OPENSSL);
        assert_eq!(all.len(), 2);
        for vector in all {
            let (payload, signature) = (text(&vector, "payload"), text(&vector, "signature"));
            assert!(
                signature.contains('+'),
                "a vector without a plus sign proves less"
            );
            let encoded = signature
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D");
            let key = rsa(&vector);
            assert_eq!(
                accepted(&key, &format!("{payload}&signature={encoded}"), ""),
                Ok(())
            );
            assert_eq!(
                accepted(&key, "", &format!("{payload}&signature={encoded}")),
                Ok(())
            );
            let plain = format!("{payload}&signature={signature}");
            assert_eq!(accepted(&key, &plain, ""), Err(Refusal::Signature));
            let lower = format!("{payload}&signature={}", encoded.to_lowercase());
            assert_eq!(accepted(&key, &lower, ""), Err(Refusal::Signature));
        }
    }

    #[test]
    fn a_changed_byte_or_another_key_is_refused() {
        for vector in vectors(PUBLISHED) {
            let end = format!("&signature={}", text(&vector, "expected"));
            let payload = text(&vector, "payload");
            let longer = format!("{payload}&a=1{end}");
            assert_eq!(
                accepted(&hmac(&vector), &longer, ""),
                Err(Refusal::Signature)
            );
            let other = Credential::Hmac("x".repeat(64).into_bytes());
            assert_eq!(
                accepted(&other, &format!("{payload}{end}"), ""),
                Err(Refusal::Signature)
            );
            let rsa = rsa(&vectors(OPENSSL)[0]);
            assert_eq!(
                accepted(&rsa, &format!("{payload}{end}"), ""),
                Err(Refusal::Signature)
            );
        }
    }

    #[test]
    fn the_signature_stands_last_and_once() {
        let missing = Signed::split(b"a=1", b"b=2");
        assert_eq!(missing, Err(Refusal::Mandatory("signature".to_owned())));
        for (query, form) in [
            ("a=1&signature=aa&b=2", ""),
            ("signature=aa&a=1", ""),
            ("a=1&signature=aa&signature=aa", ""),
            ("a=1&signature=aa", "b=2&signature=aa"),
            ("a=\u{e9}&signature=aa", ""),
        ] {
            let split = Signed::split(query.as_bytes(), form.as_bytes());
            assert_eq!(split, Err(Refusal::Signature), "{query} {form}");
        }
        let alone = Signed::split(b"a=1", b"signature=aa").unwrap();
        assert_eq!(alone.payload, b"a=1");
    }

    #[test]
    fn windows_have_a_limit_and_three_decimals() {
        let at = |query: &str| {
            let params = Params::parse(query.as_bytes(), b"").unwrap();
            check_time(&params, 1_700_000_000_000_000)
        };
        assert_eq!(at("timestamp=1699999995000"), Ok(()));
        assert_eq!(at("timestamp=1699999994999"), Err(Refusal::Late));
        assert_eq!(at("timestamp=1699999999999500&recvWindow=0.5"), Ok(()));
        assert_eq!(
            at("timestamp=1699999999999499&recvWindow=0.5"),
            Err(Refusal::Late)
        );
        assert_eq!(at("timestamp=1700000000000&recvWindow=60000"), Ok(()));
        assert_eq!(
            at("timestamp=1700000000000&recvWindow=60000.001"),
            Err(Refusal::Window)
        );
        assert!(matches!(
            at("timestamp=1700000000000&recvWindow=1.2345"),
            Err(Refusal::Illegal { .. })
        ));
        assert!(matches!(at("timestamp=soon"), Err(Refusal::Illegal { .. })));
        assert_eq!(
            at("recvWindow=5000"),
            Err(Refusal::Mandatory("timestamp".to_owned()))
        );
    }

    // The one Ed25519 example with a published private key: binance-spot-api-docs `fix-api.md` (read 2026-07-21).
    const PRIVATE: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";
    const LOGON: &[u8] = b"A\x01EXAMPLE\x01SPOT\x011\x0120240627-11:17:25.223";
    const SIGNED: &str =
        "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==";

    #[test]
    fn the_published_ed25519_example_is_accepted_and_no_other() {
        let der = BASE64.decode(PRIVATE.as_bytes()).unwrap();
        let seed: [u8; 32] = der[16..].try_into().unwrap();
        let pair = ed25519_dalek::SigningKey::from_bytes(&seed);
        let key = Credential::Ed25519(Box::new(pair.verifying_key()));
        let signed = |payload: &[u8], signature: &str| Signed {
            payload: payload.to_vec(),
            signature: signature.to_owned(),
        };
        assert_eq!(check(&key, &signed(LOGON, SIGNED)), Ok(()));
        for (payload, signature) in [
            (&LOGON[1..], SIGNED),
            (LOGON, &SIGNED[..84]),
            (LOGON, &SIGNED.to_lowercase()),
            (LOGON, ""),
        ] {
            let refused = check(&key, &signed(payload, signature));
            assert_eq!(refused, Err(Refusal::Signature), "{signature}");
        }
    }
}
