//! What a request says, as a person is shown it: made visible, in order, and within bounds.

use touchkeep_core::text::{visible, visible_ascii};
use touchkeep_venue::{Operation, Parameter};

/// Characters of one value that are shown. No address, tag or id of any venue is as long.
const MAX_VALUE: usize = 300;
/// Characters of one part of the sentence.
const MAX_WORD: usize = 120;
/// What stands before everything that is sent and not said by another fact.
const SENT: &str = "Also sent";
/// Facts that are shown.
const MAX_FACTS: usize = 60;

/// The request in one sentence, none of whose parts can push another one out of sight.
pub(super) fn sentence(operation: &Operation) -> String {
    let mut short = operation.clone();
    let names = [
        &mut short.symbol,
        &mut short.asset,
        &mut short.destination,
        &mut short.resolved,
        &mut short.destination_tag,
        &mut short.network,
    ];
    for name in names.into_iter().flatten() {
        *name = bounded(std::mem::take(name), MAX_WORD).0;
    }
    short.path = bounded(short.path, MAX_WORD).0;
    short.sentence()
}

// A text whose middle is left out where it is longer, and whether nothing was. The end stays: addresses are compared by it.
fn bounded(text: String, most: usize) -> (String, bool) {
    let length = text.chars().count();
    if length <= most {
        return (text, true);
    }
    let end: String = text.chars().skip(length - most / 3).collect();
    let begin: String = text.chars().take(most - most / 3).collect();
    let left_out = length - most;
    (format!("{begin}[... {left_out} more ...]{end}"), false)
}

/// Facts in the order in which a person reads them, and whether nothing was left out.
pub(super) fn of(operation: &Operation) -> (Vec<(String, String)>, bool) {
    let mut whole = true;
    let mut facts: Vec<(String, String)> = Vec::new();
    let all = all(operation);
    let more = all.len().saturating_sub(MAX_FACTS);
    for (name, value) in all.into_iter().take(MAX_FACTS) {
        let (name, all_of_name) = bounded(name, MAX_WORD);
        let (value, all_of_value) = bounded(value, MAX_VALUE);
        whole &= all_of_name && all_of_value;
        facts.push((name, value));
    }
    if more > 0 {
        whole = false;
        facts.push((
            "Further".to_owned(),
            format!("{more} parameters that are not shown"),
        ));
    }
    (facts, whole)
}

fn all(operation: &Operation) -> Vec<(String, String)> {
    let text = |value: &Option<String>| value.as_deref().map(visible);
    let plain = |value: &Option<String>| value.as_deref().map(visible_ascii);
    let number = |value: &Option<touchkeep_core::Decimal>| value.as_ref().map(ToString::to_string);
    let side = operation.side.map(|side| side.as_str().to_owned());
    let amount = match (&operation.amount, &operation.asset) {
        (Some(amount), Some(asset)) => Some(format!("{amount} {}", visible(asset))),
        (amount, _) => number(amount),
    };
    let asset = operation
        .amount
        .is_none()
        .then(|| text(&operation.asset))
        .flatten();
    let facts = [
        ("Amount", amount),
        ("Asset", asset),
        ("Destination", plain(&operation.destination)),
        ("Destination tag", plain(&operation.destination_tag)),
        ("Network", plain(&operation.network)),
        ("Market", text(&operation.symbol)),
        ("Side", side),
        ("Price", number(&operation.price)),
        ("Quote amount", number(&operation.quote_amount)),
        ("Client's own id", text(&operation.client_id)),
        (
            "Request",
            Some(format!(
                "{} {} ({})",
                visible(&operation.method),
                visible(&operation.path),
                visible(&operation.venue)
            )),
        ),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    // Everything else that is sent, under the venue's own names. Left out is only what a fact above says already: the name
    // that it was taken from, with exactly the value that was shown.
    let texts = [
        &operation.asset,
        &operation.destination,
        &operation.destination_tag,
        &operation.network,
        &operation.symbol,
        &operation.client_id,
    ];
    let numbers = [&operation.amount, &operation.price, &operation.quote_amount];
    let is_said = |name: &str, value: &str| {
        operation.read_from.iter().any(|from| from == name)
            && (texts.iter().any(|text| text.as_deref() == Some(value))
                || numbers.iter().any(|number| {
                    number
                        .as_ref()
                        .is_some_and(|n| value.parse().as_ref() == Ok(n))
                }))
    };
    let others = operation
        .parameters
        .iter()
        .filter(|parameter| !is_said(&parameter.name, &parameter.value))
        .flat_map(Parameter::pieces)
        .map(|parameter| {
            // Under a name of ours: one of theirs could pass for it.
            let (name, value) = (visible(&parameter.name), visible(&parameter.value));
            (SENT.to_owned(), format!("{name} = {value}"))
        });
    known.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use touchkeep_venue::{Decoded, OperationKind, Request, venue};

    use super::*;

    fn withdrawal(destination: &str) -> Operation {
        let mut operation = Operation::new(
            OperationKind::Withdraw,
            "binance",
            "POST",
            "/sapi/v1/capital/withdraw/apply",
            "withdraw",
        );
        operation.destination = Some(destination.to_owned());
        operation.amount = "0.5".parse().ok();
        operation.asset = Some("BTC".into());
        operation
    }

    #[test]
    fn a_long_value_pushes_nothing_out_of_sight_and_keeps_both_ends() {
        let mut long = withdrawal(&format!("bc1q{}zz9", "a".repeat(100_000)));
        long.asset = Some(format!("BTC{}", " ".repeat(5_000)));
        let said = sentence(&long);
        assert!(said.len() < 1_000, "{}", said.len());
        assert!(
            said.contains("0.5") && said.contains("bc1q") && said.contains("zz9"),
            "{said}"
        );
        let (facts, whole) = of(&long);
        assert!(!whole);
        assert!(facts.iter().all(|(_, value)| value.len() < 400));
    }

    #[test]
    fn many_parameters_are_counted_and_said_to_be_more() {
        let mut many = withdrawal("bc1q");
        many.parameters = (0..1_000)
            .map(|n| Parameter {
                name: format!("p{n}"),
                value: "x".into(),
            })
            .collect();
        let (facts, whole) = of(&many);
        assert!(!whole && facts.len() == MAX_FACTS + 1);
        assert!(
            facts
                .last()
                .unwrap()
                .1
                .contains("parameters that are not shown")
        );
    }

    // The price of such an order bounds nothing, so that it is no fact; it has the value of one that is.
    #[test]
    fn a_name_that_no_fact_was_taken_from_is_shown_whatever_its_value() {
        let request = Request {
            method: "POST".into(),
            path: "/api/v3/order".into(),
            query: b"symbol=BTCUSDT&side=BUY&type=STOP_LOSS_LIMIT&quantity=1&price=1&stopPrice=1&amount=1"
                .to_vec(),
            content_type: None,
            body: Vec::new(),
            expires: None,
        };
        let Ok(Decoded::Private(private)) = venue("binance").unwrap().decode(&request) else {
            panic!("an order is private");
        };
        let (facts, _) = of(private.operation());
        let sent: Vec<&str> = facts
            .iter()
            .filter(|(name, _)| name == SENT)
            .map(|(_, value)| value.as_str())
            .collect();
        for shown in ["price = 1", "stopPrice = 1", "amount = 1"] {
            assert!(sent.contains(&shown), "{sent:?}");
        }
        assert!(
            !sent.iter().any(|one| one.starts_with("symbol")),
            "{sent:?}"
        );
    }

    // Binance has the orders as a text in a form.
    #[test]
    fn each_of_several_orders_is_shown_whole() {
        let order = |n: u32| {
            format!(
                "{{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":\"0.00{n}\",\"price\":\"20000\",\"timeInForce\":\"GTC\"}}"
            )
        };
        let orders: Vec<String> = (1..=5).map(order).collect();
        let request = Request {
            method: "POST".into(),
            path: "/fapi/v1/batchOrders".into(),
            query: Vec::new(),
            content_type: Some("application/x-www-form-urlencoded".into()),
            body: format!("batchOrders=[{}]", orders.join(",")).into_bytes(),
            expires: None,
        };
        let Ok(Decoded::Private(private)) = venue("binance").unwrap().decode(&request) else {
            panic!("orders are private");
        };
        let (facts, whole) = of(private.operation());
        assert!(whole, "{facts:?}");
        for n in 0..5 {
            let shown = format!("batchOrders[{n}].quantity = 0.00{}", n + 1);
            assert!(facts.iter().any(|(_, value)| *value == shown), "{facts:?}");
        }
    }

    #[test]
    fn what_is_hostile_is_visible_and_nothing_is_said_to_be_left_out() {
        let (facts, whole) = of(&withdrawal("bc1q\u{430}\u{1b}[2K\u{202e}x\n  Amount  1"));
        assert!(whole);
        let destination = &facts
            .iter()
            .find(|(name, _)| name == "Destination")
            .unwrap()
            .1;
        assert_eq!(
            destination,
            "bc1q\\u{430}\\u{1b}[2K\\u{202e}x\\u{a}  Amount  1"
        );
    }
}
