//! `audit list | verify`.

use std::process::ExitCode;

use touchkeep_core::{Code, text::visible, time::rfc3339};
use touchkeep_wire::{AuditRow, AuditVerdict, Failure, ListAudit, VerifyAudit};

use super::{Context, Done};
use crate::{
    args::Audit,
    output::{Output, Style},
};

pub(super) async fn audit(context: &Context<'_>, verb: Audit) -> Done {
    match verb {
        Audit::List {
            limit,
            before,
            kind,
        } => {
            let page = context
                .call(ListAudit {
                    before,
                    limit,
                    kinds: kind,
                })
                .await?;
            let output = context.output;
            context.output.result(&page, |page| {
                // Oldest first reads like a story.
                let rows: Vec<_> = page
                    .rows
                    .iter()
                    .rev()
                    .map(|row| render_row(row, output))
                    .collect();
                format!(
                    "{}\n{} rows, signed up to {}",
                    rows.join("\n"),
                    page.size,
                    page.signed
                )
            });
            Ok(ExitCode::SUCCESS)
        }
        Audit::Verify { file } => {
            let file = file
                .map(std::path::absolute)
                .transpose()
                .map_err(|error| Failure::new(Code::Invalid, error.to_string(), ""))?;
            let verdict = context
                .call(VerifyAudit {
                    file: file.map(|path| path.display().to_string()),
                })
                .await?;
            let output = context.output;
            context
                .output
                .result(&verdict, |verdict| render_verdict(verdict, output));
            Ok(if verdict.sound {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(Code::Damaged.exit_code())
            })
        }
    }
}

/// A row on one line.
pub(crate) fn render_row(row: &AuditRow, output: Output) -> String {
    let style = match row.decision.as_str() {
        "denied" | "refused" | "failed" => Style::Bad,
        "touched" | "approved" | "allowed" => Style::Good,
        _ => Style::Quiet,
    };
    let what = row.what.as_deref().map_or_else(
        || format!("{} (locked: what it says is hidden)", row.kind),
        visible,
    );
    let client = row
        .client
        .as_deref()
        .map(|client| format!(" [{}]", visible(client)))
        .unwrap_or_default();
    let of = row.of.map(|of| format!(" (of {of})")).unwrap_or_default();
    format!(
        "{:>5}  {}  {}  {what}{client}{of}",
        row.seq,
        output.out(Style::Quiet, &rfc3339(row.time)),
        output.out(style, &format!("{:<8}", row.decision))
    )
}

pub(crate) fn render_verdict(verdict: &AuditVerdict, output: Output) -> String {
    if verdict.sound {
        let unsigned = verdict.size - verdict.signed.min(verdict.size);
        return format!(
            "{} {} rows, signed up to {}, {unsigned} unsigned\nroot {}",
            output.out(Style::Good, "Sound:"),
            verdict.size,
            verdict.signed,
            verdict.root
        );
    }
    let place = verdict
        .first_bad
        .map(|seq| format!(" at row {seq}"))
        .unwrap_or_default();
    format!(
        "{}{place}: {}",
        output.out(Style::Bad, "Not authentic"),
        verdict
            .problem
            .as_deref()
            .unwrap_or("the log does not fit its tree")
    )
}
