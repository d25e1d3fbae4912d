//! Backpack: the key's id is its public half.
//!
//! Signed is the endpoint's instruction, the parameters in the order of their names, time and window, with Ed25519
//! (docs.backpack.exchange). Of a batch each order repeats the instruction. The instruction stands in the endpoint's row, so an
//! endpoint without a row cannot be signed at all.

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
    drafting::encoded,
    reading::{MAX_WINDOW_MS, Query},
};

/// The name in paths, items and rules.
pub const VENUE: &str = "backpack";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::Ed25519,
    SecretForm::PrivateKey,
    Encoding::Base64,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backpack;

fn table() -> &'static Table {
    table!("backpack")
}

impl Venue for Backpack {
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
            methods: &["GET", "POST", "PUT", "DELETE", "PATCH"],
            query: Query::OfGet,
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
        if private.tag.is_empty() {
            return Err(CannotSign::Unknown);
        }
        let (time, window) = (moment.millis(), moment.window_ms.clamp(1, MAX_WINDOW_MS));
        let mut payload = String::new();
        for one in instructions(private)? {
            payload.push_str(&format!("instruction={}&", private.tag));
            if !one.is_empty() {
                payload.push_str(&one);
                payload.push('&');
            }
        }
        payload.push_str(&format!("timestamp={time}&window={window}"));
        let headers = vec![
            ("X-API-Key", credential.key.to_owned()),
            ("X-Timestamp", time),
            ("X-Window", window.to_string()),
        ];
        let part = scheme.part(payload, Place::header("X-Signature"));
        Ok(private.as_given(headers, vec![part]))
    }
}

fn instructions(private: &Private) -> Result<Vec<String>, CannotSign> {
    match private.json() {
        None => Ok(vec![sorted(private.given_query())]),
        Some(Json::List(orders)) => orders.iter().map(of_members).collect(),
        Some(one) => Ok(vec![of_members(one)?]),
    }
}

fn of_members(json: &Json) -> Result<String, CannotSign> {
    let Json::Members(members) = json else {
        return Err(CannotSign::Values);
    };
    let mut parameters = Vec::new();
    for (name, value) in members {
        let value = match value {
            Json::Bool(true) => "true",
            Json::Bool(false) => "false",
            other => other.plain().ok_or(CannotSign::Values)?,
        };
        parameters.push((name.as_str(), value));
    }
    Ok(sorted(parameters))
}

fn sorted(mut parameters: Vec<(&str, &str)>) -> String {
    parameters.sort_unstable();
    // `form::append` writes ASCII only.
    String::from_utf8_lossy(&encoded(&parameters)).into_owned()
}
