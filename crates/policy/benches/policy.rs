//! A decision with 1 000 rules and a million earlier requests, beside adding the requests up each time.
//!
//! `./dev bench policy`. Prints the median and the worst of single decisions, each with its reservation.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    reason = "a bench prints figures, and fails loudly"
)]

use std::{fmt::Write, hint::black_box, time::Instant};

use touchkeep_core::{RequestId, UnixMillis};
use touchkeep_policy::{Action, Asked, Before, History, Past, Policy, Windows};
use touchkeep_venue::{Operation, OperationKind, Side};

const RULES: usize = 1000;
const ROWS: u64 = 1_000_000;
const DECISIONS: u64 = 20_000;
const NOW: u64 = 1_800_000_000_000;
// Of those, the ones that are added up each time for comparison.
const PLAIN: usize = 20_000;
// One each 80 milliseconds: the million lies within a day.
const STEP_MS: u64 = 80;

fn main() {
    let policies = [
        ("each rule another client and market", apart(), ROWS),
        (
            "all rules for all clients, each its own market",
            markets(),
            ROWS,
        ),
        (
            "all rules mean each request, and all but the last are over their limit",
            together(),
            ROWS / 50,
        ),
    ];
    for (what, text, rows) in policies {
        measure(what, &Policy::parse(&text).unwrap(), rows);
    }
}

fn rule(n: usize, clients: &str, symbols: &str, amount: &str) -> String {
    format!(
        "[[rule]]\nname = \"rule {n}\"\nclients = [\"{clients}\"]\nkinds = [\"trade\"]\nsymbols = [{symbols}]\n\
         max_amount = \"5\"\nwindow_amount = \"{amount}\"\nwindow_hours = 24\nrequests_per_minute = 1000000\naction = \"allow\"\n"
    )
}

fn apart() -> String {
    (0..RULES).fold(String::new(), |mut text, n| {
        let _ = writeln!(
            text,
            "{}",
            rule(
                n,
                &format!("bot-{}", n % 100),
                &format!("\"M{n}USDT\""),
                "1000000"
            )
        );
        text
    })
}

fn markets() -> String {
    (0..RULES).fold(String::new(), |mut text, n| {
        let _ = writeln!(
            text,
            "{}",
            rule(n, "bot-*", &format!("\"M{n}USDT\""), "1000000")
        );
        text
    })
}

fn together() -> String {
    let symbols: Vec<String> = (0..RULES).map(|n| format!("\"M{n}USDT\"")).collect();
    let symbols = symbols.get(..10).unwrap().join(", ");
    (0..RULES).fold(String::new(), |mut text, n| {
        let amount = if n + 1 == RULES { "1000000000" } else { "0.5" };
        let _ = writeln!(text, "{}", rule(n, "bot-*", &symbols, amount));
        text
    })
}

fn asked(n: u64, markets: u64) -> Asked {
    // The client is the one whose rule names the market.
    let market = n * 7919 % markets;
    let mut operation = Operation::new(
        OperationKind::Trade,
        "binance",
        "POST",
        "/api/v3/order",
        "place order",
    );
    operation.symbol = Some(format!("M{market}USDT"));
    operation.side = Some(Side::Buy);
    operation.amount = format!("1.{:08}", n % 100_000_000).parse().ok();
    operation.price = "0.25".parse().ok();
    Asked {
        request: RequestId::random(),
        digest: [0; 32],
        client: format!("bot-{}", market % 100),
        key_set: "main".into(),
        operation,
        now: UnixMillis(NOW + n * STEP_MS),
    }
}

fn measure(what: &str, policy: &Policy, rows: u64) {
    let symbols = policy.rules()[0].symbols.as_ref().unwrap();
    let markets = if symbols.len() > 1 {
        symbols.len() as u64
    } else {
        RULES as u64
    };
    let past: Vec<Past> = (0..rows).map(|n| Past::of(&asked(n, markets))).collect();
    let now = UnixMillis(NOW + rows * STEP_MS);
    // Adding up all of it takes a minute.
    let plain_past: Vec<Past> = past.get(..PLAIN).unwrap().to_vec();
    let start = Instant::now();
    let mut windows = Windows::new(policy, past, UnixMillis(0), now);
    let reading = start.elapsed();

    let (mut looking, mut taking, mut allowed) = (vec![], vec![], 0u64);
    for n in rows..rows + DECISIONS {
        let asked = asked(n, markets);
        let act = Past::of(&asked);
        let start = Instant::now();
        windows.turn(policy, asked.now);
        let action = {
            let seen = windows.seen(&asked);
            policy.action(black_box(&asked), &seen).0
        };
        looking.push(start.elapsed().as_secs_f64() * 1e6);
        let start = Instant::now();
        if action == Some(Action::Allow) {
            allowed += 1;
            windows.push(policy, act);
        }
        taking.push(start.elapsed().as_secs_f64() * 1e6);
    }

    // The plain definition over the same million: the same sums, and what they cost when they are added up each time.
    let asked = asked(PLAIN as u64 - 1, markets);
    let fresh = Windows::new(policy, plain_past.clone(), UnixMillis(0), asked.now);
    let start = Instant::now();
    let plain = History::of(policy, &plain_past, &asked);
    let adding_up = start.elapsed();
    let seen = fresh.seen(&asked);
    for place in 0..policy.rules().len() {
        let (kept, defined) = (seen.sums(place), plain.sums(place));
        assert_eq!(
            (&kept.amount, kept.minute),
            (&defined.amount, defined.minute)
        );
    }

    println!(
        "{what}: {RULES} rules, {} requests kept, {allowed} of {DECISIONS} allowed",
        windows.len()
    );
    println!(
        "  read and summed at the start in {:.2} s",
        reading.as_secs_f64()
    );
    row("to decide", &mut looking);
    row("to reserve", &mut taking);
    println!(
        "  the same sums to the digit, added up each time, over {PLAIN} requests: {:.0} µs",
        adding_up.as_secs_f64() * 1e6,
    );
}

fn row(name: &str, times: &mut [f64]) {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!(
        "  {name}: median {:.2} µs, 99 % {:.2} µs, worst {:.2} µs",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
