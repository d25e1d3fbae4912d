//! HTX, formerly Huobi: spot, and contracts on another server.
//!
//! Signed are method, host, path and the sorted query, a line each; of a POST the query holds the authentication alone and
//! its body is not covered, so a signature never leaves this program without the request (huobiapi.github.io;
//! HuobiRDCenter/huobi_Python of 2025-08, also for Ed25519).

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
    drafting::encoded,
    reading::{Ours, Query},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "htx";

const SCHEMES: &[Scheme] = &[
    Scheme::new(Algorithm::Ed25519, SecretForm::PrivateKey, Encoding::Base64),
    Scheme::new(Algorithm::HmacSha256, SecretForm::Text, Encoding::Base64),
];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Htx;

fn table() -> &'static Table {
    table!("htx")
}

impl Venue for Htx {
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
                ("AccessKeyId", Ours::Dropped),
                ("SignatureMethod", Ours::Dropped),
                ("SignatureVersion", Ours::Dropped),
                ("Timestamp", Ours::Dropped),
                ("Signature", Ours::Dropped),
            ],
            query: Query::OfGet,
            methods: &["GET", "POST"],
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
        let method = match scheme.algorithm {
            Algorithm::Ed25519 => "Ed25519",
            _ => "HmacSHA256",
        };
        let (time, host) = (moment.iso(), private.origin.trim_start_matches("https://"));
        let mut query = private.given_query();
        query.extend([
            ("AccessKeyId", credential.key),
            ("SignatureMethod", method),
            ("SignatureVersion", "2"),
            ("Timestamp", time.get(..19).unwrap_or_default()),
        ]);
        query.sort_unstable();
        let query = encoded(&query);
        let mut payload =
            format!("{}\n{host}\n{}\n", private.method(), private.path()).into_bytes();
        payload.extend(&query);
        let body = private.text_body().into_bytes();
        let part = scheme.part(payload, Place::Query("Signature"));
        Ok(private.to_sign(query, body, Vec::new(), vec![part]))
    }
}
