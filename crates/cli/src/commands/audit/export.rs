//! `audit export` and `audit prove`: rows taken out, as text or with their proof.

use std::{
    fs::{self, OpenOptions},
    io::{BufWriter, Write, stdout},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use touchkeep_agent::bundle_end;
use touchkeep_core::{Code, text::shell_word, time::rfc3339};
use touchkeep_values::closed::check_open;
use touchkeep_wire::{AuditRow, BeginBundle, BundleRows, CheckpointAudit, Failure, ListAudit};

use super::{Context, Done, PAGE, filter, unusable};
use crate::args::{Filter, Format};

/// Rows of a part of a bundle.
const PART: usize = 200;

pub(super) async fn export(
    context: &Context<'_>,
    format: Format,
    wanted: &Filter,
    disclose: bool,
    output: Option<&Path>,
) -> Done {
    if disclose && format != Format::Bundle {
        return Err(unusable(
            "Only a bundle discloses rows.".to_owned(),
            "Add --format bundle; JSON Lines and CSV show what you may see anyway.",
        ));
    }
    let mut target = Target::new(output)?;
    let rows = match format {
        Format::Bundle => bundle_of(context, wanted, disclose, &mut target).await?,
        Format::Jsonl | Format::Csv => text_of(context, format, wanted, &mut target).await?,
    };
    target.finish()?;
    if let Some(path) = output {
        wrote(context, path, rows);
        let rows = if rows == 1 {
            "1 row".to_owned()
        } else {
            format!("{rows} rows")
        };
        context
            .output
            .say(&format!("{rows} written to {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

// Where the rows themselves do not go to standard output, a document says where they went.
fn wrote(context: &Context<'_>, path: &Path, rows: u64) {
    let file = path.display().to_string();
    let written = serde_json::json!({ "file": file, "rows": rows });
    context.output.result(&written, |_| String::new());
}

async fn text_of(
    context: &Context<'_>,
    format: Format,
    wanted: &Filter,
    target: &mut Target,
) -> Result<u64, Failure> {
    let rows = all_rows(context, wanted, None).await?;
    if format == Format::Csv {
        let head = [
            "row", "time", "kind", "decision", "what", "item", "client", "intent", "details",
            "leaf",
        ];
        target.line(&csv(&head.map(str::to_owned)), "\r\n")?;
    }
    for row in rows.iter().rev() {
        match format {
            Format::Csv => target.line(&csv(&cells(row)), "\r\n")?,
            _ => target.line(&serde_json::to_string(row).unwrap_or_default(), "\n")?,
        }
    }
    Ok(rows.len() as u64)
}

fn cells(row: &AuditRow) -> [String; 10] {
    let details: Vec<_> = row
        .details
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    [
        row.seq.to_string(),
        rfc3339(row.time),
        row.kind.clone(),
        row.decision.clone(),
        row.what.clone().unwrap_or_default(),
        row.item.clone().unwrap_or_default(),
        row.client.clone().unwrap_or_default(),
        row.of.map(|of| of.to_string()).unwrap_or_default(),
        details.join("; "),
        row.leaf.clone(),
    ]
}

/// A line of RFC 4180. A cell that a spreadsheet would take for a formula is made plain text of.
fn csv(cells: &[String]) -> String {
    let cell = |cell: &String| {
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let cell = if formula {
            format!("'{cell}")
        } else {
            cell.clone()
        };
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",")
}

/// All rows that are meant, newest first, up to row `last`.
async fn all_rows(
    context: &Context<'_>,
    wanted: &Filter,
    last: Option<u64>,
) -> Result<Vec<AuditRow>, Failure> {
    let filter = filter::read(wanted)?;
    let mut rows = Vec::new();
    let mut before = last.map(|last| last + 1);
    loop {
        let page = ListAudit {
            before,
            limit: PAGE,
            filter: filter.clone(),
        };
        let page = context.call(page).await?;
        rows.extend(page.rows);
        before = page.next;
        if before.is_none() {
            return Ok(rows);
        }
    }
}

async fn bundle_of(
    context: &Context<'_>,
    wanted: &Filter,
    disclose: bool,
    target: &mut Target,
) -> Result<u64, Failure> {
    let signed = context.call(CheckpointAudit { device: false }).await?;
    let size = signed.size;
    let seqs: Vec<u64> = if wanted.is_empty() {
        (1..=size).collect()
    } else {
        let rows = all_rows(context, wanted, Some(size)).await?;
        rows.iter().rev().map(|row| row.seq).collect()
    };
    if signed.rows > size {
        context.output.say(&format!(
            "The {} rows after row {size} are not signed yet and stay out; unlock the vault to have them signed.",
            signed.rows - size
        ));
    }
    // Where times alone were asked for, rows are all those between, if the clock was not set back meanwhile.
    let span = seqs.first().copied().zip(seqs.last().copied());
    let complete =
        span.filter(|(first, last)| wanted.is_a_time() && last - first + 1 == seqs.len() as u64);
    let begin = BeginBundle {
        size,
        complete,
        since: None,
    };
    write_bundle(context, begin, &seqs, disclose, target).await
}

pub(super) async fn prove(
    context: &Context<'_>,
    row: u64,
    since: Option<&Path>,
    disclose: bool,
    output: Option<&Path>,
) -> Done {
    let since = since
        .map(|path| {
            fs::read_to_string(path).map_err(|error| {
                unusable(
                    format!("{} cannot be read: {error}.", path.display()),
                    "Name a checkpoint that was kept: touchkeep audit checkpoint > FILE",
                )
            })
        })
        .transpose()?;
    let signed = context.call(CheckpointAudit { device: false }).await?;
    if row == 0 || row > signed.size {
        let fix = format!(
            "The log is signed up to row {}; unlock the vault to have it signed on.",
            signed.size
        );
        return Err(Failure::new(
            Code::NotFound,
            format!("There is no row {row} that is signed."),
            fix,
        ));
    }
    let mut target = Target::new(output)?;
    let begin = BeginBundle {
        size: signed.size,
        complete: None,
        since,
    };
    write_bundle(context, begin, &[row], disclose, &mut target).await?;
    target.finish()?;
    if let Some(path) = output {
        wrote(context, path, 1);
    }
    context.output.say(&format!(
        "Row {row} is among the {} signed. Check it anywhere: touchkeep audit verify {}",
        signed.size,
        output.map_or_else(
            || "FILE".to_owned(),
            |path| shell_word(&path.display().to_string())
        )
    ));
    Ok(ExitCode::SUCCESS)
}

async fn write_bundle(
    context: &Context<'_>,
    begin: BeginBundle,
    seqs: &[u64],
    disclose: bool,
    target: &mut Target,
) -> Result<u64, Failure> {
    let (size, whole) = (begin.size, begin.complete == Some((1, begin.size)));
    target.line(&context.call(begin).await?.line, "\n")?;
    let mut left = seqs;
    let mut session = String::new();
    while !left.is_empty() {
        let part = BundleRows {
            size,
            whole,
            seqs: left.iter().take(PART).copied().collect(),
            disclose,
        };
        let part = context.call(part).await?;
        for line in &part.lines {
            // Each row comes with its session; once is enough.
            if line.starts_with("{\"session\"") {
                if *line == session {
                    continue;
                }
                session.clone_from(line);
            }
            target.line(line, "\n")?;
        }
        let taken = usize::try_from(part.taken).unwrap_or(0).max(1);
        left = left.get(taken..).unwrap_or_default();
    }
    target.line(&bundle_end(seqs.len() as u64), "\n")?;
    Ok(seqs.len() as u64)
}

/// Where rows are written to. A file is private, is not there before, and is gone again when it did not become whole.
struct Target {
    to: Option<BufWriter<Box<dyn Write>>>,
    unfinished: Option<PathBuf>,
}

impl Target {
    fn new(path: Option<&Path>) -> Result<Self, Failure> {
        let to: Box<dyn Write> = match path {
            None => {
                check_open().map_err(|error| cannot_write(None, &error))?;
                Box::new(stdout().lock())
            }
            Some(path) => Box::new(
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(|error| cannot_write(Some(path), &error))?,
            ),
        };
        Ok(Self {
            to: Some(BufWriter::new(to)),
            unfinished: path.map(Path::to_owned),
        })
    }

    fn line(&mut self, line: &str, end: &str) -> Result<(), Failure> {
        let Some(to) = &mut self.to else {
            return Ok(());
        };
        match to
            .write_all(line.as_bytes())
            .and_then(|()| to.write_all(end.as_bytes()))
        {
            Ok(()) => Ok(()),
            // A closed pipe (`| head`) is no error.
            Err(error) if self.is_closed_pipe(&error) => {
                self.to = None;
                Ok(())
            }
            Err(error) => Err(cannot_write(self.unfinished.as_deref(), &error)),
        }
    }

    fn is_closed_pipe(&self, error: &std::io::Error) -> bool {
        self.unfinished.is_none() && error.kind() == std::io::ErrorKind::BrokenPipe
    }

    fn finish(mut self) -> Result<(), Failure> {
        let flushed = self.to.as_mut().map_or(Ok(()), Write::flush);
        match flushed {
            Err(error) if !self.is_closed_pipe(&error) => {
                Err(cannot_write(self.unfinished.as_deref(), &error))
            }
            _ => {
                self.unfinished = None;
                Ok(())
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(path) = &self.unfinished {
            let _gone = fs::remove_file(path);
        }
    }
}

fn cannot_write(path: Option<&Path>, error: &std::io::Error) -> Failure {
    let path = path.map_or_else(
        || "standard output".to_owned(),
        |path| path.display().to_string(),
    );
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        let fix = "Choose another name: what is there may be somebody's evidence, and is never written over.";
        return unusable(format!("{path} is there already."), fix);
    }
    Failure::new(
        Code::System,
        format!("{path} cannot be written: {error}."),
        "Check the space and the permissions of that place; what was written of it is not whole.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_defused() {
        let line =
            csv(&["a,b", "say \"no\"", "=HYPERLINK(1)", "two\nlines", ""].map(str::to_owned));
        assert_eq!(
            line,
            "\"a,b\",\"say \"\"no\"\"\",'=HYPERLINK(1),\"two\nlines\","
        );
    }
}
