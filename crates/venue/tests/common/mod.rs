//! What the tests of all venues share: vectors, keys, and a bot made from what ccxt would have sent.
#![allow(dead_code, reason = "each test file uses its part")]

use aws_lc_rs::{hmac, rand::SystemRandom, rsa, signature};
use serde_json::Value;
use touchkeep_core::UnixMillis;
use touchkeep_venue::{
    Algorithm, Credential, Decoded, Moment, Outgoing, Part, Private, Request, SecretForm, Venue,
    venue,
};

/// The vectors of a file.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The published vector of that name.
pub(crate) fn doc_vector(id: &str) -> Value {
    let all = json(include_str!("../vectors/venue-doc-vectors.json"));
    let found = all.as_array().unwrap().iter().find(|v| v["id"] == id);
    found.unwrap_or_else(|| panic!("{id}")).clone()
}

/// A venue that is there.
pub(crate) fn at(id: &str) -> &'static dyn Venue {
    venue(id).unwrap_or_else(|| panic!("no venue {id}"))
}

pub(crate) fn request(method: &str, path: &str, query: &str, body: &str, kind: &str) -> Request {
    Request {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        content_type: (!body.is_empty()).then(|| kind.into()),
        body: body.into(),
        expires: None,
    }
}

pub(crate) fn private(venue: &dyn Venue, request: &Request) -> Private {
    match venue.decode(request) {
        Ok(Decoded::Private(private)) => *private,
        other => panic!("{request:?} is {other:?}"),
    }
}

/// A secret, of any kind.
pub(crate) enum Key<'a> {
    /// As the venue gives it out.
    Secret(&'a str),
    /// The seed of an Ed25519 key.
    Seed(&'a [u8]),
    /// A private key in PKCS#8.
    Pkcs8(&'a [u8]),
    /// The 32 bytes of a secp256k1 key.
    Secp256k1(&'a [u8]),
}

impl Key<'_> {
    /// Signs in the way that the venue's own list of schemes says.
    pub(crate) fn sign(&self, venue: &dyn Venue, part: &Part) -> Vec<u8> {
        self.sign_bytes(venue, part, part.bytes())
    }

    /// Signs other bytes in the way of that part.
    pub(crate) fn sign_bytes(&self, venue: &dyn Venue, part: &Part, bytes: &[u8]) -> Vec<u8> {
        let info = venue.info();
        let scheme = info
            .schemes
            .iter()
            .find(|s| s.algorithm == part.algorithm())
            .unwrap();
        match (part.algorithm(), self) {
            (Algorithm::HmacSha256, Self::Secret(s)) => {
                mac(hmac::HMAC_SHA256, s, scheme.secret, bytes)
            }
            (Algorithm::HmacSha384, Self::Secret(s)) => {
                mac(hmac::HMAC_SHA384, s, scheme.secret, bytes)
            }
            (Algorithm::HmacSha512, Self::Secret(s)) => {
                mac(hmac::HMAC_SHA512, s, scheme.secret, bytes)
            }
            (Algorithm::Ed25519, Self::Seed(seed)) => {
                let key = signature::Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
                key.sign(bytes).as_ref().to_vec()
            }
            (Algorithm::RsaPkcs1Sha256, Self::Pkcs8(der)) => {
                let key = rsa::KeyPair::from_pkcs8(der).unwrap();
                let mut out = vec![0; key.public_modulus_len()];
                let random = SystemRandom::new();
                key.sign(&signature::RSA_PKCS1_SHA256, &random, bytes, &mut out)
                    .unwrap();
                out
            }
            (Algorithm::EcdsaP256Sha256, Self::Pkcs8(der)) => {
                let kind = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let key = signature::EcdsaKeyPair::from_pkcs8(kind, der).unwrap();
                let random = SystemRandom::new();
                key.sign(&random, bytes).unwrap().as_ref().to_vec()
            }
            (Algorithm::Secp256k1Digest, Self::Secp256k1(key)) => {
                let key = k256::ecdsa::SigningKey::from_slice(key).unwrap();
                let (signature, id) = key.sign_prehash_recoverable(bytes);
                let mut out = signature.to_bytes().to_vec();
                out.push(27 + id.to_byte());
                out
            }
            (other, _) => panic!("no key for {other:?}"),
        }
    }
}

fn mac(algorithm: hmac::Algorithm, secret: &str, form: SecretForm, payload: &[u8]) -> Vec<u8> {
    let bytes = match form {
        SecretForm::Base64 => data_encoding::BASE64.decode(secret.as_bytes()).unwrap(),
        _ => secret.as_bytes().to_vec(),
    };
    let key = hmac::Key::new(algorithm, &bytes);
    hmac::sign(&key, payload).as_ref().to_vec()
}

/// What all fixtures of ccxt were made with.
pub(crate) fn moment(ms: u64) -> Moment {
    Moment {
        now: UnixMillis(ms),
        window_ms: 5000,
        nonce: Some(ms),
        unique: Some([0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1]),
    }
}

pub(crate) fn signed(
    venue: &dyn Venue,
    private: &Private,
    credential: &Credential<'_>,
    moment: &Moment,
    key: &Key<'_>,
) -> Outgoing {
    let to_sign = venue.draft(private, credential, moment).unwrap();
    let signatures: Vec<Vec<u8>> = to_sign
        .parts()
        .iter()
        .map(|part| key.sign(venue, part))
        .collect();
    to_sign.seal(&signatures).unwrap()
}

/// What a bot that points at us sends is what ccxt made.
pub(crate) fn as_bot(made: &Value) -> (Request, String) {
    let url = made["url"].as_str().unwrap();
    let after = url.find("://").unwrap() + 3;
    let end = url
        .get(after..)
        .unwrap()
        .find('/')
        .map_or(url.len(), |at| at + after);
    let (origin, rest) = url.split_at(end);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let body = made["body"].as_str().unwrap_or_default();
    let kind = made["headers"]["Content-Type"].as_str().unwrap_or_default();
    let method = made["method"].as_str().unwrap();
    (request(method, path, query, body, kind), origin.to_owned())
}
