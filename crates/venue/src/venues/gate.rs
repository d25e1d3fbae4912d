//! Gate v4.
//!
//! Signed are method, path, query before it was percent-encoded, SHA-512 of the body, and time in seconds, a line each, with
//! HMAC-SHA512 (gate.com/docs, API v4; gateapi-python of 2025-07).

pub(crate) mod socket;

use crate::drafting::raw;
use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};
use aws_lc_rs::digest::{SHA512, digest};

/// The name in paths, items and rules.
pub const VENUE: &str = "gate";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha512,
    SecretForm::Text,
    Encoding::Hex,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gate;

fn table() -> &'static Table {
    table!("gate")
}

impl Venue for Gate {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts {
            transports: WITH_SOCKETS,
            ..Facts::new(VENUE, SCHEMES)
        }
        .info(table())
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        Manner {
            methods: &["GET", "POST", "PUT", "DELETE", "PATCH"],
            // ccxt says what it changes in an order in both.
            same_in_both: request.method == "PATCH",
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
        let time = moment.seconds();
        let body = private.text_body();
        let of_body = data_encoding::HEXLOWER.encode(digest(&SHA512, body.as_bytes()).as_ref());
        let payload = format!(
            "{}\n{}\n{}\n{of_body}\n{time}",
            private.method(),
            private.path(),
            raw(&private.given_query())
        );
        let headers = vec![("KEY", credential.key.to_owned()), ("Timestamp", time)];
        let part = scheme.part(payload, Place::header("SIGN"));
        Ok(private.as_given(headers, vec![part]))
    }
}
