//! Deribit: every private call is a GET, withdrawals as well.
//!
//! Signed are time, nonce, method, path with query, and body, a line each (docs.deribit.com, `deri-hmac-sha256`). Keys of
//! Ed25519 and RSA sign the login alone, see [`crate::logins`]; the bearer token that it gives is not served.

pub(crate) mod socket;

use crate::Counter;
use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "deribit";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha256,
    SecretForm::Text,
    Encoding::Hex,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deribit;

fn table() -> &'static Table {
    table!("deribit")
}

impl Venue for Deribit {
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
            methods: &["GET"],
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
        let (time, nonce) = (moment.millis(), moment.random_hex()?);
        let payload = format!(
            "{time}\n{nonce}\n{}\n{}\n{}\n",
            private.method(),
            private.target(),
            private.text_body()
        );
        let before = format!("deri-hmac-sha256 id={},ts={time},sig=", credential.key);
        let place = Place::Header("Authorization", before, format!(",nonce={nonce}"));
        Ok(private.as_given(Vec::new(), vec![scheme.part(payload, place)]))
    }
}
