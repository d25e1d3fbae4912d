//! The windows against the plain definition of what limits mean: the same sums, to the digit, whatever the clock does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use proptest::prelude::*;
use touchkeep_core::{RequestId, UnixMillis};
use touchkeep_policy::{
    Action, Asked, Before, History, Past, Policy, Sums, Windows, windows::SLACK_MS,
};
use touchkeep_venue::{Operation, OperationKind, Side};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const HOUR_MS: u64 = 3_600_000;

const RULES: &str = r#"
[[rule]]
name = "by market"
kinds = ["trade"]
symbols = ["BTCUSDT", "ETHUSDT"]
window_amount = "12.5"
window_hours = 2
action = "allow"

[[rule]]
name = "by market and client"
kinds = ["trade"]
symbols = ["BTCUSDT", "ETHUSDT"]
window_amount = "7"
window_hours = 3
per = ["client"]
action = "approve"

[[rule]]
name = "by quote"
clients = ["grid-*"]
kinds = ["trade"]
symbols = ["*USDT"]
window_notional = "90"
window_hours = 2
requests_per_minute = 3
requests_per_day = 9
action = "notify"

[[rule]]
name = "by quote, purchases"
sides = ["buy"]
kinds = ["trade"]
symbols = ["*USDT"]
window_notional = "70"
window_hours = 2
requests_per_day = 8
action = "notify"

[[rule]]
name = "by key set"
venues = ["binance"]
key_sets = ["main", "second"]
requests_per_minute = 4
requests_per_day = 12
per = ["key-set"]
kinds = ["trade", "read"]
action = "allow"

[[rule]]
name = "together"
kinds = ["trade", "read"]
requests_per_day = 14
per = []
action = "touch"

[[rule]]
name = "money"
kinds = ["withdraw"]
assets = ["BTC"]
window_amount = "3"
window_hours = 24
action = "touch"
"#;

#[derive(Debug, Clone)]
struct Step {
    // How far the clock moves before it, in milliseconds.
    moves: i64,
    asked: Asked,
    let_through: bool,
    // Which of those that were let through is taken back after it, from the end.
    takes_back: Option<usize>,
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let kinds = vec![
        OperationKind::Trade,
        OperationKind::Trade,
        OperationKind::Read,
        OperationKind::Withdraw,
    ];
    (
        prop::sample::select(kinds),
        prop::sample::select(vec!["grid-1", "grid-2", "other"]),
        prop::sample::select(vec!["main", "second", "third"]),
        prop::sample::select(vec!["binance", "kraken"]),
        prop::sample::select(vec![
            Some("BTCUSDT"),
            Some("ETHUSDT"),
            Some("LTCUSDT"),
            None,
        ]),
        prop::option::weighted(0.9, (0..60u32, 0..4usize)),
        prop::option::of(1..9u32),
        prop::sample::select(vec![
            Some(Side::Buy),
            Some(Side::Buy),
            Some(Side::Sell),
            None,
        ]),
    )
        .prop_map(
            |(kind, client, key_set, venue, symbol, amount, price, side)| {
                let mut operation = Operation::new(kind, venue, "POST", "/x", "x");
                operation.side = side.filter(|_| kind == OperationKind::Trade);
                operation.amount =
                    amount.map(|(n, zeros)| format!("0.{}{n}", "0".repeat(zeros)).parse().unwrap());
                operation.price = price.map(|n| n.to_string().parse().unwrap());
                if kind == OperationKind::Withdraw {
                    operation.asset = symbol.map(|_| "BTC".into());
                } else {
                    operation.symbol = symbol.map(Into::into);
                }
                Asked {
                    request: RequestId::random(),
                    digest: [0; 32],
                    client: client.into(),
                    key_set: key_set.into(),
                    operation,
                    now: NOW,
                }
            },
        )
}

// Mostly forward a little; at times far forward, or back.
fn any_move(back: i64) -> impl Strategy<Value = i64> {
    let hour = i64::try_from(HOUR_MS).unwrap();
    prop_oneof![
        6 => 0..600_000i64,
        2 => 0..4 * hour,
        1 => 20 * hour..30 * hour,
        2 => -back..0i64,
    ]
}

fn any_steps(back: i64) -> impl Strategy<Value = Vec<Step>> {
    let step = (
        any_move(back),
        any_asked(),
        prop::bool::weighted(0.8),
        prop::option::weighted(0.2, 0..4usize),
    );
    let step = step.prop_map(|(moves, asked, let_through, takes_back)| Step {
        moves,
        asked,
        let_through,
        takes_back,
    });
    prop::collection::vec(step, 1..60)
}

fn strictness(policy: &Policy, asked: &Asked, before: &impl Before) -> Action {
    policy.action(asked, before).0.unwrap_or(Action::Deny)
}

// A sum that is not known is over every limit, and so is a count that is too high.
fn is_at_least(one: &Sums, other: &Sums) -> bool {
    let at_least = |a: &Option<_>, b: &Option<_>| a.is_none() || (b.is_some() && a >= b);
    at_least(&one.amount, &other.amount)
        && at_least(&one.notional, &other.notional)
        && one.minute >= other.minute
        && one.day >= other.day
}

// Only what a rule limits is kept.
fn of_interest(policy: &Policy, rule: usize, sums: Sums) -> Sums {
    let rule = &policy.rules()[rule];
    Sums {
        amount: sums.amount.filter(|_| rule.window_amount.is_some()),
        notional: sums.notional.filter(|_| rule.window_notional.is_some()),
        minute: rule.requests_per_minute.map_or(0, |_| sums.minute),
        day: rule.requests_per_day.map_or(0, |_| sums.day),
    }
}

// Runs a story through both; `same`: whether they have to be equal, or the windows only at least as strict.
fn run(steps: Vec<Step>, known_from: UnixMillis, before: Vec<Past>, same: bool) {
    for rules in [RULES.to_owned(), twice()] {
        run_under(&rules, steps.clone(), known_from, before.clone(), same);
    }
}

// Each rule and another that counts the same, with other limits: they share their sums.
fn twice() -> String {
    let again = RULES
        .replace("name = \"", "name = \"again ")
        .replace("window_amount = \"12.5\"", "window_notional = \"50\"")
        .replace("requests_per_minute = 3", "requests_per_minute = 2")
        .replace("requests_per_day = 12\n", "");
    format!("{RULES}\n{again}")
}

fn run_under(rules: &str, steps: Vec<Step>, known_from: UnixMillis, before: Vec<Past>, same: bool) {
    let policy = Policy::parse(rules).unwrap();
    let recorded: Vec<Past> = before
        .iter()
        .filter(|act| act.at >= known_from)
        .cloned()
        .collect();
    let mut windows = Windows::new(&policy, recorded, known_from, NOW);
    let mut past = before;
    let mut now = NOW;
    for step in steps {
        now = UnixMillis(now.0.checked_add_signed(step.moves).unwrap());
        let mut asked = step.asked;
        asked.now = now;
        windows.turn(&policy, now);
        let (seen, plain) = (windows.seen(&asked), History::of(&policy, &past, &asked));
        for rule in 0..policy.rules().len() {
            let (kept, defined) = (
                of_interest(&policy, rule, seen.sums(rule)),
                of_interest(&policy, rule, plain.sums(rule)),
            );
            if same {
                assert_eq!(kept, defined, "rule {rule}, {asked:?}");
            } else {
                assert!(
                    is_at_least(&kept, &defined),
                    "rule {rule}: {kept:?}, {defined:?}"
                );
            }
        }
        let (kept, defined) = (
            strictness(&policy, &asked, &seen),
            strictness(&policy, &asked, &plain),
        );
        assert!(kept >= defined, "{kept:?} is milder than {defined:?}");
        if step.let_through {
            past.push(Past::of(&asked));
            windows.push(&policy, Past::of(&asked));
        }
        if let Some(at) = step
            .takes_back
            .and_then(|at| past.len().checked_sub(at + 1))
        {
            windows.take_back(past.remove(at).request);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_windows_are_the_plain_sums(steps in any_steps(40 * 60_000)) {
        // Equal as long as the clock is never further behind than what is kept for that.
        let (mut behind, slack) = (0, i64::try_from(SLACK_MS).unwrap());
        let steps = steps.into_iter().map(|mut step| {
            step.moves = step.moves.max(behind + 1 - slack);
            behind = (behind - step.moves).max(0);
            step
        });
        run(steps.collect(), UnixMillis(0), Vec::new(), true);
    }

    #[test]
    fn a_clock_that_goes_back_never_widens_a_window(steps in any_steps(40 * 3_600_000)) {
        run(steps, UnixMillis(0), Vec::new(), false);
    }

    #[test]
    fn what_was_read_at_the_start_counts(
        steps in any_steps(3 * 3_600_000),
        earlier in prop::collection::vec((any_asked(), 0..50 * HOUR_MS), 0..30),
    ) {
        let before: Vec<Past> = earlier.into_iter().map(|(asked, age)| {
            let mut act = Past::of(&asked);
            // Some from the future of a clock that went back.
            act.at = UnixMillis(NOW.0 + 4 * HOUR_MS - age);
            act
        }).collect();
        let reach = Policy::parse(RULES).unwrap().reach_ms() + SLACK_MS;
        run(steps, UnixMillis(NOW.0 - reach), before, false);
    }
}

fn order(client: &str, symbol: &str, at: UnixMillis) -> Asked {
    let mut operation = Operation::new(OperationKind::Trade, "binance", "POST", "/x", "x");
    operation.symbol = Some(symbol.into());
    operation.side = Some(Side::Buy);
    operation.amount = "0.001".parse().ok();
    operation.price = "100".parse().ok();
    Asked {
        request: RequestId::random(),
        digest: [0; 32],
        client: client.into(),
        key_set: "main".into(),
        operation,
        now: at,
    }
}

#[test]
fn many_rows_are_summed_to_the_digit_and_grow_old() {
    const ROWS: u64 = 100_000;
    let rules = r#"
        [[rule]]
        name = "a day"
        kinds = ["trade"]
        symbols = ["BTCUSDT"]
        window_amount = "1000"
        window_hours = 24
        requests_per_day = 4000000
        action = "allow"
    "#;
    let policy = Policy::parse(rules).unwrap();
    // One a second: a day has 86 400 of them. A million are in `./dev bench policy`.
    let at = |row: u64| UnixMillis(NOW.0 + row * 1000);
    let acts = (0..ROWS).map(|row| Past::of(&order("bot", "BTCUSDT", at(row))));
    let now = at(ROWS - 1);
    let mut windows = Windows::new(&policy, acts.collect(), UnixMillis(0), now);
    let amount = |windows: &mut Windows, now: UnixMillis| {
        windows.turn(&policy, now);
        let sums = windows.seen(&order("bot", "BTCUSDT", now)).sums(0);
        (sums.amount.unwrap().to_string(), sums.day)
    };
    assert_eq!(amount(&mut windows, now), ("86.4".into(), 86_400));
    let later = now.plus_ms(12 * HOUR_MS);
    assert_eq!(amount(&mut windows, later), ("43.2".into(), 43_200));
    assert_eq!(
        amount(&mut windows, now),
        ("86.4".into(), 86_400),
        "and back"
    );
    let much_later = now.plus_ms(24 * HOUR_MS - 1000);
    assert_eq!(amount(&mut windows, much_later), ("0.001".into(), 1));
    assert_eq!(
        amount(&mut windows, now.plus_ms(25 * HOUR_MS)),
        ("0".into(), 0)
    );
}

// Nothing is kept for ever: a bot that goes on needs no more memory than its window.
#[test]
fn what_no_limit_looks_back_at_is_let_go() {
    let rules = "[[rule]]\nname = \"few\"\nkinds = [\"trade\"]\nrequests_per_minute = 9\naction = \"allow\"";
    let policy = Policy::parse(rules).unwrap();
    let mut windows = Windows::new(&policy, Vec::new(), UnixMillis(0), NOW);
    for step in 0..20_000u64 {
        let now = NOW.plus_ms(step * 1000);
        windows.turn(&policy, now);
        windows.push(
            &policy,
            Past::of(&order("bot", &format!("X{step}USDT"), now)),
        );
    }
    let hour_and_minute = 61 * 60;
    assert!(windows.len() <= hour_and_minute + 1, "{}", windows.len());
    let long_after = NOW.plus_ms(20_000 * 1000 + 10 * HOUR_MS);
    for _ in 0..20 {
        windows.turn(&policy, long_after);
    }
    assert!(windows.is_empty());
}

#[test]
fn a_clock_that_goes_back_behind_what_was_let_go_finds_every_limit_reached() {
    let rules = "[[rule]]\nname = \"few\"\nkinds = [\"trade\"]\nrequests_per_minute = 9\naction = \"allow\"";
    let policy = Policy::parse(rules).unwrap();
    let mut windows = Windows::new(&policy, Vec::new(), UnixMillis(0), NOW);
    windows.push(&policy, Past::of(&order("bot", "BTCUSDT", NOW)));
    let says = |windows: &mut Windows, now: UnixMillis| {
        windows.turn(&policy, now);
        let asked = order("bot", "BTCUSDT", now);
        strictness(&policy, &asked, &windows.seen(&asked))
    };
    assert_eq!(says(&mut windows, NOW), Action::Allow);
    assert_eq!(
        says(&mut windows, NOW.plus_ms(30 * 24 * HOUR_MS)),
        Action::Allow
    );
    assert_eq!(
        says(&mut windows, NOW),
        Action::Deny,
        "what counted then is forgotten"
    );
    assert_eq!(says(&mut windows, NOW.plus_ms(60_001)), Action::Allow);
}
