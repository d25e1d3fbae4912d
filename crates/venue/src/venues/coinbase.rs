//! Coinbase Advanced Trade and the Coinbase App (`api.coinbase.com`), with keys of the Developer Platform.
//!
//! What is signed is a token that lives two minutes and names method, host and path, but neither query nor body
//! (docs.cdp.coinbase.com; coinbase-advanced-py of 2026-06-19 for ES256, cdp-sdk of 2026-08-20 for EdDSA): it never leaves
//! this program without the request. Old keys of the App sign time, method, path and body with HMAC-SHA256.

pub(crate) mod socket;

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};
use crate::{
    Counter, Json,
    drafting::{members, number, text, token, token_algorithm},
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
        let claims = claims(private, scheme, credential.key, moment);
        let header = members([
            ("alg", text(token_algorithm(scheme.algorithm))),
            ("typ", text("JWT")),
            ("kid", text(credential.key)),
            ("nonce", text(moment.random_hex()?)),
        ]);
        let payload = token(&header, &claims);
        let place = Place::Header("Authorization", format!("Bearer {payload}."), String::new());
        Ok(private.as_given(Vec::new(), vec![scheme.part(payload, place)]))
    }
}

fn claims(private: &Private, scheme: Scheme, key: &str, moment: &Moment) -> Json {
    let host = private.origin.trim_start_matches("https://");
    let uri = text(format!("{} {host}{}", private.method(), private.path()));
    let now = moment.now.0 / 1000;
    match scheme.algorithm {
        Algorithm::Ed25519 => members([
            ("aud", Json::List(vec![text("cdp_service")])),
            ("iss", text("cdp")),
            ("nbf", number(now)),
            ("exp", number(now + TOKEN_LIFE_S)),
            ("sub", text(key)),
            ("iat", number(now)),
            ("uris", Json::List(vec![uri])),
        ]),
        _ => members([
            ("sub", text(key)),
            ("iss", text("cdp")),
            ("nbf", number(now)),
            ("exp", number(now + TOKEN_LIFE_S)),
            ("uri", uri),
        ]),
    }
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
