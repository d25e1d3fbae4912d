//! `audit verify`: the agent's own log, a copy of one, or a bundle.

use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read, stdin},
    path::Path,
    process::ExitCode,
};

use touchkeep_agent::{OfflineVerdict, verify_offline};
use touchkeep_core::{
    Code,
    text::{surely_visible, visible},
};
use touchkeep_wire::{AuditVerdict, Failure, VerifyAudit};

use super::{Context, Done, unusable};
use crate::output::{Output, Style};

/// How a copy of a log begins.
const LOG: &[u8] = b"SQLite format 3\0";

pub(super) async fn own(context: &Context<'_>) -> Done {
    log(context, None).await
}

/// A copy of a log. Its keys and its witness are the vault's, so the agent is asked.
pub(super) async fn copy(context: &Context<'_>, path: &Path) -> Done {
    let path = std::path::absolute(path).map_err(|error| cannot_read(path, &error))?;
    log(context, Some(path.display().to_string())).await
}

/// A file, or standard input where it is called `-`, that is no copy of a log: needs neither vault nor agent. `None`: it is one.
pub(crate) fn alone(output: Output, path: &Path, keys: &[String]) -> Option<Done> {
    let cannot = |error| Some(Err(cannot_read(path, &error)));
    let mut input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(stdin().lock())
    } else {
        match File::open(path) {
            Ok(file) => Box::new(file),
            Err(error) => return cannot(error),
        }
    };
    let mut beginning = Vec::new();
    let read = input
        .by_ref()
        .take(LOG.len() as u64)
        .read_to_end(&mut beginning);
    match read {
        Err(error) => cannot(error),
        Ok(_) if beginning == LOG => None,
        Ok(_) => {
            let whole = Cursor::new(beginning).chain(input);
            Some(bundle(output, BufReader::new(whole), keys))
        }
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    unusable(
        format!("{} cannot be read: {error}.", path.display()),
        "Check its path and its permissions.",
    )
}

async fn log(context: &Context<'_>, file: Option<String>) -> Done {
    let verdict = context.call(VerifyAudit { file }).await?;
    let output = context.output;
    output.result(&verdict, |verdict| render_verdict(verdict, output));
    Ok(exit_code(verdict.sound))
}

fn bundle(output: Output, bundle: impl BufRead, keys: &[String]) -> Done {
    let verdict = verify_offline(bundle, keys)?;
    output.result(&verdict, |verdict| render_bundle(verdict, output));
    Ok(exit_code(verdict.sound))
}

fn exit_code(sound: bool) -> ExitCode {
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Code::Damaged.exit_code())
    }
}

pub(crate) fn render_verdict(verdict: &AuditVerdict, output: Output) -> String {
    if verdict.sound {
        return format!(
            "{} {}\nroot {}",
            output.out(Style::Good, "Sound:"),
            signed_up_to(verdict.size, verdict.signed),
            verdict.root
        );
    }
    not_authentic(verdict.first_bad, verdict.problem.as_deref(), output)
}

/// How many rows there are, and how many of them nobody can cut or change any more.
pub(super) fn signed_up_to(rows: u64, signed: u64) -> String {
    let counted = if rows == 1 {
        "1 row".to_owned()
    } else {
        format!("{rows} rows")
    };
    match rows.saturating_sub(signed) {
        0 => format!("{counted}, all signed"),
        later => format!("{counted}, signed up to row {signed}, {later} not yet"),
    }
}

fn not_authentic(first_bad: Option<u64>, problem: Option<&str>, output: Output) -> String {
    let row = first_bad.map(|seq| format!("row {seq}"));
    let problem = problem.unwrap_or("the log does not fit its tree");
    // The row is said once.
    let rest = row
        .as_ref()
        .and_then(|row| problem.strip_prefix(&format!("{row} ")));
    format!(
        "{}{}: {}",
        output.out(Style::Bad, "Not authentic"),
        row.as_ref()
            .map(|row| format!(" at {row}"))
            .unwrap_or_default(),
        surely_visible(rest.unwrap_or(problem))
    )
}

fn render_bundle(verdict: &OfflineVerdict, output: Output) -> String {
    if !verdict.sound {
        return not_authentic(verdict.first_bad, verdict.problem.as_deref(), output);
    }
    let rows = match (verdict.span, verdict.complete) {
        (None, _) => "no rows".to_owned(),
        (Some((one, last)), _) if one == last => format!("row {one}"),
        (Some((first, last)), true) => format!("all rows from {first} to {last}"),
        (Some((first, last)), false) => {
            format!("{} rows between {first} and {last}", verdict.rows)
        }
    };
    let mut lines = vec![
        format!(
            "{} {rows} of the {} that were signed{}",
            output.out(Style::Good, "Sound:"),
            verdict.size,
            match verdict.disclosed {
                0 => String::new(),
                shown => format!(", {shown} disclosed"),
            }
        ),
        format!("log  {}", visible(&verdict.origin)),
        format!("root {}", verdict.root),
    ];
    let sizes: Vec<_> = verdict.earlier.iter().map(u64::to_string).collect();
    if let (Some(last), false) = (sizes.last(), verdict.complete) {
        lines.push(format!("It continues what was signed at row {last}."));
    }
    lines.extend(
        verdict
            .signers
            .iter()
            .map(|key| format!("signed by {}", visible(key))),
    );
    if !verdict.signers_known {
        lines.push(format!(
            "{} that key stands in the bundle itself. Compare it with what the vault's owner says is theirs, and give it with --key.",
            output.out(Style::Warn, "Note:")
        ));
    }
    lines.join("\n")
}
