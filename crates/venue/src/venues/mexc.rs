//! MEXC: spot v3, and contracts and spot v2, which sign in another way.
//!
//! Of spot requests the query is signed, which holds all parameters, and neither method nor path (mexc.com/api-docs, spot v3).
//! Of the others key, time, and the sorted query or the body.

pub(crate) mod socket;

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::scheme_of,
    reading::Manner,
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};
use crate::{
    Json,
    dialect::Slot,
    drafting::encoded,
    reading::{JSON, MAX_WINDOW_MS, Ours, Query},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "mexc";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha256,
    SecretForm::Text,
    Encoding::Hex,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mexc;

fn table() -> &'static Table {
    table!("mexc")
}

impl Venue for Mexc {
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
            ours: &[
                ("timestamp", Ours::Time),
                ("recvWindow", Ours::Window),
                ("signature", Ours::Dropped),
            ],
            open: of_contracts,
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
        if is_contract(private.path()) {
            return Ok(contract(private, scheme, credential, moment));
        }
        let mut query = private.query.clone();
        if !query.iter().any(|slot| matches!(slot, Slot::RecvWindow(_))) {
            query.push(Slot::RecvWindow(None));
        }
        if !query.contains(&Slot::Timestamp) {
            query.push(Slot::Timestamp);
        }
        let window = moment.window_ms.clamp(1, MAX_WINDOW_MS);
        let query = private.written(&query, moment.now, window, "");
        let headers = vec![
            ("X-MEXC-APIKEY", credential.key.to_owned()),
            ("Content-Type", JSON.to_owned()),
        ];
        let part = scheme.part(query.clone(), Place::Query("signature"));
        Ok(private.to_sign(query, Vec::new(), headers, vec![part]))
    }
}

// Contracts, and spot before v3, which signs as they do.
fn is_contract(path: &str) -> bool {
    path.starts_with("/api/v1/") || path.starts_with("/open/api/v2/")
}

// A body of a spot request would not be covered.
fn of_contracts(json: Json, path: &str) -> Result<Json, Unreadable> {
    if is_contract(path) {
        Ok(json)
    } else {
        Err(Unreadable::ContentType)
    }
}

fn contract(
    private: &Private,
    scheme: Scheme,
    credential: &Credential<'_>,
    moment: &Moment,
) -> ToSign {
    let time = moment.millis();
    let mut query = private.given_query();
    query.sort_unstable();
    let (query, body) = (encoded(&query), private.text_body().into_bytes());
    let mut payload = format!("{}{time}", credential.key).into_bytes();
    payload.extend(query.iter().chain(&body));
    let headers = vec![
        ("ApiKey", credential.key.to_owned()),
        ("Request-Time", time),
        ("Content-Type", JSON.to_owned()),
    ];
    let part = scheme.part(payload, Place::header("Signature"));
    private.to_sign(query, body, headers, vec![part])
}
