//! How full the windows of the rules are, of each whose requests are counted by themselves.

use std::collections::BTreeMap;

use touchkeep_core::{Decimal, RequestId, UnixMillis, time::DAY_MS};
use touchkeep_venue::Operation;

use crate::{Asked, Past, Policy, Rule, Sums, history::MINUTE_MS};

/// One window of a rule, as those find it whose requests are counted in it together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The place of the rule.
    pub rule: usize,
    /// The field that the limit stands in.
    pub field: &'static str,
    /// Whose requests; all that the rule is for where absent.
    pub client: Option<String>,
    /// With the keys of which venue and set; all that the rule is for where absent.
    pub key_set: Option<(String, String)>,
    /// Whether each client, or each key set, is counted by itself: nothing is in it where neither is named then.
    pub each: bool,
    /// The market or asset whose amounts are added up; all where absent.
    pub of: Option<String>,
    /// The most.
    pub most: Decimal,
    /// What the window has; none where some request did not say how much.
    pub so_far: Option<Decimal>,
    /// That in hundredths of the most, rounded down and at most 999.
    pub percent: Option<u32>,
    /// When the oldest that counts leaves the window; none where nothing is in it.
    pub frees: Option<UnixMillis>,
}

// What is counted together.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    client: Option<String>,
    key_set: Option<(String, String)>,
    market: Option<(Option<String>, Option<String>)>,
}

// One limit of a rule.
struct Window {
    field: &'static str,
    most: Decimal,
    ms: u64,
    // Whether requests are counted, and not money.
    each: bool,
    by_market: bool,
}

impl Policy {
    /// How full each window is now, in the order of the rules; one that nothing is in stands there once.
    #[must_use]
    pub fn usage(&self, past: &[Past], now: UnixMillis) -> Vec<Usage> {
        let rules = self.rules().iter().enumerate();
        let of_rule = |(place, rule)| -> Vec<Usage> {
            let windows = windows(rule).into_iter();
            windows
                .flat_map(|window| usage(place, rule, &window, past, now))
                .collect()
        };
        rules.flat_map(of_rule).collect()
    }
}

fn windows(rule: &Rule) -> Vec<Window> {
    let money = |field, most: &Option<Decimal>, by_market| {
        Some(Window {
            field,
            most: most.clone()?,
            ms: rule.window_ms(),
            each: false,
            by_market,
        })
    };
    let count = |field, most: Option<u32>, ms| {
        Some(Window {
            field,
            most: whole(most?),
            ms,
            each: true,
            by_market: false,
        })
    };
    let all = [
        money("window_amount", &rule.window_amount, true),
        money("window_notional", &rule.window_notional, false),
        count("requests_per_minute", rule.requests_per_minute, MINUTE_MS),
        count("requests_per_day", rule.requests_per_day, DAY_MS),
    ];
    all.into_iter().flatten().collect()
}

fn usage(place: usize, rule: &Rule, window: &Window, past: &[Past], now: UnixMillis) -> Vec<Usage> {
    let counted = past
        .iter()
        .filter(|act| rule.counts(act) && now.since(act.at) < window.ms);
    let mut groups: BTreeMap<Group, &Past> = BTreeMap::new();
    let mut unsaid = BTreeMap::new();
    for act in counted.clone() {
        let group = group(rule, window, act);
        // One that did not say its market is in the window of each.
        if window.by_market && act.symbol.is_none() && act.asset.is_none() {
            unsaid.insert(group, act);
        } else {
            groups.entry(group).or_insert(act);
        }
    }
    for (group, act) in unsaid {
        let same = |one: &Group| (&one.client, &one.key_set) == (&group.client, &group.key_set);
        if !groups.keys().any(same) {
            groups.insert(group, act);
        }
    }
    let empty = || Usage {
        rule: place,
        field: window.field,
        client: None,
        key_set: None,
        each: rule.per_client(window.each) || rule.per_key_set(window.each),
        of: None,
        most: window.most.clone(),
        so_far: Some(Decimal::zero()),
        percent: Some(percent(&Decimal::zero(), &window.most)),
        frees: None,
    };
    if groups.is_empty() {
        return vec![empty()];
    }
    let one = |(of, act): (Group, &Past)| {
        let sums = Sums::of(rule, past, &like(act, now));
        let so_far = match window.field {
            "window_amount" => sums.amount,
            "window_notional" => sums.notional,
            "requests_per_minute" => Some(whole(sums.minute)),
            _ => Some(whole(sums.day)),
        };
        let is_in = |act: &&Past| {
            let other = group(rule, window, act);
            let market = other.market == of.market || other.market == Some((None, None));
            (&other.client, &other.key_set) == (&of.client, &of.key_set) && market
        };
        let oldest = counted.clone().filter(is_in).map(|act| act.at).min();
        let market = of.market.and_then(|(symbol, asset)| symbol.or(asset));
        Usage {
            client: of.client,
            key_set: of.key_set,
            of: market,
            percent: so_far.as_ref().map(|sum| percent(sum, &window.most)),
            so_far,
            frees: oldest.map(|at| at.plus_ms(window.ms)),
            ..empty()
        }
    };
    groups.into_iter().map(one).collect()
}

fn group(rule: &Rule, window: &Window, act: &Past) -> Group {
    let by_client = rule.per_client(window.each);
    let by_key_set = rule.per_key_set(window.each);
    Group {
        client: by_client.then(|| act.client.clone()),
        key_set: by_key_set.then(|| (act.venue.clone(), act.key_set.clone())),
        market: window
            .by_market
            .then(|| (act.symbol.clone(), act.asset.clone())),
    }
}

// A request that is counted with it.
fn like(act: &Past, now: UnixMillis) -> Asked {
    let mut operation = Operation::new(act.kind, &act.venue, "-", "-", act.kind.as_str());
    operation.side = act.side;
    operation.symbol = act.symbol.clone();
    operation.asset = act.asset.clone();
    Asked {
        request: RequestId::random(),
        digest: [0; 32],
        client: act.client.clone(),
        key_set: act.key_set.clone(),
        operation,
        now,
    }
}

fn percent(part: &Decimal, whole_of: &Decimal) -> u32 {
    let hundredfold = part.times(&whole(100));
    let reaches = |percent: &u32| whole_of.times(&whole(*percent)) <= hundredfold;
    match *whole_of == Decimal::zero() {
        // Nothing more fits it.
        true => 100,
        false => (1..=999).take_while(reaches).last().unwrap_or(0),
    }
}

fn whole(number: u32) -> Decimal {
    number
        .to_string()
        .parse()
        .unwrap_or_else(|_| Decimal::zero())
}

#[cfg(test)]
mod tests {
    use touchkeep_venue::OperationKind;

    use super::*;
    use crate::{Doubt, History, Stand};

    const HOUR: u64 = 3_600_000;
    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const RULES: &str = r#"
[[rule]]
name = "orders"
kinds = ["trade"]
symbols = ["BTCUSDT", "ETHUSDT"]
window_amount = "2"
window_hours = 24
requests_per_day = 10
action = "allow"

[[rule]]
name = "money"
kinds = ["withdraw"]
assets = ["BTC"]
window_amount = "1"
window_hours = 1
per = ["client"]
action = "touch"
"#;

    fn act(client: &str, what: (OperationKind, &str), amount: Option<&str>, ago: u64) -> Past {
        let is_trade = what.0 == OperationKind::Trade;
        let name = Some(what.1.to_owned()).filter(|name| !name.is_empty());
        let (symbol, asset) = if is_trade { (name, None) } else { (None, name) };
        Past {
            request: RequestId::random(),
            at: UnixMillis(NOW.0 - ago),
            client: client.into(),
            venue: "binance".into(),
            key_set: "main".into(),
            kind: what.0,
            side: None,
            symbol,
            asset,
            amount: amount.map(|amount| amount.parse().unwrap()),
            notional: None,
        }
    }

    fn told(past: &[Past]) -> Vec<String> {
        let policy = Policy::parse(RULES).unwrap();
        let line = |one: Usage| {
            let so_far = one.so_far.map_or("unknown".into(), |sum| sum.to_string());
            let frees = one.frees.map(|at| at.since(NOW) / HOUR);
            format!(
                "{} {} {} {}: {so_far} of {}, {:?} %, {frees:?} h",
                one.rule,
                one.field,
                one.client
                    .unwrap_or(if one.each { "each" } else { "all" }.into()),
                one.of.unwrap_or("all".into()),
                one.most,
                one.percent.unwrap_or(0),
            )
        };
        policy.usage(past, NOW).into_iter().map(line).collect()
    }

    // Added up by hand.
    #[test]
    fn each_window_says_what_is_in_it_and_when_the_oldest_leaves() {
        let (trade, money) = (OperationKind::Trade, OperationKind::Withdraw);
        let past = [
            act("a", (trade, "BTCUSDT"), Some("0.5"), 20 * HOUR),
            act("b", (trade, "BTCUSDT"), Some("0.7"), 2 * HOUR),
            act("a", (trade, "ETHUSDT"), Some("3"), HOUR),
            act("a", (trade, "BTCUSDT"), Some("9"), 25 * HOUR),
            act("a", (money, "BTC"), Some("0.999"), HOUR / 2),
            act("b", (money, "ETH"), Some("9"), HOUR / 2),
        ];
        assert_eq!(
            told(&past),
            [
                "0 window_amount all BTCUSDT: 1.2 of 2, 60 %, Some(4) h",
                "0 window_amount all ETHUSDT: 3 of 2, 150 %, Some(23) h",
                "0 requests_per_day a all: 2 of 10, 20 %, Some(4) h",
                "0 requests_per_day b all: 1 of 10, 10 %, Some(22) h",
                "1 window_amount a BTC: 0.999 of 1, 99 %, Some(0) h",
            ]
        );
    }

    #[test]
    fn what_nothing_is_in_is_empty_and_what_did_not_say_how_much_is_not_known() {
        assert_eq!(
            told(&[]),
            [
                "0 window_amount all all: 0 of 2, 0 %, None h",
                "0 requests_per_day each all: 0 of 10, 0 %, None h",
                "1 window_amount each all: 0 of 1, 0 %, None h",
            ]
        );
        let trade = OperationKind::Trade;
        let unsaid = act("a", (trade, ""), None, 5 * HOUR);
        let said = act("a", (trade, "BTCUSDT"), Some("1"), HOUR);
        let unknown = "0 window_amount all all: unknown of 2, 0 %, Some(19) h";
        assert_eq!(told(std::slice::from_ref(&unsaid))[0], unknown);
        assert_eq!(
            told(&[unsaid, said])[0],
            "0 window_amount all BTCUSDT: unknown of 2, 0 %, Some(19) h"
        );
    }

    // What is left is what a decision lets through, and a little more is over it.
    #[test]
    fn what_is_left_fits_and_no_more() {
        let policy = Policy::parse(RULES).unwrap();
        let trade = OperationKind::Trade;
        let past = [
            act("a", (trade, "BTCUSDT"), Some("0.25"), HOUR),
            act("b", (trade, "BTCUSDT"), Some("1.1"), HOUR),
        ];
        let used = &policy.usage(&past, NOW)[0];
        let left = used.most.minus(used.so_far.as_ref().unwrap());
        let stand = |more: &str| {
            let mut asked = like(&past[0], NOW);
            asked.operation.amount = Some(left.plus(&more.parse().unwrap()));
            let history = History::of(&policy, &past, &asked);
            policy.explain(&asked, &history).steps[0].stand
        };
        assert_eq!(stand("0"), Stand::Fits);
        assert_eq!(stand("0.00000001"), Stand::Floor(Doubt::WindowAmount));
    }
}
