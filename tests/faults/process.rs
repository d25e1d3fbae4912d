//! Other programs of the same machine at the proxy: N-01, N-05. (Their ways to the sockets, the questions and the memory of the
//! agent are tried in `crates/agent/tests/sockets.rs`, `tests/approvals/forged.rs` and `tests/memory.rs`.)

use std::process::Command;

use touchkeep_tests::{Home, need_root};

use crate::{
    desk::{Act, Desk, say},
    tally::{Draw, Tally, amount},
};

#[test]
fn who_guesses_tokens_gets_nothing() {
    let mut tally = Tally::new("N-01 N-05", "tokens that are guessed, or are nearly right");
    let desk = Desk::set(Home::new(None));
    assert_eq!(desk.ask(Act::Order, 1).unwrap().0, 200);
    let venue = desk.venue.received("").len();
    let mut draw = Draw::new("tokens");
    let real = desk.token.clone();
    for _ in 0..amount(300, 20_000) {
        let mut token: Vec<char> = real.chars().collect();
        match draw.below(4) {
            0 => drop(token.pop()),
            1 => token.push('a'),
            2 => {
                let at = 4 + draw.below(token.len() - 4);
                token[at] = if token[at] == 'a' { 'b' } else { 'a' };
            }
            _ => token = token.iter().map(char::to_ascii_uppercase).collect(),
        }
        let token: String = token.into_iter().collect();
        let answer = say(desk.port(), &desk.written_for(Act::Order, 2, &token));
        let held = matches!(answer, Some((401, _)))
            .then_some(())
            .ok_or_else(|| format!("{answer:?}"));
        tally.tried(|| "a token".into(), held);
    }
    let got = desk.venue.received("").len() - venue;
    tally.tried(
        || "the venue".into(),
        (got == 0).then_some(()).ok_or_else(|| format!("got {got}")),
    );
    // Nobody is kept out by it either.
    assert_eq!(desk.ask(Act::Order, 3).unwrap().0, 200);
}

#[test]
fn another_user_of_the_machine_without_a_token_gets_nothing() {
    need_root();
    let mut tally = Tally::new("N-01", "requests of another user of the machine");
    let desk = Desk::set(Home::new(None));
    let base = format!("http://127.0.0.1:{}", desk.port());
    let venue = desk.venue.received("").len();
    let wrong = format!("{}x", desk.token);
    for (path, headers) in [
        ("/binance/api/v3/order", vec![]),
        (
            "/binance/api/v3/order",
            vec![format!("X-MBX-APIKEY: {wrong}")],
        ),
        (
            "/binance/api/v3/order",
            vec![format!("X-Touchkeep-Token: {wrong}")],
        ),
        (
            "/binance/api/v3/order",
            vec!["Authorization: Bearer ".to_owned()],
        ),
        (
            "/kraken/0/private/AddOrder",
            vec![format!("API-Key: {wrong}")],
        ),
    ] {
        let mut curl = Command::new("setpriv");
        curl.args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "curl",
            "-s",
            "-o",
            "/dev/null",
        ]);
        curl.args([
            "-w",
            "%{http_code} %header{x-touchkeep-refused}",
            "--noproxy",
            "*",
            "-d",
            "symbol=BTCUSDT",
        ]);
        for header in &headers {
            curl.args(["-H", header]);
        }
        let said = curl.arg(format!("{base}{path}")).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        // Kraken says its errors with the status 200.
        let refused = said == "401 1" || (path.starts_with("/kraken") && said == "200 1");
        tally.tried(
            || format!("{path} {headers:?}"),
            refused.then_some(()).ok_or(said),
        );
    }
    assert_eq!(desk.venue.received("").len(), venue);
}
