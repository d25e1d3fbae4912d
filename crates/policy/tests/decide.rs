//! The decision: a table of cases, and what holds for all rules and requests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "tests may fail loudly"
)]

use proptest::prelude::*;
use touchkeep_core::{Decimal, DeviceId, RequestId, UnixMillis};
use touchkeep_policy::{
    Approval, ApprovedBy, Asked, DenyReason, History, How, Mismatch, Need, Past, Policy, Refusal,
    Verdict, Windows,
};
use touchkeep_venue::{Decoded, Operation, OperationKind, Request, Side, Venue, binance::Binance};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn asked(operation: Operation) -> Asked {
    Asked {
        request: RequestId::random(),
        digest: [7; 32],
        client: "grid-bot".into(),
        key_set: "main".into(),
        operation,
        now: NOW,
    }
}

fn of_kind(kind: OperationKind) -> Operation {
    Operation::new(kind, "binance", "POST", "/x", "x")
}

fn trade(symbol: &str, amount: Option<&str>) -> Operation {
    let mut operation = of_kind(OperationKind::Trade);
    operation.symbol = Some(symbol.into());
    operation.side = Some(Side::Buy);
    operation.amount = amount.map(d);
    operation
}

fn withdrawal(to: Option<&str>, tag: Option<&str>, network: Option<&str>) -> Operation {
    let mut operation = of_kind(OperationKind::Withdraw);
    operation.asset = Some("BTC".into());
    operation.amount = Some(d("1"));
    operation.destination = to.map(Into::into);
    operation.destination_tag = tag.map(Into::into);
    operation.network = network.map(Into::into);
    operation
}

// allow < notify < approve < touch < deny
fn strictness(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Allow(allowed) if allowed.how() == How::Rule => 0,
        Verdict::Allow(_) => 1,
        Verdict::Ask(question) if question.need() == Need::Click => 2,
        Verdict::Ask(_) => 3,
        Verdict::Deny(_) => 4,
    }
}

fn word(verdict: &Verdict) -> &'static str {
    ["allow", "notify", "approve", "touch", "deny"][usize::from(strictness(verdict))]
}

fn says(policy: &Policy, operation: Operation, past: &[Past]) -> (&'static str, String) {
    let asked = asked(operation);
    let history = History::of(policy, past, &asked);
    let verdict = policy.decide(asked, &history);
    let rule = match &verdict {
        Verdict::Allow(allowed) => allowed.rule().to_owned(),
        Verdict::Ask(question) => question.rule().to_owned(),
        Verdict::Deny(denied) => denied.rule().unwrap_or("-").to_owned(),
    };
    (word(&verdict), rule)
}

fn rules(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn the_starting_rules_do_what_they_say() {
    let policy = Policy::starting();
    let limit = |price: &str, amount: &str, side| {
        let mut operation = trade("LTCUSDT", Some(amount));
        operation.price = Some(d(price));
        operation.side = Some(side);
        operation
    };
    let mut market = trade("LTCUSDT", None);
    market.quote_amount = Some(d("100"));
    for (operation, verdict, rule) in [
        (of_kind(OperationKind::Read), "allow", "reads"),
        (of_kind(OperationKind::Cancel), "allow", "cancels"),
        (trade("BTCUSDT", Some("0.01")), "allow", "small BTC trades"),
        (
            trade("BTCUSDT", Some("0.0100000001")),
            "approve",
            "other trades",
        ),
        (trade("BTCUSDT", None), "approve", "other trades"),
        (trade("LTCBTC", Some("1")), "approve", "other trades"),
        (limit("100", "1", Side::Buy), "allow", "small purchases"),
        (limit("100", "1.01", Side::Buy), "approve", "other trades"),
        (limit("0.01", "1", Side::Sell), "approve", "other trades"),
        (market, "allow", "small purchases"),
        (of_kind(OperationKind::Leverage), "approve", "other trades"),
        (withdrawal(Some("bc1q"), None, None), "touch", "withdrawals"),
        (of_kind(OperationKind::Transfer), "deny", "-"),
        (of_kind(OperationKind::KeyAdmin), "deny", "-"),
        (of_kind(OperationKind::Unknown), "deny", "-"),
    ] {
        let sentence = operation.sentence();
        assert_eq!(
            says(&policy, operation, &[]),
            (verdict, rule.to_owned()),
            "{sentence}"
        );
    }
}

#[test]
fn without_rules_everything_is_denied() {
    let policy = rules("");
    for kind in OperationKind::ALL {
        let Verdict::Deny(denied) = policy.decide(asked(of_kind(kind)), &History::default()) else {
            panic!("{kind} was not denied");
        };
        assert_eq!(denied.reason(), DenyReason::NoRule);
    }
}

#[test]
fn by_hand_everything_asks_for_a_touch() {
    for kind in OperationKind::ALL {
        assert_eq!(
            says(&Policy::by_hand(), of_kind(kind), &[]),
            ("touch", "by hand".into())
        );
    }
}

#[test]
fn fields_fit_as_a_whole_and_the_first_rule_that_fits_decides() {
    let policy = rules(
        r#"
        [[rule]]
        name = "other bot"
        clients = ["other-*"]
        kinds = ["trade"]
        action = "deny"
        [[rule]]
        name = "told"
        clients = ["grid-*"]
        venues = ["binance"]
        key_sets = ["main"]
        kinds = ["trade"]
        symbols = ["BTC*"]
        action = "notify"
        [[rule]]
        name = "never"
        action = "deny"
        "#,
    );
    assert_eq!(
        says(&policy, trade("BTCUSDT", None), &[]),
        ("notify", "told".into())
    );
    assert_eq!(
        says(&policy, trade("ETHUSDT", None), &[]),
        ("deny", "never".into())
    );
    let mut elsewhere = trade("BTCUSDT", None);
    elsewhere.venue = "kraken".into();
    assert_eq!(says(&policy, elsewhere, &[]), ("deny", "never".into()));
    let mut other = asked(trade("BTCUSDT", None));
    other.key_set = "second".into();
    assert_eq!(word(&policy.decide(other, &History::default())), "deny");
}

#[test]
fn a_deny_list_is_not_passed_by_leaving_the_name_out() {
    let policy = rules(
        r#"
        [[rule]]
        name = "not this market"
        symbols = ["DOGEUSDT"]
        action = "deny"
        [[rule]]
        name = "trades"
        kinds = ["trade", "read"]
        action = "allow"
        "#,
    );
    assert_eq!(says(&policy, trade("BTCUSDT", None), &[]).0, "allow");
    assert_eq!(says(&policy, trade("DOGEUSDT", None), &[]).0, "deny");
    let batch = of_kind(OperationKind::Trade);
    assert_eq!(
        says(&policy, batch, &[]),
        ("deny", "not this market".into())
    );
    assert_eq!(says(&policy, of_kind(OperationKind::Read), &[]).0, "allow");
}

#[test]
fn a_destination_is_meant_with_its_tag_and_network() {
    let policy = rules(
        r#"
        [[rule]]
        name = "known"
        kinds = ["withdraw"]
        destinations = ["bc1qhome", { address = "rXRP", tag = "5", network = "XRP" }]
        action = "touch"
        "#,
    );
    for (operation, verdict) in [
        (withdrawal(Some("bc1qhome"), None, Some("BTC")), "touch"),
        (withdrawal(Some("bc1qhome"), Some("9"), None), "deny"),
        (withdrawal(Some("bc1qhome "), None, None), "deny"),
        (withdrawal(Some("rXRP"), Some("5"), Some("XRP")), "touch"),
        (withdrawal(Some("rXRP"), Some("6"), Some("XRP")), "deny"),
        (withdrawal(Some("rXRP"), Some("5"), Some("BEP20")), "deny"),
        (withdrawal(Some("rXRP"), None, Some("XRP")), "deny"),
        (withdrawal(None, None, None), "deny"),
    ] {
        let sentence = operation.sentence();
        assert_eq!(says(&policy, operation, &[]).0, verdict, "{sentence}");
    }
}

fn past(hours_ago: u64, symbol: &str, amount: Option<&str>) -> Past {
    let mut past = Past::of(&asked(trade(symbol, amount)));
    past.at = UnixMillis(NOW.0 - hours_ago * 3_600_000);
    past
}

#[test]
fn a_rule_for_one_side_is_for_that_alone_and_its_window_holds_nothing_of_the_other() {
    let policy = rules(
        r#"
        [[rule]]
        name = "purchases"
        kinds = ["trade", "cancel"]
        sides = ["buy"]
        symbols = ["*USDT"]
        window_notional = "100"
        window_hours = 24
        action = "allow"
        [[rule]]
        name = "sales"
        kinds = ["trade"]
        sides = ["sell"]
        action = "approve"
        [[rule]]
        name = "else"
        kinds = ["trade", "cancel"]
        action = "notify"
        "#,
    );
    let of = |side: Option<Side>, amount: &str| {
        let mut operation = trade("ETHUSDT", Some(amount));
        operation.side = side;
        operation.price = "10".parse().ok();
        operation
    };
    let past = |side, amount| {
        let mut past = Past::of(&asked(of(side, amount)));
        past.at = UnixMillis(NOW.0 - 60_000);
        past
    };
    let sold = past(Some(Side::Sell), "1");
    let bought = past(Some(Side::Buy), "9");
    let either = past(None, "1");
    for (before, operation, verdict) in [
        (vec![], of(Some(Side::Buy), "10"), ("allow", "purchases")),
        // A sale does not say what it brings in, and a window of purchases does not ask.
        (
            vec![sold.clone()],
            of(Some(Side::Buy), "10"),
            ("allow", "purchases"),
        ),
        (
            vec![sold, bought.clone()],
            of(Some(Side::Buy), "1"),
            ("allow", "purchases"),
        ),
        (vec![bought], of(Some(Side::Buy), "1.1"), ("notify", "else")),
        (vec![either], of(Some(Side::Buy), "1"), ("notify", "else")),
        (vec![], of(Some(Side::Sell), "1"), ("approve", "sales")),
        // It may be a sale.
        (vec![], of(None, "1"), ("approve", "sales")),
    ] {
        let sentence = operation.sentence();
        let (action, rule) = says(&policy, operation, &before);
        assert_eq!((action, rule.as_str()), verdict, "{sentence}");
    }
    let mut cancel = trade("ETHUSDT", None);
    (cancel.kind, cancel.side) = (OperationKind::Cancel, None);
    assert_eq!(says(&policy, cancel, &[]).1, "else", "it has no side");
}

#[test]
fn a_window_holds_exactly_its_limit() {
    let policy = rules(
        r#"
        [[rule]]
        name = "window"
        kinds = ["trade"]
        symbols = ["BTCUSDT", "ETHUSDT"]
        window_amount = "0.3"
        window_hours = 24
        action = "allow"
        [[rule]]
        name = "else"
        kinds = ["trade"]
        action = "approve"
        "#,
    );
    let one = past(1, "BTCUSDT", Some("0.1"));
    for (past, amount, verdict) in [
        (vec![], "0.3", "allow"),
        (vec![one.clone()], "0.2", "allow"),
        (vec![one.clone()], "0.2000000000000000001", "approve"),
        (
            vec![one.clone(), past(24, "BTCUSDT", Some("9"))],
            "0.2",
            "allow",
        ),
        (
            vec![one.clone(), past(23, "BTCUSDT", Some("9"))],
            "0.2",
            "approve",
        ),
        (
            vec![one.clone(), past(1, "ETHUSDT", Some("9"))],
            "0.2",
            "allow",
        ),
        (
            vec![one.clone(), past(1, "LTCUSDT", Some("9"))],
            "0.2",
            "allow",
        ),
        (vec![past(1, "BTCUSDT", None)], "0.1", "approve"),
    ] {
        let operation = trade("BTCUSDT", Some(amount));
        assert_eq!(
            says(&policy, operation, &past).0,
            verdict,
            "{amount} {past:?}"
        );
    }
    let mut several_orders = past(1, "BTCUSDT", None);
    several_orders.symbol = None;
    assert_eq!(
        says(&policy, trade("BTCUSDT", Some("0.1")), &[several_orders]).0,
        "approve"
    );
    let mut tomorrow = one;
    tomorrow.at = NOW.plus_ms(86_400_000);
    tomorrow.amount = Some(d("0.3"));
    assert_eq!(
        says(&policy, trade("BTCUSDT", Some("0.1")), &[tomorrow]).0,
        "approve",
        "after a clock went back"
    );
}

// Kraken allocates so much to a strategy, and says not of what. One of nobody knows what must not count as one bitcoin.
#[test]
fn so_much_of_what_nobody_knows_fills_no_window_with_its_number() {
    let mut of_what = of_kind(OperationKind::Transfer);
    of_what.amount = Some(d("0.1"));
    let of_what = Past::of(&asked(of_what));
    assert_eq!(of_what.amount, None);
    let policy = rules(
        "[[rule]]\nname='coins'\nkinds=['transfer']\nassets=['BTC']\nwindow_amount='5'\nwindow_hours=24\naction='touch'\n",
    );
    let mut one = of_kind(OperationKind::Transfer);
    one.asset = Some("BTC".into());
    one.amount = Some(d("1"));
    assert_eq!(says(&policy, one.clone(), &[]).0, "touch");
    assert_eq!(says(&policy, one, &[of_what]).0, "deny");
}

#[test]
fn requests_per_minute_are_counted_for_client_and_key_set() {
    let policy = rules(
        "[[rule]]\nname = \"few\"\nkinds = [\"read\"]\nrequests_per_minute = 2\naction = \"allow\"",
    );
    let read = |seconds_ago: u64, client: &str| {
        let mut past = Past::of(&asked(of_kind(OperationKind::Read)));
        past.at = UnixMillis(NOW.0 - seconds_ago * 1000);
        past.client = client.into();
        past
    };
    for (past, verdict) in [
        (vec![], "allow"),
        (vec![read(1, "grid-bot")], "allow"),
        (vec![read(1, "grid-bot"), read(59, "grid-bot")], "deny"),
        (vec![read(1, "grid-bot"), read(60, "grid-bot")], "allow"),
        (vec![read(1, "grid-bot"), read(1, "other")], "allow"),
    ] {
        assert_eq!(
            says(&policy, of_kind(OperationKind::Read), &past).0,
            verdict,
            "{past:?}"
        );
    }
}

#[test]
fn a_click_is_no_touch_and_an_approval_is_for_one_digest() {
    let policy = Policy::by_hand();
    let question =
        || match policy.decide(asked(of_kind(OperationKind::Withdraw)), &History::default()) {
            Verdict::Ask(question) => question,
            other => panic!("{other:?}"),
        };
    let approve = |digest: u8, by| {
        question().approve(Approval {
            digest: [digest; 32],
            by,
        })
    };
    let device = DeviceId::random();
    assert_eq!(
        approve(7, ApprovedBy::Click).unwrap_err(),
        Mismatch::NotTouched
    );
    assert_eq!(
        approve(8, ApprovedBy::KeyTouch).unwrap_err(),
        Mismatch::OtherRequest
    );
    for by in [
        ApprovedBy::KeyTouch,
        ApprovedBy::Touch(device),
        ApprovedBy::Passphrase(device),
    ] {
        assert_eq!(approve(7, by).unwrap().how(), How::Approved(by));
    }
    assert_eq!(
        question().refuse(Refusal::Person).reason(),
        DenyReason::Refused
    );
    assert_eq!(
        question().refuse(Refusal::Deadline).reason(),
        DenyReason::TimedOut
    );
}

// Rules and requests that often meet: most are about trades on one market, else nothing would be found out.
fn any_rule(index: usize) -> impl Strategy<Value = String> {
    let list = |name: &'static str, of: &'static [&'static str]| {
        prop::sample::select(of.to_vec()).prop_map(move |chosen| match chosen {
            "" => String::new(),
            _ => format!("{name} = [{chosen}]\n"),
        })
    };
    let number = || prop::option::of(0..20u32);
    (
        list("clients", &["", "", "", "'grid-*'", "'other'"]),
        list("kinds", &["'trade'", "'trade'", "'trade', 'read'", "'withdraw'", "'cancel'", "'unknown'", ""]),
        list("symbols", &["'BTCUSDT'", "'BTCUSDT'", "'BTCUSDT', 'ETHUSDT'", "'ETHUSDT'", ""]),
        (number(), number(), number()),
        prop::sample::select(vec!["allow", "notify", "approve", "touch", "deny"]),
    )
        .prop_map(move |(clients, kinds, symbols, (amount, window, notional), action)| {
            let mut text = format!("[[rule]]\nname = \"r{index}\"\naction = \"{action}\"\n{clients}{kinds}{symbols}");
            if !symbols.is_empty() && action != "deny" {
                text += &amount.map_or(String::new(), |n| format!("max_amount = \"{n}\"\n"));
                text += &notional.map_or(String::new(), |n| format!("max_notional = \"{n}\"\n"));
                text += &window.map_or(String::new(), |n| format!("window_amount = \"{n}\"\nwindow_hours = 1\n"));
            }
            text
        })
        .prop_filter("a rule that can be read", |text| Policy::parse(text).is_ok())
}

fn any_rules() -> impl Strategy<Value = String> {
    let last = prop::sample::select(vec!["allow", "allow", "approve", ""]);
    (any_rule(0), any_rule(1), any_rule(2), 0..4usize, last).prop_map(|(a, b, c, n, last)| {
        let mut text: String = [a, b, c].into_iter().take(n).collect();
        if !last.is_empty() {
            text +=
                &format!("[[rule]]\nname = \"last\"\nkinds = [\"trade\"]\naction = \"{last}\"\n");
        }
        text
    })
}

fn any_operation() -> impl Strategy<Value = Operation> {
    (
        prop_oneof![
            3 => Just(OperationKind::Trade),
            1 => prop::sample::select(OperationKind::ALL.to_vec()),
        ],
        prop::sample::select(vec![
            None,
            Some("BTCUSDT"),
            Some("BTCUSDT"),
            Some("ETHUSDT"),
        ]),
        prop::option::of(0..25u32),
        prop::option::of(0..5u32),
        prop::bool::ANY,
    )
        .prop_map(|(kind, symbol, amount, price, buy)| {
            let mut operation = of_kind(kind);
            operation.symbol = symbol.map(Into::into);
            operation.amount = amount.map(|n| d(&n.to_string()));
            operation.price = price.map(|n| d(&n.to_string()));
            operation.side = Some(if buy { Side::Buy } else { Side::Sell });
            operation
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_deny_rule_on_top_never_makes_anything_milder(
        below in any_rules(), top in any_rule(9), operation in any_operation(), past in prop::collection::vec(any_operation(), 0..3),
    ) {
        let deny = top.lines().map(|line| if line.starts_with("action") { "action = \"deny\"" } else { line })
            .filter(|line| !line.starts_with("max_") && !line.starts_with("window_"))
            .collect::<Vec<_>>().join("\n");
        let past: Vec<_> = past.into_iter().map(|operation| Past::of(&asked(operation))).collect();
        let decide = |text: &str| {
            let policy = rules(text);
            let asked = asked(operation.clone());
            let history = History::of(&policy, &past, &asked);
            strictness(&policy.decide(asked, &history))
        };
        let both = deny + "\n" + &below;
        prop_assert!(decide(&both) >= decide(&below));
    }

    #[test]
    fn more_money_is_never_judged_milder(
        text in any_rules(), operation in any_operation(), more in 0..20u32, past in prop::collection::vec(any_operation(), 0..3),
    ) {
        let policy = rules(&text);
        let past: Vec<_> = past.into_iter().map(|operation| Past::of(&asked(operation))).collect();
        let decide = |operation: Operation| {
            let asked = asked(operation);
            let history = History::of(&policy, &past, &asked);
            strictness(&policy.decide(asked, &history))
        };
        let mut larger = operation.clone();
        larger.amount = operation.amount.as_ref().map(|amount| amount.plus(&d(&more.to_string())));
        prop_assert!(decide(larger) >= decide(operation.clone()));
        let mut unsaid = operation.clone();
        unsaid.amount = None;
        prop_assert!(decide(unsaid) >= decide(operation));
    }

    #[test]
    fn a_dangerous_kind_never_passes_without_a_touch(text in any_rules(), operation in any_operation()) {
        let kind = operation.kind;
        let verdict = strictness(&rules(&text).decide(asked(operation), &History::default()));
        prop_assert!(!kind.is_dangerous() || verdict >= 3);
    }

    #[test]
    fn reading_rules_never_panics(text in "\\PC{0,200}") {
        let _ = Policy::parse(&text);
    }
}

#[test]
fn a_notional_without_one_quote_asset_has_no_unit() {
    for symbols in [r#"["*"]"#, r#"["BTC*"]"#, r#"["*USDT", "ETH*"]"#] {
        let text = format!(
            "[[rule]]\nname = \"x\"\nkinds = [\"trade\"]\nsymbols = {symbols}\nmax_notional = \"100\"\naction = \"allow\""
        );
        assert!(Policy::parse(&text).is_err(), "{symbols}");
    }
}

// A bot with the starting rules, which allow purchases of up to 100 dollars without asking.
#[test]
fn a_futures_stop_that_closes_a_whole_position_is_no_small_purchase() {
    let request = Request {
        method: "POST".into(),
        path: "/fapi/v1/order".into(),
        query: b"symbol=XRPUSDT&side=BUY&type=STOP_MARKET&stopPrice=1&closePosition=true&quoteOrderQty=1".to_vec(),
        content_type: None,
        body: Vec::new(),
        expires: None,
    };
    let Decoded::Private(private) = Binance.decode(&request).unwrap() else {
        panic!("public");
    };
    let verdict = says(&Policy::starting(), private.operation().clone(), &[]);
    assert_eq!(verdict, ("approve", "other trades".into()));
}

fn at_kraken(symbol: &str, amount: &str) -> Operation {
    let mut operation = Operation::new(OperationKind::Trade, "kraken", "POST", "/x", "x");
    operation.symbol = Some(symbol.into());
    operation.side = Some(Side::Buy);
    operation.amount = Some(d(amount));
    operation.with_one_name_each()
}

const SPELLINGS: [&str; 5] = ["XBTUSD", "XXBTZUSD", "XBT/USD", "BTC/USD", "BTCUSD"];

#[test]
fn a_rule_meets_a_market_under_all_its_names() {
    for listed in SPELLINGS.into_iter().chain(["XXBT*", "*/USD", "XBT*"]) {
        let policy = rules(&format!(
            "[[rule]]\nname = \"not this\"\nkinds = [\"trade\"]\nsymbols = [\"{listed}\"]\naction = \"deny\"\n\
             [[rule]]\nname = \"others\"\nkinds = [\"trade\"]\naction = \"allow\"\n"
        ));
        for written in SPELLINGS {
            let (verdict, rule) = says(&policy, at_kraken(written, "1"), &[]);
            assert_eq!(
                (verdict, rule.as_str()),
                ("deny", "not this"),
                "{listed} {written}"
            );
        }
        let (verdict, _) = says(&policy, at_kraken("XBTEUR", "1"), &[]);
        let all = listed.starts_with('X') && listed.ends_with('*');
        assert_eq!(verdict, if all { "deny" } else { "allow" }, "{listed}");
    }
    let deny = "[[rule]]\nname = \"a\"\nkinds = [\"withdraw\"]\nassets = [\"ZUSD\"]\naction = \"deny\"\n\
        [[rule]]\nname = \"b\"\nkinds = [\"withdraw\"]\naction = \"touch\"\n";
    let mut withdrawal = Operation::new(OperationKind::Withdraw, "kraken", "POST", "/x", "x");
    withdrawal.asset = Some("USD".into());
    assert_eq!(says(&rules(deny), withdrawal, &[]).0, "deny");
}

#[test]
fn all_names_of_a_market_share_its_window() {
    let policy = rules(
        "[[rule]]\nname = \"small\"\nkinds = [\"trade\"]\nsymbols = [\"XBT/USD\"]\nwindow_amount = \"1\"\n\
         window_hours = 24\naction = \"allow\"\n",
    );
    // As an older version of the program has it on record.
    let mut before = at_kraken("XXBTZUSD", "0.6");
    before.symbol = Some("XXBTZUSD".into());
    let past = Past::of(&asked(before));
    for written in SPELLINGS {
        let some = std::slice::from_ref(&past);
        assert_eq!(
            says(&policy, at_kraken(written, "0.4"), some).0,
            "allow",
            "{written}"
        );
        assert_eq!(
            says(&policy, at_kraken(written, "0.5"), some).0,
            "deny",
            "{written}"
        );
    }
    let mut windows = Windows::new(&policy, vec![past], UnixMillis(0), NOW);
    windows.turn(&policy, NOW);
    let asked = asked(at_kraken("BTC/USD", "0.5"));
    let verdict = policy.decide(asked.clone(), &windows.seen(&asked));
    assert_eq!(word(&verdict), "deny");
}
