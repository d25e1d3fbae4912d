//! What a change of the policy means, in words that a person reads before the touch.

use std::{collections::HashMap, fmt::Write};

use touchkeep_core::text::visible;
use touchkeep_venue::OperationKind;

use crate::{Action, Policy, Rule};

/// What is another in a new policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences {
    /// Names of rules that are new.
    pub added: Vec<String>,
    /// Names of rules that are gone.
    pub removed: Vec<String>,
    /// Names of rules that say something else.
    pub changed: Vec<String>,
    /// Whether rules that stay stand in another order.
    pub reordered: bool,
    /// Kinds whose mildest action is another.
    pub kinds: Vec<KindChange>,
    /// What is new, gone and another in each rule, in words; every character visible.
    pub details: Vec<String>,
}

// Of these, the ones that are said in one line.
const MOST_DETAILS: usize = 6;

/// The mildest that can happen to a kind of operation, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindChange {
    /// The kind.
    pub kind: OperationKind,
    /// Before.
    pub before: Action,
    /// After.
    pub after: Action,
}

impl Differences {
    /// Whether nothing is another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// In one line: `2 rules added, 1 changed; trade: approve becomes allow`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut parts = Vec::new();
        for (names, what) in [
            (&self.added, "added"),
            (&self.removed, "removed"),
            (&self.changed, "changed"),
        ] {
            match names.len() {
                0 => {}
                1 => parts.push(format!("1 rule {what}")),
                many => parts.push(format!("{many} rules {what}")),
            }
        }
        if self.reordered {
            parts.push("rules in another order".to_owned());
        }
        let mut text = if parts.is_empty() {
            "no rule is another".to_owned()
        } else {
            parts.join(", ")
        };
        for change in &self.kinds {
            let KindChange {
                kind,
                before,
                after,
            } = change;
            let _ = write!(
                text,
                "; {kind}: the mildest was {before} and becomes {after}"
            );
        }
        for detail in self.details.iter().take(MOST_DETAILS) {
            let _ = write!(text, "; {detail}");
        }
        if self.details.len() > MOST_DETAILS {
            let _ = write!(text, "; and {} more", self.details.len() - MOST_DETAILS);
        }
        text
    }
}

impl Policy {
    /// What is another in `new`.
    #[must_use]
    pub fn differences(&self, new: &Self) -> Differences {
        let old_rules = by_name(self);
        let new_rules = by_name(new);
        let names = |policy: &Self, wanted: &dyn Fn(&Rule) -> bool| -> Vec<String> {
            let rules = policy.rules().iter().filter(|rule| wanted(rule));
            rules.map(|rule| rule.name.clone()).collect()
        };
        let stays = |policy: &Self| {
            names(policy, &|rule| {
                old_rules.contains_key(rule.name.as_str())
                    && new_rules.contains_key(rule.name.as_str())
            })
        };
        let kinds = OperationKind::ALL.into_iter().filter_map(|kind| {
            let (before, after) = (self.mildest(kind), new.mildest(kind));
            (before != after).then_some(KindChange {
                kind,
                before,
                after,
            })
        });
        Differences {
            added: names(new, &|rule| !old_rules.contains_key(rule.name.as_str())),
            removed: names(self, &|rule| !new_rules.contains_key(rule.name.as_str())),
            changed: names(new, &|rule| {
                old_rules
                    .get(rule.name.as_str())
                    .is_some_and(|old| *old != rule)
            }),
            reordered: stays(self) != stays(new),
            kinds: kinds.collect(),
            details: details(&old_rules, &new_rules, self, new),
        }
    }

    /// The mildest that any rule does with a kind of operation.
    #[must_use]
    pub fn mildest(&self, kind: OperationKind) -> Action {
        if self.is_by_hand() {
            return Action::Touch;
        }
        let rules = self.rules().iter().filter(|rule| rule.has_kind(kind));
        rules.map(|rule| rule.action).min().unwrap_or(Action::Deny)
    }
}

fn by_name(policy: &Policy) -> HashMap<&str, &Rule> {
    let rules = policy.rules().iter();
    rules.map(|rule| (rule.name.as_str(), rule)).collect()
}

fn details(
    old_rules: &HashMap<&str, &Rule>,
    new_rules: &HashMap<&str, &Rule>,
    old: &Policy,
    new: &Policy,
) -> Vec<String> {
    let mut said = Vec::new();
    for rule in new.rules() {
        let name = visible(&rule.name);
        match old_rules.get(rule.name.as_str()) {
            None => said.push(format!("{name:?} is new and says {}", does(rule))),
            Some(was) if *was != rule => said.extend(changed(&name, was, rule)),
            Some(_) => {}
        }
    }
    for rule in old.rules() {
        if !new_rules.contains_key(rule.name.as_str()) {
            said.push(format!(
                "{:?} goes and said {}",
                visible(&rule.name),
                does(rule)
            ));
        }
    }
    said
}

fn does(rule: &Rule) -> String {
    let kinds: Vec<_> = OperationKind::ALL
        .into_iter()
        .filter(|kind| rule.has_kind(*kind))
        .map(OperationKind::as_str)
        .collect();
    let kinds = if rule.kinds.is_none() {
        "everything".to_owned()
    } else {
        kinds.join(", ")
    };
    format!("{} for {kinds}", rule.action)
}

// What is another in a rule: what it does and its limits by their values, the rest by the field's name.
fn changed(name: &str, was: &Rule, is: &Rule) -> Vec<String> {
    let amount =
        |amount: &Option<touchkeep_core::Decimal>| amount.as_ref().map(ToString::to_string);
    let count = |count: Option<u32>| count.map(|count| count.to_string());
    let values = |rule: &Rule| {
        [
            ("action", Some(rule.action.to_string())),
            ("max_amount", amount(&rule.max_amount)),
            ("max_notional", amount(&rule.max_notional)),
            ("window_amount", amount(&rule.window_amount)),
            ("window_notional", amount(&rule.window_notional)),
            ("window_hours", count(rule.window_hours)),
            ("requests_per_minute", count(rule.requests_per_minute)),
            ("requests_per_day", count(rule.requests_per_day)),
        ]
    };
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let values = values(was).into_iter().zip(values(is));
    let values = values.filter(|((_, was), (_, is))| was != is);
    let values = values.map(|((field, was), (_, is))| {
        format!(
            "{name:?}: {field} was {} and becomes {}",
            shown(was),
            shown(is)
        )
    });
    let others = [
        ("clients", was.clients == is.clients),
        ("venues", was.venues == is.venues),
        ("key_sets", was.key_sets == is.key_sets),
        ("kinds", was.kinds == is.kinds),
        ("symbols", was.symbols == is.symbols),
        ("assets", was.assets == is.assets),
        ("destinations", was.destinations == is.destinations),
        ("per", was.per == is.per),
        ("hours", was.hours == is.hours),
        ("days", was.days == is.days),
        ("utc_offset", was.utc_offset == is.utc_offset),
    ];
    let others = others.into_iter().filter(|(_, same)| !same);
    let others = others.map(|(field, _)| format!("{name:?}: other {field}"));
    values.chain(others).collect()
}
