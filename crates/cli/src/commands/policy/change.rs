//! A new policy: what it changes, in lines and in consequences, before the touch.

use std::{io::Write, path::Path, process::Command};

use touchkeep_core::{Clock, Code, SystemClock, UnixMillis, time::DAY_MS};
use touchkeep_wire::{
    CheckPolicy, Failure, GetPolicy, PolicyChanges, PolicyCheck, ReplayPolicy, SetPolicy,
};

use super::{
    super::Context,
    diff::{Change, diff},
    show,
};
use crate::{output::Style, terminal};

// How far back a new policy is tried before it is set.
const TRIED_DAYS: u64 = 7;

/// Replaces the policy.
pub(super) async fn to(context: &Context<'_>, text: String) -> Result<(), Failure> {
    let was = context.call(GetPolicy {}).await?;
    let checked = context
        .call(CheckPolicy {
            text: Some(text.clone()),
        })
        .await?;
    // One that cannot be read is refused by the agent, in its words.
    if checked.problem.is_none() {
        consequences(context, &was.text, &text, &checked).await?;
    }
    context.call_asking(SetPolicy { text }).await?;
    context.output.done("The new policy holds from now on.");
    Ok(())
}

/// Replaces the policy by what a person makes of it in an editor.
pub(super) async fn by_hand(context: &Context<'_>) -> Result<(), Failure> {
    if context.global.no_interaction {
        return Err(Failure::new(
            Code::Invalid,
            "editing needs a person at a terminal",
            "Use: touchkeep policy set FILE",
        ));
    }
    let was = context.call(GetPolicy {}).await?.text;
    let file = tempfile::Builder::new()
        .prefix("policy-")
        .suffix(".toml")
        .tempfile();
    let mut file = file.map_err(|error| no_file(&error))?;
    file.write_all(was.as_bytes())
        .and_then(|()| file.flush())
        .map_err(|error| no_file(&error))?;
    loop {
        run_editor(file.path())?;
        // Editors put another file in its place.
        let text = std::fs::read_to_string(file.path()).map_err(|error| no_file(&error))?;
        if text == was {
            context.output.done("Nothing was changed.");
            return Ok(());
        }
        let call = CheckPolicy {
            text: Some(text.clone()),
        };
        let Some(problem) = context.call(call).await?.problem else {
            return to(context, text).await;
        };
        context.output.say(&format!("{problem}."));
        terminal::confirm(&context.global, "Edit it again?", "edit")?;
    }
}

// What is more than a line or two stands, a line each, above what is typed or touched for it.
fn in_short(changes: &PolicyChanges) -> &str {
    match changes.kinds.len() + changes.details.len() {
        0..=2 => &changes.sentence,
        _ => changes.sentence.split("; ").next().unwrap_or_default(),
    }
}

async fn consequences(
    context: &Context<'_>,
    was: &str,
    text: &str,
    checked: &PolicyCheck,
) -> Result<(), Failure> {
    let output = context.output;
    for change in diff(was, text) {
        output.say(&match change {
            Change::Same(line) => output.err(Style::Quiet, &format!("  {line}")),
            Change::Gone(line) => output.err(Style::Bad, &format!("- {line}")),
            Change::New(line) => output.err(Style::Good, &format!("+ {line}")),
            Change::Skipped => output.err(Style::Quiet, "  …"),
        });
    }
    if let Some(changes) = &checked.changes {
        output.say(&format!("In short: {}.", in_short(changes)));
    }
    for finding in &checked.findings {
        output.say(&show::finding(finding));
    }
    let since = SystemClock.now().0.saturating_sub(TRIED_DAYS * DAY_MS);
    let tried = ReplayPolicy {
        text: Some(text.to_owned()),
        since: Some(UnixMillis(since)),
        limit: 1,
    };
    let tried = context.call(tried).await?;
    if tried.requests > 0 {
        let when = format!(" of the last {TRIED_DAYS} days");
        output.say(&show::tried(&tried, &when));
    }
    Ok(())
}

fn run_editor(file: &Path) -> Result<(), Failure> {
    let named = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(std::env::var_os);
    let mut named = named.filter(|name| !name.is_empty());
    let mut line = named.next().unwrap_or_else(|| "vi".into());
    // As git does it: the variable may have arguments.
    line.push(" \"$1\"");
    let status = Command::new("sh")
        .arg("-c")
        .arg(line)
        .arg("sh")
        .arg(file)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(no_editor(&status.to_string())),
        Err(error) => Err(no_editor(&error.to_string())),
    }
}

fn no_editor(why: &str) -> Failure {
    Failure::new(
        Code::Invalid,
        format!("The editor did not end well: {why}. Nothing was changed."),
        "Set VISUAL or EDITOR to an editor that waits until the file is closed.",
    )
}

fn no_file(error: &std::io::Error) -> Failure {
    Failure::new(
        Code::System,
        format!("A file for the editor cannot be used: {error}."),
        "Nothing was changed. Check the space and the permissions of the folder for temporary files (TMPDIR).",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_short() {
        let mut changes = PolicyChanges {
            added: Vec::new(),
            removed: Vec::new(),
            changed: vec!["a".into()],
            reordered: false,
            kinds: Vec::new(),
            details: vec!["a becomes b".into()],
            sentence: "1 rule changed; a becomes b".into(),
        };
        assert_eq!(in_short(&changes), "1 rule changed; a becomes b");
        changes.details = vec![String::new(); 3];
        assert_eq!(in_short(&changes), "1 rule changed");
    }
}
