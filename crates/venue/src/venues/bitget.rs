//! Bitget v1 to v3.
//!
//! Signed are time, method, path, the sorted query before it was percent-encoded, and body (bitget.com/api-doc;
//! tiagosiebler/bitget-api). The passphrase goes in the clear, in a header.

use crate::drafting::{encoded, raw};
use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "bitget";

const SCHEMES: &[Scheme] = &[
    Scheme::new(
        Algorithm::RsaPkcs1Sha256,
        SecretForm::PrivateKey,
        Encoding::Base64,
    ),
    Scheme::new(Algorithm::HmacSha256, SecretForm::Text, Encoding::Base64),
];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bitget;

fn table() -> &'static Table {
    table!("bitget")
}

impl Venue for Bitget {
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
        let time = moment.millis();
        let mut query = private.given_query();
        query.sort_unstable();
        let asked = if query.is_empty() { "" } else { "?" };
        let payload = format!(
            "{time}{}{}{asked}{}{}",
            private.method(),
            private.path(),
            raw(&query),
            private.text_body()
        );
        let headers = vec![
            ("ACCESS-KEY", credential.key.to_owned()),
            ("ACCESS-PASSPHRASE", passphrase.to_owned()),
            ("ACCESS-TIMESTAMP", time),
        ];
        let part = scheme.part(payload, Place::header("ACCESS-SIGN"));
        let body = private.text_body().into_bytes();
        Ok(private.to_sign(encoded(&query), body, headers, vec![part]))
    }
}
