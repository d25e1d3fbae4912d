//! What can be said in rules: hours, days, counts per day, whose requests are counted; and what is for people: findings,
//! explanations, differences, replays and the policies to begin with.
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
    Action, Asked, Difference, Doubt, History, Misfit, Past, Policy, Recorded, Replay, Stand,
    Starting, Strange, Then,
};
use touchkeep_venue::{Decoded, Operation, OperationKind, Request, Side, Venue, binance::Binance};

// 2026-11-23 08:00 UTC, a Monday: `date -u -d '2026-11-23 08:00' '+%s %a'`.
const MONDAY_8: UnixMillis = UnixMillis(1_795_420_800_000);
const HOUR_MS: u64 = 3_600_000;

fn rules(text: &str) -> Policy {
    Policy::parse(text).unwrap()
}

fn operation(kind: OperationKind) -> Operation {
    Operation::new(kind, "binance", "POST", "/x", "x")
}

fn order(symbol: &str, amount: &str) -> Operation {
    let mut order = operation(OperationKind::Trade);
    order.symbol = Some(symbol.into());
    order.side = Some(Side::Buy);
    order.amount = amount.parse().ok();
    order
}

fn asked(operation: Operation, now: UnixMillis) -> Asked {
    Asked {
        request: RequestId::random(),
        digest: [0; 32],
        client: "grid-bot".into(),
        key_set: "main".into(),
        operation,
        now,
    }
}

fn says(policy: &Policy, asked: &Asked, past: &[Past]) -> Action {
    let history = History::of(policy, past, asked);
    policy.action(asked, &history).0.unwrap_or(Action::Deny)
}

#[test]
fn a_rule_outside_its_hours_neither_fits_nor_leaves_a_floor() {
    let policy = rules(
        r#"
        [[rule]]
        name = "office"
        kinds = ["trade"]
        hours = "08:00-18:00"
        days = ["mon", "tue", "wed", "thu", "fri"]
        utc_offset = "+01:00"
        action = "allow"
        [[rule]]
        name = "not at night"
        kinds = ["trade"]
        hours = "22:00-05:00"
        action = "deny"
        [[rule]]
        name = "else"
        kinds = ["trade"]
        action = "approve"
        "#,
    );
    let at = |hours: u64, minutes: u64| {
        let now = MONDAY_8.plus_ms(hours * HOUR_MS + minutes * 60_000);
        says(&policy, &asked(order("BTCUSDT", "1"), now), &[])
    };
    assert_eq!(at(0, 0), Action::Allow, "09:00 at +01:00");
    assert_eq!(at(8, 59), Action::Allow, "17:59");
    assert_eq!(at(9, 0), Action::Approve, "18:00");
    assert_eq!(at(13, 59), Action::Approve, "21:59 UTC");
    assert_eq!(at(14, 0), Action::Deny, "22:00 UTC");
    assert_eq!(at(20, 59), Action::Deny, "04:59 UTC");
    assert_eq!(at(21, 0), Action::Approve, "05:00 UTC");
    assert_eq!(at(23, 0), Action::Allow, "Tuesday 08:00 at +01:00");
    assert_eq!(at(5 * 24, 0), Action::Approve, "a Saturday");
}

#[test]
fn requests_of_a_day_are_counted_for_whom_the_rule_says() {
    let text = |per: &str| {
        format!(
            "[[rule]]\nname = \"few\"\nkinds = [\"trade\"]\nrequests_per_day = 2\n{per}\naction = \"allow\""
        )
    };
    let past = |hours_ago: u64, client: &str, key_set: &str| {
        let mut act = Past::of(&asked(order("BTCUSDT", "1"), MONDAY_8));
        act.at = UnixMillis(MONDAY_8.0 - hours_ago * HOUR_MS);
        (act.client, act.key_set) = (client.into(), key_set.into());
        act
    };
    let own = [past(1, "grid-bot", "main"), past(23, "grid-bot", "main")];
    let old = [past(1, "grid-bot", "main"), past(24, "grid-bot", "main")];
    let others = [past(1, "other", "main"), past(2, "other", "main")];
    let elsewhere = [past(1, "grid-bot", "second"), past(2, "grid-bot", "second")];
    for (per, reached) in [
        ("", [true, false, false, false]),
        ("per = [\"client\"]", [true, false, false, true]),
        ("per = [\"key-set\"]", [true, false, true, false]),
        (
            "per = [\"client\", \"key-set\"]",
            [true, false, false, false],
        ),
        ("per = []", [true, false, true, true]),
    ] {
        let policy = rules(&text(per));
        for (past, reached) in [&own, &old, &others, &elsewhere].into_iter().zip(reached) {
            let action = says(&policy, &asked(order("BTCUSDT", "1"), MONDAY_8), past);
            assert_eq!(action == Action::Deny, reached, "{per}: {past:?}");
        }
    }
}

#[test]
fn amounts_are_counted_for_each_client_where_the_rule_says_so() {
    let text = |per: &str| {
        format!(
            "[[rule]]\nname = \"x\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nwindow_amount = \"1\"\nwindow_hours = 1\n{per}\naction = \"allow\""
        )
    };
    let mut other = Past::of(&asked(order("BTCUSDT", "0.8"), MONDAY_8));
    other.client = "other".into();
    let wanted = asked(order("BTCUSDT", "0.3"), MONDAY_8);
    assert_eq!(
        says(&rules(&text("")), &wanted, std::slice::from_ref(&other)),
        Action::Deny
    );
    assert_eq!(
        says(&rules(&text("per = [\"client\"]")), &wanted, &[other]),
        Action::Allow
    );
}

#[test]
fn fields_of_time_that_mean_nothing_are_refused() {
    for fields in [
        "hours = \"8-18\"",
        "hours = \"08:00-08:00\"",
        "hours = [\"08:00-18:00\"]",
        "days = []",
        "days = [\"monday\"]",
        "utc_offset = \"+01:00\"",
        "hours = \"08:00-18:00\"\nutc_offset = \"CET\"",
        "requests_per_day = 0",
        "per = [\"client\"]",
        "per = [\"venue\"]\nrequests_per_day = 1",
    ] {
        let text =
            format!("[[rule]]\nname = \"x\"\nkinds = [\"read\"]\naction = \"allow\"\n{fields}");
        assert!(Policy::parse(&text).is_err(), "{fields}");
    }
}

// Several orders in one request say no amount, so no limit lets them through.
#[test]
fn a_batch_is_over_every_limit_and_meant_by_every_market() {
    let body = r#"batchOrders=[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.001","price":"1","timeInForce":"GTC"}]"#;
    let request = Request {
        method: "POST".into(),
        path: "/fapi/v1/batchOrders".into(),
        query: Vec::new(),
        content_type: Some("application/x-www-form-urlencoded".into()),
        body: body
            .replace('{', "%7B")
            .replace('}', "%7D")
            .replace('"', "%22")
            .replace('[', "%5B")
            .replace(']', "%5D")
            .replace(':', "%3A")
            .into(),
        expires: None,
    };
    let Decoded::Private(private) = Binance.decode(&request).unwrap() else {
        panic!("public");
    };
    let batch = private.operation().clone();
    assert!(
        batch.kind == OperationKind::Trade && batch.amount.is_none(),
        "{batch:?}"
    );
    let trader = rules(Starting::Trader.text(false));
    assert_eq!(
        says(&trader, &asked(batch.clone(), MONDAY_8), &[]),
        Action::Approve
    );
    // Once a person has let one through, nobody knows what the window has.
    let window = rules(
        "[[rule]]\nname = \"x\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nwindow_amount = \"10\"\nwindow_hours = 1\naction = \"allow\"",
    );
    let past = [Past::of(&asked(batch, MONDAY_8))];
    let small = asked(order("BTCUSDT", "0.001"), MONDAY_8);
    assert_eq!(says(&window, &small, &[]), Action::Allow);
    assert_eq!(says(&window, &small, &past), Action::Deny);
}

fn found(text: &str) -> Vec<(usize, Strange)> {
    let findings = rules(text).findings().into_iter();
    findings.map(|found| (found.rule, found.what)).collect()
}

#[test]
fn what_is_strange_is_found_and_nothing_else() {
    let rule = |name: &str, fields: &str| format!("[[rule]]\nname = \"{name}\"\n{fields}\n");
    let limited =
        "kinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nmax_amount = \"1\"\naction = \"allow\"";
    for (first, second, strange) in [
        (
            "kinds = [\"read\", \"trade\"]\naction = \"approve\"",
            "kinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\naction = \"allow\"",
            Some(Strange::Unreachable),
        ),
        (
            "kinds = [\"trade\"]\nsymbols = [\"*USDT\"]\naction = \"approve\"",
            "kinds = [\"trade\"]\nsymbols = [\"BTC*USDT\"]\naction = \"allow\"",
            Some(Strange::Unreachable),
        ),
        (
            "kinds = [\"trade\"]\naction = \"approve\"",
            "kinds = [\"trade\"]\nsides = [\"sell\"]\naction = \"allow\"",
            Some(Strange::Unreachable),
        ),
        (
            "kinds = [\"trade\"]\nsides = [\"buy\"]\naction = \"approve\"",
            "kinds = [\"trade\"]\nsides = [\"buy\", \"sell\"]\naction = \"approve\"",
            None,
        ),
        (
            "kinds = [\"trade\"]\naction = \"notify\"",
            "kinds = [\"cancel\"]\nsides = [\"buy\"]\naction = \"allow\"",
            Some(Strange::NeverFits),
        ),
        (
            limited,
            "kinds = [\"trade\"]\nsides = [\"buy\"]\naction = \"allow\"",
            Some(Strange::Widens),
        ),
        // A batch says no market, so the second one is its floor.
        (
            "kinds = [\"trade\"]\nsymbols = [\"*USDT\"]\naction = \"approve\"",
            "kinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\naction = \"deny\"",
            None,
        ),
        (
            "kinds = [\"trade\"]\nsymbols = [\"BTC*\"]\naction = \"approve\"",
            "kinds = [\"trade\"]\nsymbols = [\"*USDT\"]\naction = \"allow\"",
            None,
        ),
        (
            "kinds = [\"trade\"]\nclients = [\"a\"]\naction = \"approve\"",
            "kinds = [\"trade\"]\naction = \"allow\"",
            None,
        ),
        (
            "kinds = [\"trade\"]\nrequests_per_minute = 9\naction = \"approve\"",
            "kinds = [\"trade\"]\naction = \"approve\"",
            None,
        ),
        (
            "kinds = [\"trade\"]\nhours = \"08:00-09:00\"\naction = \"approve\"",
            "kinds = [\"trade\"]\naction = \"approve\"",
            None,
        ),
        (
            limited,
            "kinds = [\"trade\"]\naction = \"allow\"",
            Some(Strange::Widens),
        ),
        (
            limited,
            "kinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nmax_amount = \"2\"\naction = \"notify\"",
            Some(Strange::Widens),
        ),
        (
            limited,
            "kinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nmax_amount = \"0.5\"\naction = \"allow\"",
            None,
        ),
        (
            limited,
            "kinds = [\"trade\"]\nsymbols = [\"ETHUSDT\"]\naction = \"allow\"",
            None,
        ),
        (limited, "kinds = [\"trade\"]\naction = \"approve\"", None),
        (
            "kinds = [\"trade\"]\naction = \"approve\"",
            "kinds = [\"read\"]\ndestinations = [\"a\"]\naction = \"allow\"",
            Some(Strange::NeverFits),
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "kinds = [\"trade\"]\nsymbols = [\"A\"]\nmax_amount = \"2\"\nwindow_amount = \"1\"\nwindow_hours = 1\naction = \"allow\"",
            Some(Strange::NeverFits),
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "kinds = [\"trade\"]\nassets = [\"DOGE\"]\naction = \"deny\"",
            Some(Strange::NeverFits),
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "kinds = [\"withdraw\"]\nsymbols = [\"DOGEUSDT\"]\naction = \"deny\"",
            Some(Strange::NeverFits),
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "kinds = [\"trade\", \"cancel\"]\nsymbols = [\"A\"]\nmax_amount = \"2\"\naction = \"allow\"",
            Some(Strange::NeverFits),
        ),
        (
            "kinds = [\"withdraw\"]\nassets = [\"BTC\"]\nmax_amount = \"2\"\naction = \"touch\"",
            "kinds = [\"trade\"]\nsymbols = [\"A\"]\nmax_amount = \"2\"\naction = \"allow\"",
            None,
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "venues = [\"Binance\"]\naction = \"deny\"",
            Some(Strange::UnknownVenue),
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "venues = [\"kraken*\"]\naction = \"deny\"",
            None,
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "symbols = [\"btcusdt\"]\naction = \"deny\"",
            Some(Strange::Spelling),
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "symbols = [\"BTC/USDT\"]\naction = \"deny\"",
            Some(Strange::Spelling),
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "venues = [\"bitstamp\"]\nsymbols = [\"btcusd\"]\naction = \"deny\"",
            None,
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "venues = [\"bitfinex\"]\nsymbols = [\"tDUSK:USD\"]\naction = \"deny\"",
            None,
        ),
        (
            "kinds = [\"read\"]\naction = \"allow\"",
            "hours = \"22:00-06:00\"\naction = \"deny\"",
            Some(Strange::TimedGuard),
        ),
    ] {
        let text = rule("first", first) + &rule("second", second);
        let expected: Vec<_> = strange.into_iter().map(|strange| (1, strange)).collect();
        assert_eq!(found(&text), expected, "{text}");
    }
}

fn any_policy() -> impl Strategy<Value = String> {
    let field = |name: &'static str, of: &'static [&'static str]| {
        prop::sample::select(of.to_vec()).prop_map(move |chosen| match chosen {
            "" => String::new(),
            _ => format!("{name} = {chosen}\n"),
        })
    };
    let rule = (
        field(
            "kinds",
            &[
                "['trade']",
                "['trade', 'read']",
                "['withdraw', 'trade']",
                "",
            ],
        ),
        field(
            "symbols",
            &["['BTCUSDT']", "['*USDT']", "['BTCUSDT', 'ETHUSDT']", "", ""],
        ),
        field("clients", &["['grid-*']", "['other']", "", ""]),
        field("max_amount", &["'1'", "'5'", "", ""]),
        field(
            "window_amount",
            &["'3'\nwindow_hours = 1", "'9'\nwindow_hours = 2", "", ""],
        ),
        field("requests_per_day", &["2", "", ""]),
        field("hours", &["'08:00-12:00'", "'22:00-06:00'", "", ""]),
        field(
            "action",
            &["'allow'", "'notify'", "'approve'", "'touch'", "'deny'"],
        ),
    );
    let rule = rule.prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c, d, e, f, g, h].concat());
    prop::collection::vec(rule, 1..6)
        .prop_map(|rules| {
            let named = rules.iter().enumerate();
            let named = named.map(|(n, rule)| format!("[[rule]]\nname = \"r{n}\"\n{rule}"));
            // Those that say something that means nothing are left out.
            let good = named.filter(|rule| Policy::parse(rule).is_ok());
            good.collect::<String>()
        })
        .prop_filter("some rule", |text| !text.is_empty())
}

fn any_asked() -> impl Strategy<Value = Asked> {
    (
        prop::sample::select(vec![
            OperationKind::Trade,
            OperationKind::Trade,
            OperationKind::Read,
            OperationKind::Withdraw,
        ]),
        prop::sample::select(vec![Some("BTCUSDT"), Some("ETHUSDT"), Some("BTCEUR"), None]),
        prop::option::weighted(0.8, 0..7u32),
        prop::sample::select(vec!["grid-1", "other", "else"]),
        0..48u64,
    )
        .prop_map(|(kind, symbol, amount, client, hours)| {
            let mut operation = operation(kind);
            operation.symbol = symbol.map(Into::into);
            operation.amount = amount.map(|amount| amount.to_string().parse().unwrap());
            let mut asked = asked(operation, MONDAY_8.plus_ms(hours * HOUR_MS));
            asked.client = client.into();
            asked
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    // The index finds the same rules as going through all of them, and what is explained is what is done.
    #[test]
    fn what_is_explained_is_what_is_decided(
        text in any_policy(), asked in any_asked(), past in prop::collection::vec(any_asked(), 0..6),
    ) {
        let policy = rules(&text);
        let past: Vec<Past> = past.iter().map(Past::of).collect();
        let history = History::of(&policy, &past, &asked);
        let (action, rule) = policy.action(&asked, &history);
        let explanation = policy.explain(&asked, &history);
        prop_assert_eq!(explanation.action, action);
        prop_assert_eq!(explanation.rule.map(|place| &policy.rules()[place]), rule);
        let (fits, above) = match explanation.steps.split_last() {
            Some((last, above)) if last.stand == Stand::Fits => (Some(last), above),
            _ => (None, explanation.steps.as_slice()),
        };
        let at_least = |rule: usize| policy.rules()[rule].action;
        let floors = above.iter().filter(|step| matches!(step.stand, Stand::Floor(_)));
        let expected = fits.map(|fits| floors.map(|step| at_least(step.rule)).fold(at_least(fits.rule), Ord::max));
        prop_assert_eq!(action, expected.map(|action| match asked.operation.kind.is_dangerous() {
            true => action.max(Action::Touch),
            false => action,
        }));
    }

    // Whoever says that a rule is never reached must be right.
    #[test]
    fn a_rule_that_is_called_unreachable_changes_nothing(
        text in any_policy(), asked in any_asked(), past in prop::collection::vec(any_asked(), 0..6),
    ) {
        let policy = rules(&text);
        let past: Vec<Past> = past.iter().map(Past::of).collect();
        for finding in policy.findings().into_iter().filter(|found| found.what == Strange::Unreachable) {
            let parts = text.split_inclusive("[[rule]]");
            let without: Vec<&str> = parts.collect();
            prop_assert!(without.len() == policy.rules().len() + 1);
            let kept: String = text.split("[[rule]]").skip(1).enumerate()
                .filter(|(place, _)| *place != finding.rule)
                .map(|(_, rule)| format!("[[rule]]{rule}")).collect();
            prop_assert_eq!(says(&policy, &asked, &past), says(&rules(&kept), &asked, &past));
        }
    }
}

#[test]
fn an_explanation_names_limits_with_what_they_have() {
    let policy = rules(
        r#"
        [[rule]]
        name = "reads"
        kinds = ["read"]
        action = "allow"
        [[rule]]
        name = "small"
        kinds = ["trade"]
        symbols = ["BTCUSDT"]
        window_amount = "1"
        window_hours = 24
        requests_per_minute = 5
        action = "allow"
        [[rule]]
        name = "else"
        kinds = ["trade"]
        action = "approve"
        "#,
    );
    let past = [Past::of(&asked(order("BTCUSDT", "0.75"), MONDAY_8))];
    let wanted = asked(order("BTCUSDT", "0.3"), MONDAY_8);
    let explanation = policy.explain(&wanted, &History::of(&policy, &past, &wanted));
    let stands: Vec<_> = explanation.steps.iter().map(|step| step.stand).collect();
    assert_eq!(
        stands,
        [
            Stand::Not(Misfit::Kind),
            Stand::Floor(Doubt::WindowAmount),
            Stand::Fits
        ]
    );
    let limits: Vec<_> = explanation.steps[1]
        .limits
        .iter()
        .map(|limit| {
            (
                limit.field,
                limit.most.as_str(),
                limit.so_far.as_deref(),
                limit.adds.as_str(),
            )
        })
        .collect();
    assert_eq!(
        limits,
        [
            ("window_amount", "1", Some("0.75"), "0.3"),
            ("requests_per_minute", "5", Some("1"), "1"),
        ]
    );
    assert_eq!(
        (explanation.action, explanation.rule),
        (Some(Action::Approve), Some(2))
    );
}

#[test]
fn a_difference_names_rules_and_the_mildest_that_can_happen() {
    let old = rules(
        "[[rule]]\nname = \"a\"\nkinds = [\"trade\"]\naction = \"approve\"\n[[rule]]\nname = \"b\"\nkinds = [\"read\"]\naction = \"allow\"",
    );
    let new = rules(
        "[[rule]]\nname = \"b\"\nkinds = [\"read\"]\nclients = [\"x\"]\naction = \"allow\"\n[[rule]]\nname = \"c\"\nkinds = [\"trade\"]\naction = \"allow\"",
    );
    assert_eq!(
        old.differences(&new).sentence(),
        "1 rule added, 1 rule removed, 1 rule changed; trade: the mildest was approve and becomes allow; \
         \"c\" is new and says allow for trade; \"a\" goes and said approve for trade; \
         \"b\": clients was any and becomes \"x\""
    );
    let limited = |fields: &str| {
        rules(&format!(
            "[[rule]]\nname = \"\\u202Ex\"\nkinds = [\"trade\"]\nsymbols = [\"A\"]\n{fields}\naction = \"allow\""
        ))
    };
    let more = limited("max_amount = \"0.1\"")
        .differences(&limited("max_amount = \"100\"\nrequests_per_day = 5"));
    assert_eq!(
        more.sentence(),
        "1 rule changed; \"\\u{202e}x\": max_amount was 0.1 and becomes 100; \
         \"\\u{202e}x\": requests_per_day was none and becomes 5"
    );
    let named = |name: &str| rules(&format!("[[rule]]\nname = '{name}'\naction = \"deny\""));
    assert!(
        old.differences(&named(r#"é\ 漢" goes; "b"#))
            .sentence()
            .contains(r#"; "é\\ 漢\u{22} goes; \u{22}b" is new and says deny for everything"#)
    );
    assert!(old.differences(&old).is_empty());
    let from_nothing = Policy::by_hand().differences(&new).sentence();
    assert!(
        from_nothing.contains("trade: the mildest was touch and becomes allow"),
        "{from_nothing}"
    );
}

// Whoever is asked may read no further than the harmless.
#[test]
fn what_lets_more_through_is_said_first_and_all_of_it() {
    let policy = |harmless: &str, dangerous: &str| {
        let lists = (0..6).map(|n| {
            format!(
                "[[rule]]\nname = \"a{n}\"\nkinds = [\"trade\"]\nsymbols = [\"S{n}\"]\nmax_amount = \"{harmless}\"\naction = \"allow\"\n"
            )
        });
        let lists: String = lists.collect();
        rules(&format!(
            "{lists}[[rule]]\nname = \"small\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\n{dangerous}\naction = \"allow\"\n\
             [[rule]]\nname = \"out\"\nkinds = [\"withdraw\"]\ndestinations = [\"bc1qmine\"]\naction = \"touch\"\n"
        ))
    };
    let old = policy(
        "5",
        "max_amount = \"0.01\"\nwindow_amount = \"1\"\nwindow_hours = 24",
    );
    let new = policy(
        "1",
        "max_amount = \"1000\"\nwindow_amount = \"1\"\nwindow_hours = 1",
    );
    let changes = old.differences(&new);
    assert_eq!(changes.milder, 2);
    let asked = changes.question().unwrap();
    assert!(
        asked.starts_with(
            "7 rules changed\n\"small\": max_amount was 0.01 and becomes 1000\n\
             \"small\": window_hours was 24 and becomes 1\n\"a0\": max_amount was 5 and becomes 1"
        ),
        "{asked}"
    );
    // However many of them there are; of the others the first.
    let loose = old.differences(&policy("7", "")).question().unwrap();
    for detail in [
        "\"a5\": max_amount was 5 and becomes 7",
        "\"small\": max_amount was 0.01 and becomes none",
        "\"small\": window_amount was 1 and becomes none",
    ] {
        assert!(loose.contains(detail), "{loose}");
    }
    assert!(!loose.contains(" more"), "{loose}");
    let tight =
        policy("7", "").differences(&policy("5", "max_amount = \"1\"\nmax_notional = \"9\""));
    assert_eq!(tight.milder, 0);
    let sentence = tight.sentence();
    assert!(
        sentence.ends_with("; and 2 more, none of which lets more through"),
        "{sentence}"
    );
}

#[test]
fn lists_orders_and_times_are_said_by_their_values() {
    let rule = |fields: &str, action: &str| {
        rules(&format!(
            "[[rule]]\nname = \"r\"\nkinds = [\"withdraw\"]\n{fields}\naction = \"{action}\""
        ))
    };
    let milder = |was: &Policy, is: &Policy| {
        let changes = was.differences(is);
        let (milder, rest) = changes.details.split_at(changes.milder);
        (milder.to_vec(), rest.to_vec())
    };
    let to = |list: &str| rule(&format!("destinations = [{list}]"), "touch");
    let one = to("\"bc1qmine\"");
    let two = to("\"bc1qmine\", { address = \"rEvil\", tag = \"7\", network = \"XRP\" }");
    let also = "\"r\": destinations also \"rEvil\" tag \"7\" network \"XRP\"".to_owned();
    assert_eq!(milder(&one, &two), (vec![also], vec![]));
    let never = |assets: &str| rule(&format!("assets = [{assets}]"), "deny");
    let (both, btc) = (never("\"BTC\", \"ETH\""), never("\"BTC\""));
    let no_longer = "\"r\": assets no longer \"ETH\"".to_owned();
    assert_eq!(milder(&both, &btc), (vec![no_longer], vec![]));
    let denied = "\"r\": assets also \"ETH\"".to_owned();
    assert_eq!(milder(&btc, &both), (vec![], vec![denied]));
    let sides = |sides: &str, limit: &str| {
        rules(&format!(
            "[[rule]]\nname = \"r\"\nkinds = [\"trade\"]\n{sides}\n{limit}\naction = \"allow\""
        ))
    };
    let fewer = "\"r\": sides was any and becomes buy".to_owned();
    let (both, bought) = (sides("", ""), sides("sides = [\"buy\"]", ""));
    assert_eq!(milder(&both, &bought), (vec![], vec![fewer.clone()]));
    // What it no longer counts leaves room.
    let limit = "requests_per_day = 9";
    let (both, bought) = (sides("", limit), sides("sides = [\"buy\"]", limit));
    assert_eq!(milder(&both, &bought), (vec![fewer], vec![]));
    let at = |hours: &str| {
        rule(
            &format!("hours = \"{hours}\"\ndays = [\"mon\", \"sun\"]\nutc_offset = \"-05:30\""),
            "touch",
        )
    };
    let (day, night) = (at("08:00-18:00"), at("22:30-06:00"));
    let hours = "\"r\": hours was 08:00-18:00 and becomes 22:30-06:00".to_owned();
    assert_eq!(milder(&day, &night), (vec![hours], vec![]));
    let new = Policy::by_hand().differences(&at("08:00-18:00"));
    assert_eq!(
        new.details,
        [
            "\"r\" is new and says touch for withdraw (hours 08:00-18:00; days mon, sun; utc_offset -05:30)"
        ]
    );
    let in_order = |names: &[&str]| {
        let text: Vec<String> = names
            .iter()
            .map(|name| {
                format!("[[rule]]\nname = \"{name}\"\nkinds = [\"read\"]\naction = \"allow\"\n")
            })
            .collect();
        rules(&text.concat())
    };
    let moved = milder(
        &in_order(&["a", "b", "c", "d"]),
        &in_order(&["a", "c", "b", "d"]),
    );
    assert_eq!(
        moved,
        (vec!["the order becomes \"c\", \"b\"".to_owned()], vec![])
    );
}

#[test]
fn what_is_too_long_for_one_question_is_none() {
    let many = |amount: &str| {
        let rules_of: Vec<String> = (0..100)
            .map(|n| {
                format!(
                    "[[rule]]\nname = \"rule {n}\"\nkinds = [\"trade\"]\nsymbols = [\"S{n}\"]\nmax_amount = \"{amount}\"\naction = \"allow\"\n"
                )
            })
            .collect();
        rules(&rules_of.concat())
    };
    let wider = many("1").differences(&many("2"));
    assert_eq!((wider.milder, wider.question()), (100, None));
    assert!(many("2").differences(&many("1")).question().is_some());
}

#[test]
fn a_replay_counts_what_the_candidate_lets_through() {
    let candidate = rules(
        "[[rule]]\nname = \"one a day\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nwindow_amount = \"1\"\nwindow_hours = 24\naction = \"allow\"\n[[rule]]\nname = \"asked\"\nkinds = [\"trade\"]\naction = \"approve\"",
    );
    let recorded = |hours: u64, amount: &str, then: Then| Recorded {
        asked: asked(order("BTCUSDT", amount), MONDAY_8.plus_ms(hours * HOUR_MS)),
        then,
        rule: None,
    };
    let mut replay = Replay::new(candidate, Vec::new(), MONDAY_8);
    for (story, action, difference) in [
        (
            recorded(0, "0.6", Then::Unsigned),
            Action::Allow,
            Difference::Same,
        ),
        (
            recorded(0, "0.6", Then::Denied),
            Action::Allow,
            Difference::Milder,
        ),
        // The denied one counts now: the candidate would have let it through.
        (
            recorded(1, "0.6", Then::Allowed),
            Action::Approve,
            Difference::Stricter,
        ),
        (
            recorded(2, "0.6", Then::Approved),
            Action::Approve,
            Difference::Same,
        ),
        // Two that were let through, one of them by a yes of then, count: 1.8 of 1.
        (
            recorded(3, "0.1", Then::Refused),
            Action::Approve,
            Difference::Same,
        ),
        // A day after the last that was let through.
        (
            recorded(26, "1", Then::Touched),
            Action::Allow,
            Difference::Milder,
        ),
    ] {
        let now = replay.next(&story);
        assert_eq!(
            (now.action, story.then.beside(now.action)),
            (action, difference),
            "{story:?}"
        );
    }
}

#[test]
fn the_policies_to_begin_with_let_through_what_they_say() {
    let withdrawal = |to: &str| {
        let mut withdrawal = operation(OperationKind::Withdraw);
        withdrawal.asset = Some("BTC".into());
        withdrawal.amount = "0.1".parse().ok();
        withdrawal.destination = Some(to.into());
        withdrawal
    };
    let limit = |amount: &str, price: &str, side: Side| {
        let mut limit = order("ETHUSDT", amount);
        limit.price = price.parse().ok();
        limit.side = Some(side);
        limit
    };
    use Action::{Allow, Approve, Deny, Notify, Touch};
    // Trader, developer, developer in a practice vault, read-only.
    for (what, operation, expected) in [
        (
            "read",
            operation(OperationKind::Read),
            [Allow, Allow, Allow, Allow],
        ),
        (
            "cancel",
            operation(OperationKind::Cancel),
            [Allow, Notify, Allow, Deny],
        ),
        (
            "a small purchase",
            limit("0.02", "2000", Side::Buy),
            [Allow, Touch, Allow, Deny],
        ),
        (
            "a large purchase",
            limit("2", "2000", Side::Buy),
            [Approve, Touch, Allow, Deny],
        ),
        (
            "a sale",
            limit("0.02", "2000", Side::Sell),
            [Approve, Touch, Allow, Deny],
        ),
        (
            "a small sale of BTC",
            {
                let mut sale = order("BTCUSDT", "0.0005");
                sale.side = Some(Side::Sell);
                sale
            },
            [Allow, Touch, Allow, Deny],
        ),
        (
            "leverage",
            operation(OperationKind::Leverage),
            [Approve, Touch, Allow, Deny],
        ),
        (
            "a batch",
            operation(OperationKind::Trade),
            [Approve, Touch, Allow, Deny],
        ),
        (
            "a withdrawal to a stranger",
            withdrawal("bc1qstranger"),
            [Deny, Deny, Touch, Deny],
        ),
        (
            "a withdrawal to nobody",
            operation(OperationKind::Withdraw),
            [Deny, Deny, Touch, Deny],
        ),
        (
            "a transfer",
            operation(OperationKind::Transfer),
            [Touch, Deny, Touch, Deny],
        ),
        (
            "key administration",
            operation(OperationKind::KeyAdmin),
            [Deny, Deny, Deny, Deny],
        ),
        (
            "not understood",
            operation(OperationKind::Unknown),
            [Deny, Touch, Touch, Deny],
        ),
    ] {
        let policies = [
            Starting::Trader.text(false),
            Starting::Developer.text(false),
            Starting::Developer.text(true),
            Starting::ReadOnly.text(false),
        ];
        for (text, expected) in policies.into_iter().zip(expected) {
            let action = says(&rules(text), &asked(operation.clone(), MONDAY_8), &[]);
            assert_eq!(action, expected, "{what}:\n{text}");
        }
    }
    let own = Starting::Trader
        .text(false)
        .replace("put-your-address-here", "bc1qhome");
    assert_eq!(
        says(&rules(&own), &asked(withdrawal("bc1qhome"), MONDAY_8), &[]),
        Touch
    );
    assert_eq!(
        says(&rules(&own), &asked(withdrawal("bc1qhomf"), MONDAY_8), &[]),
        Deny
    );
}

// What a sale brings in is not known, which is no reason to ask about purchases for a day.
#[test]
fn after_a_sale_a_small_purchase_goes_by_rule_as_before() {
    let trade = |side: Side| {
        let mut trade = order("ETHUSDT", "0.02");
        (trade.side, trade.price) = (Some(side), "2000".parse().ok());
        trade
    };
    let now = UnixMillis(1_700_000_000_000);
    let sold = Past::of(&asked(trade(Side::Sell), now));
    for text in [Starting::Trader.text(false), Policy::starting_text()] {
        let bought = asked(trade(Side::Buy), now);
        let past = std::slice::from_ref(&sold);
        assert_eq!(says(&rules(text), &bought, past), Action::Allow);
    }
}

#[test]
fn nothing_is_strange_about_the_policies_to_begin_with() {
    for starting in Starting::ALL {
        for practice in [false, true] {
            // The rule for withdrawals waits for addresses of one's own.
            let own = starting
                .text(practice)
                .replace("put-your-address-here", "bc1qhome");
            assert_eq!(found(&own), []);
            assert_eq!(Starting::of(starting.as_str()), Some(starting));
        }
    }
    assert_eq!(found(Policy::starting_text()), []);
    let unfinished = found(Starting::Trader.text(false));
    assert_eq!(unfinished.len(), 1, "{unfinished:?}");
    assert_eq!(unfinished[0].1, Strange::NeverFits);
}

fn page() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_examples_on_the_page_can_be_used() {
    let page = page();
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        assert_eq!(found(example), [], "{example}");
    }
}

// Which key signs hangs on the kind alone, and the page says which.
#[test]
fn the_page_names_every_kind_with_the_class_of_its_key() {
    let page = page();
    for kind in OperationKind::ALL {
        let class = serde_json::to_value(kind.class()).unwrap();
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{kind}` |")));
        let row = row.unwrap_or_else(|| panic!("{kind} is not on the page"));
        assert!(
            row.ends_with(&format!("| `{}` |", class.as_str().unwrap())),
            "{row}"
        );
    }
}

// The reader of rules says itself which fields there are, when it is given one that is none.
#[test]
fn the_page_names_every_field() {
    let error = Policy::parse("[[rule]]\nnonsense = 1")
        .unwrap_err()
        .to_string();
    let known = error.split_once("expected one of ").unwrap().1;
    let fields: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    assert!(fields.len() > 15, "{error}");
    let page = page();
    for field in fields {
        assert!(
            page.contains(&format!("`{field}")) || page.contains(&format!("\n{field} = ")),
            "{field}"
        );
    }
}
