//! OKX v5.
//!
//! Signed are time, method, path with query, and body (okxapi/python-okx; okx.com, API v5). The passphrase goes in the clear,
//! in a header.

pub(crate) mod socket;

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "okx";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha256,
    SecretForm::Text,
    Encoding::Base64,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Okx;

fn table() -> &'static Table {
    table!("okx")
}

impl Venue for Okx {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts {
            transports: WITH_SOCKETS,
            passphrase: true,
            ..Facts::new(VENUE, SCHEMES)
        }
        .info(table())
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
        let passphrase = credential.passphrase.ok_or(CannotSign::NoPassphrase)?;
        let time = moment.iso();
        let payload = format!(
            "{time}{}{}{}",
            private.method(),
            private.target(),
            private.text_body()
        );
        let headers = vec![
            ("OK-ACCESS-KEY", credential.key.to_owned()),
            ("OK-ACCESS-PASSPHRASE", passphrase.to_owned()),
            ("OK-ACCESS-TIMESTAMP", time),
        ];
        let part = scheme.part(payload, Place::header("OK-ACCESS-SIGN"));
        Ok(private.as_given(headers, vec![part]))
    }
}
