//! Bodies of answers: our own, whole, or the venue's, streamed as it comes.

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Response,
    body::Incoming,
    header::{
        CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

/// A body that goes to a bot.
pub(crate) type Answer = BoxBody<Bytes, Box<dyn Error + Send + Sync>>;

// Headers of one connection and not of the answer (RFC 9110, 7.6.1), and cookies, which no key-signed API has.
const NOT_PASSED_ON: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    SET_COOKIE,
];

/// A body that is there already.
pub(crate) fn whole(bytes: Bytes) -> Answer {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// The venue's answer, for the bot.
pub(crate) fn passed_on(venue: Response<Incoming>) -> Response<Answer> {
    let (mut head, body) = venue.into_parts();
    strip(&mut head.headers);
    head.version = hyper::Version::HTTP_11;
    Response::from_parts(head, body.map_err(Into::into).boxed())
}

fn strip(headers: &mut HeaderMap) {
    // Headers that `Connection` names are of the connection too.
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&NOT_PASSED_ON) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=b"),
            ("x-mbx-used-weight", "5"),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        strip(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-mbx-used-weight"));
    }
}
