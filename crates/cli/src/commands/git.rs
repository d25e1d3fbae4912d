//! `git`: a repository that merges vaults without a key, and shows what changed in them without a value.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use serde::Serialize;
use serde_json::json;
use touchkeep_client::{blocking, installed};
use touchkeep_core::{
    Code,
    text::{self, visible},
};
use touchkeep_values::write_out;
use touchkeep_wire::{Failure, ItemOutline, OutlineCopy};

use super::{Done, NAME};
use crate::{args::GitVerb, output::Output};

const ATTRIBUTES: &str = "merge=touchkeep diff=touchkeep -text";

pub(super) fn git(verb: &GitVerb, output: Output) -> Done {
    match verb {
        GitVerb::Install { pattern } => install(pattern, output),
        GitVerb::Show { path } => show(path, output),
        GitVerb::MergeDriver { ours, theirs } => {
            touchkeep_agent::merge_copies(ours, theirs)?;
            output.result(&json!({}), |_| String::new());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn install(pattern: &str, output: Output) -> Done {
    if pattern.is_empty() || pattern.contains(char::is_whitespace) {
        return Err(Failure::new(
            Code::Invalid,
            format!("{} is no pattern", text::quoted(pattern)),
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
    Failure::new(
        Code::System,
        format!("{}: {error}", file.display()),
        "Look at its name and its permissions.",
    )
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
fn show(path: &Path, output: Output) -> Done {
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
    let shown = match outline {
        Some(items) => Shown {
            locked: false,
            items,
            counts: BTreeMap::new(),
        },
        None => match touchkeep_agent::count_copy(path) {
            Ok(counts) => Shown {
                locked: true,
                items: Vec::new(),
                counts: counts.into_iter().collect(),
            },
            // A history goes on after a version that is damaged or no vault; git would end at a failure.
            Err(failure)
                if !output.is_json() && matches!(failure.code, Code::Damaged | Code::TooNew) =>
            {
                let line = format!("# touchkeep: {}\n", failure.what.replace('\n', " "));
                write_out(line.as_bytes())?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(failure) => return Err(failure),
        },
    };
    if output.is_json() {
        output.result(&shown, |_| String::new());
    } else {
        // Lines are compared by git, so none is broken.
        write_out(shown.text().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The schema of `--json`.
#[derive(Serialize)]
struct Shown {
    locked: bool,
    items: Vec<ItemOutline>,
    // Of what can be counted without a key, where it is locked.
    counts: BTreeMap<&'static str, usize>,
}

impl Shown {
    fn text(&self) -> String {
        if !self.locked {
            return self.items.iter().map(lines_of).collect();
        }
        let counts = self.counts.iter();
        let lines = counts.map(|(what, count)| format!("{what}: {count}\n"));
        format!(
            "# touchkeep vault, locked here\n{}",
            lines.collect::<String>()
        )
    }
}

fn lines_of(item: &ItemOutline) -> String {
    let trashed = if item.trashed { ", in the trash" } else { "" };
    let head = format!(
        "{}/{} ({}{trashed})\n",
        visible(&item.environment),
        visible(&item.name),
        item.kind
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

    #[test]
    fn nothing_of_a_name_acts_in_a_pager() {
        let item = ItemOutline {
            environment: "prod".into(),
            name: "a\u{1b}[2K\u{202e}".into(),
            id: String::new(),
            kind: "login".into(),
            trashed: false,
            fields: Vec::new(),
        };
        assert_eq!(lines_of(&item), "prod/a\\u{1b}[2K\\u{202e} (login)\n");
    }
}
