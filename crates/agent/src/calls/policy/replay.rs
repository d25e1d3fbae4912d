//! Which decisions on record would be others under another policy.

use std::{collections::HashSet, sync::Arc};

use touchkeep_audit::{Decision, KEY_TOUCH, Kind, Query, Row};
use touchkeep_core::{RequestId, UnixMillis};
use touchkeep_pipeline::{KEY_SET, LET_THROUGH};
use touchkeep_policy::{Asked, Difference, Policy, Recorded, Replay, Then};
use touchkeep_wire::{Failure, PolicyReplay, PolicyReplayed, ReplayPolicy};

use super::Judging;
use crate::{agent::Agent, devices::blocking, failure, ports::LogHistory};

/// Requests that are looked at, the newest ones.
const MOST: usize = 100_000;
/// Changes that are listed.
const MOST_LISTED: u32 = 5_000;
const PAGE: usize = 1000;

pub(crate) async fn replay(
    agent: &Arc<Agent>,
    call: ReplayPolicy,
) -> Result<PolicyReplay, Failure> {
    let agent = Arc::clone(agent);
    blocking(move || {
        let Judging {
            policy, history, ..
        } = Judging::with(&agent, call.text.as_deref())?;
        let history = history.ok_or_else(failure::locked)?;
        let limit = call.limit.min(MOST_LISTED) as usize;
        try_on(policy, &history, call.since, limit)
    })
    .await?
}

fn try_on(
    policy: Policy,
    history: &LogHistory,
    since: Option<UnixMillis>,
    limit: usize,
) -> Result<PolicyReplay, Failure> {
    let (requests, complete) = requests(history, since.unwrap_or(UnixMillis(0)))?;
    let mut said = PolicyReplay {
        requests: requests.len() as u64,
        complete,
        milder: 0,
        stricter: 0,
        changes: Vec::new(),
    };
    let Some((row, first)) = requests.first() else {
        return Ok(said);
    };
    let first_at = first.asked.now;
    let from = first_at.0.saturating_sub(Replay::reach_ms(&policy));
    let before = history.between(UnixMillis(from), Some(*row));
    let mut before = before.map_err(|error| failure::read_log(&error))?;
    let judged: HashSet<RequestId> = requests.iter().map(|(_, one)| one.asked.request).collect();
    before.retain(|act| !judged.contains(&act.request));
    let mut replay = Replay::new(policy, before, first_at);
    for (row, recorded) in &requests {
        let now = replay.next(recorded);
        let milder = match recorded.then.beside(now.action) {
            Difference::Same => continue,
            Difference::Milder => true,
            Difference::Stricter => false,
        };
        said.milder += u64::from(milder);
        said.stricter += u64::from(!milder);
        if said.changes.len() < limit {
            said.changes.push(PolicyReplayed {
                row: *row,
                at: recorded.asked.now,
                request: recorded.asked.operation.sentence(),
                client: recorded.asked.client.clone(),
                then: recorded.then.as_str().to_owned(),
                then_rule: recorded.rule.clone(),
                now: now.action.to_string(),
                now_rule: now.rule,
                milder,
            });
        }
    }
    Ok(said)
}

// The newest requests that were decided about, the oldest first; and whether those are all.
fn requests(
    history: &LogHistory,
    since: UnixMillis,
) -> Result<(Vec<(u64, Recorded)>, bool), Failure> {
    let mut query = Query {
        limit: PAGE,
        since: Some(since),
        ..Query::default()
    };
    query
        .kinds
        .extend([Kind::Intent, Kind::RequestDenied, Kind::RequestRefused]);
    let mut found = Vec::new();
    loop {
        let page = history.log.list(&query, Some(&history.identity));
        let page = page.map_err(|error| failure::read_log(&error))?;
        let rows = page.rows.iter();
        found.extend(rows.filter_map(|row| Some((row.seq, recorded_of(row)?))));
        query.before = page.next;
        if query.before.is_none() || found.len() >= MOST {
            found.truncate(MOST);
            found.reverse();
            return Ok((found, query.before.is_none()));
        }
    }
}

/// What a row says of a request that a policy decided about.
pub(super) fn recorded_of(row: &Row) -> Option<Recorded> {
    let event = row.event.as_ref()?;
    let detail = |name: &str| event.details.iter().find(|(known, _)| known == name);
    let then = match (row.kind, row.decision) {
        // The touch that the rule wanted came with the signature.
        (Kind::Intent, Decision::Approved) if detail(KEY_TOUCH).is_some() => Then::Touched,
        (Kind::Intent, Decision::Allowed) => Then::Allowed,
        (Kind::Intent, Decision::Approved) => Then::Approved,
        (Kind::Intent, Decision::Touched) => Then::Touched,
        (Kind::RequestDenied, _) => Then::Denied,
        (Kind::RequestRefused, _) if detail(LET_THROUGH).is_some() => Then::Unsigned,
        // Without a rule it was refused before anybody judged it: there was no key.
        (Kind::RequestRefused, _) if event.rule.is_some() => Then::Refused,
        _ => return None,
    };
    let key_set = detail(KEY_SET)?;
    let mut operation = event.operation.clone()?;
    // Nothing is judged by them, and there may be many rows.
    operation.parameters = Vec::new();
    Some(Recorded {
        asked: Asked {
            request: event.request?,
            digest: [0; 32],
            client: event.client_name.clone()?,
            key_set: key_set.1.clone(),
            operation: operation.with_one_name_each(),
            now: row.time,
        },
        then,
        rule: event.rule.clone(),
    })
}

#[cfg(test)]
mod tests {
    use touchkeep_audit::{Event, Log};
    use touchkeep_core::ClientId;
    use touchkeep_venue::{Operation, OperationKind};

    use super::*;

    #[test]
    fn what_a_rule_let_through_and_nobody_signed_was_not_refused_by_anybody() {
        let folder = tempfile::tempdir().unwrap();
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let log = Log::create(&folder.path().join("a.sqlite"), "vault", &recipient).unwrap();
        let refused = || {
            let mut event = Event::new(Kind::RequestRefused, Decision::Refused)
                .client(ClientId::random(), "bot")
                .detail(KEY_SET, "main");
            event.request = Some(RequestId::random());
            event.rule = Some("small orders".to_owned());
            let kind = OperationKind::Trade;
            event.operation = Some(Operation::new(kind, "binance", "POST", "/x", "x"));
            event
        };
        log.record(&refused()).unwrap();
        log.record(&refused().detail(LET_THROUGH, "by the rule"))
            .unwrap();
        let rows = log.list(&Query::default(), Some(&identity)).unwrap().rows;
        let then: Vec<_> = rows
            .iter()
            .map(|row| recorded_of(row).unwrap().then)
            .collect();
        assert_eq!(then, [Then::Unsigned, Then::Refused]);
    }
}
