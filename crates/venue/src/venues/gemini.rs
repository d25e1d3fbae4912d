//! Gemini: everything private is a POST with an empty body, reads as well.
//!
//! Signed is base64 of a JSON text that holds path, nonce and parameters, with HMAC-SHA384; it travels in a header
//! (docs.gemini.com, private API invocation). Clients send the same JSON in the header or as a body; whoever takes the request
//! in hands over the header's as the body.

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
    drafting::text,
    reading::{JSON, Ours, Query},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "gemini";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha384,
    SecretForm::Text,
    Encoding::Hex,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gemini;

fn table() -> &'static Table {
    table!("gemini")
}

impl Venue for Gemini {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts {
            transports: WITH_SOCKETS,
            counter: Counter::Nonce,
            payload_header: Some("X-GEMINI-PAYLOAD"),
            ..Facts::new(VENUE, SCHEMES)
        }
        .info(table())
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        Manner {
            ours: &[("request", Ours::Dropped), ("nonce", Ours::Dropped)],
            bodies: &[JSON, "text/plain"],
            query: Query::Never,
            open: of_this_path,
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
        let mut all = vec![
            ("request".to_owned(), text(private.path())),
            ("nonce".to_owned(), text(moment.nonce()?)),
        ];
        all.extend(private.members()?.iter().cloned());
        let payload = Json::Members(all).to_text();
        let payload = data_encoding::BASE64.encode(payload.as_bytes());
        let headers = vec![
            ("Content-Type", "text/plain".to_owned()),
            ("X-GEMINI-APIKEY", credential.key.to_owned()),
            ("X-GEMINI-PAYLOAD", payload.clone()),
        ];
        let part = scheme.part(payload, Place::header("X-GEMINI-SIGNATURE"));
        Ok(private.to_sign(Vec::new(), Vec::new(), headers, vec![part]))
    }
}

fn of_this_path(json: Json, path: &str) -> Result<Json, Unreadable> {
    match json.member("request") {
        Some(other) if other.plain() != Some(path) => Err(Unreadable::OtherEndpoint),
        _ if matches!(json, Json::Members(_)) => Ok(json),
        _ => Err(Unreadable::NoMembers),
    }
}
