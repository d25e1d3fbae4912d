//! `audit`: what happened, and the proof of it.

mod export;
mod filter;
mod verify;

use std::process::ExitCode;

use touchkeep_core::{Code, text::surely_visible as visible, time::rfc3339};
use touchkeep_wire::{
    AuditCheckpoint, AuditDetail, AuditPage, AuditRow, CheckpointAudit, Failure, ListAudit,
    ShowAudit,
};

pub(super) use self::filter::moment;
pub(crate) use self::verify::{alone as verify_alone, render_verdict};
use super::{Context, Done};
use crate::{
    args::{Audit, Filter},
    output::{Output, Style},
};

/// Rows that are asked for at a time; what the agent gives at most.
const PAGE: u32 = 500;

pub(super) async fn audit(context: &Context<'_>, verb: Audit) -> Done {
    match verb {
        Audit::List {
            limit,
            before,
            filter,
        } => list(context, limit, before, &filter).await,
        Audit::Show { row } => show(context, row).await,
        Audit::Verify { file: None, .. } => verify::own(context).await,
        Audit::Verify {
            file: Some(file),
            key,
        } if key.is_empty() => verify::copy(context, &file).await,
        Audit::Verify { .. } => Err(unusable(
            "The keys of a log are those of its vault; --key is for a bundle.".to_owned(),
            "Leave --key out, or give a bundle: touchkeep audit export --format bundle",
        )),
        Audit::Prove {
            row,
            since,
            disclose,
            output,
        } => export::prove(context, row, since.as_deref(), disclose, output.as_deref()).await,
        Audit::Export {
            format,
            filter,
            disclose,
            output,
        } => export::export(context, format, &filter, disclose, output.as_deref()).await,
        Audit::Checkpoint { device } => checkpoint(context, device).await,
    }
}

async fn list(context: &Context<'_>, limit: u32, before: Option<u64>, filter: &Filter) -> Done {
    let page = find(context, limit, before, filter).await?;
    let output = context.output;
    output.result(&page, |page| render_page(page, filter, output));
    Ok(ExitCode::SUCCESS)
}

/// The newest `limit` rows below `before`, in as many calls as that takes.
async fn find(
    context: &Context<'_>,
    limit: u32,
    before: Option<u64>,
    filter: &Filter,
) -> Result<AuditPage, Failure> {
    let filter = filter::read(filter)?;
    let mut found: Option<AuditPage> = None;
    let mut before = before;
    loop {
        let so_far = found.as_ref().map_or(0, |page| page.rows.len());
        let left = limit.saturating_sub(u32::try_from(so_far).unwrap_or(u32::MAX));
        let page = context
            .call(ListAudit {
                before,
                limit: left.clamp(1, PAGE),
                filter: filter.clone(),
            })
            .await?;
        before = page.next;
        let all = match found {
            None => page,
            Some(mut all) => {
                all.rows.extend(page.rows);
                all.next = page.next;
                all
            }
        };
        if before.is_none() || all.rows.len() >= limit as usize {
            return Ok(all);
        }
        found = Some(all);
    }
}

fn render_page(page: &AuditPage, filter: &Filter, output: Output) -> String {
    // Oldest first reads like a story.
    let mut lines: Vec<_> = page
        .rows
        .iter()
        .rev()
        .map(|row| render_row(row, output))
        .collect();
    if lines.is_empty() {
        lines.push(match (page.size, filter.is_empty()) {
            (0, _) => "Nothing is recorded yet.".to_owned(),
            (_, true) => "There are no rows before that.".to_owned(),
            (_, false) => "No row is like that.".to_owned(),
        });
    }
    let older = page
        .next
        .map(|next| format!("; older ones: --before {next}"));
    let shown = match page.rows.len() as u64 {
        all if all == page.size => String::new(),
        some => format!("{some} of "),
    };
    lines.push(format!(
        "{shown}{}{}",
        verify::signed_up_to(page.size, page.signed),
        older.unwrap_or_default()
    ));
    lines.join("\n")
}

/// What a row says that has no reason with it.
const LOCKED: &str = "Locked the vault.";

/// A row on one line.
pub(crate) fn render_row(row: &AuditRow, output: Output) -> String {
    let style = match row.decision.as_str() {
        "denied" | "refused" | "failed" => Style::Bad,
        "touched" | "approved" | "allowed" => Style::Good,
        _ => Style::Quiet,
    };
    let what = match row.what.as_deref() {
        None => format!("{} (locked: what it says is hidden)", row.kind),
        // These say why alone.
        Some(why) if row.kind == "locked" && why != LOCKED => format!("{LOCKED} {}", visible(why)),
        Some(why) if row.kind == "disarmed" => format!("Disarmed the trade keys. {}", visible(why)),
        Some(what) => visible(what),
    };
    let client = row
        .client
        .as_deref()
        .map(|client| format!(" [{}]", visible(client)))
        .unwrap_or_default();
    let of = row.of.map(|of| format!(" (row {of})")).unwrap_or_default();
    format!(
        "{:>5}  {}  {}  {what}{client}{of}",
        row.seq,
        output.out(Style::Quiet, &rfc3339(row.time)),
        output.out(style, &format!("{:<8}", row.decision))
    )
}

async fn show(context: &Context<'_>, seq: u64) -> Done {
    let detail = context.call(ShowAudit { seq }).await?;
    let output = context.output;
    output.result(&detail, |detail| render_detail(detail, output));
    Ok(ExitCode::SUCCESS)
}

fn render_detail(detail: &AuditDetail, output: Output) -> String {
    let row = &detail.row;
    let mut facts: Vec<(&str, String)> = vec![
        ("time", rfc3339(row.time)),
        ("kind", row.kind.clone()),
        ("decision", row.decision.clone()),
    ];
    let hidden = "hidden while the vault is locked".to_owned();
    facts.push(("what", row.what.as_deref().map_or(hidden, visible)));
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("item", row.item.as_deref().map(visible));
    fact("client", row.client.as_deref().map(visible));
    fact("intent", row.of.map(|of| format!("row {of}")));
    fact("outcome", detail.outcome.map(|row| format!("row {row}")));
    for (name, value) in &row.details {
        facts.push((name, visible(value)));
    }
    facts.push(("leaf", row.leaf.clone()));
    facts.push((
        "log",
        format!("{}, session {}", detail.origin, detail.session),
    ));
    facts.push((
        "signed",
        detail.signed_at.map_or_else(
            || "not yet".to_owned(),
            |size| format!("by the checkpoint at row {size}"),
        ),
    ));
    let width = facts.iter().map(|(name, _)| name.chars().count()).max();
    let lines = facts.iter().map(|(name, value)| {
        let gap = " ".repeat(width.unwrap_or(0).saturating_sub(name.chars().count()));
        format!("{}{gap}  {value}", output.out(Style::Quiet, &visible(name)))
    });
    let head = output.out(Style::Strong, &format!("Row {}", row.seq));
    std::iter::once(head)
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

async fn checkpoint(context: &Context<'_>, device: bool) -> Done {
    let signed = context.call_asking(CheckpointAudit { device }).await?;
    context
        .output
        .document(&signed, |signed| signed.note.clone());
    context.output.say(&about(&signed));
    Ok(ExitCode::SUCCESS)
}

fn about(signed: &AuditCheckpoint) -> String {
    let unsigned = signed.rows.saturating_sub(signed.size);
    let rest = match unsigned {
        0 => "all rows".to_owned(),
        left => format!(
            "rows 1 to {}; {left} came after and are not signed",
            signed.size
        ),
    };
    let keys: Vec<_> = signed.keys.iter().map(|key| format!("  {key}")).collect();
    format!(
        "This covers {rest}. Keep it somewhere else: it shows later whether the log was cut or rewritten.\nSigned by\n{}",
        keys.join("\n")
    )
}

fn unusable(what: String, fix: &str) -> Failure {
    Failure::new(Code::Invalid, what, fix)
}

#[cfg(test)]
mod tests {
    use touchkeep_core::UnixMillis;

    use super::*;

    #[test]
    fn a_row_that_says_why_alone_is_told_with_what_happened() {
        let told = |kind: &str, what: &str| {
            let row = AuditRow {
                seq: 1,
                time: UnixMillis(0),
                kind: kind.into(),
                decision: "done".into(),
                what: Some(what.into()),
                client: None,
                item: None,
                of: None,
                details: Vec::new(),
                leaf: String::new(),
            };
            render_row(&row, Output::new(true))
        };
        let row = told("locked", "Nobody used it for long.");
        assert!(
            row.ends_with("Locked the vault. Nobody used it for long."),
            "{row}"
        );
        assert!(told("locked", LOCKED).ends_with("done      Locked the vault."));
        assert!(told("disarmed", "So.").ends_with("Disarmed the trade keys. So."));
        assert!(told("unlocked", "So.").ends_with("done      So."));
    }
}
