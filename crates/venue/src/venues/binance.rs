//! Binance: spot, margin and SAPI; futures, options and portfolio margin sign alike.
//!
//! Signed are query and body, joined without anything between (Binance REST API, binance-spot-api-docs of 2026-07-21).
//! Neither method nor path is covered, so a signature alone is worth more than the request it was made for: it never
//! leaves this program without the request. A client's `signature` is dropped; its `timestamp` is replaced in its place.

pub(crate) mod socket;

use touchkeep_core::UnixMillis;

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Encoding, Moment, Place, Private, Request, Scheme,
    SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    dialect::{Body, Slot},
    drafting::scheme_of,
    reading::{FORM, MAX_WINDOW_MS, Manner, Ours},
    table::{Table, table},
    venue::{Facts, WITH_SOCKETS},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "binance";
/// The longest `recvWindow` that Binance accepts, in milliseconds.
pub const MAX_RECV_WINDOW_MS: u32 = MAX_WINDOW_MS;

const KEY_HEADER: &str = "X-MBX-APIKEY";
const SCHEMES: &[Scheme] = &[
    Scheme::new(Algorithm::Ed25519, SecretForm::PrivateKey, Encoding::Base64),
    Scheme::new(
        Algorithm::RsaPkcs1Sha256,
        SecretForm::PrivateKey,
        Encoding::Base64,
    ),
    Scheme::new(Algorithm::HmacSha256, SecretForm::Text, Encoding::Hex),
];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Binance;

fn table() -> &'static Table {
    table!("binance")
}

impl Venue for Binance {
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
            bodies: &[FORM],
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
        Ok(drafted(
            private,
            credential.key,
            moment.now,
            moment.window_ms,
            scheme,
        ))
    }
}

fn drafted(
    private: &Private,
    api_key: &str,
    now: UnixMillis,
    recv_window_ms: u32,
    scheme: Scheme,
) -> ToSign {
    let window = recv_window_ms.clamp(1, MAX_RECV_WINDOW_MS);
    let in_body: &[Slot] = match &private.body {
        Body::Form(slots) => slots,
        Body::Json(_) => &[],
    };
    let has = |wanted: fn(&Slot) -> bool| private.query.iter().chain(in_body).any(wanted);
    let window_is_there = has(|slot| matches!(slot, Slot::RecvWindow(_)));
    let time_is_there = has(|slot| matches!(slot, Slot::Timestamp));
    let added: &[Slot] = match (window_is_there, time_is_there) {
        (false, false) => &[Slot::RecvWindow(None), Slot::Timestamp],
        (false, true) => &[Slot::RecvWindow(None)],
        (true, false) => &[Slot::Timestamp],
        (true, true) => &[],
    };
    let (to_query, to_body): (&[Slot], &[Slot]) = if in_body.is_empty() {
        (added, &[])
    } else {
        (&[], added)
    };
    let (query, body) = (
        private.written(private.query.iter().chain(to_query), now, window, ""),
        private.written(in_body.iter().chain(to_body), now, window, ""),
    );
    let place = if body.is_empty() {
        Place::Query("signature")
    } else {
        Place::Form("signature")
    };
    let payload = [query.as_slice(), body.as_slice()].concat();
    // The content type comes to it.
    let mut headers = Vec::with_capacity(2);
    headers.push((KEY_HEADER, api_key.to_owned()));
    private.to_sign(query, body, headers, vec![scheme.part(payload, place)])
}
