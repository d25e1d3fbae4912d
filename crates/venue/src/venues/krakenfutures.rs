//! Kraken Futures (`futures.kraken.com`).
//!
//! Signed is SHA-256 of parameters and path, with HMAC-SHA512 under the decoded secret; the path without `/derivatives`,
//! the parameters as they are sent since 2024-02-20 (docs.kraken.com, futures REST authentication). No nonce is sent: the
//! venue needs none, and without one a request can be sent again by whoever saw it.

pub(crate) mod socket;

use crate::reading::{FORM, Query};
use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};
use aws_lc_rs::digest::{Context, SHA256};

/// The name in paths, items and rules.
pub const VENUE: &str = "krakenfutures";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha512,
    SecretForm::Base64,
    Encoding::Base64,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct KrakenFutures;

fn table() -> &'static Table {
    table!("krakenfutures")
}

impl Venue for KrakenFutures {
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
            bodies: &[FORM],
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
        let path = private.path();
        let path = path.strip_prefix("/derivatives").unwrap_or(path);
        let mut inner = Context::new(&SHA256);
        inner.update(&private.judged_query());
        inner.update(&private.judged_body());
        inner.update(path.as_bytes());
        let headers = vec![("APIKey", credential.key.to_owned())];
        let part = scheme.part(inner.finish().as_ref(), Place::header("Authent"));
        let _ = moment;
        Ok(private.as_given(headers, vec![part]))
    }
}
