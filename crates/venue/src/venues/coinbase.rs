//! Coinbase Advanced Trade and the Coinbase App (`api.coinbase.com`), with keys of the Developer Platform.
//!
//! What is signed is a token that lives two minutes and names method, host and path, but neither query nor body
//! (docs.cdp.coinbase.com; coinbase-advanced-py of 2026-06-19 for ES256, cdp-sdk of 2026-08-20 for EdDSA): it never leaves
//! this program without the request. Old keys of the App sign time, method, path and body with HMAC-SHA256.

pub(crate) mod socket;

use crate::{
    Algorithm, CannotSign, Counter, Credential, Decoded, Encoding, Moment, Place, Private, Request,
    Scheme, SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    token::{Claim, token},
    venue::{Facts, WITH_SOCKETS},
};

const TOKEN_LIFE_S: u64 = 120;

/// The name in paths, items and rules.
pub const VENUE: &str = "coinbase";

const SCHEMES: &[Scheme] = &[
    Scheme::new(
        Algorithm::EcdsaP256Sha256,
        SecretForm::PrivateKey,
        Encoding::Base64Url,
    ),
    Scheme::new(
        Algorithm::Ed25519,
        SecretForm::PrivateKey,
        Encoding::Base64Url,
    ),
    Scheme::new(Algorithm::HmacSha256, SecretForm::Text, Encoding::Hex),
];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Coinbase;

fn table() -> &'static Table {
    table!("coinbase")
}

impl Venue for Coinbase {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts {
            transports: WITH_SOCKETS,
            counter: Counter::Unique,
            ..Facts::new(VENUE, SCHEMES)
        }
        .info(table())
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        Manner::new(VENUE, table()).decode(request)
    }

    fn draft(
        &self,
        private: &Private,
        credential: &Credential<'_>,
        moment: &Moment,
    ) -> Result<ToSign, CannotSign> {
        let scheme = scheme_of(SCHEMES, credential)?;
        if scheme.algorithm == Algorithm::HmacSha256 {
            return Ok(old_key(private, scheme, credential, moment));
        }
        let payload = payload(private, scheme.algorithm, credential.key, moment)?;
        let place = Place::Header("Authorization", format!("Bearer {payload}."), String::new());
        Ok(private.as_given(Vec::new(), vec![scheme.part(payload, place)]))
    }
}

fn payload(
    private: &Private,
    algorithm: Algorithm,
    key: &str,
    moment: &Moment,
) -> Result<String, CannotSign> {
    let host = private.origin.trim_start_matches("https://");
    let uri = [private.method(), " ", host, private.path()].concat();
    let now = moment.now.0 / 1000;
    let nonce = moment.random_hex()?;
    let more = [("kid", Claim::Text(key)), ("nonce", Claim::Text(&nonce))];
    Ok(match algorithm {
        Algorithm::Ed25519 => token(
            algorithm,
            &more,
            &[
                ("aud", Claim::Texts(&["cdp_service"])),
                ("iss", Claim::Text("cdp")),
                ("nbf", Claim::Number(now)),
                ("exp", Claim::Number(now + TOKEN_LIFE_S)),
                ("sub", Claim::Text(key)),
                ("iat", Claim::Number(now)),
                ("uris", Claim::Texts(&[&uri])),
            ],
        ),
        _ => token(
            algorithm,
            &more,
            &[
                ("sub", Claim::Text(key)),
                ("iss", Claim::Text("cdp")),
                ("nbf", Claim::Number(now)),
                ("exp", Claim::Number(now + TOKEN_LIFE_S)),
                ("uri", Claim::Text(&uri)),
            ],
        ),
    })
}

// Of a GET, v2 wants the query in, and v3 wants it out.
fn old_key(
    private: &Private,
    scheme: Scheme,
    credential: &Credential<'_>,
    moment: &Moment,
) -> ToSign {
    let time = moment.seconds();
    let path = if private.path().starts_with("/v2/") {
        private.target()
    } else {
        private.path().to_owned()
    };
    let payload = format!("{time}{}{path}{}", private.method(), private.text_body());
    let headers = vec![
        ("CB-ACCESS-KEY", credential.key.to_owned()),
        ("CB-ACCESS-TIMESTAMP", time),
    ];
    let part = scheme.part(payload, Place::header("CB-ACCESS-SIGN"));
    private.as_given(headers, vec![part])
}
