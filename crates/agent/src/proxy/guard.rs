//! What a request to the proxy must look like before anything is read of it. Loopback is hostile ground: every web page
//! and every program of every user can reach it, so the host is matched exactly, browsers are refused, and a token is in
//! every request.

use hyper::{
    HeaderMap, Method,
    header::{AUTHORIZATION, HOST, HeaderName, ORIGIN},
    http::request::Parts,
};

use super::{MAX_HEAD_BYTES, refusal::Refusal};

/// The header for the token, where a client can send one of its own.
pub(super) const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-touchkeep-token");
// A venue's own key headers: a bot shows the token as its dummy API key.
const VENUE_KEY_HEADERS: [&str; 1] = ["x-mbx-apikey"];
// Browsers send this with every request since 2023, and pages cannot leave it out (Fetch Metadata).
pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request's venue, path there, and token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Addressed<'a> {
    pub(super) venue: &'a str,
    pub(super) path: &'a str,
    pub(super) token: &'a str,
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
    if ![Method::GET, Method::POST, Method::PUT, Method::DELETE].contains(&head.method) {
        return Err(Refusal::Method);
    }
    let (venue, path) = split(head.uri.path())?;
    let token = token(&head.headers)?;
    Ok(Addressed { venue, path, token })
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

// `/<venue>/<path there>`, in plain characters: a path that could be read in two ways is not read at all.
fn split(path: &str) -> Result<(&str, &str), Refusal> {
    let rest = path.strip_prefix('/').ok_or(Refusal::Path)?;
    let slash = rest.find('/').ok_or(Refusal::Path)?;
    let (venue, path) = rest.split_at(slash);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
    let ambiguous = path.contains("//") || path.split('/').any(|part| part == "." || part == "..");
    if venue.is_empty() || !path.chars().all(plain) || ambiguous {
        return Err(Refusal::Path);
    }
    Ok((venue, path))
}

// The one token of a request. Two that differ are nobody's.
fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let own = headers
        .get_all(TOKEN_HEADER)
        .iter()
        .map(|value| value.to_str().ok());
    let bearer = headers
        .get_all(AUTHORIZATION)
        .iter()
        .map(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let venue = VENUE_KEY_HEADERS
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .map(|value| value.to_str().ok());
    let mut shown = own.chain(bearer).chain(venue);
    let first = shown.next().flatten().ok_or(Refusal::Token)?;
    if shown.all(|other| other == Some(first)) {
        Ok(first)
    } else {
        Err(Refusal::Token)
    }
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

    fn refused(method: &str, target: &str, headers: &[(&str, &str)]) -> Refusal {
        check(&head(method, target, headers), 8080).unwrap_err()
    }

    const OURS: (&str, &str) = ("host", "127.0.0.1:8080");
    const TOKEN: (&str, &str) = ("x-mbx-apikey", "tkc_a");

    #[test]
    fn a_bots_request_is_read() {
        for shown in [
            TOKEN,
            ("x-touchkeep-token", "tkc_a"),
            ("authorization", "Bearer tkc_a"),
        ] {
            let head = head("POST", "/binance/api/v3/order?x=1", &[OURS, shown]);
            let expected = Addressed {
                venue: "binance",
                path: "/api/v3/order",
                token: "tkc_a",
            };
            assert_eq!(check(&head, 8080), Ok(expected));
        }
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
        assert!(check(&head("GET", "/binance/a", &same), 8080).is_ok());
    }
}
