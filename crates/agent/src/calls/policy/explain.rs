//! Why a request would be decided as it would be.

use std::sync::Arc;

use touchkeep_audit::{Decision, Kind, Query, Row};
use touchkeep_core::{
    Clock, Code, Decimal, RequestId, SystemClock, UnixMillis,
    text::{quoted, surely_visible},
};
use touchkeep_policy::{Action, Asked, Explanation, History, Policy, Recorded, Stand, misspelt_at};
use touchkeep_venue::{Operation, OperationKind, Side};
use touchkeep_wire::{
    DescribedRequest, ExplainPolicy, Failure, PolicyExplanation, PolicyLimit, PolicyStep,
};

use super::{Judging, replay::recorded_of};
use crate::{agent::Agent, devices::blocking, failure, ports::LogHistory};

pub(crate) async fn explain(
    agent: &Arc<Agent>,
    call: ExplainPolicy,
) -> Result<PolicyExplanation, Failure> {
    let agent = Arc::clone(agent);
    blocking(move || {
        let Judging {
            policy,
            text,
            history,
        } = Judging::with(&agent, call.text.as_deref())?;
        let at = call.request.as_ref().and_then(|request| request.at);
        let mut notes = Vec::new();
        let (asked, then, before) = match (call.request, call.row) {
            (Some(request), None) => {
                notes.extend(misspelt(&request));
                (asked_of(request)?, None, None)
            }
            (None, Some(row)) => {
                let history = history.as_ref().ok_or_else(failure::locked)?;
                let recorded = on_record(history, row)?;
                // A policy that is given is known to be another one.
                if call.text.is_none() {
                    notes.extend(replaced_since(history, row, &text)?);
                }
                let then = recorded.then.as_str().to_owned();
                (recorded.asked, Some(then), Some(row))
            }
            _ => {
                return Err(failure::invalid(
                    "Either a request is explained, or a row.",
                    "Give one of them.",
                ));
            }
        };
        let since = UnixMillis(asked.now.0.saturating_sub(policy.reach_ms()));
        let past = history
            .as_ref()
            .map(|history| history.between(since, before));
        let mut past = past
            .transpose()
            .map_err(|error| failure::read_log(&error))?;
        // As it stood at the time that is asked about.
        if let (Some(at), Some(past)) = (at, &mut past) {
            past.retain(|act| act.at <= at);
        }
        let with_history = past.is_some();
        let sums = History::of(&policy, &past.unwrap_or_default(), &asked);
        let explanation = policy.explain(&asked, &sums);
        Ok(PolicyExplanation {
            with_history,
            then,
            notes,
            ..said(&policy, &asked, explanation)
        })
    })
    .await?
}

fn said(policy: &Policy, asked: &Asked, explanation: Explanation) -> PolicyExplanation {
    let named = |place: usize| policy.rules().get(place);
    let steps = explanation.steps.into_iter().filter_map(|step| {
        let rule = named(step.rule)?;
        let (stand, why) = match step.stand {
            Stand::Fits => ("fits", None),
            Stand::Floor(doubt) => ("floor", Some(doubt.words())),
            Stand::Not(misfit) => ("not", Some(misfit.words())),
        };
        let limits = step.limits.into_iter().map(|limit| PolicyLimit {
            field: limit.field.to_owned(),
            most: limit.most,
            so_far: limit.so_far,
            adds: limit.adds,
        });
        Some(PolicyStep {
            rule: rule.name.clone(),
            action: rule.action.to_string(),
            stand: stand.to_owned(),
            why: why.map(str::to_owned),
            limits: limits.collect(),
        })
    });
    PolicyExplanation {
        request: asked.operation.sentence(),
        client: asked.client.clone(),
        key_set: asked.key_set.clone(),
        at: asked.now,
        action: explanation.action.unwrap_or(Action::Deny).to_string(),
        rule: explanation
            .rule
            .and_then(named)
            .map(|rule| rule.name.clone()),
        with_history: false,
        by_hand: policy.is_by_hand(),
        then: None,
        notes: Vec::new(),
        steps: steps.collect(),
    }
}

// Names that no rule will ever have, as the venue does not write them so.
fn misspelt(request: &DescribedRequest) -> Vec<String> {
    let names = request.symbol.iter().chain(&request.asset);
    let found = names.filter_map(|name| misspelt_at(&request.venue, name));
    found.map(|problem| format!("{problem}.")).collect()
}

// The verdict of then may be another policy's: replaced here, or come with another copy of the vault or an older one. Where it is
// the same again, nothing is said.
fn replaced_since(
    history: &LogHistory,
    seq: u64,
    in_force: &str,
) -> Result<Option<String>, Failure> {
    let query = Query {
        limit: 50,
        kinds: vec![Kind::PolicyChanged, Kind::Restored],
        decisions: vec![Decision::Touched, Decision::Info],
        ..Query::default()
    };
    let page = history.log.list(&query, Some(&history.identity));
    let page = page.map_err(|error| failure::read_log(&error))?;
    let (since, before): (Vec<_>, Vec<_>) = page.rows.iter().partition(|row| row.seq > seq);
    let then = before.first().and_then(|row| hash_of(row));
    let now = super::hash(in_force);
    if then == Some(now.as_str()) {
        return Ok(None);
    }
    Ok(match since.first() {
        Some(row) if row.kind == Kind::Restored => Some(format!(
            "The vault went back to an older copy since (row {}), and its policy with it: then, another one may have been in force.",
            row.seq
        )),
        Some(row) if row.decision == Decision::Info => Some(format!(
            "The policy came with another copy of the vault since (row {}): then, another one was in force.",
            row.seq
        )),
        Some(row) => Some(format!(
            "The policy was replaced since (row {}): then, another one was in force.",
            row.seq
        )),
        // What is written to the file while the vault is locked has no row of its own.
        None => then.map(|_| {
            "The policy came with another copy of the vault, and no row says when: then, another one may have been in force.".to_owned()
        }),
    })
}

fn hash_of(row: &Row) -> Option<&str> {
    let details = &row.event.as_ref()?.details;
    let hash = details.iter().find(|(name, _)| name == super::HASH);
    hash.map(|(_, hash)| hash.as_str())
}

fn on_record(history: &LogHistory, seq: u64) -> Result<Recorded, Failure> {
    let query = Query {
        before: seq.checked_add(1),
        limit: 1,
        ..Query::default()
    };
    let page = history.log.list(&query, Some(&history.identity));
    let page = page.map_err(|error| failure::read_log(&error))?;
    let row = page.rows.into_iter().find(|row| row.seq == seq);
    row.as_ref().and_then(recorded_of).ok_or_else(|| {
        row.as_ref().and_then(unjudged).unwrap_or_else(|| {
            failure::not_found(
                "request in row",
                &seq.to_string(),
                "Rows of requests: touchkeep audit list --kind intent --kind request-denied --kind request-refused",
            )
        })
    })
}

// One that was refused before any rule was looked at.
fn unjudged(row: &Row) -> Option<Failure> {
    let details = &row.event.as_ref()?.details;
    let (_, why) = details.iter().find(|(name, _)| name == "why")?;
    matches!(row.kind, Kind::RequestDenied | Kind::RequestRefused).then(|| {
        Failure::new(
            Code::NotFound,
            format!(
                "No rule was asked about row {}: {}.",
                row.seq,
                surely_visible(why)
            ),
            "Rules are asked about what a client is let in to and the vault has a key for.",
        )
    })
}

fn asked_of(request: DescribedRequest) -> Result<Asked, Failure> {
    let mut kinds = OperationKind::ALL.into_iter();
    let kind = kinds.find(|kind| kind.as_str() == request.kind);
    let kind = kind.ok_or_else(|| {
        let known: Vec<_> = OperationKind::ALL
            .iter()
            .map(|kind| kind.as_str())
            .collect();
        failure::not_found(
            "kind of operation",
            &request.kind,
            &format!("Known: {}.", known.join(", ")),
        )
    })?;
    if touchkeep_venue::venue(&request.venue).is_none() {
        let fix = "Look at: touchkeep venue list";
        return Err(failure::not_found("venue", &request.venue, fix));
    }
    let mut operation = Operation::new(kind, request.venue, "-", "-", endpoint(kind));
    operation.side = request.side.as_deref().map(side).transpose()?;
    operation.amount = number(request.amount)?;
    operation.quote_amount = number(request.quote_amount)?;
    operation.price = number(request.price)?;
    operation.symbol = request.symbol;
    operation.asset = request.asset;
    operation.destination = request.destination;
    operation.destination_tag = request.tag;
    operation.network = request.network;
    Ok(Asked {
        request: RequestId::random(),
        digest: [0; 32],
        client: request.client,
        key_set: request.key_set,
        operation: operation.with_one_name_each(),
        now: request.at.unwrap_or_else(|| SystemClock.now()),
    })
}

const fn endpoint(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Trade => "place order",
        OperationKind::Cancel => "cancel order",
        OperationKind::Leverage => "change leverage",
        _ => kind.as_str(),
    }
}

fn side(word: &str) -> Result<Side, Failure> {
    match word {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        _ => Err(failure::not_found("side", word, "Known: buy, sell.")),
    }
}

fn number(text: Option<String>) -> Result<Option<Decimal>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let number: Option<Decimal> = text.parse().ok();
    match number.filter(|number| !number.is_negative()) {
        Some(number) => Ok(Some(number)),
        None => Err(failure::invalid(
            format!("{} is no amount.", quoted(&text)),
            "Write a plain decimal number: 0.25",
        )),
    }
}
