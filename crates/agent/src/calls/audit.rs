//! The audit log: pages of it, and whether it is sound.

use std::{path::PathBuf, sync::Arc};

use data_encoding::HEXLOWER;
use touchkeep_audit::{Kind, Query, Row, Verdict};
use touchkeep_core::Code;
use touchkeep_wire::{AuditPage, AuditRow, AuditVerdict, Failure, ListAudit};

use crate::{
    agent::Agent,
    devices::blocking,
    failure,
    vault::{Current, Witnesses, witnesses},
};

/// Rows of a page at most.
const MAX_ROWS: u32 = 500;

pub(crate) async fn list(agent: &Arc<Agent>, call: ListAudit) -> Result<AuditPage, Failure> {
    let current = vault(agent)?;
    let mut query = Query::default();
    for word in &call.kinds {
        let kind = Kind::of(word).ok_or_else(|| {
            let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            failure::not_found(
                "kind of row",
                word,
                &format!("Known: {}.", known.join(", ")),
            )
        })?;
        query.kinds.push(kind);
    }
    query.before = call.before;
    query.limit = usize::try_from(call.limit.clamp(1, MAX_ROWS)).unwrap_or(1);
    blocking(move || {
        let Some(log) = current.log() else {
            return Ok(AuditPage {
                rows: Vec::new(),
                size: 0,
                signed: 0,
            });
        };
        let identity = current
            .peek()
            .and_then(|open| open.read().audit_identity().ok());
        let rows = log
            .list(&query, identity.as_ref())
            .map_err(|error| failure::read_log(&error))?;
        let signed = log
            .last_checkpoint()
            .map_err(|error| failure::read_log(&error))?;
        Ok(AuditPage {
            rows: rows.into_iter().map(shown).collect(),
            size: log.head().size,
            signed: signed.map_or(0, |checkpoint| checkpoint.head.size),
        })
    })
    .await?
}

pub(crate) async fn verify(
    agent: &Arc<Agent>,
    file: Option<String>,
) -> Result<AuditVerdict, Failure> {
    let agent = Arc::clone(agent);
    blocking(move || {
        let Witnesses { keys, seen, log } = witnesses(&agent)?;
        let path = file.map_or(log, PathBuf::from);
        if !path.is_absolute() {
            return Err(failure::invalid(
                "The log's path is not absolute.",
                "Give the whole path.",
            ));
        }
        let verdict = touchkeep_audit::verify(&path, &keys, seen.as_ref())
            .map_err(|error| failure::verify_log(&error))?;
        Ok(said(verdict))
    })
    .await?
}

fn vault(agent: &Arc<Agent>) -> Result<Arc<Current>, Failure> {
    agent.vault().ok_or_else(|| {
        Failure::new(
            Code::NoVault,
            "There is no vault yet.",
            "Make one with: touchkeep init",
        )
    })
}

fn said(verdict: Verdict) -> AuditVerdict {
    match verdict {
        Verdict::Sound { head, signed } => AuditVerdict {
            sound: true,
            size: head.size,
            signed,
            root: HEXLOWER.encode(&head.root),
            first_bad: None,
            problem: None,
        },
        Verdict::Damaged(damage) => AuditVerdict {
            sound: false,
            size: 0,
            signed: 0,
            root: String::new(),
            first_bad: damage.seq,
            problem: Some(damage.to_string()),
        },
    }
}

fn shown(row: Row) -> AuditRow {
    let mut shown = AuditRow {
        seq: row.seq,
        time: row.time,
        kind: row.kind.to_string(),
        decision: row.decision.to_string(),
        what: None,
        client: None,
        item: None,
        of: row.closes,
        details: Vec::new(),
        leaf: HEXLOWER.encode(&row.leaf),
    };
    let Some(event) = row.event else {
        return shown;
    };
    let mut fact = |name: &str, value: Option<String>| {
        shown
            .details
            .extend(value.map(|value| (name.to_owned(), value)));
    };
    fact("request", event.request.map(|request| request.to_string()));
    fact("rule", event.rule);
    fact("digest", event.digest);
    fact("device", event.device);
    fact("waited-ms", event.wait_ms.map(|wait| wait.to_string()));
    fact(
        "venue-status",
        event.venue_status.map(|status| status.to_string()),
    );
    shown.details.extend(event.details);
    shown.what = Some(match (row.kind, event.venue_status) {
        (Kind::Outcome, Some(status)) => format!("The venue answered {status}."),
        (Kind::Locked, _) if event.text.is_empty() => "Locked the vault.".to_owned(),
        _ => event.text,
    });
    shown.client = event.client_name;
    shown.item = event.item_name;
    shown
}
