//! `backup` and `merge`: other copies of the vault.

use std::{path::Path, process::ExitCode};

use touchkeep_core::{
    Code,
    text::{shell_word, visible},
    time::rfc3339,
};
use touchkeep_wire::{
    BackupSummary, Failure, GetStatus, ListBackups, MergeCopy, Merged, MergedPolicy, RestoreBackup,
};

use super::{Context, Done, counted, vault::absolute};
use crate::{
    args::Backup,
    output::{Output, Style},
    terminal,
};

pub(super) async fn backup(context: &Context<'_>, verb: Backup) -> Done {
    match verb {
        Backup::List => {
            let found = context.call(ListBackups {}).await?;
            let sound = found.iter().all(|backup| backup.problem.is_none());
            context.output.result(&found, |found| {
                if found.is_empty() {
                    return "There is no older copy yet: each save keeps the one before it.".into();
                }
                let rows: Vec<_> = found.iter().map(|backup| row(backup).to_vec()).collect();
                let head = [
                    "NUMBER",
                    "LAST CHANGE",
                    "REPLACED",
                    "HOLDS",
                    "WOULD BRING BACK",
                ];
                context.output.table(&head, &rows)
            });
            Ok(if sound {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(Code::Damaged.exit_code())
            })
        }
        Backup::Restore {
            number,
            device,
            yes,
        } => {
            if !yes {
                say_what_it_is(context, number).await?;
                context.output.say(
                    "What was changed since that copy is gone from the vault (the present file becomes the newest copy).\n\
                     Other machines that have seen the newer one will say that this one is older.",
                );
                terminal::confirm(
                    &context.global,
                    &format!("Make copy {number} the vault again?"),
                    "restore",
                )?;
            }
            let vault = context.call(GetStatus {}).await?.path;
            context
                .call_asking(RestoreBackup { number, device })
                .await?;
            context.output.done(&format!(
                "Copy {number} is the vault again, and locked. To take back what was newer: touchkeep merge {}",
                shell_word(&format!("{vault}.1"))
            ));
            Ok(ExitCode::SUCCESS)
        }
    }
}

// So that nobody is asked about a copy that is not there, or not as he thinks.
async fn say_what_it_is(context: &Context<'_>, number: u32) -> Result<(), Failure> {
    let found = context.call(ListBackups {}).await?;
    let Some(backup) = found.iter().find(|backup| backup.number == number) else {
        return Err(Failure::new(
            Code::NotFound,
            format!("There is no older copy \"{number}\"."),
            "Look at: touchkeep backup list",
        ));
    };
    let [_, newest, _, holds, back] = row(backup);
    context.output.say(&format!(
        "Copy {number}: last change {newest}; {holds}; it would bring back: {back}."
    ));
    Ok(())
}

// What the vault has not, or not any more.
fn brings_back(backup: &BackupSummary) -> String {
    let missing = (backup.missing > 0).then(|| counted(backup.missing.into(), "change"));
    let named = |what: &str, names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let undone = backup.undoes.iter().flat_map(|undoes| {
        [
            named("revoked", &undoes.clients),
            named("otherwise bound", &undoes.bound),
            named("retired", &undoes.devices),
            undoes.policy.then(|| "another policy".to_owned()),
        ]
    });
    let looked = backup.problem.is_some() || backup.undoes.is_some();
    let closed = (!looked).then(|| "else not known, the vault is locked".to_owned());
    let all = missing.into_iter().chain(undone.flatten()).chain(closed);
    let all: Vec<String> = all.collect();
    match all.is_empty() {
        true => "nothing".to_owned(),
        false => all.join("; "),
    }
}

fn row(backup: &BackupSummary) -> [String; 5] {
    let holds = match (&backup.problem, backup.items) {
        (Some(problem), _) => problem.clone(),
        (None, Some(items)) => format!("{}, opened", counted(items.into(), "item")),
        (None, None) => "sound; not opened, the vault is locked".into(),
    };
    let time = |at| Option::map_or(at, "-".to_owned(), rfc3339);
    [
        backup.number.to_string(),
        time(backup.newest),
        time(backup.replaced),
        holds,
        brings_back(backup),
    ]
}

pub(super) async fn merge(context: &Context<'_>, path: &Path) -> Done {
    let path = absolute(path)?;
    let merged = context.call(MergeCopy { path }).await?;
    let output = context.output;
    context.output.result(&merged, |merged: &Merged| {
        if !merged.changed {
            return "The vault has all of it already.".into();
        }
        told(&output, merged)
    });
    Ok(if merged.conflicts.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Code::Refused.exit_code())
    })
}

// Nothing that did not come through is passed over.
fn told(output: &Output, merged: &Merged) -> String {
    let warn = |word: &str| output.out(Style::Warn, word);
    let mut lines = Vec::new();
    let said = |text: &Option<String>| match text {
        Some(text) => format!("\"{}\"", visible(text)),
        None => "empty".to_owned(),
    };
    for aside in &merged.set_aside {
        let item = visible(&aside.item);
        let kept = match aside.version {
            Some(version) => format!(
                "the other one is kept: touchkeep history {} --restore {version}",
                shell_word(&aside.item)
            ),
            None => "the other one is not kept".to_owned(),
        };
        lines.push(format!(
            "{} {} of {item} was changed in both copies: {} holds, {} does not; {kept}",
            warn("set aside:"),
            visible(&aside.field),
            said(&aside.holds),
            said(&aside.lost),
        ));
    }
    for name in &merged.conflicts {
        lines.push(format!(
            "{} {} was given two secrets; the later one is used until you set it again",
            warn("conflict:"),
            visible(name)
        ));
    }
    for name in &merged.without_secret {
        lines.push(format!(
            "{} {} has lost a secret that one of the copies had removed. Set it again: touchkeep edit {} --secret",
            warn("no secret:"),
            visible(name),
            shell_word(name)
        ));
    }
    let names = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
        names.join(", ")
    };
    if !merged.removed.is_empty() {
        lines.push(format!(
            "Removed for good by the other copy: {}",
            names(&merged.removed)
        ));
    }
    if !merged.ended.is_empty() {
        lines.push(format!("May not ask any more: {}", names(&merged.ended)));
    }
    if !merged.let_in.is_empty() {
        lines.push(format!("May ask from now on: {}", names(&merged.let_in)));
    }
    match merged.policy {
        Some(MergedPolicy::Other) => {
            lines.push("The other copy's policy is in force now: touchkeep policy show".into());
        }
        Some(MergedPolicy::Own) => lines.push(
            "The policy that was in force holds; the other copy's was written earlier, and does not.".into(),
        ),
        None => {}
    }
    if let Some(why) = &merged.read_only {
        lines.push(format!(
            "{} nothing can be changed in the vault now, and every request is asked about. {}",
            warn("read only:"),
            visible(why)
        ));
    }
    let mut text = match lines.is_empty() {
        true => "Taken in; the vault has both now.".to_owned(),
        false => "Taken in. What came of it:".to_owned(),
    };
    if merged.locked {
        text.push_str(" It is locked, to be looked at anew: touchkeep unlock");
    }
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    text
}
