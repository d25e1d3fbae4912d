//! Bitfinex v2: everything private is a POST, reads as well.
//!
//! Signed are path, nonce and body, with HMAC-SHA384 (docs.bitfinex.com, REST auth). The HTTP method is not covered.

pub(crate) mod socket;

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};
use crate::{Counter, reading::Query};

/// The name in paths, items and rules.
pub const VENUE: &str = "bitfinex";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha384,
    SecretForm::Text,
    Encoding::Hex,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bitfinex;

fn table() -> &'static Table {
    table!("bitfinex")
}

impl Venue for Bitfinex {
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
            query: Query::Never,
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
        let nonce = moment.nonce()?;
        let payload = format!("/api{}{nonce}{}", private.path(), private.text_body());
        let headers = vec![
            ("bfx-apikey", credential.key.to_owned()),
            ("bfx-nonce", nonce),
        ];
        let part = scheme.part(payload, Place::header("bfx-signature"));
        Ok(private.as_given(headers, vec![part]))
    }
}
