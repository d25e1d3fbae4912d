//! The limits of the rules, in words: what a window holds already, and what this request adds to it.

use touchkeep_core::text::visible;
use touchkeep_pipeline::Standing;
use touchkeep_policy::{Doubt, Limit};

/// Why a rule that is about such requests does not let this one through.
pub(super) fn beyond(standing: &Standing) -> Option<String> {
    let doubt = standing.doubt?;
    let rule = visible(&standing.rule);
    let limit = field(doubt).and_then(|field| {
        let mut limits = standing.limits.iter();
        limits.find(|limit| limit.field == field)
    });
    Some(match limit {
        Some(limit) => format!(
            "beyond the rule {rule}: {}",
            words(limit, standing.window_hours)
        ),
        None => format!("the rule {rule} cannot tell: {}", doubt.words()),
    })
}

/// The limits of the rule that fits.
pub(super) fn held(standing: &Standing) -> Vec<String> {
    if standing.doubt.is_some() {
        return Vec::new();
    }
    let limits = standing.limits.iter();
    limits
        .map(|limit| words(limit, standing.window_hours))
        .collect()
}

const fn field(doubt: Doubt) -> Option<&'static str> {
    match doubt {
        Doubt::MaxAmount => Some("max_amount"),
        Doubt::MaxNotional => Some("max_notional"),
        Doubt::WindowAmount => Some("window_amount"),
        Doubt::WindowNotional => Some("window_notional"),
        Doubt::PerMinute => Some("requests_per_minute"),
        Doubt::PerDay => Some("requests_per_day"),
        _ => None,
    }
}

fn words(limit: &Limit, hours: Option<u32>) -> String {
    let Limit { most, adds, .. } = limit;
    let quote = match limit.field {
        "max_notional" | "window_notional" => " in the quote asset",
        _ => "",
    };
    let within = match limit.field {
        "requests_per_minute" => "requests in a minute".to_owned(),
        "requests_per_day" => "requests in a day".to_owned(),
        _ => hours.map_or_else(|| "in a while".to_owned(), |hours| format!("in {hours} h")),
    };
    match &limit.so_far {
        None => format!("{adds}{quote}, of at most {most} at a time"),
        Some(so_far) => {
            format!("{so_far} so far and {adds} now{quote}, of at most {most} {within}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(doubt: Option<Doubt>) -> Standing {
        let limit = |field, most: &str, so_far: Option<&str>, adds: &str| Limit {
            field,
            most: most.to_owned(),
            so_far: so_far.map(str::to_owned),
            adds: adds.to_owned(),
        };
        Standing {
            rule: "small orders".into(),
            doubt,
            limits: vec![
                limit("max_amount", "1", None, "0.5"),
                limit("window_notional", "10000", Some("9500"), "1000"),
                limit("requests_per_day", "100", Some("7"), "1"),
            ],
            window_hours: Some(24),
        }
    }

    #[test]
    fn a_limit_that_is_passed_is_said_with_its_sum() {
        assert_eq!(
            beyond(&standing(Some(Doubt::WindowNotional))).unwrap(),
            "beyond the rule small orders: 9500 so far and 1000 now in the quote asset, of at most 10000 in 24 h"
        );
        assert_eq!(
            beyond(&standing(Some(Doubt::AmountUnsaid))).unwrap(),
            "the rule small orders cannot tell: the request does not say its amount in one number above 0"
        );
        assert_eq!(beyond(&standing(None)), None);
    }

    #[test]
    fn the_limits_of_the_rule_that_fits_are_facts() {
        assert_eq!(
            held(&standing(None)),
            [
                "0.5, of at most 1 at a time",
                "9500 so far and 1000 now in the quote asset, of at most 10000 in 24 h",
                "7 so far and 1 now, of at most 100 requests in a day",
            ]
        );
        assert!(held(&standing(Some(Doubt::PerDay))).is_empty());
    }
}
