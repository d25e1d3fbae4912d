//! KuCoin spot, margin and unified account (`api.kucoin.com`).
//!
//! Signed are time, method, path with query as it was before it was percent-encoded (Kucoin/kucoin-go-sdk, pull request 119),
//! and body; and, by itself, the passphrase (kucoin-universal-sdk of 2025-11; key version 2). So one request wants two
//! signatures of one secret.

pub(crate) mod socket;

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::{raw, scheme_of},
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "kucoin";

pub(super) const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha256,
    SecretForm::Text,
    Encoding::Base64,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct KuCoin;

fn table() -> &'static Table {
    table!("kucoin")
}

impl Venue for KuCoin {
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
        draft(private, credential, moment)
    }
}

pub(super) fn draft(
    private: &Private,
    credential: &Credential<'_>,
    moment: &Moment,
) -> Result<ToSign, CannotSign> {
    let scheme = scheme_of(SCHEMES, credential)?;
    let passphrase = credential.passphrase.ok_or(CannotSign::NoPassphrase)?;
    let time = moment.millis();
    let query = raw(&private.given_query());
    let asked = if query.is_empty() { "" } else { "?" };
    let payload = format!(
        "{time}{}{}{asked}{query}{}",
        private.method(),
        private.path(),
        private.text_body()
    );
    let headers = vec![
        ("KC-API-KEY", credential.key.to_owned()),
        ("KC-API-TIMESTAMP", time),
        ("KC-API-KEY-VERSION", "2".to_owned()),
    ];
    let parts = vec![
        scheme.part(payload, Place::header("KC-API-SIGN")),
        scheme.part(passphrase, Place::header("KC-API-PASSPHRASE")),
    ];
    Ok(private.as_given(headers, parts))
}
