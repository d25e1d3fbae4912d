//! What is remembered of a person's answer, and what it covers.

use std::collections::BTreeMap;

use touchkeep_core::{Id, ItemId, UnixMillis};
use touchkeep_wire::GrantSummary;

use super::{Ahead, ItemUse};
use crate::{
    caller::{Held, Process, Terminal},
    uptime::Uptime,
};

/// A remembered answer.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) id: Id,
    pub(super) holder: Holder,
    /// What the program that asked calls itself.
    pub(super) client: String,
    pub(super) items: BTreeMap<ItemId, String>,
    pub(super) given: UnixMillis,
    pub(super) end: Uptime,
}

/// Whom it is for.
#[derive(Debug)]
pub(super) enum Holder {
    /// One process, by number, start and executable.
    Process(Held<Process>),
    /// Everything that belongs to the session of one terminal.
    Terminal(Held<Terminal>),
}

/// Whether a use is covered, and by what.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Covered {
    /// By this, in words.
    Yes(String),
    No,
}

impl Grant {
    /// Whether its time is over.
    pub(super) fn is_over(&self, now: Uptime) -> bool {
        now >= self.end
    }

    /// Whether its time is not over, and whom it is for is still there.
    pub(super) fn is_in_force(&self, now: Uptime) -> bool {
        !self.is_over(now)
            && match &self.holder {
                Holder::Process(process) => process.is_unchanged(),
                Holder::Terminal(terminal) => terminal.is_open(),
            }
    }

    fn is_for(&self, client: &Process) -> bool {
        match &self.holder {
            Holder::Process(process) => process.is(client),
            Holder::Terminal(terminal) => terminal.has(client),
        }
    }

    pub(super) fn summary(&self, now: Uptime) -> GrantSummary {
        let (kind, holder) = match &self.holder {
            Holder::Process(process) => ("process", process.seen().line()),
            Holder::Terminal(terminal) => ("terminal", terminal.seen().name.clone()),
        };
        let left = self.end.since(now);
        GrantSummary {
            id: self.id.to_string(),
            kind: kind.to_owned(),
            client: self.client.clone(),
            holder,
            items: self.items.values().cloned().collect(),
            given: self.given,
            seconds_left: Some(left.as_secs()),
            until: None,
            what: None,
            uses_left: None,
        }
    }
}

/// The items that remembered answers give one client.
pub(super) struct Remembered(BTreeMap<ItemId, Id>);

impl Remembered {
    pub(super) fn of(grants: &[Grant], client: &Process) -> Self {
        let fitting = grants.iter().filter(|grant| grant.is_for(client));
        Self(
            fitting
                .flat_map(|grant| grant.items.keys().map(|item| (*item, grant.id)))
                .collect(),
        )
    }

    /// Whether every use is covered by these or by what was allowed ahead.
    pub(super) fn cover(&self, uses: &[ItemUse], ahead: &[&Ahead]) -> Covered {
        let mut by: Vec<String> = Vec::new();
        for one in uses {
            let grant = self.0.get(&one.item).copied();
            let grant = grant.or_else(|| {
                ahead
                    .iter()
                    .find(|ahead| ahead.covers(one.item))
                    .map(|ahead| ahead.id)
            });
            let Some(grant) = grant else {
                return Covered::No;
            };
            let grant = format!("grant {grant}");
            if !by.contains(&grant) {
                by.push(grant);
            }
        }
        if by.is_empty() {
            return Covered::No;
        }
        Covered::Yes(by.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn own() -> Process {
        Process::look(i32::try_from(std::process::id()).unwrap()).unwrap()
    }

    fn held() -> Holder {
        Holder::Process(Held::process(&own()).unwrap())
    }

    fn grant(holder: Holder, seconds: u64) -> (Grant, ItemUse) {
        let item = ItemId::random();
        let grant = Grant {
            id: Id::random(),
            holder,
            client: "bot".into(),
            items: [(item, "key".to_owned())].into(),
            given: UnixMillis(0),
            end: Uptime::now().after(Duration::from_secs(seconds)),
        };
        let one = ItemUse {
            item,
            name: "key".into(),
            field: "secret".into(),
            each_time: false,
        };
        (grant, one)
    }

    #[test]
    fn a_number_that_was_given_again_is_another_process() {
        let (grant, one) = grant(held(), 60);
        let covers = |client: &Process| {
            Remembered::of(std::slice::from_ref(&grant), client)
                .cover(std::slice::from_ref(&one), &[])
        };
        assert!(matches!(covers(&own()), Covered::Yes(_)));
        let mut later = own();
        later.started += 1;
        assert_eq!(covers(&later), Covered::No);
        let mut another = own();
        another.executable = crate::caller::Executable::of(1);
        assert_eq!(covers(&another), Covered::No);
        another.executable = None;
        assert_eq!(covers(&another), Covered::No);
    }

    #[test]
    fn a_grant_ends_by_the_clock_that_nobody_sets_or_with_its_process() {
        let (short, _) = grant(held(), 0);
        assert!(short.is_over(Uptime::now()));
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = Process::look(i32::try_from(child.id()).unwrap()).unwrap();
        let (gone, _) = grant(Holder::Process(Held::process(&process).unwrap()), 60);
        assert!(gone.is_in_force(Uptime::now()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!gone.is_over(Uptime::now()) && !gone.is_in_force(Uptime::now()));
    }

    #[test]
    fn every_value_must_be_covered_and_nothing_is_covered_by_nothing() {
        let (first, one) = grant(held(), 60);
        let (_, other) = grant(held(), 60);
        let remembered = Remembered::of(&[first], &own());
        assert_eq!(remembered.cover(&[one, other], &[]), Covered::No);
        assert_eq!(remembered.cover(&[], &[]), Covered::No);
    }
}
