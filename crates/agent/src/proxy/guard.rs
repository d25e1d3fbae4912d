//! What a request to the proxy must look like before anything is read of it. Loopback is hostile ground: every web page
//! and every program of every user can reach it, so the host is matched exactly, browsers are refused, and a token is in
//! every request.

use hyper::{
    HeaderMap, Method,
    header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, ORIGIN},
    http::request::Parts,
};
use touchkeep_venue::{Showing, demo_header};

use super::{MAX_HEAD_BYTES, refusal::Refusal};

/// The header for the token, where a client can send one of its own.
pub(super) const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-touchkeep-token");
/// What every token begins with, so that one can stand in a path.
const TOKEN_PREFIX: &str = "tkc_";
// Browsers send this with every request since 2023, and pages cannot leave it out (Fetch Metadata).
pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request's venue, path there, and the token of the path, where that has one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Addressed<'a> {
    pub(super) venue: &'a str,
    pub(super) path: &'a str,
    token: Option<&'a str>,
}

/// Checks the head of a request.
pub(super) fn check(head: &Parts, port: u16) -> Result<Addressed<'_>, Refusal> {
    check_host(head, port)?;
    if head_bytes(head) > MAX_HEAD_BYTES {
        return Err(Refusal::Head);
    }
    if head.headers.contains_key(ORIGIN) || head.headers.contains_key(FETCH_SITE) {
        return Err(Refusal::Browser);
    }
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
    ];
    if !known.contains(&head.method) {
        return Err(Refusal::Method);
    }
    let addressed = split(head.uri.path())?;
    is_for_real(head, addressed.venue)?;
    Ok(addressed)
}

// What is meant for play money is not done with real money. Libraries of both venues say `0` where they mean the real account.
fn is_for_real(head: &Parts, venue: &str) -> Result<(), Refusal> {
    let Some(name) = demo_header(venue) else {
        return Ok(());
    };
    let mut said = head.headers.get_all(name).iter();
    if said.all(|value| value.as_bytes() == b"0") {
        Ok(())
    } else {
        Err(Refusal::Demo(name))
    }
}

/// The venue that is meant, whatever else is wrong with the request: its errors have that venue's shape.
pub(super) fn venue_of(head: &Parts) -> &str {
    let path = head.uri.path();
    split(path).map_or_else(|_| named_in(path), |addressed| addressed.venue)
}

// Of a path that has no one reading: nothing is done there, and whoever asked has a library of that venue.
fn named_in(path: &str) -> &str {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let first = parts.next().filter(|part| !part.starts_with(TOKEN_PREFIX));
    let named = first.or_else(|| parts.next()).unwrap_or_default();
    match touchkeep_venue::venue(named) {
        Some(_) => named,
        None => "",
    }
}

impl Addressed<'_> {
    /// The one token of a request: in its path, in a header of ours, or where the venue has its API key. None where there is
    /// none yet and the body, which is still to be read, may show it. Two that differ are nobody's.
    pub(super) fn token(
        &self,
        head: &Parts,
        body: Option<&[u8]>,
    ) -> Result<Option<String>, Refusal> {
        let headers: Vec<(&str, &[u8])> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let showing = Showing {
            headers: &headers,
            query: head.uri.query().unwrap_or_default().as_bytes(),
            body: body.unwrap_or_default(),
        };
        let of_venue = showing.keys(self.venue);
        let own = own(&head.headers, Showing::reads_bearer(self.venue));
        let mut shown = self
            .token
            .map(str::to_owned)
            .into_iter()
            .chain(own)
            .chain(of_venue);
        let Some(first) = shown.next() else {
            let later = body.is_none() && Showing::may_be_in_body(self.venue);
            return if later { Ok(None) } else { Err(Refusal::Token) };
        };
        if shown.all(|other| other == first) {
            Ok(Some(first))
        } else {
            Err(Refusal::Token)
        }
    }
}

// `X-Touchkeep-Token`, and a bearer token that is no venue's.
fn own(headers: &HeaderMap, venue_reads_bearer: bool) -> impl Iterator<Item = String> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let own = headers.get_all(TOKEN_HEADER).iter().map(text);
    let bearer = headers.get_all(AUTHORIZATION).iter().map(text);
    let bearer = bearer.filter_map(move |value| {
        let token = value.strip_prefix("Bearer ")?;
        let of_venue = venue_reads_bearer && token.split('.').count() == 3;
        (!of_venue).then(|| token.to_owned())
    });
    own.chain(bearer)
}

// What reads the connection lets through up to twice of what its own limit says, depending on how the bytes come.
pub(super) fn head_bytes(head: &Parts) -> usize {
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + target
}

// One Host header, exactly ours, and no second opinion in the request line.
pub(super) fn check_host(head: &Parts, port: u16) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::Host);
    };
    let ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let known = ours.iter().any(|name| name.as_bytes() == host.as_bytes());
    if known && head.uri.authority().is_none() {
        Ok(())
    } else {
        Err(Refusal::Host)
    }
}

// `/<venue>/<path there>`, or `/<token>/<venue>/<path there>`, in plain characters: a path that could be read in two ways is
// not read at all.
fn split(path: &str) -> Result<Addressed<'_>, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/:@!".contains(c);
    let ambiguous = path.contains("//") || path.split('/').any(|part| part == "." || part == "..");
    if !path.chars().all(plain) || ambiguous {
        return Err(Refusal::Path);
    }
    let (first, rest) = first_segment(path)?;
    let (token, venue, path) = if first.starts_with(TOKEN_PREFIX) {
        let (venue, path) = first_segment(rest)?;
        (Some(first), venue, path)
    } else {
        (None, first, rest)
    };
    Ok(Addressed { venue, path, token })
}

fn first_segment(path: &str) -> Result<(&str, &str), Refusal> {
    let rest = path.strip_prefix('/').ok_or(Refusal::Path)?;
    let slash = rest.find('/').ok_or(Refusal::Path)?;
    let (first, rest) = rest.split_at(slash);
    if first.is_empty() {
        return Err(Refusal::Path);
    }
    Ok((first, rest))
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn token(head: &Parts, body: Option<&[u8]>) -> Result<Option<String>, Refusal> {
        check(head, 8080)?.token(head, body)
    }

    fn refused(method: &str, target: &str, headers: &[(&str, &str)]) -> Refusal {
        token(&head(method, target, headers), Some(b"")).unwrap_err()
    }

    const OURS: (&str, &str) = ("host", "127.0.0.1:8080");
    const TOKEN: (&str, &str) = ("x-mbx-apikey", "tkc_a");

    #[test]
    fn a_bots_request_is_read() {
        for (target, shown) in [
            ("/binance/api/v3/order?x=1", TOKEN),
            ("/binance/api/v3/order?x=1", ("x-touchkeep-token", "tkc_a")),
            (
                "/binance/api/v3/order?x=1",
                ("authorization", "Bearer tkc_a"),
            ),
            ("/tkc_a/binance/api/v3/order?x=1", ("accept", "*/*")),
        ] {
            let head = head("POST", target, &[OURS, shown]);
            let addressed = check(&head, 8080).unwrap();
            assert_eq!(
                (addressed.venue, addressed.path),
                ("binance", "/api/v3/order")
            );
            assert_eq!(token(&head, None), Ok(Some("tkc_a".into())));
        }
    }

    #[test]
    fn a_token_in_a_body_is_waited_for() {
        let head = head(
            "POST",
            "/cryptocom/exchange/v1/private/create-order",
            &[OURS],
        );
        assert_eq!(token(&head, None), Ok(None));
        assert_eq!(token(&head, Some(b"{}")), Err(Refusal::Token));
        let body: &[u8] = b"{\"api_key\":\"tkc_a\"}";
        assert_eq!(token(&head, Some(body)), Ok(Some("tkc_a".into())));
    }

    #[test]
    fn a_venues_own_bearer_token_shows_what_it_holds() {
        let part = |json: &str| data_encoding::BASE64URL_NOPAD.encode(json.as_bytes());
        let token_of = |key: &str| {
            let claims = format!("{{\"access_key\":\"{key}\"}}");
            format!("Bearer {}.{}.sig", part("{}"), part(&claims))
        };
        let bearer = token_of("tkc_a");
        let upbit = head(
            "GET",
            "/upbit/v1/accounts",
            &[OURS, ("authorization", &bearer)],
        );
        assert_eq!(token(&upbit, None), Ok(Some("tkc_a".into())));
        // Elsewhere it is a token that nobody has.
        let binance = head(
            "GET",
            "/binance/a",
            &[OURS, ("authorization", &bearer), TOKEN],
        );
        assert_eq!(token(&binance, None), Err(Refusal::Token));
    }

    #[test]
    fn every_other_host_is_refused() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8081",
            "127.0.0.1.evil:8080",
            "localhost.:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "evil.test:8080",
            "",
        ] {
            assert_eq!(
                refused("GET", "/binance/a", &[("host", host), TOKEN]),
                Refusal::Host,
                "{host}"
            );
        }
        assert_eq!(refused("GET", "/binance/a", &[TOKEN]), Refusal::Host);
        assert_eq!(
            refused("GET", "/binance/a", &[OURS, OURS, TOKEN]),
            Refusal::Host
        );
        assert_eq!(
            refused("GET", "http://127.0.0.1:8080/binance/a", &[OURS, TOKEN]),
            Refusal::Host
        );
    }

    #[test]
    fn browsers_are_refused() {
        for sign in [
            ("origin", "null"),
            ("origin", "http://127.0.0.1:8080"),
            ("sec-fetch-site", "none"),
        ] {
            assert_eq!(
                refused("GET", "/binance/a", &[OURS, TOKEN, sign]),
                Refusal::Browser
            );
        }
    }

    #[test]
    fn what_is_meant_for_play_money_is_refused() {
        let asked = |venue: &str, name: &str, value: &str| {
            let path = format!("/{venue}/a");
            let head = head("GET", &path, &[OURS, (name, value)]);
            check(&head, 8080).map(|_| ())
        };
        let (of_okx, of_bitget) = ("x-simulated-trading", "paptrading");
        assert_eq!(asked("okx", of_okx, "1"), Err(Refusal::Demo(of_okx)));
        assert_eq!(asked("okx", of_okx, "true"), Err(Refusal::Demo(of_okx)));
        assert_eq!(asked("okx", of_okx, "0"), Ok(()));
        let bitget = asked("bitget", "PAPTRADING", "1");
        assert_eq!(bitget, Err(Refusal::Demo(of_bitget)));
        assert_eq!(asked("binance", of_okx, "1"), Ok(()), "it means nothing");
    }

    #[test]
    fn a_path_without_one_reading_is_refused_in_the_shape_of_its_venue() {
        for (path, venue) in [
            ("/kraken/0/private//AddOrder", "kraken"),
            ("/coinbase/v2//time", "coinbase"),
            ("/tkc_a/kraken/0//a", "kraken"),
            ("//kraken/0/a", "kraken"),
            ("/kraken/../a", "kraken"),
            ("/nobody//a", ""),
            ("//", ""),
        ] {
            assert_eq!(venue_of(&head("GET", path, &[])), venue, "{path}");
        }
    }

    #[test]
    fn paths_have_one_reading() {
        for path in [
            "/",
            "/binance",
            "//a",
            "/binance//a",
            "/binance/../b",
            "/binance/./b",
            "/binance/%2e%2e/b",
            "/binance/a%20b",
            "/binance/a;b",
            "/tkc_a/binance",
            "/tkc_a//a",
        ] {
            assert_eq!(
                refused("GET", path, &[OURS, TOKEN]),
                Refusal::Path,
                "{path}"
            );
        }
    }

    #[test]
    fn a_token_is_shown_once_or_twice_the_same() {
        let differ = [OURS, TOKEN, ("x-touchkeep-token", "tkc_b")];
        let same = [OURS, TOKEN, ("x-touchkeep-token", "tkc_a")];
        assert_eq!(refused("GET", "/binance/a", &differ), Refusal::Token);
        assert_eq!(refused("GET", "/binance/a", &[OURS]), Refusal::Token);
        assert_eq!(
            refused("GET", "/binance/a", &[OURS, ("authorization", "Basic x")]),
            Refusal::Token
        );
        assert!(token(&head("GET", "/binance/a", &same), None).is_ok());
        assert_eq!(
            refused("GET", "/tkc_b/binance/a", &[OURS, TOKEN]),
            Refusal::Token
        );
    }
}
