//! `git`: a repository that merges vaults without a key, and shows what changed in them without a value.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use touchkeep_client::{blocking, installed};
use touchkeep_core::Code;
use touchkeep_values::write_out;
use touchkeep_wire::{Failure, ItemOutline, OutlineCopy};

use super::{Done, NAME};
use crate::{args::GitVerb, output::Output};

const ATTRIBUTES: &str = "merge=touchkeep diff=touchkeep -text";

pub(super) fn git(verb: &GitVerb, output: Output) -> Done {
    match verb {
        GitVerb::Install { pattern } => install(pattern, output),
        GitVerb::Show { path } => show(path),
        GitVerb::MergeDriver { ours, theirs } => {
            touchkeep_agent::merge_copies(ours, theirs).map(|()| ExitCode::SUCCESS)
        }
    }
}

fn install(pattern: &str, output: Output) -> Done {
    if pattern.is_empty() || pattern.contains(char::is_whitespace) {
        return Err(Failure::new(
            Code::Invalid,
            format!("{pattern:?} is no pattern"),
            "Write one word, as in: *.touchkeep",
        ));
    }
    let top = PathBuf::from(run_git(&["rev-parse", "--show-toplevel"])?);
    let command = installed::beside(installed::COMMAND)?;
    let command = quoted(&command.display().to_string());
    run_git(&[
        "config",
        "--local",
        "merge.touchkeep.name",
        "joins copies of a Touchkeep vault",
    ])?;
    run_git(&[
        "config",
        "--local",
        "merge.touchkeep.driver",
        &format!("{command} git merge-driver %A %B"),
    ])?;
    run_git(&[
        "config",
        "--local",
        "diff.touchkeep.textconv",
        &format!("{command} git show"),
    ])?;
    // What is shown depends on whether the vault is open, so nothing of it is kept.
    run_git(&["config", "--local", "diff.touchkeep.cachetextconv", "false"])?;
    let file = top.join(".gitattributes");
    let line = format!("{pattern} {ATTRIBUTES}");
    let before = fs::read_to_string(&file).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(String::new()),
        _ => Err(unwritable(&file, &error)),
    })?;
    if !before.lines().any(|one| one.trim() == line) {
        let gap = if before.is_empty() || before.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        fs::write(&file, format!("{before}{gap}{line}\n"))
            .map_err(|error| unwritable(&file, &error))?;
    }
    output.done(&format!(
        "{pattern} is merged and compared by Touchkeep in this clone. Commit .gitattributes; each other clone runs `touchkeep git install` once."
    ));
    Ok(ExitCode::SUCCESS)
}

fn unwritable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::System, format!("{}: {error}", file.display()), "")
}

// For the shell that git starts.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''"))
}

fn run_git(args: &[&str]) -> Result<String, Failure> {
    let failed = |what: String| {
        Failure::new(
            Code::System,
            what,
            "Run it in the folder of a git repository.",
        )
    };
    let done = Command::new(OsStr::new("git")).args(args).output();
    let done = done.map_err(|error| failed(format!("git cannot be started: {error}")))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(failed(format!("git {}: {}", args.join(" "), said.trim())));
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}

// By the agent where it has this vault open, else what can be counted. It starts nothing and asks nobody: a diff may be anywhere.
fn show(path: &Path) -> Done {
    let absolute = path
        .canonicalize()
        .map_err(|error| unwritable(path, &error))?;
    let call = OutlineCopy {
        path: absolute.display().to_string(),
    };
    let paths = touchkeep_values::ask::paths();
    let outline = paths.ok().and_then(|paths| {
        blocking::ask(
            &paths.agent_socket(),
            NAME,
            &call,
            Duration::from_secs(5),
            || {},
        )
        .ok()
    });
    let text = match outline {
        Some(items) => items.iter().map(lines_of).collect::<String>(),
        None => {
            let counts = touchkeep_agent::count_copy(path)?;
            let lines = counts
                .iter()
                .map(|(what, count)| format!("{what}: {count}\n"));
            format!(
                "# touchkeep vault, locked here\n{}",
                lines.collect::<String>()
            )
        }
    };
    write_out(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn lines_of(item: &ItemOutline) -> String {
    let trashed = if item.trashed { ", in the trash" } else { "" };
    let head = format!(
        "{}/{} ({}{trashed})\n",
        item.environment, item.name, item.kind
    );
    let fields = item
        .fields
        .iter()
        .map(|(name, place, version)| match version {
            Some(version) => format!("  {name}: {place}, version {version}\n"),
            None => format!("  {name}: {place}\n"),
        });
    head + &fields.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted("/a b/it's"), "'/a b/it'\\''s'");
    }
}
