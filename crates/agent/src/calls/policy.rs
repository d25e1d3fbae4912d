//! The policy: read, checked, explained and tried by anybody who may talk to the agent, changed with a touch.

mod explain;
mod replay;
mod used;

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind, Log};
use touchkeep_core::{Code, DeviceId, text::quoted};
use touchkeep_device::DeviceKind;
use touchkeep_pipeline::Consent;
use touchkeep_policy::{Differences, Policy, Starting};
use touchkeep_wire::{
    Done, Failure, PolicyChanges, PolicyCheck, PolicyFinding, PolicyKindChange, PolicyText,
};

pub(crate) use self::{explain::explain, replay::replay, used::used};
use super::{change, open_vault};
use crate::{
    agent::Agent,
    consent,
    devices::blocking,
    failure,
    ports::LogHistory,
    vault::{
        Current, Open, POLICY_HASH as HASH, POLICY_SETTING, audit_identity, hash_of_policy as hash,
        policy_of,
    },
};

pub(crate) fn get(agent: &Arc<Agent>) -> Result<PolicyText, Failure> {
    let (_, open) = open_vault(agent)?;
    let (_, text, readable) = policy_of(&open.read());
    Ok(PolicyText { text, readable })
}

pub(crate) async fn set(agent: &Arc<Agent>, text: String) -> Result<Done, Failure> {
    let policy = read(&text)?;
    let (_, open) = open_vault(agent)?;
    let (was, was_text, _) = policy_of(&open.read());
    drop(open);
    let changes = was.differences(&policy);
    let asked = changes.question().ok_or_else(too_much)?;
    let changes = changes.sentence();
    let consent = consent::of_owner(
        agent,
        Kind::PolicyChanged,
        &format!("Replace the policy: {asked}"),
    )
    .await?;
    change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        // A yes is to what was shown.
        if policy_of(&open.read()).1 != was_text {
            return Err(overtaken());
        }
        let (how, device) = match consent {
            Consent::Touch(device) => ("touch", device),
            Consent::Passphrase(device) => (typed(&current, device), device),
        };
        let rules = policy.rules().len();
        let event = Event::new(Kind::PolicyChanged, Decision::Touched)
            .text(format!("Replaced the policy by one of {rules} rules."))
            .detail("changes", changes)
            .detail(HASH, hash(&text))
            .detail("consent", how)
            .detail("device", device.to_string());
        current.change(event, |vault| {
            vault
                .set_setting(POLICY_SETTING, &text)
                .map_err(|error| failure::vault(&error))
        })
    })
    .await?;
    agent.prompts().changed("policy");
    Ok(Done {})
}

fn typed(current: &Current, device: DeviceId) -> &'static str {
    let devices = current.devices();
    let device = devices.iter().find(|known| known.id == device);
    match device.map(|device| device.kind) {
        Some(DeviceKind::Kit) => "words of the recovery kit",
        _ => "passphrase or PIN",
    }
}

pub(crate) fn starting(agent: &Arc<Agent>, name: &str) -> Result<PolicyText, Failure> {
    let starting = Starting::of(name).ok_or_else(|| {
        let known: Vec<_> = Starting::ALL.iter().map(|one| one.as_str()).collect();
        failure::not_found(
            "starting policy",
            name,
            &format!("Known: {}.", known.join(", ")),
        )
    })?;
    let open = agent.vault().and_then(|current| current.peek());
    let practice = open.is_some_and(|open| open.read().is_practice());
    Ok(PolicyText {
        text: starting.text(practice).to_owned(),
        readable: true,
    })
}

pub(crate) async fn check(
    agent: &Arc<Agent>,
    text: Option<String>,
) -> Result<PolicyCheck, Failure> {
    let in_force = agent.vault().and_then(|current| current.peek());
    blocking(move || look(text, in_force)).await?
}

// Each rule is held against all before it.
fn look(text: Option<String>, in_force: Option<Arc<Open>>) -> Result<PolicyCheck, Failure> {
    let is_given = text.is_some();
    let own = match (text, &in_force) {
        (Some(text), _) => text,
        (None, Some(open)) => policy_of(&open.read()).1,
        (None, None) => return Err(failure::locked()),
    };
    let policy = match Policy::parse(&own) {
        Ok(policy) => policy,
        Err(problem) => {
            return Ok(PolicyCheck {
                problem: Some(problem.to_string()),
                rules: 0,
                findings: Vec::new(),
                changes: None,
            });
        }
    };
    let named = |place: usize| {
        let rule = policy.rules().get(place);
        rule.map(|rule| rule.name.clone()).unwrap_or_default()
    };
    let findings = policy.findings().into_iter().map(|found| PolicyFinding {
        rule: named(found.rule),
        what: found.what.as_str().to_owned(),
        text: found.text,
    });
    let strangers = in_force.iter().flat_map(|open| strangers(&policy, open));
    let changes = in_force.as_ref().filter(|_| is_given);
    let changes = changes.map(|open| policy_of(&open.read()).0.differences(&policy));
    Ok(PolicyCheck {
        problem: None,
        rules: u32::try_from(policy.rules().len()).unwrap_or(u32::MAX),
        findings: findings.chain(strangers).collect(),
        changes: changes.map(changes_of),
    })
}

// Names that nothing in the vault has: a rule about them waits for nobody.
fn strangers(policy: &Policy, open: &Open) -> Vec<PolicyFinding> {
    let clients = open.clients();
    let vault = open.read();
    let items = vault.items();
    let mut found = Vec::new();
    for rule in policy.rules() {
        let mut strange = |what: &str, text: String| {
            found.push(PolicyFinding {
                rule: rule.name.clone(),
                what: what.to_owned(),
                text,
            });
        };
        for name in rule.clients.iter().flatten() {
            let is_there = |one: &str| touchkeep_policy::is_named(name, one);
            if !clients.iter().any(|client| is_there(&client.name)) {
                strange(
                    "unknown-client",
                    format!("no client is called {}", quoted(name)),
                );
            }
        }
        for name in rule.key_sets.iter().flatten() {
            let is_there = |one: &str| touchkeep_policy::is_named(name, one);
            if !items.iter().any(|item| is_there(&item.key_set)) {
                strange(
                    "unknown-key-set",
                    format!("no key is in a set {}", quoted(name)),
                );
            }
        }
    }
    found
}

fn changes_of(changes: Differences) -> PolicyChanges {
    let sentence = changes.sentence();
    let kinds = changes.kinds.into_iter().map(|change| PolicyKindChange {
        kind: change.kind.to_string(),
        before: change.before.to_string(),
        after: change.after.to_string(),
    });
    PolicyChanges {
        added: changes.added,
        removed: changes.removed,
        changed: changes.changed,
        reordered: changes.reordered,
        kinds: kinds.collect(),
        details: changes.details,
        sentence,
    }
}

fn read(text: &str) -> Result<Policy, Failure> {
    Policy::parse(text).map_err(|error| {
        failure::invalid(
            format!("{error}."),
            "Nothing was changed; correct it and try again.",
        )
    })
}

fn overtaken() -> Failure {
    Failure::new(
        Code::Refused,
        "The policy was replaced by another one meanwhile; nothing was changed.",
        "Look at it, and try again: touchkeep policy show",
    )
}

// What nobody reads to its end could hide what matters in the middle of it.
fn too_much() -> Failure {
    Failure::new(
        Code::Refused,
        "The policy changes too much for one question, so that nobody could say yes to all of it; nothing was changed.",
        "Look at the whole (touchkeep policy check FILE), and change it in steps.",
    )
}

// A policy to be judged by, and the history of the open vault. It is made where it is used, because of the key in it.
struct Judging {
    policy: Policy,
    text: String,
    history: Option<LogHistory>,
}

impl Judging {
    fn with(agent: &Arc<Agent>, text: Option<&str>) -> Result<Self, Failure> {
        let current = agent.vault();
        let open = current.as_ref().and_then(|current| current.peek());
        let (policy, text) = match (text, &open) {
            (Some(text), _) => (read(text)?, text.to_owned()),
            (None, Some(open)) => {
                let (policy, text, _) = policy_of(&open.read());
                (policy, text)
            }
            (None, None) => return Err(failure::locked()),
        };
        let log: Option<Log> = current.and_then(|current| current.log().cloned());
        let history = match (log, open) {
            (Some(log), Some(open)) => Some(LogHistory {
                log,
                identity: audit_identity(&open)?,
            }),
            _ => None,
        };
        Ok(Self {
            policy,
            text,
            history,
        })
    }
}
