//! What a request shows as its key, before anybody has looked at the rest of it. A bot's library puts the key where its venue
//! has it: there a program that points at us shows what it was given in place of one. No signature is looked at.

use crate::Json;

/// One place of a request in which a venue has the API key.
enum Place {
    /// A header.
    Header(&'static str),
    /// A header, after these words.
    After(&'static str, &'static str),
    /// A parameter of the query.
    Query(&'static str),
    /// A member of the JSON in the body.
    Member(&'static str),
    /// A member of the first or second part of a bearer token (RFC 7519).
    Token(&'static str),
    /// `id` in `Authorization: deri-hmac-sha256 id=…,ts=…`.
    DeribitId,
}

use Place::{After, DeribitId, Header, Member, Query, Token};

// The same places into which `Venue::draft` puts the real key, and those of logins that clients know.
fn places(venue: &str) -> &'static [Place] {
    match venue {
        "backpack" | "robinhood" => &[Header("x-api-key")],
        "binance" => &[Header("x-mbx-apikey")],
        "bitfinex" => &[Header("bfx-apikey")],
        "bitget" => &[Header("access-key")],
        "bitstamp" => &[After("x-auth", "BITSTAMP ")],
        "bybit" => &[Header("x-bapi-api-key")],
        "coinbase" => &[Header("cb-access-key"), Token("kid"), Token("sub")],
        "coinbaseexchange" => &[Header("cb-access-key")],
        "cryptocom" => &[Member("api_key")],
        "deribit" => &[DeribitId, Query("client_id")],
        "gate" => &[Header("key")],
        "gemini" => &[Header("x-gemini-apikey")],
        "htx" => &[Query("AccessKeyId")],
        "kraken" => &[Header("api-key")],
        "krakenfutures" => &[Header("apikey")],
        "kucoin" | "kucoinfutures" => &[Header("kc-api-key")],
        "mexc" => &[Header("x-mexc-apikey"), Header("apikey")],
        "okx" => &[Header("ok-access-key")],
        "revolutx" => &[Header("x-revx-api-key")],
        "upbit" => &[Token("access_key")],
        // Hyperliquid has no key beside the signature.
        _ => &[],
    }
}

/// The header with which a request asks for the venue's demo account, where that has the address of the real one: with anything
/// but `0`. No header goes on, so such a request would be carried out with real money.
#[must_use]
pub fn demo_header(venue: &str) -> Option<&'static str> {
    match venue {
        "bitget" => Some("paptrading"),
        "okx" => Some("x-simulated-trading"),
        _ => None,
    }
}

/// What of a request can name a key.
#[derive(Debug, Clone, Copy)]
pub struct Showing<'a> {
    /// Names in small letters, and values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The raw query, without the `?`.
    pub query: &'a [u8],
    /// The raw body.
    pub body: &'a [u8],
}

impl Showing<'_> {
    /// All keys that a request to this venue shows, from every place where the venue has one. What stands in such a place and
    /// cannot be read is an empty key, so that it is never taken for none.
    #[must_use]
    pub fn keys(&self, venue: &str) -> Vec<String> {
        places(venue)
            .iter()
            .flat_map(|place| self.at(place))
            .collect()
    }

    /// Whether a key of this venue can stand in the body, so that it must be read before the key is known.
    #[must_use]
    pub fn may_be_in_body(venue: &str) -> bool {
        places(venue).iter().any(|place| matches!(place, Member(_)))
    }

    /// Whether this venue's clients send a bearer token of three parts, signed by themselves.
    #[must_use]
    pub fn reads_bearer(venue: &str) -> bool {
        places(venue).iter().any(|place| matches!(place, Token(_)))
    }

    fn at(&self, place: &Place) -> Vec<String> {
        match place {
            Header(name) => self.header(name).map(text).collect(),
            After(name, words) => {
                let after = |value| text(value).strip_prefix(words).map(str::to_owned);
                self.header(name)
                    .map(|value| after(value).unwrap_or_default())
                    .collect()
            }
            Query(name) => self
                .query
                .split(|b| *b == b'&')
                .filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
                .map(text)
                .collect(),
            Member(name) => member(self.body, name).into_iter().collect(),
            Token(claim) => self
                .authorization("Bearer ")
                .filter_map(|token| claim_of(&token, claim))
                .collect(),
            DeribitId => self
                .authorization("deri-hmac-sha256 ")
                .map(|rest| id_of(&rest))
                .collect(),
        }
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.headers.iter().filter(move |(n, _)| *n == name);
        named.map(|(_, value)| *value)
    }

    fn authorization<'a>(&'a self, scheme: &'a str) -> impl Iterator<Item = String> + 'a {
        self.header("authorization")
            .filter_map(move |value| text(value).strip_prefix(scheme).map(str::to_owned))
    }
}

fn text(value: &[u8]) -> String {
    std::str::from_utf8(value)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn member(json: &[u8], name: &str) -> Option<String> {
    let json = Json::read(json).ok()?;
    let value = json.member(name)?;
    Some(value.plain().unwrap_or_default().to_owned())
}

// Only a token of three parts has claims; whatever else a client puts there is no place of the venue's.
fn claim_of(token: &str, claim: &str) -> Option<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _] = parts.as_slice() else {
        return None;
    };
    let part = if claim == "kid" { header } else { claims };
    let json = data_encoding::BASE64URL_NOPAD
        .decode(part.trim_end_matches('=').as_bytes())
        .unwrap_or_default();
    Some(member(&json, claim).unwrap_or_default())
}

fn id_of(rest: &str) -> String {
    let id = rest
        .split(',')
        .find_map(|pair| pair.trim().strip_prefix("id="));
    id.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(venue: &str, headers: &[(&str, &[u8])], query: &str, body: &str) -> Vec<String> {
        let showing = Showing {
            headers,
            query: query.as_bytes(),
            body: body.as_bytes(),
        };
        showing.keys(venue)
    }

    #[test]
    fn what_cannot_be_read_is_an_empty_key_and_not_none() {
        assert_eq!(shown("bitstamp", &[("x-auth", b"a")], "", ""), [""]);
        assert_eq!(shown("binance", &[("x-mbx-apikey", b"\xff")], "", ""), [""]);
        assert_eq!(
            shown("upbit", &[("authorization", b"Bearer a.b.c")], "", ""),
            [""]
        );
        let scheme: &[u8] = b"deri-hmac-sha256 ts=1";
        assert_eq!(shown("deribit", &[("authorization", scheme)], "", ""), [""]);
        assert_eq!(shown("cryptocom", &[], "", "{\"api_key\":[1]}"), [""]);
    }

    #[test]
    fn every_place_is_looked_at() {
        let two: [(&str, &[u8]); 2] = [("api-key", b"a"), ("api-key", b"b")];
        assert_eq!(shown("kraken", &two, "", ""), ["a", "b"]);
        assert_eq!(
            shown("htx", &[], "AccessKeyId=a&AccessKeyId=b", ""),
            ["a", "b"]
        );
        assert_eq!(
            shown("deribit", &[], "a=1&client_id=b&client_ids=c", ""),
            ["b"]
        );
    }

    #[test]
    fn another_venues_place_shows_nothing() {
        assert!(
            shown(
                "okx",
                &[("x-mbx-apikey", b"a")],
                "api_key=a",
                "{\"api_key\":\"a\"}"
            )
            .is_empty()
        );
        assert!(shown("hyperliquid", &[("x-api-key", b"a")], "", "").is_empty());
    }

    #[test]
    fn every_venue_with_a_key_has_a_place() {
        for venue in crate::venues() {
            assert_eq!(
                places(venue.id).is_empty(),
                venue.id == "hyperliquid",
                "{}",
                venue.id
            );
        }
    }
}
