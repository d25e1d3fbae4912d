//! Revolut X.
//!
//! Signed are time, method, path, query without its `?`, and body, with Ed25519 (developer.revolut.com, Revolut X).

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::Facts,
};

/// The name in paths, items and rules.
pub const VENUE: &str = "revolutx";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::Ed25519,
    SecretForm::PrivateKey,
    Encoding::Base64,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct RevolutX;

fn table() -> &'static Table {
    table!("revolutx")
}

impl Venue for RevolutX {
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
        let time = moment.millis();
        // `form::append` writes ASCII only.
        let query = String::from_utf8_lossy(&private.judged_query()).into_owned();
        let payload = format!(
            "{time}{}{}{query}{}",
            private.method(),
            private.path(),
            private.text_body()
        );
        let headers = vec![
            ("X-Revx-API-Key", credential.key.to_owned()),
            ("X-Revx-Timestamp", time),
        ];
        let part = scheme.part(payload, Place::header("X-Revx-Signature"));
        Ok(private.as_given(headers, vec![part]))
    }
}
