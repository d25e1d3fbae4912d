//! Bitstamp v2: nearly everything private is a POST, reads as well.
//!
//! Signed are key, method, host, path with query, content type, nonce, time and body (bitstamp.net/api). The nonce is a
//! random UUID.

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
    Counter,
    reading::{FORM, Query},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "bitstamp";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha256,
    SecretForm::Text,
    Encoding::Hex,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bitstamp;

fn table() -> &'static Table {
    table!("bitstamp")
}

impl Venue for Bitstamp {
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
            bodies: &[FORM],
            query: Query::OfGet,
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
        let (nonce, time) = (moment.uuid()?, moment.millis());
        let host = private.origin.trim_start_matches("https://");
        let body = match private.text_body() {
            // The venue refuses a POST without a body.
            empty if empty.is_empty() && private.method() == "POST" => "foo=bar".to_owned(),
            body => body,
        };
        let kind = if body.is_empty() { "" } else { FORM };
        let payload = format!(
            "BITSTAMP {}{}{host}{}{kind}{nonce}{time}v2{body}",
            credential.key,
            private.method(),
            private.target()
        );
        let headers = vec![
            ("X-Auth", format!("BITSTAMP {}", credential.key)),
            ("X-Auth-Nonce", nonce),
            ("X-Auth-Timestamp", time),
            ("X-Auth-Version", "v2".to_owned()),
        ];
        let part = scheme.part(payload, Place::header("X-Auth-Signature"));
        Ok(private.to_sign(
            private.judged_query(),
            body.into_bytes(),
            headers,
            vec![part],
        ))
    }
}
