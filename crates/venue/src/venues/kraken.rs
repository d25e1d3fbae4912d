//! Kraken spot: everything private is a POST, reads as well.
//!
//! Signed are the path and SHA-256 of nonce and body, with HMAC-SHA512 under the decoded secret (docs.kraken.com, spot REST
//! authentication). The nonce stands in the body and is ours; keys that want a one-time password with each request are not
//! served, because that password would have to come from the client.

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
    dialect::{Body, Slot},
    reading::{FORM, JSON, Ours, Query},
};
use aws_lc_rs::digest::{Context, SHA256};
use touchkeep_core::UnixMillis;

/// The name in paths, items and rules.
pub const VENUE: &str = "kraken";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha512,
    SecretForm::Base64,
    Encoding::Base64,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kraken;

fn table() -> &'static Table {
    table!("kraken")
}

impl Venue for Kraken {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts {
            transports: WITH_SOCKETS,
            counter: Counter::Nonce,
            ..Facts::new(VENUE, SCHEMES)
        }
        .info(table())
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        Manner {
            ours: &[("nonce", Ours::Nonce)],
            refused: &["otp"],
            bodies: &[FORM, JSON],
            query: Query::Never,
            open: members_only,
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
        // Private calls are POSTs, and what is signed is their body.
        if private.method() != "POST" {
            return Err(CannotSign::Unknown);
        }
        let nonce = moment.nonce()?;
        let body = body(private, &nonce);
        let mut inner = Context::new(&SHA256);
        inner.update(nonce.as_bytes());
        inner.update(&body);
        let payload = [private.path().as_bytes(), inner.finish().as_ref()].concat();
        let headers = vec![("API-Key", credential.key.to_owned())];
        let part = scheme.part(payload, Place::header("API-Sign"));
        Ok(private.to_sign(Vec::new(), body, headers, vec![part]))
    }
}

fn members_only(json: Json, _: &str) -> Result<Json, Unreadable> {
    match json {
        Json::Members(_) => Ok(json),
        _ => Err(Unreadable::NoMembers),
    }
}

fn body(private: &Private, nonce: &str) -> Vec<u8> {
    match &private.body {
        Body::Form(slots) => {
            let mut slots = slots.clone();
            if !slots.contains(&Slot::Nonce) {
                slots.insert(0, Slot::Nonce);
            }
            private.written(&slots, UnixMillis(0), 0, nonce)
        }
        Body::Json(json) => {
            let mut all = vec![("nonce".to_owned(), Json::Text(nonce.to_owned()))];
            if let Json::Members(members) = json {
                all.extend(members.iter().cloned());
            }
            Json::Members(all).to_text().into_bytes()
        }
    }
}
