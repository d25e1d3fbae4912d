//! `grant list | ask | add | revoke`.

use std::{path::Path, process::ExitCode};

use touchkeep_core::{Clock, Code, SystemClock, text::visible};
use touchkeep_wire::{AddGrant, AskGrant, Failure, GrantSummary, ListGrants, RevokeGrant};

use super::{Context, Done};
use crate::{args::Grant, output::Output};

pub(super) async fn grant(context: &Context<'_>, verb: Grant) -> Done {
    match verb {
        Grant::List => {
            let grants = context.call(ListGrants {}).await?;
            context
                .output
                .result(&grants, |grants| list(grants, context.output));
        }
        Grant::Ask { items } => {
            let call = AskGrant {
                items,
                no_interaction: context.global.no_interaction,
            };
            context.call_asking(call).await?;
            // An answer for once is a yes, too, and leaves nothing behind.
            context
                .output
                .done("Allowed. A yes for once is not kept; what is, says: touchkeep grant list");
        }
        Grant::Add {
            program,
            items,
            time,
        } => {
            let program = std::path::absolute(&program).map_err(|error| {
                Failure::new(
                    Code::Invalid,
                    format!("{}: {error}", program.display()),
                    "Give the path of a program.",
                )
            })?;
            if let Some(name) = runs_anything(&program) {
                context.output.say(&format!(
                    "{name} runs whatever it is told to: a grant for it covers every script, and every other user of it. Better allow the script, as a file that begins with #!."
                ));
            }
            let call = AddGrant {
                program: program.display().to_string(),
                items,
                seconds: time,
            };
            let added = context.call_asking(call).await?;
            context.output.result(&added, |added| {
                format!(
                    "{} may have {} without being asked about, for {}.\nEnd it with: touchkeep grant revoke {}",
                    visible(&added.holder),
                    named(added),
                    left(added),
                    added.id
                )
            });
        }
        Grant::Revoke { grant } => {
            let all = grant == "all";
            context.call(RevokeGrant { grant }).await?;
            context.output.done(match all {
                true => "Every program is asked about again.",
                false => "It is asked about again.",
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

// What is no program of its own, but runs those of others.
const INTERPRETERS: [&str; 26] = [
    "ash", "bash", "bun", "busybox", "dash", "deno", "env", "fish", "java", "ksh", "lua", "luajit",
    "make", "mksh", "node", "nodejs", "perl", "php", "pypy", "python", "ruby", "sh", "tclsh",
    "tmux", "xargs", "zsh",
];

// The name of such a one, whatever link leads to it, and with or without a version: python3.13.
fn runs_anything(program: &Path) -> Option<String> {
    let program = program.canonicalize().ok()?;
    let name = program.file_name()?.to_str()?;
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    INTERPRETERS.contains(&plain).then(|| visible(name))
}

fn list(grants: &[GrantSummary], output: Output) -> String {
    if grants.is_empty() {
        return "No program has anything without being asked about.".to_owned();
    }
    let row = |grant: &GrantSummary| {
        vec![
            grant.id.clone(),
            visible(&grant.client),
            visible(&grant.holder),
            covered(grant),
            left(grant),
        ]
    };
    let rows: Vec<_> = grants.iter().map(row).collect();
    output.table(&["ID", "CLIENT", "HOLDS FOR", "MAY", "LEFT"], &rows)
}

fn named(grant: &GrantSummary) -> String {
    let names: Vec<String> = grant.items.iter().map(|item| visible(item)).collect();
    names.join(", ")
}

fn covered(grant: &GrantSummary) -> String {
    match &grant.what {
        None => format!("have {}", named(grant)),
        Some(what) => {
            let times = grant.uses_left.unwrap_or_default();
            format!("{}, {times} times, with {}", visible(what), named(grant))
        }
    }
}

fn left(grant: &GrantSummary) -> String {
    let seconds = match (grant.seconds_left, grant.until) {
        (Some(seconds), _) => seconds,
        (None, Some(until)) => until.since(SystemClock.now()) / 1000,
        (None, None) => 0,
    };
    time_left(seconds)
}

/// `90 s`, `45 min`, `8 h`, `30 d`.
pub(super) fn time_left(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds.div_ceil(60)),
        7_200..=172_799 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} d", seconds.div_ceil(86_400)),
    }
}
