//! Bybit v5, and v3 before it.
//!
//! Signed are time, key, window, and the query of a GET or the body of a POST (bybit-exchange/docs of 2026-07-24). Neither
//! method nor path is covered, so a signature never leaves this program without the request.

pub(crate) mod socket;

use crate::reading::{MAX_WINDOW_MS, Ours, Query};
use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "bybit";

const SCHEMES: &[Scheme] = &[
    Scheme::new(
        Algorithm::RsaPkcs1Sha256,
        SecretForm::PrivateKey,
        Encoding::Base64,
    ),
    Scheme::new(Algorithm::HmacSha256, SecretForm::Text, Encoding::Hex),
];

// Where v3 took its authentication among the parameters. It takes headers as well, which cover them.
const BEFORE_V5: &[(&str, Ours)] = &[
    ("api_key", Ours::Dropped),
    ("timestamp", Ours::Dropped),
    ("recv_window", Ours::Dropped),
    ("recvWindow", Ours::Dropped),
    ("sign", Ours::Dropped),
];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bybit;

fn table() -> &'static Table {
    table!("bybit")
}

impl Venue for Bybit {
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
            query: Query::OfGet,
            ours: if request.path.starts_with("/v5/") {
                &[]
            } else {
                BEFORE_V5
            },
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
        let (time, window) = (moment.millis(), moment.window_ms.clamp(1, MAX_WINDOW_MS));
        let said = [
            private.judged_query().as_slice(),
            private.text_body().as_bytes(),
        ]
        .concat();
        let mut payload = format!("{time}{}{window}", credential.key).into_bytes();
        payload.extend(said);
        let headers = vec![
            ("X-BAPI-API-KEY", credential.key.to_owned()),
            ("X-BAPI-TIMESTAMP", time),
            ("X-BAPI-RECV-WINDOW", window.to_string()),
            // What pybit says for both kinds of key, and Bybit's own texts ask for with RSA.
            ("X-BAPI-SIGN-TYPE", "2".to_owned()),
        ];
        let part = scheme.part(payload, Place::header("X-BAPI-SIGN"));
        Ok(private.as_given(headers, vec![part]))
    }
}
