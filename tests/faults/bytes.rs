//! Requests that could be read in two ways: S-05, S-08. What arrives is what was judged, or nothing arrives.

use touchkeep_tests::Home;

use crate::{
    desk::{Act, Desk, say},
    tally::Tally,
};

// An order that nobody judged, if it ever arrives.
const HIDDEN: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=10999&timestamp=1&signature=0";

#[test]
fn what_could_be_read_in_two_ways_does_not_arrive_at_all() {
    let mut tally = Tally::new("S-05 S-08", "requests that could be read in two ways");
    let desk = Desk::set(Home::new(None));
    let (port, token) = (desk.port(), desk.token.as_str());
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let key = format!("X-MBX-APIKEY: {token}\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let long = format!("Content-Length: {}\r\n", HIDDEN.len());
    let path = "/binance/api/v3/order";
    let post = |target: &str, headers: &str, body: &str| {
        format!(
            "POST {target} HTTP/1.1\r\n{host}{key}{form}Connection: close\r\n{headers}\r\n{body}"
        )
    };
    let chunked = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let half = HIDDEN.split_at(40);
    let cases = [
        (
            "two lengths",
            post(path, &format!("{long}Content-Length: 3\r\n"), HIDDEN),
        ),
        (
            "a list of lengths",
            post(path, "Content-Length: 3, 3\r\n", HIDDEN),
        ),
        (
            "a signed length",
            post(path, "Content-Length: +110\r\n", HIDDEN),
        ),
        (
            "a length in hexadecimal",
            post(path, "Content-Length: 0x6e\r\n", HIDDEN),
        ),
        (
            "chunks by another name",
            post(path, "Transfer-Encoding: xchunked\r\n", &chunked),
        ),
        (
            "chunks and then not",
            post(path, "Transfer-Encoding: chunked, identity\r\n", &chunked),
        ),
        (
            "chunks in the older version",
            post(path, "Transfer-Encoding: chunked\r\n", &chunked).replace("HTTP/1.1", "HTTP/1.0"),
        ),
        (
            "a chunk of no size",
            post(
                path,
                "Transfer-Encoding: chunked\r\n",
                &format!("\r\n{HIDDEN}\r\n0\r\n\r\n"),
            ),
        ),
        (
            "a chunk of a huge size",
            post(
                path,
                "Transfer-Encoding: chunked\r\n",
                &format!("ffffffffffffffff1\r\n{HIDDEN}\r\n0\r\n\r\n"),
            ),
        ),
        (
            "a folded header",
            post(path, &format!("X-A: b\r\n {long}{long}"), HIDDEN),
        ),
        (
            "a space before the colon",
            post(path, &long.replace("Length:", "Length :"), HIDDEN),
        ),
        (
            "a header with a null",
            post(path, &format!("X-A: \0\r\n{long}"), HIDDEN),
        ),
        ("two hosts", post(path, &format!("{long}{host}"), HIDDEN)),
        (
            "another host in the address",
            post(&format!("http://api.binance.com{path}"), &long, HIDDEN),
        ),
        (
            "two tokens",
            post(
                path,
                &format!("{long}X-Touchkeep-Token: tkc_other\r\n"),
                HIDDEN,
            ),
        ),
        (
            "a path that goes up",
            post("/binance/x/../api/v3/order", &long, HIDDEN),
        ),
        (
            "a path that goes up, in percent",
            post("/binance/x/%2e%2e/api/v3/order", &long, HIDDEN),
        ),
        (
            "a double slash",
            post("/binance//api/v3/order", &long, HIDDEN),
        ),
        (
            "a letter in percent",
            post("/binance/api/v3/%6Frder", &long, HIDDEN),
        ),
        ("another case", post("/binance/api/v3/Order", &long, HIDDEN)),
        (
            "a slash at the end",
            post("/binance/api/v3/order/", &long, HIDDEN),
        ),
        (
            "a semicolon",
            post("/binance/api/v3/order;x=1", &long, HIDDEN),
        ),
        (
            "a tunnel",
            format!("CONNECT api.binance.com:443 HTTP/1.1\r\n{host}{key}\r\n"),
        ),
        (
            "another method by a header",
            format!(
                "GET {path} HTTP/1.1\r\n{host}{key}{form}Connection: close\r\nX-HTTP-Method-Override: POST\r\n{long}\r\n{HIDDEN}"
            ),
        ),
        (
            "a parameter twice",
            post(
                path,
                &format!("Content-Length: {}\r\n", HIDDEN.len() + 15),
                &format!("{HIDDEN}&symbol=BTCUSDT"),
            ),
        ),
        (
            "a parameter in two places",
            post(&format!("{path}?price=1"), &long, HIDDEN),
        ),
        (
            "a parameter in another case",
            post(
                path,
                &format!("Content-Length: {}\r\n", HIDDEN.len() + 8),
                &format!("{HIDDEN}&Price=1"),
            ),
        ),
        (
            "a name in percent",
            post(
                path,
                &format!("Content-Length: {}\r\n", HIDDEN.len() + 10),
                &format!("{HIDDEN}&%70rice=1"),
            ),
        ),
        (
            "half in the address",
            post(
                &format!("{path}?{}&quantity=1", half.0),
                &format!("Content-Length: {}\r\n", half.1.len()),
                half.1,
            ),
        ),
        (
            "a body of another type",
            post(path, &long, HIDDEN).replace("x-www-form-urlencoded", "json"),
        ),
        (
            "an amount in another script",
            post(
                path,
                &format!("Content-Length: {}\r\n", HIDDEN.len() + 1),
                &HIDDEN.replace("=0.001", "=\u{661}"),
            ),
        ),
        (
            "an amount with an exponent",
            post(path, &long, &HIDDEN.replace("=0.001", "=1e999")),
        ),
        (
            "a new line in a parameter",
            post(
                path,
                &format!("Content-Length: {}\r\n", HIDDEN.len() + 6),
                &HIDDEN.replace("BUY", "B%0D%0AUY"),
            ),
        ),
    ];
    for (what, request) in cases {
        let before = desk.venue.received("").len();
        let answer = say(port, &request);
        let got = desk.venue.received("");
        // The venue is asked for its time beside it, once.
        let got: Vec<_> = got[before..]
            .iter()
            .filter(|row| row["path"] != "/api/v3/time")
            .collect();
        let well = answer.as_ref().is_some_and(|(status, _)| *status < 300);
        let held = (got.is_empty() && !well)
            .then_some(())
            .ok_or_else(|| format!("{answer:?}, arrived: {got:?}"));
        tally.tried(|| what.to_owned(), held);
    }
    // The same order without any of that passes: it was refused for nothing else.
    let before = desk.venue.received("/api/v3/order").len();
    let plain = say(port, &post(path, &long, HIDDEN)).unwrap();
    assert_eq!(plain.0, 200, "{}", plain.1);
    assert_eq!(desk.venue.received("/api/v3/order").len(), before + 1);
    assert_eq!(desk.ask(Act::Order, 1).unwrap().0, 200);
}
