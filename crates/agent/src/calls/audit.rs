//! The audit log: pages of it, single rows, checkpoints, evidence, and whether it is sound.

mod offline;
mod query;

use std::{path::PathBuf, slice, sync::Arc};

use data_encoding::HEXLOWER;
use touchkeep_audit::{
    Checkpoint, Decision, Event, Kind, Log, Query, ReadError, Row, Verdict, bundle,
};
use touchkeep_core::Code;
use touchkeep_device::Purpose;
use touchkeep_wire::{
    AuditCheckpoint, AuditDetail, AuditPage, AuditRow, AuditVerdict, BeginBundle, BundleHeader,
    BundleLines, BundleRows, Failure, ListAudit,
};

use crate::{
    agent::Agent,
    devices::{Failed, Opened, blocking},
    failure,
    ports::{open_enrolled, use_of},
    vault::{
        Current, DeviceSigner, Witnesses, checkpoint_keys, device_label, log_id, sign_log,
        witnesses,
    },
};

pub use offline::{OfflineVerdict, verify_offline};

use query::query_of;

/// Rows of a page at most.
const MAX_ROWS: u32 = 500;
/// Bytes of a page after which the next one begins. A row may have 64 KiB, so fifty, which a window asks for, are one page.
const MAX_PAGE_BYTES: usize = 4 << 20;
/// Rows of a part of a bundle at most.
const MAX_BUNDLED: usize = 200;
/// Bytes of a part of a bundle after which the rest is asked for anew.
const MAX_BUNDLED_BYTES: usize = 2 << 20;

pub(crate) async fn list(agent: &Arc<Agent>, call: ListAudit) -> Result<AuditPage, Failure> {
    let current = vault(agent)?;
    let limit = usize::try_from(call.limit.clamp(1, MAX_ROWS)).unwrap_or(1);
    blocking(move || {
        let mut query = query_of(&current, &call.filter)?;
        (query.before, query.limit) = (call.before, limit);
        let Some(log) = current.log() else {
            return Ok(AuditPage {
                rows: Vec::new(),
                size: 0,
                signed: 0,
                next: None,
            });
        };
        let identity = identity_of(&current);
        let page = log
            .list(&query, identity.as_deref())
            .map_err(|error| failure::read_log(&error))?;
        let signed = log
            .last_checkpoint()
            .map_err(|error| failure::read_log(&error))?;
        let rows = page.rows.into_iter().map(shown).collect();
        let (rows, next) = fitting(rows, page.next, MAX_PAGE_BYTES);
        Ok(AuditPage {
            rows,
            size: log.head().size,
            signed: signed.map_or(0, |checkpoint| checkpoint.head.size),
            next,
        })
    })
    .await?
}

// The rows up to so many bytes, one at least, and where the next page begins.
fn fitting(
    mut rows: Vec<AuditRow>,
    next: Option<u64>,
    bytes: usize,
) -> (Vec<AuditRow>, Option<u64>) {
    let mut sum = 0;
    let fit = rows.iter().take_while(|row| {
        let fits = sum == 0 || sum + bytes_of(row) <= bytes;
        sum += bytes_of(row);
        fits
    });
    let fit = fit.count();
    if fit == rows.len() {
        return (rows, next);
    }
    rows.truncate(fit);
    let next = rows.last().map(|row| row.seq);
    (rows, next)
}

fn bytes_of(row: &AuditRow) -> usize {
    let texts = [&row.what, &row.client, &row.item].into_iter().flatten();
    let details = row.details.iter().flat_map(|(name, value)| [name, value]);
    texts.chain(details).map(String::len).sum::<usize>() + row.leaf.len() + 200
}

fn identity_of(current: &Current) -> Option<Box<age::x25519::Identity>> {
    let open = current.peek()?;
    open.read().audit_identity().ok()
}

pub(crate) async fn show(agent: &Arc<Agent>, seq: u64) -> Result<AuditDetail, Failure> {
    let current = vault(agent)?;
    blocking(move || {
        let log = log_of(&current)?;
        let identity = identity_of(&current);
        let read = |error: ReadError| failure::read_log(&error);
        let one = Query {
            before: seq.checked_add(1),
            limit: 1,
            ..Query::default()
        };
        let mut page = log.list(&one, identity.as_deref()).map_err(read)?;
        let row = page.rows.pop().filter(|row| row.seq == seq);
        let row = row.ok_or_else(|| no_row(log, seq))?;
        let outcome = match row.kind {
            Kind::Intent | Kind::Begun => log.outcome_of(seq).map_err(read)?,
            _ => None,
        };
        let signed_at = log.checkpoint_from(seq).map_err(read)?;
        Ok(AuditDetail {
            session: row.session,
            outcome,
            origin: log.origin().to_owned(),
            signed_at: signed_at.map(|checkpoint| checkpoint.head.size),
            row: shown(row),
        })
    })
    .await?
}

fn no_row(log: &Log, seq: u64) -> Failure {
    let fix = format!("The log has rows 1 to {}.", log.head().size);
    failure::not_found("row", &seq.to_string(), &fix)
}

fn log_of(current: &Current) -> Result<&Log, Failure> {
    current.log().ok_or_else(|| {
        Failure::new(
            Code::NotFound,
            "There is no audit log of this vault on this machine yet.",
            "It begins when the vault is unlocked here: touchkeep unlock",
        )
    })
}

/// Has the log signed, by the author while the vault is unlocked or by the device, and says how it is signed.
pub(crate) async fn checkpoint(
    agent: &Arc<Agent>,
    device: bool,
) -> Result<AuditCheckpoint, Failure> {
    let current = vault(agent)?;
    if device {
        sign_with_device(agent, &current).await?;
    }
    blocking(move || {
        let log = log_of(&current)?;
        if !device {
            sign_log(&current)?;
        }
        let last = log
            .last_checkpoint()
            .map_err(|error| failure::read_log(&error))?
            .ok_or_else(|| failure::read_log(&ReadError::NotSigned(log.head().size)))?;
        let keys = keys_of(&current)?;
        let signed = |key: &&_| Checkpoint::verify(&last.note, slice::from_ref(*key)).is_ok();
        Ok(AuditCheckpoint {
            size: last.head.size,
            rows: log.head().size,
            root: HEXLOWER.encode(&last.head.root),
            keys: keys
                .iter()
                .filter(signed)
                .map(|key| key.to_vkey())
                .collect(),
            note: last.note,
        })
    })
    .await?
}

async fn sign_with_device(agent: &Arc<Agent>, current: &Arc<Current>) -> Result<(), Failure> {
    let open = current.open()?;
    let devices = current.devices();
    let signer = devices.iter().find(|device| device.id == open.device);
    let signer = signer.cloned().ok_or_else(failure::locked)?;
    let log = log_of(current)?.clone();
    let label = device_label(&signer);
    let why = "Sign the audit log".to_owned();
    let what = use_of(&signer, Purpose::SignVault, why);
    let mut event = Event::new(Kind::Checkpoint, Decision::Info)
        .text(format!("{label} is asked to sign the log up to here."));
    event.device = signer.serial.clone();
    let recording = Arc::clone(current);
    blocking(move || recording.record(&event)).await??;
    let modules = agent.modules();
    let known = signer.clone();
    let signed = agent.devices().with(
        what,
        move || open_enrolled(&signer, &open, &modules),
        move |opened: &mut Opened, auth| {
            let unable = || {
                let fix = "Use one that is enrolled with all its keys: touchkeep device list";
                Failed::Other(failure::invalid("The device has no key that signs.", fix))
            };
            let hand = DeviceSigner::new(&known, opened.device(), auth).ok_or_else(unable)?;
            match log.checkpoint(&hand) {
                Ok(_) => Ok(()),
                Err(error) => Err(hand.failed().map_or_else(
                    || Failed::Other(failure::checkpoint(&error)),
                    Failed::Device,
                )),
            }
        },
    );
    signed.await.map_err(|failed| failed.failure(&label))
}

fn keys_of(current: &Current) -> Result<Vec<touchkeep_container::note::VerifyKey>, Failure> {
    if let Some(open) = current.peek() {
        return Ok(checkpoint_keys(open.read().as_locked()));
    }
    let locked = touchkeep_vault::Locked::open(current.path());
    Ok(checkpoint_keys(
        &locked.map_err(|error| failure::vault(&error))?,
    ))
}

pub(crate) async fn begin_bundle(
    agent: &Arc<Agent>,
    call: BeginBundle,
) -> Result<BundleHeader, Failure> {
    let current = vault(agent)?;
    blocking(move || {
        let log = log_of(&current)?;
        let read = |error: ReadError| failure::read_log(&error);
        let keys = keys_of(&current)?;
        let earlier = match &call.since {
            Some(note) => Some(kept_checkpoint(note, log, &keys)?),
            None => log.checkpoint_before(call.size).map_err(read)?,
        };
        let line = log.bundle_header(&keys, call.size, call.complete, earlier.as_ref());
        Ok(BundleHeader {
            line: line.map_err(read)?,
        })
    })
    .await?
}

// A checkpoint that somebody kept, of this log and signed by who may.
fn kept_checkpoint(
    note: &str,
    log: &Log,
    keys: &[touchkeep_container::note::VerifyKey],
) -> Result<Checkpoint, Failure> {
    let fix = "Give it as `touchkeep audit checkpoint` printed it.";
    let kept = Checkpoint::verify(note, keys).map_err(|_| {
        failure::invalid(
            "The earlier checkpoint is not one that a key of this vault signed.",
            fix,
        )
    })?;
    (kept.origin == log.origin())
        .then_some(kept)
        .ok_or_else(|| {
            failure::invalid(
                "The earlier checkpoint is of another log.",
                "Each machine has a log of its own.",
            )
        })
}

pub(crate) async fn bundle_rows(
    agent: &Arc<Agent>,
    call: BundleRows,
) -> Result<BundleLines, Failure> {
    let current = vault(agent)?;
    blocking(move || {
        let log = log_of(&current)?;
        let identity = match call.disclose {
            true => Some(identity_of(&current).ok_or_else(failure::locked)?),
            false => None,
        };
        let (mut lines, mut bytes, mut taken) = (Vec::new(), 0, 0);
        for seq in call.seqs.iter().take(MAX_BUNDLED) {
            let of_row = log.bundle_rows(
                (call.size, call.whole),
                slice::from_ref(seq),
                identity.as_deref(),
            );
            let of_row = of_row.map_err(|error| failure::read_log(&error))?;
            bytes += of_row.iter().map(String::len).sum::<usize>();
            lines.extend(of_row);
            taken += 1;
            if bytes > MAX_BUNDLED_BYTES {
                break;
            }
        }
        Ok(BundleLines { lines, taken })
    })
    .await?
}

/// The line that ends a bundle of so many rows.
#[must_use]
pub fn bundle_end(rows: u64) -> String {
    bundle::end_line(rows)
}

pub(crate) async fn verify(
    agent: &Arc<Agent>,
    file: Option<String>,
) -> Result<AuditVerdict, Failure> {
    let agent = Arc::clone(agent);
    blocking(move || {
        let Witnesses {
            keys,
            seen,
            log,
            own,
        } = witnesses(&agent)?;
        if let Some(log) = agent.vault().as_ref().and_then(|current| current.log()) {
            log.settle();
        }
        let path = file.as_ref().map_or(log, PathBuf::from);
        if !path.is_absolute() {
            return Err(failure::invalid(
                "The log's path is not absolute.",
                "Give the whole path.",
            ));
        }
        // Each machine has a log of its own, and a head is a witness of the log that it is of and of no other.
        let id = touchkeep_audit::origin(&path).and_then(|origin| log_id(&origin));
        let mut heads = Vec::new();
        if file.is_none() {
            if let (Some(own), Some(id)) = (own, id)
                && own != id
            {
                return Ok(replaced());
            }
            heads.extend(own.and_then(|own| seen.get(&own)).copied());
            // Whatever this agent has written itself it knows of, too.
            let current = agent.vault();
            heads.extend(
                current
                    .iter()
                    .filter_map(|current| Some(current.log()?.head())),
            );
        } else {
            heads.extend(id.and_then(|id| seen.get(&id)).copied());
        }
        let verdict = touchkeep_audit::verify(&path, &keys, &heads)
            .map_err(|error| failure::verify_log(&error))?;
        Ok(said(verdict))
    })
    .await?
}

fn replaced() -> AuditVerdict {
    AuditVerdict {
        sound: false,
        size: 0,
        signed: 0,
        root: String::new(),
        first_bad: Some(1),
        problem: Some("another log stands in the place of this machine's".to_owned()),
    }
}

fn vault(agent: &Arc<Agent>) -> Result<Arc<Current>, Failure> {
    agent.some_vault()
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
    fact("item-id", event.item.map(|item| item.to_string()));
    fact("client-id", event.client.map(|client| client.to_string()));
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
        (Kind::Outcome, Some(status)) if event.text.is_empty() => {
            format!("The venue answered {status}.")
        }
        (Kind::Locked, _) if event.text.is_empty() => "Locked the vault.".to_owned(),
        _ => event.text,
    });
    shown.client = event.client_name;
    shown.item = event.item_name;
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use touchkeep_core::UnixMillis;

    fn row(seq: u64, bytes: usize) -> AuditRow {
        AuditRow {
            seq,
            time: UnixMillis(0),
            kind: String::new(),
            decision: String::new(),
            what: Some("x".repeat(bytes)),
            client: None,
            item: None,
            of: None,
            details: Vec::new(),
            leaf: String::new(),
        }
    }

    #[test]
    fn a_page_of_large_rows_is_shorter_and_the_next_one_goes_on_there() {
        let rows = || vec![row(9, 1000), row(8, 1000), row(7, 1000)];
        let seqs = |(rows, next): (Vec<AuditRow>, _)| {
            let seqs: Vec<u64> = rows.iter().map(|row| row.seq).collect();
            (seqs, next)
        };
        assert_eq!(
            seqs(fitting(rows(), Some(7), 10_000)),
            (vec![9, 8, 7], Some(7))
        );
        assert_eq!(seqs(fitting(rows(), None, 2500)), (vec![9, 8], Some(8)));
        assert_eq!(seqs(fitting(rows(), None, 10)), (vec![9], Some(9)));
    }
}
