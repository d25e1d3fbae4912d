//! The bearer token: a JWT (RFC 7519) signed with ES256 (RFC 7518) or EdDSA (RFC 8037) that speaks for one request.
//!
//! Sources: docs.cdp.coinbase.com "JWT Authentication" (read 2026-11-26), coinbase-advanced-py and cdp-sdk (2026-08-20).
//! Header: `alg`, `kid` (the key's name), `nonce`, `typ`. Claims: `sub` (the key's name), `iss` = `cdp`, `nbf`, `exp` at
//! most 120 s later, and `uri` = `METHOD host/path` without the query, or `uris`, a list of such.
//!
//! Where the real venue's word is not known, or must differ on a loopback address:
//! - The host may be `api.coinbase.com`, which a signer puts in that knows which venue it signs for, or the address that
//!   the venue was reached at, bare or with `http://` before it, which is what clients put in that sign what they dial (ccxt
//!   strips `https://` and nothing else).
//! - `iss` may also be `coinbase-cloud`, which it was until 2024 and which ccxt 4.5.90 still sends with ES256.
//! - A nonce is taken once while its token lives. Coinbase says that it is random and not what becomes of a second use.
//! - Neither `nbf` nor `exp` is given any leeway.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::signature::Verifier;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::credential::Credential;
use super::super::keys::Key;
use super::super::request::Received;
use super::refusal::Refusal;

const MAX_LIFE_SECONDS: u64 = 120;
const ISSUERS: [&str; 2] = ["cdp", "coinbase-cloud"];
const HOST: &str = "api.coinbase.com";

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    nonce: String,
    typ: Option<String>,
    // What must be understood and is not.
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    nbf: u64,
    exp: u64,
    uri: Option<String>,
    #[serde(default)]
    uris: Vec<String>,
}

/// What remains of a good token: it is good once.
pub(crate) struct Token {
    nonce: String,
    expires: u64,
}

/// Nonces of tokens that were used, by key, with the second at which each expires.
#[derive(Default)]
pub(crate) struct SpentTokens(BTreeMap<(String, String), u64>);

impl SpentTokens {
    /// Refuses a nonce that this key has used, and notes it.
    pub(crate) fn take(&mut self, api_key: &str, token: Token, now: u64) -> Result<(), Refusal> {
        self.0.retain(|_, expires| *expires > now);
        let name = (api_key.to_owned(), token.nonce);
        match self.0.insert(name, token.expires) {
            None => Ok(()),
            Some(_) => Err(Refusal::Unauthorized),
        }
    }
}

/// The key that a token says it is of.
pub(crate) fn named_key(token: &str) -> Option<String> {
    let (header, _) = token.split_once('.')?;
    part::<Header>(header).ok().map(|header| header.kid)
}

/// Refuses a token that this key did not sign for this request at this time.
pub(crate) fn check(
    token: &str,
    key: &Key,
    request: &Received,
    now: u64,
) -> Result<Token, Refusal> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Unauthorized)?;
    let (header, claims) = signed.split_once('.').ok_or(Refusal::Unauthorized)?;
    let header: Header = part(header)?;
    let signature = bytes(signature)?;
    if !is_signed(&header.alg, &key.credential, signed.as_bytes(), &signature) {
        return Err(Refusal::Unauthorized);
    }
    let claims: Claims = part(claims)?;
    let is_jwt = header.typ.is_none_or(|typ| typ == "JWT") && header.crit.is_none();
    let is_of_key = header.kid == key.api_key && claims.sub == key.api_key;
    let is_issued = ISSUERS.contains(&claims.iss.as_str()) && !header.nonce.is_empty();
    let lives = claims.nbf <= now
        && now < claims.exp
        && claims.exp.saturating_sub(claims.nbf) <= MAX_LIFE_SECONDS;
    let uris = claims.uri.iter().chain(&claims.uris);
    let mut is_for = uris.filter(|uri| speaks_for(uri, request));
    if is_jwt && is_of_key && is_issued && lives && is_for.next().is_some() {
        Ok(Token {
            nonce: header.nonce,
            expires: claims.exp,
        })
    } else {
        Err(Refusal::Unauthorized)
    }
}

fn is_signed(alg: &str, credential: &Credential, signed: &[u8], signature: &[u8]) -> bool {
    match (alg, credential) {
        ("ES256", Credential::Es256(key)) => p256::ecdsa::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
        ("EdDSA", Credential::Ed25519(key)) => ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok()),
        _ => false,
    }
}

fn speaks_for(uri: &str, request: &Received) -> bool {
    let reached = request.local;
    let localhost = format!("localhost:{}", reached.port());
    [HOST, &reached.to_string(), &localhost].iter().any(|host| {
        let (method, path) = (&request.method, &request.path);
        uri == format!("{method} {host}{path}") || uri == format!("{method} http://{host}{path}")
    })
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_slice(&bytes(text)?).map_err(|_| Refusal::Unauthorized)
}

fn bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| Refusal::Unauthorized)
}
