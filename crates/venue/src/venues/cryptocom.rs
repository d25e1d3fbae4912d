//! Crypto.com Exchange v1, and what was before it: everything private is a POST of an envelope, reads as well.
//!
//! Signed are method name, id, key, parameters in the order of their names, and nonce, without anything between
//! (exchange-docs.crypto.com, digital signature). The envelope names the method that the path names; where the two differ the
//! request is refused. The nonce is the time, within a minute of the venue's.

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
    Counter, Json,
    drafting::{members, text},
    reading::{JSON, Query},
};

const MAX_LEVEL: usize = 3;

/// The name in paths, items and rules.
pub const VENUE: &str = "cryptocom";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::HmacSha256,
    SecretForm::Text,
    Encoding::Hex,
)];

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct CryptoCom;

fn table() -> &'static Table {
    table!("cryptocom")
}

impl Venue for CryptoCom {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts {
            transports: WITH_SOCKETS,
            counter: Counter::Nonce,
            ..Facts::new(VENUE, SCHEMES)
        }
        .info(table())
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        Manner {
            query: Query::OfGet,
            open: parameters,
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
        // Private calls are POSTs, and what is signed is their body.
        if private.method() != "POST" {
            return Err(CannotSign::Unknown);
        }
        let nonce = moment.nonce()?;
        let method = method_of(private.path());
        let none = Json::Members(Vec::new());
        let parameters = private.json().unwrap_or(&none);
        let mut said = String::new();
        say(parameters, 0, &mut said)?;
        let payload = format!("{method}{nonce}{}{said}{nonce}", credential.key);
        let envelope = members([
            ("id", text(nonce.as_str())),
            ("method", text(method)),
            ("params", parameters.clone()),
            ("api_key", text(credential.key)),
            ("nonce", text(nonce.as_str())),
        ]);
        let headers = vec![("Content-Type", JSON.to_owned())];
        let body = envelope.to_text().into_bytes();
        let part = scheme.part(payload, Place::Member("sig"));
        Ok(private.to_sign(Vec::new(), body, headers, vec![part]))
    }
}

// The interfaces before Exchange v1 say the same in other places.
fn method_of(path: &str) -> &str {
    let places = ["/exchange/v1/", "/v1/", "/v2/"];
    let mut places = places.iter();
    places
        .find_map(|place| path.strip_prefix(place))
        .unwrap_or(path)
}

// The venue reads `params` alone; the rest of the envelope is authentication.
fn parameters(json: Json, path: &str) -> Result<Json, Unreadable> {
    let Json::Members(members) = json else {
        return Err(Unreadable::NoMembers);
    };
    let mut parameters = Json::Members(Vec::new());
    for (name, value) in members {
        match name.as_str() {
            "method" if value.plain() != Some(method_of(path)) => {
                return Err(Unreadable::OtherEndpoint);
            }
            "params" => parameters = value,
            "id" | "method" | "api_key" | "sig" | "nonce" => {}
            _ => return Err(Unreadable::Value(name)),
        }
    }
    match parameters {
        Json::Members(_) => Ok(parameters),
        _ => Err(Unreadable::NoMembers),
    }
}

// The venue's own readers write `true`, floats and members in lists of lists in ways of their languages, so those are left
// out; it wants numbers as text anyway.
fn say(value: &Json, level: usize, out: &mut String) -> Result<(), CannotSign> {
    match value {
        Json::Text(text) => out.push_str(text),
        Json::Number(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => out.push_str(digits),
        Json::Members(members) if level < MAX_LEVEL => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (name, value) in members {
                out.push_str(name);
                match value {
                    Json::List(values) => {
                        for value in values {
                            say(value, level + 1, out)?;
                        }
                    }
                    Json::Members(_) => return Err(CannotSign::Values),
                    plain => say(plain, level, out)?,
                }
            }
        }
        _ => return Err(CannotSign::Values),
    }
    Ok(())
}
