//! Upbit.
//!
//! What is signed is a token that holds SHA-512 of the parameters in query form, before they are percent-encoded, and neither
//! method nor path (docs.upbit.com, authentication): it never leaves this program without the request. The documentation has
//! HS512; HS256, as ccxt sends it, is taken as well.

pub(crate) mod socket;

use crate::{
    Algorithm, CannotSign, Counter, Credential, Decoded, Encoding, Json, Moment, Place, Private,
    Request, Scheme, SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::{raw, scheme_of},
    reading::{Manner, Query},
    table::{Table, table},
    token::{Claim, token},
    venue::{Facts, WITH_SOCKETS},
};
use aws_lc_rs::digest::{SHA512, digest};

/// The name in paths, items and rules.
pub const VENUE: &str = "upbit";

const SCHEMES: &[Scheme] = &[
    Scheme::new(Algorithm::HmacSha512, SecretForm::Text, Encoding::Base64Url),
    Scheme::new(Algorithm::HmacSha256, SecretForm::Text, Encoding::Base64Url),
];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Upbit;

fn table() -> &'static Table {
    table!("upbit")
}

impl Venue for Upbit {
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
        Manner {
            query: Query::OrBody,
            ..Manner::new(VENUE, table())
        }
        .decode(request)
    }

    fn draft(
        &self,
        private: &Private,
        credential: &Credential<'_>,
        moment: &Moment,
    ) -> Result<ToSign, CannotSign> {
        let scheme = scheme_of(SCHEMES, credential)?;
        let nonce = moment.uuid()?;
        let mut claims = vec![
            ("access_key", Claim::Text(credential.key)),
            ("nonce", Claim::Text(&nonce)),
        ];
        let said = match private.json() {
            None => raw(&private.given_query()),
            Some(_) => raw(&flat(private.members()?)?),
        };
        let hash = digest(&SHA512, said.as_bytes());
        let hash = data_encoding::HEXLOWER.encode(hash.as_ref());
        if !said.is_empty() {
            claims.push(("query_hash", Claim::Text(&hash)));
            claims.push(("query_hash_alg", Claim::Text("SHA512")));
        }
        let payload = token(scheme.algorithm, &[], &claims);
        let place = Place::Header("Authorization", format!("Bearer {payload}."), String::new());
        Ok(private.as_given(Vec::new(), vec![scheme.part(payload, place)]))
    }
}

fn flat(members: &[(String, Json)]) -> Result<Vec<(&str, &str)>, CannotSign> {
    let mut pairs = Vec::new();
    for (name, value) in members {
        pairs.push((name.as_str(), value.plain().ok_or(CannotSign::Values)?));
    }
    Ok(pairs)
}
