//! What a change of the policy means, in words that a person reads before the touch.

use std::collections::HashMap;

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
}

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
            text.push_str(&format!(
                "; {kind}: the mildest was {before} and becomes {after}"
            ));
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
