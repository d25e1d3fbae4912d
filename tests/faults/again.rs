//! The same again: requests that come twice or all at once, numbers after an older state was put back, and clocks that jump:
//! S-01, S-02, S-04, S-06.

use std::{fs, path::PathBuf, process::Command, sync::Barrier, thread};

use touchkeep_tests::{Home, wait_for};
use touchkeep_wire::{AddClient, GetStatus, SetPolicy};

use crate::{
    desk::{Act, Desk},
    tally::{Draw, Tally, amount},
};

// A client that does not wait for its answer and asks again, all at once. What it wants once it calls by one name, and the
// venue knows that name.
#[test]
fn a_client_that_asks_again_and_again_gets_each_recorded_and_one_done() {
    let mut tally = Tally::new("S-04", "one order, asked for eight times at once");
    let desk = Desk::set(Home::new(None));
    for number in 1..=amount(5, 100) as u64 {
        let last = desk.last_row();
        let statuses: Vec<u16> = thread::scope(|scope| {
            let asks: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| request(&desk, number)))
                .collect();
            asks.into_iter().map(|ask| ask.join().unwrap()).collect()
        });
        let arrived = desk.arrived(Act::Order, number);
        let rows = desk.rows(last);
        let done = |rows: &[touchkeep_wire::AuditRow], decision: &str| {
            rows.iter().filter(|row| row.decision == decision).count()
        };
        let well = statuses.iter().filter(|status| **status == 200).count();
        let accepted = arrived.iter().filter(|row| row["accepted"] == true).count();
        let held = (arrived.len() == 8
            && rows.intents.len() == 8
            && (well, accepted) == (1, 1)
            && done(&rows.outcomes, "done") == 1
            && done(&rows.outcomes, "failed") == 7)
            .then_some(())
            .ok_or_else(|| {
                format!(
                    "{statuses:?}, {} arrived, {accepted} accepted, {rows:?}",
                    arrived.len()
                )
            });
        tally.tried(|| format!("order {number}"), held);
    }
}

// Without the runtime of the desk, which one thread uses at a time.
fn request(desk: &Desk, number: u64) -> u16 {
    let request = desk.written_for(Act::Order, number, &desk.token);
    crate::desk::say(desk.port(), &request).map_or(0, |(status, _)| status)
}

#[test]
fn an_older_state_or_none_brings_no_number_back() {
    let mut tally = Tally::new(
        "S-02",
        "an older state of the agent put back, or taken away",
    );
    let mut desk = Desk::set(Home::new(None));
    let data = desk.home.paths().data;
    let files = ["state.sqlite", "state.sqlite-wal"];
    let kept: PathBuf = desk.home.path("kept");
    fs::create_dir(&kept).unwrap();
    for round in 0..3 {
        assert_eq!(desk.ask(Act::Numbered, round * 10).unwrap().0, 200);
        desk.home.kill_agent();
        for file in files {
            let _none = fs::copy(data.join(file), kept.join(file));
        }
        desk.start_again(&[]);
        for number in 1..=3 {
            assert_eq!(desk.ask(Act::Numbered, round * 10 + number).unwrap().0, 200);
        }
        desk.home.kill_agent();
        for file in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
            let _none = fs::remove_file(data.join(file));
        }
        if round > 0 {
            for file in files {
                let _none = fs::copy(kept.join(file), data.join(file));
            }
        }
        desk.start_again(&[]);
        let number = round * 10 + 5;
        let answer = desk.ask(Act::Numbered, number);
        let arrived = desk.arrived(Act::Numbered, number);
        let held = (arrived.len() == 1 && arrived[0]["accepted"] == true)
            .then_some(())
            .ok_or_else(|| format!("{answer:?} {arrived:?}"));
        tally.tried(|| format!("round {round}"), held);
    }
}

#[test]
fn a_clock_that_jumps_brings_no_number_back_and_no_time_that_the_venue_refuses() {
    let mut tally = Tally::new("S-01", "orders while this machine's clock jumps");
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    let set = |text: &str| {
        let new = folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &offset).unwrap();
    };
    set("+0");
    let library = library("faketime/libfaketime.so.1");
    let home = Home::with(&[
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ]);
    let desk = Desk::set(home);
    let both = |number: u64| {
        let mut last = 0;
        for act in [Act::Order, Act::Numbered] {
            let answer = desk.ask(act, number);
            let arrived = desk.arrived(act, number);
            if arrived.len() != 1 || arrived[0]["accepted"] != true {
                return Err(format!("{act:?}: {answer:?} {arrived:?}"));
            }
            let time = arrived[0]["time_ms"].as_u64().unwrap();
            assert!(time >= last, "the venue's own clock does not jump");
            last = time;
        }
        Ok(())
    };
    // The first ask for the time at the venue; what follows has it.
    for number in 0..5 {
        both(number).unwrap();
        thread::sleep(std::time::Duration::from_millis(100));
    }
    let mut draw = Draw::new("clock");
    for number in 5..5 + amount(20, 400) as u64 {
        let long = [1, 60, 3_600, 86_400, 30 * 86_400, 3_650 * 86_400][draw.below(6)];
        let jump = format!("{}{long}", ["+", "-"][draw.below(2)]);
        set(&jump);
        tally.tried(|| format!("the clock at {jump} s"), both(number));
    }
    set("+0");
    tally.tried(
        || "the log".into(),
        desk.is_sound()
            .then_some(())
            .ok_or_else(|| "not sound".into()),
    );
}

// What was measured may be wrong: a slow exchange, a machine that stood still. The venue says so, and is asked again.
#[test]
fn a_venue_whose_clock_is_no_longer_what_was_measured_is_measured_anew() {
    let desk = Desk::set(Home::new(None));
    let status = |number| desk.ask(Act::Order, number).unwrap();
    assert_eq!(status(0).0, 200);
    wait_for("the time to be measured", || {
        (!desk.venue.received("/api/v3/time").is_empty()).then_some(())
    });
    for (round, skew) in [(1, 20_000), (2, -20_000)] {
        desk.venue.skew(skew);
        let (refused, body) = status(round * 100);
        assert_eq!((refused, body.contains("-1021")), (400, true), "{body}");
        let mut number = round * 100;
        wait_for("orders to be taken again", || {
            number += 1;
            thread::sleep(std::time::Duration::from_millis(200));
            (status(number).0 == 200).then_some(())
        });
    }
}

const TEN_ORDERS: &str = r#"
[[rule]]
name = "ten orders"
kinds = ["trade"]
symbols = ["BTCUSDT"]
window_amount = "0.01"
window_hours = 24
action = "allow"
"#;

// Each a client of its own, at the proxy, for orders of 0.001.
#[test]
fn sixty_four_bots_at_once_never_exceed_a_limit_together() {
    let mut tally = Tally::new(
        "S-06",
        "64 bots at once against a limit that has room for ten",
    );
    let desk = Desk::set(Home::new(None));
    let text = TEN_ORDERS.to_owned();
    desk.call(SetPolicy { text }).unwrap();
    let tokens = (0..64).map(|bot| {
        let (name, key_set) = (format!("bot-{bot}"), "main".to_owned());
        let added = desk.call(AddClient::unbound(name, key_set)).unwrap();
        added.token.into_inner()
    });
    let tokens: Vec<String> = tokens.collect();
    let port = desk.port();
    let all_at_once = Barrier::new(tokens.len());
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asks: Vec<_> = (0..)
            .zip(&tokens)
            .map(|(number, token)| {
                let order = desk.written_for(Act::Order, number, token);
                let all_at_once = &all_at_once;
                scope.spawn(move || {
                    all_at_once.wait();
                    crate::desk::say(port, &order).unwrap().0
                })
            })
            .collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    let placed = statuses.iter().filter(|status| **status == 200).count();
    let denied = statuses.iter().filter(|status| **status == 403).count();
    let arrived = desk.venue.received("/api/v3/order");
    let held = ((placed, denied) == (10, 54)
        && arrived.len() == 10
        && arrived.iter().all(|row| row["accepted"] == true))
    .then_some(())
    .ok_or_else(|| format!("{statuses:?}, arrived: {arrived:?}"));
    tally.tried(|| "at once".into(), held);
}

// Another machine, as the venue sees it: ccxt with the same key, whose numbers are nanoseconds.
const ANOTHER: &str = "
import ccxt, os, time
ex = ccxt.kraken({'apiKey': os.environ['KEY'], 'secret': os.environ['SECRET']})
ex.urls['api']['private'] = os.environ['URL']
ex.nonce = lambda: time.time_ns()
print(ex.private_post_balance()['error'])
";

#[test]
fn a_key_that_another_machine_uses_too_is_seen_and_explained() {
    let desk = Desk::set(Home::new(None));
    let (key, secret) = desk.venue.hmac_key_of("kraken", &["read", "trade"]);
    desk.add_key(
        "shared",
        ["kraken", "trade"],
        &key,
        &secret,
        &desk.venue.url,
    );
    let (_, token) = desk.bot("shared");
    let ask = |number| {
        let request = desk.written_for(Act::Numbered, number, &token);
        crate::desk::say(desk.port(), &request).unwrap()
    };
    let attention = || desk.call(GetStatus {}).unwrap().attention;
    assert_eq!(ask(1).0, 200);
    assert!(attention().is_empty());
    let another = Command::new(std::env::var("TOUCHKEEP_PYTHON").unwrap())
        .args(["-W", "ignore", "-c", ANOTHER])
        .envs([("KEY", &key), ("SECRET", &secret), ("URL", &desk.venue.url)])
        .output()
        .unwrap();
    assert_eq!(another.stdout, b"[]\n", "{another:?}");
    // The bot has the venue's own answer, and the log what it means.
    let last = desk.last_row();
    let (status, body) = ask(2);
    assert_eq!(
        (status, body.contains("EAPI:Invalid nonce")),
        (200, true),
        "{body}"
    );
    let rows = desk.rows(last);
    let [outcome] = &rows.outcomes[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(outcome.decision, "failed");
    assert_eq!(
        outcome.what.as_deref().unwrap(),
        "The venue refused it: EAPI:Invalid nonce"
    );
    let said = attention();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0]
            .what
            .starts_with("kraken refused a request of shared-kraken-trade: "),
        "{said:?}"
    );
    assert!(
        said[0]
            .fix
            .contains("another machine or program signs with the same key")
    );
}

// A library of the system, wherever this distribution has it.
fn library(name: &str) -> PathBuf {
    let folders = fs::read_dir("/usr/lib")
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let mut found = folders
        .map(|folder| folder.join(name))
        .filter(|path| path.exists());
    found.next().expect("libfaketime, of the package faketime")
}
