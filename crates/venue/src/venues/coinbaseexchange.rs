//! Coinbase Exchange.
//!
//! Signed are time in seconds, method, path with query, and body, under the decoded secret (docs.cdp.coinbase.com, Exchange
//! REST authentication). The passphrase goes in the clear, in a header.

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
pub const VENUE: &str = "coinbaseexchange";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha256,
    SecretForm::Base64,
    Encoding::Base64,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoinbaseExchange;

fn table() -> &'static Table {
    table!("coinbaseexchange")
}

impl Venue for CoinbaseExchange {
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
        let time = moment.seconds();
        let payload = format!(
            "{time}{}{}{}",
            private.method(),
            private.target(),
            private.text_body()
        );
        let headers = vec![
            ("CB-ACCESS-KEY", credential.key.to_owned()),
            ("CB-ACCESS-PASSPHRASE", passphrase.to_owned()),
            ("CB-ACCESS-TIMESTAMP", time),
        ];
        let part = scheme.part(payload, Place::header("CB-ACCESS-SIGN"));
        Ok(private.as_given(headers, vec![part]))
    }
}
