//! `device join`: two branches of a membership, told and joined.

use std::process::ExitCode;

use touchkeep_core::{text::surely_visible as visible, time::rfc3339};
use touchkeep_wire::{JoinMembership, JoinReport, MemberBranch, MemberChange};

use super::{Context, Done};
use crate::{
    output::{Output, Style},
    terminal,
};

pub(super) async fn join(context: &Context<'_>, dry_run: bool, yes: bool) -> Done {
    let look = JoinMembership {
        dry_run: true,
        seen: Vec::new(),
    };
    let looked_at = context.call(look).await?;
    let output = context.output;
    if dry_run {
        output.result(&looked_at, |report| told(report, |s, t| output.out(s, t)));
        return Ok(ExitCode::SUCCESS);
    }
    if !yes {
        output.say(&told(&looked_at, |style, text| output.err(style, text)));
        terminal::confirm(&context.global, "Join them?", "join")?;
    }
    let seen = looked_at.branches.into_iter().map(|branch| branch.end);
    let join = JoinMembership {
        dry_run: false,
        seen: seen.collect(),
    };
    let joined = context.call_asking(join).await?;
    output.result(&joined, |report| after(report, output));
    Ok(ExitCode::SUCCESS)
}

type Paint<'a> = &'a dyn Fn(Style, &str) -> String;

fn told(report: &JoinReport, paint: impl Fn(Style, &str) -> String) -> String {
    let mut text =
        "The membership was changed in places that did not know of each other.".to_owned();
    for (number, branch) in (1..).zip(&report.branches) {
        text.push_str("\n\n");
        text.push_str(&branch_lines(number, branch, &paint));
    }
    text
}

fn branch_lines(number: u32, branch: &MemberBranch, paint: Paint<'_>) -> String {
    let verdict = match branch.holds {
        true => paint(Style::Good, "holds"),
        false => paint(Style::Warn, "is given up"),
    };
    let mut lines = vec![format!("Branch {number} {verdict}")];
    lines.extend(branch.changes.iter().flat_map(change_lines));
    if !branch.holds {
        lines.push(format!("  {}", paint(Style::Strong, "After the join")));
        let nothing = ["Nothing of it is missed: the other branch says the same.".to_owned()];
        let undone = match branch.undone[..] {
            [] => &nothing[..],
            _ => &branch.undone,
        };
        lines.extend(undone.iter().map(|it| format!("    {}", visible(it))));
    }
    lines.join("\n")
}

fn change_lines(change: &MemberChange) -> Vec<String> {
    let by = match change.by[..] {
        [] => "somebody".to_owned(),
        _ => visible(&change.by.join(" and ")),
    };
    let mut lines = vec![format!("  {}  {by}", rfc3339(change.at))];
    lines.extend(change.did.iter().map(|did| format!("    {}", visible(did))));
    lines
}

fn after(report: &JoinReport, output: Output) -> String {
    let undone = report.branches.iter().flat_map(|branch| &branch.undone);
    let mut lines = vec!["Joined.".to_owned()];
    lines.extend(undone.map(|it| output.out(Style::Warn, &visible(it))));
    lines.push("What opens it now: touchkeep device list".to_owned());
    lines.join("\n")
}
