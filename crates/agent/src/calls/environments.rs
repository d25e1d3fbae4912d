//! Environments: groups of items with keys of their own.

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    Clock, Code, EnvironmentId, SystemClock,
    text::{quoted, visible},
};
use touchkeep_vault::Unlocked;
use touchkeep_wire::{EnvironmentSummary, Failure};

use super::{change, enrol::govern, open_vault};
use crate::{agent::Agent, failure};

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<EnvironmentSummary>, Failure> {
    let (_, open) = open_vault(agent)?;
    let vault = open.read();
    let environments = vault.environments().into_iter();
    Ok(environments.map(|id| summary(&vault, id)).collect())
}

fn summary(vault: &Unlocked, id: EnvironmentId) -> EnvironmentSummary {
    let items = vault.items().into_iter();
    let items = items.filter(|item| item.environment == id && item.trashed.is_none());
    EnvironmentSummary {
        id,
        name: vault.environment_name(id),
        items: u32::try_from(items.count()).unwrap_or(u32::MAX),
        is_default: vault.environment() == id,
    }
}

pub(crate) async fn add(agent: &Arc<Agent>, name: String) -> Result<EnvironmentSummary, Failure> {
    check_free(agent, None, &name)?;
    let why = format!("Make the environment {}", visible(&name));
    let event = Event::new(Kind::EnvironmentChanged, Decision::Done)
        .text(format!("Made the environment {}.", visible(&name)));
    let (_, id) = govern(agent, why, event, |vault| {
        vault.propose_environment(SystemClock.now())
    })
    .await?;
    named(agent, id, name).await
}

pub(crate) async fn rename(
    agent: &Arc<Agent>,
    environment: String,
    name: String,
) -> Result<EnvironmentSummary, Failure> {
    let id = {
        let (_, open) = open_vault(agent)?;
        let found = open.read().find_environment(&environment);
        found.map_err(|error| failure::vault(&error))?
    };
    if open_vault(agent)?.1.read().environment_name(id) == name {
        return Err(failure::invalid(
            format!("It is called {} already.", quoted(&name)),
            "Nothing was changed. Give it another name.",
        ));
    }
    check_free(agent, Some(id), &name)?;
    named(agent, id, name).await
}

// Before anybody is asked to touch anything.
fn check_free(agent: &Arc<Agent>, id: Option<EnvironmentId>, name: &str) -> Result<(), Failure> {
    let (_, open) = open_vault(agent)?;
    let vault = open.read();
    let mut others = vault.environments().into_iter();
    if others.any(|other| Some(other) != id && vault.environment_name(other) == name) {
        return Err(Failure::new(
            Code::Ambiguous,
            format!("There is an environment {} already.", quoted(name)),
            "Choose another name.",
        ));
    }
    let checked = vault.check_environment_name(id, name);
    checked.map_err(|error| failure::vault(&error))
}

async fn named(
    agent: &Arc<Agent>,
    id: EnvironmentId,
    name: String,
) -> Result<EnvironmentSummary, Failure> {
    let named = change(agent, move |agent| {
        let (current, _) = open_vault(agent)?;
        let event = Event::new(Kind::EnvironmentChanged, Decision::Done)
            .text(format!("Called an environment {}.", visible(&name)));
        current.change(event, |vault| {
            let named = vault.name_environment(id, &name);
            named.map_err(|error| failure::vault(&error))
        })?;
        let (_, open) = open_vault(agent)?;
        let shown = summary(&open.read(), id);
        Ok(shown)
    })
    .await?;
    agent.prompts().changed("items");
    Ok(named)
}
