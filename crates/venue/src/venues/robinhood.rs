//! Robinhood Crypto.
//!
//! Signed are key, time in seconds, path with query, method and body, with Ed25519 (docs.robinhood.com, crypto trading). The
//! published example signs a Python dictionary in place of the JSON that is sent, so it proves the algorithm alone.

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::Facts,
};

/// The name in paths, items and rules.
pub const VENUE: &str = "robinhood";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::Ed25519,
    SecretForm::PrivateKey,
    Encoding::Base64,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Robinhood;

fn table() -> &'static Table {
    table!("robinhood")
}

impl Venue for Robinhood {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts::new(VENUE, SCHEMES).info(table())
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
        let time = moment.seconds();
        let payload = format!(
            "{}{time}{}{}{}",
            credential.key,
            private.target(),
            private.method(),
            private.text_body()
        );
        let headers = vec![
            ("x-api-key", credential.key.to_owned()),
            ("x-timestamp", time),
        ];
        let part = scheme.part(payload, Place::header("x-signature"));
        Ok(private.as_given(headers, vec![part]))
    }
}
