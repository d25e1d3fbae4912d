//! What a change of the policy means, in words that a person reads before the touch.

mod details;

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
    /// What is new, gone and another in each rule, in words; every character visible. First what could let more through, or
    /// let it through more mildly.
    pub details: Vec<String>,
    /// How many of the details those are.
    pub milder: usize,
}

// Of the details that let nothing more through, the ones that are said in one line. Of the others all are.
const MOST_DETAILS: usize = 6;
/// Bytes of one question that a person can be expected to read to its end.
pub const MOST_ASKED: usize = 4000;

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
        self.parts().join("; ")
    }

    /// The same, a part on each line, where it is short enough to be consented to. Names are visible, so that none makes a
    /// line of its own.
    #[must_use]
    pub fn question(&self) -> Option<String> {
        Some(self.parts().join("\n")).filter(|text| text.len() <= MOST_ASKED)
    }

    // How many rules first, then what becomes of each kind, then what is another in each rule.
    fn parts(&self) -> Vec<String> {
        let mut counts = Vec::new();
        for (names, what) in [
            (&self.added, "added"),
            (&self.removed, "removed"),
            (&self.changed, "changed"),
        ] {
            match names.len() {
                0 => {}
                1 => counts.push(format!("1 rule {what}")),
                many => counts.push(format!("{many} rules {what}")),
            }
        }
        if self.reordered {
            counts.push("rules in another order".to_owned());
        }
        let mut parts = vec![if counts.is_empty() {
            "no rule is another".to_owned()
        } else {
            counts.join(", ")
        }];
        for change in &self.kinds {
            let KindChange {
                kind,
                before,
                after,
            } = change;
            parts.push(format!(
                "{kind}: the mildest was {before} and becomes {after}"
            ));
        }
        let said = self.milder + MOST_DETAILS;
        parts.extend(self.details.iter().take(said).cloned());
        if let more @ 1.. = self.details.len().saturating_sub(said) {
            parts.push(format!("and {more} more, none of which lets more through"));
        }
        parts
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
        let (before, after) = (stays(self), stays(new));
        let changed = details::of(&old_rules, &new_rules, self, new).into_iter();
        let changed = changed.chain(details::order(&before, &after));
        let (milder, rest): (Vec<_>, Vec<_>) = changed.partition(|detail| detail.is_milder);
        Differences {
            added: names(new, &|rule| !old_rules.contains_key(rule.name.as_str())),
            removed: names(self, &|rule| !new_rules.contains_key(rule.name.as_str())),
            changed: names(new, &|rule| {
                old_rules
                    .get(rule.name.as_str())
                    .is_some_and(|old| *old != rule)
            }),
            reordered: before != after,
            kinds: kinds.collect(),
            milder: milder.len(),
            details: milder
                .into_iter()
                .chain(rest)
                .map(|detail| detail.text)
                .collect(),
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
