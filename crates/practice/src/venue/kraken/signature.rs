//! Was this request signed with that key?
//!
//! Source: docs.kraken.com "Spot REST Authentication" (read 2026-11-26): `API-Sign` is the base64 of HMAC-SHA512, under the
//! base64-decoded secret, of the path followed by SHA-256 of the nonce followed by the body.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::super::credential::Credential;
use super::refusal::Refusal;

/// Refuses what this credential did not sign.
pub(crate) fn check(
    credential: &Credential,
    path: &str,
    nonce: &str,
    body: &[u8],
    sent: &str,
) -> Result<(), Refusal> {
    let Credential::Hmac(secret) = credential else {
        return Err(Refusal::SIGNATURE);
    };
    let inner = Sha256::new().chain_update(nonce).chain_update(body);
    let tag = BASE64
        .decode(sent.as_bytes())
        .map_err(|_| Refusal::SIGNATURE)?;
    Hmac::<Sha512>::new_from_slice(secret)
        .map_err(|_| Refusal::SIGNATURE)?
        .chain_update(path)
        .chain_update(inner.finalize())
        .verify_slice(&tag)
        .map_err(|_| Refusal::SIGNATURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of docs.kraken.com "Spot REST Authentication" (read 2026-11-26).
    const SECRET: &str =
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
    const NONCE: &str = "1616492376594";
    const BODY: &str =
        "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
    const PATH: &str = "/0/private/AddOrder";
    const SIGN: &str =
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==";

    fn key() -> Credential {
        Credential::Hmac(BASE64.decode(SECRET.as_bytes()).unwrap())
    }

    #[test]
    fn the_published_example_is_accepted() {
        assert_eq!(check(&key(), PATH, NONCE, BODY.as_bytes(), SIGN), Ok(()));
    }

    #[test]
    fn another_path_nonce_body_or_key_is_refused() {
        let refused = Err(Refusal::SIGNATURE);
        let body = BODY.as_bytes();
        let other = BODY.replace("1.25", "1.26");
        let none = Credential::Hmac(vec![0; 64]);
        assert_eq!(
            check(&key(), "/0/private/Withdraw", NONCE, body, SIGN),
            refused
        );
        assert_eq!(check(&key(), PATH, "1616492376595", body, SIGN), refused);
        assert_eq!(check(&key(), PATH, NONCE, other.as_bytes(), SIGN), refused);
        assert_eq!(check(&none, PATH, NONCE, body, SIGN), refused);
        assert_eq!(check(&key(), PATH, NONCE, body, ""), refused);
        assert_eq!(check(&key(), PATH, NONCE, body, "not base64"), refused);
    }
}
