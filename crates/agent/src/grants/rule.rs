//! What is remembered of a person's answer, and what it covers.

use std::collections::BTreeMap;

use touchkeep_core::{Id, ItemId, UnixMillis};
use touchkeep_wire::GrantSummary;

use super::{Ahead, ItemUse};
use crate::{
    caller::{Process, Terminal},
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
    Process(Process),
    /// Everything that belongs to the session of one terminal.
    Terminal(Terminal),
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
            Holder::Process(process) => process.is_same_program(client),
            Holder::Terminal(terminal) => client.terminal().as_ref() == Some(terminal),
        }
    }

    pub(super) fn summary(&self, now: Uptime) -> GrantSummary {
        let (kind, holder) = match &self.holder {
            Holder::Process(process) => ("process", process.line()),
            Holder::Terminal(terminal) => ("terminal", terminal.name.clone()),
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
