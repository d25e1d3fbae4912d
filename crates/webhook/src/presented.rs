//! What a delivery shows, before it is known whether any of it is true.

use data_encoding::{BASE64, HEXLOWER};
use touchkeep_core::UnixMillis;

use crate::{
    Refusal, Scheme,
    headers::{Header, one},
};

/// Signatures of one delivery; a sender that changes its secret sends two.
pub const MAX_SIGNATURES: usize = 16;

const STRIPE: &str = "Stripe-Signature";
const GITHUB: &str = "X-Hub-Signature-256";
const GITHUB_ID: &str = "X-GitHub-Delivery";
const COINBASE: &str = "X-CC-Webhook-Signature";
const STANDARD: &str = "webhook-signature";
const STANDARD_ID: &str = "webhook-id";
const STANDARD_TIME: &str = "webhook-timestamp";

pub(crate) const MAX_ID_BYTES: usize = 256;
// Seconds until the year 5138, and no number that a reader of another kind could read differently.
const MAX_TIME_DIGITS: usize = 11;

/// A delivery in the form of its scheme. Nothing in it is known to be true.
#[derive(Debug)]
pub struct Presented<'a> {
    pub(crate) scheme: Scheme,
    /// What is signed in front of the body.
    pub(crate) before: String,
    pub(crate) body: &'a [u8],
    pub(crate) sent: Option<UnixMillis>,
    /// The id that a header says.
    pub(crate) id: Option<String>,
    pub(crate) signatures: Vec<Signature>,
}

/// A signature by its kind.
#[derive(Debug)]
pub(crate) enum Signature {
    Hmac([u8; 32]),
    Ed25519([u8; 64]),
}

impl<'a> Presented<'a> {
    /// Reads the headers of a scheme; all others are passed over.
    ///
    /// # Errors
    /// When one is missing, doubled or not of its form.
    pub fn read(scheme: Scheme, headers: &[Header<'_>], body: &'a [u8]) -> Result<Self, Refusal> {
        let mut presented = Self {
            scheme,
            before: String::new(),
            body,
            sent: None,
            id: None,
            signatures: Vec::new(),
        };
        match scheme {
            Scheme::Stripe => presented.stripe(one(headers, STRIPE)?)?,
            Scheme::Github => {
                let value = one(headers, GITHUB)?;
                let hex = value.strip_prefix("sha256=");
                presented.hmac(hex.and_then(unhex), GITHUB)?;
                presented.id = Some(id(one(headers, GITHUB_ID)?, GITHUB_ID)?);
            }
            Scheme::CoinbaseCommerce => presented.hmac(unhex(one(headers, COINBASE)?), COINBASE)?,
            Scheme::Standard => {
                let id = id(one(headers, STANDARD_ID)?, STANDARD_ID)?;
                // With a point in the id, the same signed bytes would have two readings: part of the body as the time.
                if id.contains('.') {
                    return Err(Refusal::Unreadable(STANDARD_ID));
                }
                let time = one(headers, STANDARD_TIME)?;
                presented.sent = Some(seconds(time).ok_or(Refusal::Unreadable(STANDARD_TIME))?);
                presented.before = format!("{id}.{time}.");
                presented.id = Some(id);
                presented.standard(one(headers, STANDARD)?)?;
            }
        }
        Ok(presented)
    }

    // `t=1614556800,v1=hex,v1=hex`; versions that nobody has told us of are passed over, as Stripe asks.
    fn stripe(&mut self, value: &str) -> Result<(), Refusal> {
        let bad = Refusal::Unreadable(STRIPE);
        for part in value.split(',') {
            let (name, value) = part.split_once('=').ok_or(bad)?;
            match name {
                "t" if self.sent.is_some() => return Err(bad),
                "t" => {
                    self.sent = Some(seconds(value).ok_or(bad)?);
                    self.before = format!("{value}.");
                }
                "v1" => self.hmac(unhex(value), STRIPE)?,
                _ => {}
            }
        }
        self.sent.map(|_| ()).ok_or(bad)
    }

    // `v1,base64 v1a,base64`, and versions to come.
    fn standard(&mut self, value: &str) -> Result<(), Refusal> {
        let bad = Refusal::Unreadable(STANDARD);
        for part in value.split(' ') {
            let (version, encoded) = part.split_once(',').ok_or(bad)?;
            match version {
                "v1" => self.hmac(unbase64(encoded), STANDARD)?,
                "v1a" => self.push(unbase64(encoded).map(Signature::Ed25519), STANDARD)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn hmac(&mut self, bytes: Option<[u8; 32]>, header: &'static str) -> Result<(), Refusal> {
        self.push(bytes.map(Signature::Hmac), header)
    }

    fn push(&mut self, one: Option<Signature>, header: &'static str) -> Result<(), Refusal> {
        match one {
            Some(signature) if self.signatures.len() < MAX_SIGNATURES => {
                self.signatures.push(signature);
                Ok(())
            }
            _ => Err(Refusal::Unreadable(header)),
        }
    }
}

fn id(value: &str, header: &'static str) -> Result<String, Refusal> {
    if value.len() > MAX_ID_BYTES || value.contains(' ') {
        return Err(Refusal::Unreadable(header));
    }
    Ok(value.to_owned())
}

// Digits and nothing else: `+5`, ` 5`, `05` and `5.0` are numbers to some readers and not to others.
fn seconds(text: &str) -> Option<UnixMillis> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let text = Some(text).filter(|text| is_plain && text.len() <= MAX_TIME_DIGITS)?;
    let seconds: u64 = text.parse().ok()?;
    seconds.checked_mul(1000).map(UnixMillis)
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn unbase64<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex() -> String {
        "ab".repeat(32)
    }

    fn read(scheme: Scheme, headers: &[(&str, &str)]) -> Result<(), Refusal> {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        Presented::read(scheme, &headers, b"body").map(drop)
    }

    #[test]
    fn stripes_header_has_one_time_and_any_number_of_signatures_within_bounds() {
        let stripe = |value: &str| read(Scheme::Stripe, &[("stripe-signature", value)]);
        let (hex, bad) = (hex(), Err(Refusal::Unreadable(STRIPE)));
        let good = [
            format!("t=1614556800,v1={hex}"),
            format!("v1={hex},t=1614556800,v0=whatever,v1={hex}"),
            "t=1614556800".to_owned(),
            format!("t=1{}", format!(",v1={hex}").repeat(MAX_SIGNATURES)),
        ];
        for value in good {
            assert_eq!(stripe(&value), Ok(()), "{value}");
        }
        for value in [
            format!("v1={hex}"),
            format!("t=1,t=1,v1={hex}"),
            format!("t=1, v1={hex},x"),
            format!("t=,v1={hex}"),
            format!("t=+1,v1={hex}"),
            format!("t=01,v1={hex}"),
            format!("t=1.0,v1={hex}"),
            format!("t=-1,v1={hex}"),
            format!("t=123456789012,v1={hex}"),
            format!("t=1,v1={}", &hex[2..]),
            format!("t=1,v1={}", hex.to_uppercase()),
            format!("t=1,v1={hex},"),
            format!("t=1{}", format!(",v1={hex}").repeat(MAX_SIGNATURES + 1)),
        ] {
            assert_eq!(stripe(&value), bad, "{value}");
        }
    }

    #[test]
    fn githubs_needs_its_id_and_the_newer_hash() {
        let signed = format!("sha256={}", hex());
        let (signature, id) = (
            ("X-HUB-SIGNATURE-256", &*signed),
            ("x-github-delivery", "a-b"),
        );
        assert_eq!(read(Scheme::Github, &[signature, id]), Ok(()));
        assert_eq!(
            read(Scheme::Github, &[signature]),
            Err(Refusal::Missing(GITHUB_ID))
        );
        let old = ("X-Hub-Signature", "sha1=5b1ee6da");
        assert_eq!(
            read(Scheme::Github, &[old, id]),
            Err(Refusal::Missing(GITHUB))
        );
        let bare = hex();
        for bad in [bare.as_str(), "sha256=", "sha1=00", "sha512=00"] {
            assert_eq!(
                read(Scheme::Github, &[(GITHUB, bad), id]),
                Err(Refusal::Unreadable(GITHUB))
            );
        }
    }

    #[test]
    fn the_standards_id_and_time_have_one_reading() {
        let signature = format!("v1,{} v9,x", BASE64.encode(&[7; 32]));
        let read = |id: &str, time: &str, signature: &str| {
            let headers = [
                ("webhook-id", id),
                ("webhook-timestamp", time),
                ("webhook-signature", signature),
            ];
            read(Scheme::Standard, &headers)
        };
        assert_eq!(read("msg_1", "1614265330", &signature), Ok(()));
        for id in ["msg.1", "a b", &"x".repeat(257)] {
            assert_eq!(
                read(id, "1614265330", &signature),
                Err(Refusal::Unreadable(STANDARD_ID))
            );
        }
        for time in ["1614265330.5", "1e9", "0", "1614265330 "] {
            assert_eq!(
                read("msg_1", time, &signature),
                Err(Refusal::Unreadable(STANDARD_TIME))
            );
        }
        for signature in ["v1", "v1,AAAA", "v1a,AAAA", "v1,", "  ", "v1,x v1,y"] {
            assert_eq!(
                read("msg_1", "1", signature),
                Err(Refusal::Unreadable(STANDARD))
            );
        }
    }
}
