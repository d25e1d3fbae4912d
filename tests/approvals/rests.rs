//! Who asks in vain rests, and keeps nobody else.

use std::time::{Duration, Instant};

use serde_json::json;
use touchkeep_tests::{Person, http};

use crate::{desk::Desk, terminal::Terminal};

#[test]
fn two_unanswered_questions_bring_a_rest_that_a_person_sees_and_ends() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 1");
    drop(desk.person.take());
    for quantity in ["0.01", "0.02"] {
        let status = desk.order(&format!("quantity={quantity}"));
        assert_ne!(status, 200);
    }
    let status = desk.home.json(&["status"]);
    assert_eq!(status["resting"][0]["asker"], "client grid-bot", "{status}");
    let begun = Instant::now();
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000&quantity=0.03";
    let (status, answer) = desk.send("/api/v3/order", order);
    assert_eq!(status, 403);
    assert!(answer.contains("nobody was asked"), "{answer}");
    assert!(answer.contains("touchkeep approve ends that"), "{answer}");
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "nobody is asked meanwhile"
    );
    // `touchkeep approve` says that somebody is there.
    let terminal = Terminal::open(&desk.home, 80);
    terminal.until("client grid-bot may ask again");
    assert_eq!(desk.home.json(&["status"])["resting"], json!([]));
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.04"));
        terminal.until("buy 0.04");
        assert_ne!(bot.join().unwrap(), 200);
    });
}

#[test]
fn a_terminal_that_is_open_says_who_rests_because_nobody_answered() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 2");
    drop(desk.person.take());
    let terminal = Terminal::open(&desk.home, 100);
    for quantity in ["0.01", "0.02"] {
        assert_eq!(terminal.times("asks nobody"), 0);
        assert_ne!(desk.order(&format!("quantity={quantity}")), 200);
    }
    terminal.until("client grid-bot asks nobody for a minute now: nobody answered it twice");
    // And no line is left that looks as if it still waited for an answer.
    let shown = terminal.bytes();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let stale = shown.split(" s left) > ").skip(1);
    for after in stale {
        assert!(after.starts_with("\r\u{1b}[K"), "{shown:?}");
    }
}

#[test]
fn three_refusals_bring_a_rest_that_keeps_nobody_else_and_that_a_person_ends() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 20");
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 100);
    // Small and large in turn: what was refused counts, not which.
    for (nth, amount) in ["buy 0.01", "0.5 BTC", "buy 0.03"].into_iter().enumerate() {
        let (status, answer) = std::thread::scope(|scope| {
            let bot = scope.spawn(|| match nth {
                1 => desk.withdraw(""),
                _ => (
                    desk.order(&format!("quantity=0.0{}", nth + 1)),
                    String::new(),
                ),
            });
            terminal.until(amount);
            assert_eq!(terminal.times("asks nobody"), 0);
            terminal.answers("no\r");
            bot.join().unwrap()
        });
        assert_eq!(status, 403, "{answer}");
    }
    terminal.until("client grid-bot asks nobody for 5 minutes now");
    let begun = Instant::now();
    let (status, answer) = desk.withdraw("&withdrawOrderId=again");
    assert_eq!(status, 403);
    assert!(
        answer.contains("a person refused the last questions of this client")
            && answer.contains("for another 2")
            && answer.contains("touchkeep approve ends that"),
        "{answer}"
    );
    assert!(begun.elapsed() < Duration::from_secs(2), "nobody is asked");
    assert_eq!(terminal.times("Withdraw 0.5 BTC"), 1);
    // It is on record, with why.
    let rows = desk.rows("request-refused");
    assert_eq!(rows.len(), 4, "{rows:?}");
    let row = desk.row(&rows[0]).to_string();
    assert!(
        row.contains("nobody for another 2") && row.contains("Withdraw 0.5 BTC"),
        "{row}"
    );
    // A person sees it, and is kept from nothing himself; nor is another client.
    let status = desk.home.json(&["status"]);
    assert_eq!(status["resting"][0]["asker"], "client grid-bot", "{status}");
    assert_eq!(status["resting"][0]["refused"], true, "{status}");
    let shown = desk.home.touchkeep().arg("status").output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("three questions were refused"), "{shown}");
    drop(terminal);
    desk.person = Some(Person::sit_down(&desk.home.paths(), None));
    let other = desk.home.json(&["proxy", "add", "other-bot"]);
    let token = other["token"].as_str().unwrap().to_owned();
    let first = std::mem::replace(&mut desk.token, token);
    assert_eq!(desk.order("quantity=0.04"), 200);
    desk.token = first;
    assert_eq!(desk.order("quantity=0.05"), 403);
    assert_eq!(desk.asked(), 1, "the other one's");
    // Reads by rule go on: nobody is asked about them.
    let account = http(
        &desk.base,
        "GET",
        "/api/v3/account?timestamp=1&signature=0000",
        &[("x-mbx-apikey", desk.token.as_str())],
        "",
    );
    assert_eq!(account.0, 200, "{}", account.1);
    // `touchkeep approve` says that it may ask again.
    let terminal = Terminal::open(&desk.home, 100);
    terminal
        .until("client grid-bot may ask again: it rested after three questions that were refused");
    assert_eq!(desk.home.json(&["status"])["resting"], json!([]));
    assert_eq!(desk.order("quantity=0.06"), 200);
}
