//! Requests that a private key of the vault signs, beside the bare signature of the same bytes with a key that was read before.

use std::hint::black_box;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_core::ApiSecret;
use touchkeep_pipeline::private_key;
use touchkeep_venue::{Algorithm, Private, Request, Venue, binance::Binance, coinbase::Coinbase};

use super::{NOW, ROUNDS, decoded, drafted, median, order, per_call, row};

const CALLS: u32 = 500;

/// Signs, and drops the signature.
type Bare = Box<dyn Fn(&[u8])>;

/// A key, as a vault has it and as aws-lc-rs has it once it was read.
struct Key {
    name: &'static str,
    algorithm: Algorithm,
    venue: &'static dyn Venue,
    request: Request,
    secret: ApiSecret,
    bare: Bare,
}

/// Measures and prints.
pub(super) fn keys() {
    for key in [ed25519(), es256(), rsa()] {
        beside_the_bare_one(&key);
    }
}

fn beside_the_bare_one(key: &Key) {
    let stays = private_key::Stays::read(&key.secret, key.algorithm).unwrap();
    let private = decoded(key.venue, &key.request);
    let signed = |private: &Private, now: u64| {
        let to_sign = drafted(key.venue, private, key.algorithm, now);
        let signature = stays.sign(to_sign.payload());
        to_sign.seal(&[signature.unwrap()]).unwrap()
    };
    let payload = drafted(key.venue, &private, key.algorithm, NOW);
    let payload = payload.payload().to_vec();
    let (mut bare, mut anew, mut signing) = (vec![], vec![], vec![]);
    let (mut ours, mut whole) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        bare.push(per_call(CALLS, |_| (key.bare)(black_box(&payload))));
        anew.push(per_call(CALLS, |_| {
            let signature = private_key::signature(&key.secret, key.algorithm, &payload);
            drop(black_box(signature));
        }));
        signing.push(per_call(CALLS, |_| drop(black_box(stays.sign(&payload)))));
        ours.push(per_call(CALLS, |i| {
            drop(black_box(signed(black_box(&private), NOW + u64::from(i))));
        }));
        whole.push(per_call(CALLS, |i| {
            let private = decoded(key.venue, black_box(&key.request));
            drop(black_box(signed(&private, NOW + u64::from(i))));
        }));
    }
    let limit = median(&mut bare);
    row(
        &format!("bare {} (aws-lc-rs, key read before)", key.name),
        &mut bare,
        limit,
    );
    row("  a key that is read for each signature", &mut anew, limit);
    row("  a key that stays, stack wiped", &mut signing, limit);
    row("  build and sign: draft, that, seal", &mut ours, limit);
    row("  and decoded and classified before", &mut whole, limit);
}

fn pem(der: &[u8]) -> ApiSecret {
    let text = BASE64_STANDARD.encode(der);
    ApiSecret::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"
    ))
}

fn ed25519() -> Key {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
    Key {
        name: "Ed25519",
        algorithm: Algorithm::Ed25519,
        venue: &Binance,
        request: order(),
        secret: pem(der.as_ref()),
        bare: Box::new(move |message| _ = black_box(pair.sign(message))),
    }
}

fn es256() -> Key {
    let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let der = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(kind, der.as_ref()).unwrap();
    Key {
        name: "ES256",
        algorithm: Algorithm::EcdsaP256Sha256,
        venue: &Coinbase,
        request: Request {
            method: "GET".into(),
            path: "/api/v3/brokerage/accounts".into(),
            query: Vec::new(),
            content_type: None,
            body: Vec::new(),
            expires: None,
        },
        secret: pem(der.as_ref()),
        bare: Box::new(move |message| _ = black_box(pair.sign(&random, message).unwrap())),
    }
}

fn rsa() -> Key {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let random = SystemRandom::new();
    Key {
        name: "RSA-2048",
        algorithm: Algorithm::RsaPkcs1Sha256,
        venue: &Binance,
        request: order(),
        secret: pem(der.as_ref()),
        bare: Box::new(move |message| {
            let mut signature = [0; 256];
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                .unwrap();
            black_box(signature);
        }),
    }
}
