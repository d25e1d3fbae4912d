//! What is another in each rule, in words, and whether it could let more through.
//!
//! A change is milder unless it surely is none: a limit that is lower, a list of an `allow` that is shorter and counts nothing. What leaves a rule
//! of another action goes on to the rules below, which may let it through.

use std::collections::HashMap;

use touchkeep_core::{Decimal, text::visible};
use touchkeep_venue::{OperationKind, Side};

use crate::{Action, Policy, Rule, rule::Destination};

/// One change, in words; every character visible.
pub(super) struct Detail {
    pub(super) is_milder: bool,
    pub(super) text: String,
}

/// Everything that is another in rules of one name, and rules that come and go.
pub(super) fn of(
    old_rules: &HashMap<&str, &Rule>,
    new_rules: &HashMap<&str, &Rule>,
    old: &Policy,
    new: &Policy,
) -> Vec<Detail> {
    let mut said = Vec::new();
    for rule in new.rules() {
        let name = quoted(&rule.name);
        match old_rules.get(rule.name.as_str()) {
            None => said.push(Detail {
                is_milder: rule.action != Action::Deny,
                text: format!("{name} is new and says {}", whole(rule)),
            }),
            Some(was) if *was != rule => said.extend(changed(&name, was, rule)),
            Some(_) => {}
        }
    }
    for rule in old.rules() {
        if !new_rules.contains_key(rule.name.as_str()) {
            let name = quoted(&rule.name);
            said.push(Detail {
                is_milder: rule.action != Action::Allow,
                text: format!("{name} goes and said {}", does(rule)),
            });
        }
    }
    said
}

/// The rules that stand in another order, as they stand now.
pub(super) fn order(before: &[String], after: &[String]) -> Option<Detail> {
    let same = |(before, after): &(&String, &String)| before == after;
    let begin = before.iter().zip(after).take_while(same).count();
    let rest = after.get(begin..).unwrap_or_default();
    let ends = before.iter().rev().zip(rest.iter().rev());
    let end = ends.take_while(same).count();
    let moved = rest.get(..rest.len().saturating_sub(end))?;
    let names: Vec<String> = moved.iter().map(|name| quoted(name)).collect();
    (!names.is_empty()).then(|| Detail {
        is_milder: true,
        text: format!("the order becomes {}", names.join(", ")),
    })
}

fn does(rule: &Rule) -> String {
    let kinds = kinds(rule).map_or_else(|| "everything".to_owned(), |kinds| kinds.join(", "));
    format!("{} for {kinds}", rule.action)
}

// What a rule does, and all that it asks for.
fn whole(rule: &Rule) -> String {
    let limits = limits(rule).into_iter();
    let limits = limits.map(|limit| (limit.field, limit.value.map(|number| number.to_string())));
    let fields = lists(rule)
        .into_iter()
        .filter(|(field, _)| *field != "kinds")
        .map(|(field, list)| (field, list.map(|list| shown(&list))))
        .chain(limits)
        .chain(others(rule));
    let fields: Vec<String> = fields
        .filter_map(|(field, value)| Some(format!("{field} {}", value?)))
        .collect();
    match fields.is_empty() {
        true => does(rule),
        false => format!("{} ({})", does(rule), fields.join("; ")),
    }
}

// Where one change of a rule lets more through, all of them are told with it: it is read as it will be.
fn changed(name: &str, was: &Rule, is: &Rule) -> Vec<Detail> {
    let mut all = Vec::new();
    let mut say = |is_milder: bool, text: String| {
        let text = format!("{name}: {text}");
        all.push(Detail { is_milder, text });
    };
    if was.action != is.action {
        let text = format!("action was {} and becomes {}", was.action, is.action);
        say(is.action < was.action, text);
    }
    for (was, is) in limits(was).into_iter().zip(limits(is)) {
        if was.value != is.value {
            let is_milder = was.is_milder_as(&is);
            let number = |limit: Limit| limit.value.map(|number| number.to_string());
            say(is_milder, becomes(was.field, number(was), number(is)));
        }
    }
    for ((field, before), (_, after)) in lists(was).into_iter().zip(lists(is)) {
        if before != after {
            let (more, fewer) = apart(&before, &after);
            // A shorter list counts less in the rule's windows, so that more may fit.
            let fits_more = was.action != Action::Allow || is.reach_ms() > 0;
            let is_milder = (more && is.action != Action::Deny) || (fewer && fits_more);
            say(is_milder, other_list(field, before, after));
        }
    }
    for ((field, was), (_, is)) in others(was).into_iter().zip(others(is)) {
        if was != is {
            say(true, becomes(field, was, is));
        }
    }
    let is_milder = all.iter().any(|detail| detail.is_milder);
    for detail in &mut all {
        detail.is_milder = is_milder;
    }
    all
}

fn becomes(field: &str, was: Option<String>, is: Option<String>) -> String {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    format!("{field} was {} and becomes {}", shown(was), shown(is))
}

/// A limit of a rule, or what it is counted by.
struct Limit {
    field: &'static str,
    value: Option<Decimal>,
}

impl Limit {
    // A shorter window forgets sooner; of the others more is more.
    fn is_milder_as(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Some(was), Some(is)) if self.field == "window_hours" => is < was,
            (Some(was), Some(is)) => is > was,
            (was, _) => was.is_some(),
        }
    }
}

fn limits(rule: &Rule) -> [Limit; 7] {
    let count = |count: Option<u32>| count.and_then(|count| count.to_string().parse().ok());
    [
        ("max_amount", rule.max_amount.clone()),
        ("max_notional", rule.max_notional.clone()),
        ("window_amount", rule.window_amount.clone()),
        ("window_notional", rule.window_notional.clone()),
        ("window_hours", count(rule.window_hours)),
        ("requests_per_minute", count(rule.requests_per_minute)),
        ("requests_per_day", count(rule.requests_per_day)),
    ]
    .map(|(field, value)| Limit { field, value })
}

fn kinds(rule: &Rule) -> Option<Vec<String>> {
    let kinds = OperationKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| rule.has_kind(*kind));
    let kinds = kinds.map(|kind| kind.as_str().to_owned());
    rule.kinds.is_some().then(|| kinds.collect())
}

fn sides(rule: &Rule) -> Option<Vec<String>> {
    let sides = [Side::Buy, Side::Sell].into_iter();
    let sides = sides.filter(|side| rule.has_side(*side));
    let sides = sides.map(|side| side.as_str().to_owned());
    rule.sides.is_some().then(|| sides.collect())
}

// Lists of which each entry stands for itself; absent means anything.
fn lists(rule: &Rule) -> [(&'static str, Option<Vec<String>>); 8] {
    let names = |list: &Option<Vec<String>>| {
        let list = list.as_deref();
        list.map(|list| list.iter().map(|name| quoted(name)).collect())
    };
    let to = rule.destinations.as_deref();
    [
        ("kinds", kinds(rule)),
        ("clients", names(&rule.clients)),
        ("venues", names(&rule.venues)),
        ("key_sets", names(&rule.key_sets)),
        ("sides", sides(rule)),
        ("symbols", names(&rule.symbols)),
        ("assets", names(&rule.assets)),
        (
            "destinations",
            to.map(|to| to.iter().map(destination).collect()),
        ),
    ]
}

fn others(rule: &Rule) -> [(&'static str, Option<String>); 4] {
    let per = rule.per.as_deref();
    let per = per.map(|per| {
        per.iter()
            .map(|one| one.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    });
    let days = rule.days.as_deref();
    let days = days.map(|days| {
        days.iter()
            .map(|day| day.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    });
    [
        ("per", per),
        ("hours", rule.hours.map(|hours| hours.to_string())),
        ("days", days),
        (
            "utc_offset",
            rule.utc_offset.map(|offset| offset.to_string()),
        ),
    ]
}

fn destination(to: &Destination) -> String {
    match to {
        Destination::Address(address) => quoted(address),
        Destination::Exact(exact) => {
            let part = |what: &str, value: &Option<String>| {
                let value = value.as_deref();
                value.map_or_else(String::new, |value| format!(" {what} {}", quoted(value)))
            };
            let (tag, network) = (part("tag", &exact.tag), part("network", &exact.network));
            format!("{}{tag}{network}", quoted(&exact.address))
        }
    }
}

// It is read before a touch: a quote in a name must not end it, and let the rest pass for words of ours.
fn quoted(name: &str) -> String {
    format!("\"{}\"", visible(name).replace('"', "\\u{22}"))
}

fn shown(list: &[String]) -> String {
    list.join(", ")
}

// Whether the second has what the first has not, and the other way round.
fn apart(was: &Option<Vec<String>>, is: &Option<Vec<String>>) -> (bool, bool) {
    let lacks = |list: &Option<Vec<String>>, other: &Option<Vec<String>>| match (list, other) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(list), Some(other)) => other.iter().any(|one| !list.contains(one)),
    };
    (lacks(was, is), lacks(is, was))
}

// Of two lists what is in one of them alone.
fn other_list(field: &str, was: Option<Vec<String>>, is: Option<Vec<String>>) -> String {
    let (Some(was), Some(is)) = (&was, &is) else {
        let shown =
            |list: Option<Vec<String>>| list.map_or_else(|| "any".to_owned(), |l| shown(&l));
        return format!("{field} was {} and becomes {}", shown(was), shown(is));
    };
    let without = |list: &[String], other: &[String]| -> Vec<String> {
        let only = list.iter().filter(|one| !other.contains(one));
        only.cloned().collect()
    };
    let (more, fewer) = (without(is, was), without(was, is));
    match (more.is_empty(), fewer.is_empty()) {
        (true, true) => format!("{field} in another order"),
        (false, true) => format!("{field} also {}", shown(&more)),
        (true, false) => format!("{field} no longer {}", shown(&fewer)),
        (false, false) => format!("{field} also {}, no longer {}", shown(&more), shown(&fewer)),
    }
}
