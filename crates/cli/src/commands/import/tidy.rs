//! The source afterwards: its literals replaced by references, or the file deleted. Only once the vault has everything.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use touchkeep_core::Code;
use touchkeep_import::{Edit, is_replaceable, reference};
use touchkeep_wire::Failure;

use super::{
    plan::Plan,
    source::{Opened, invalid, read_file, shown},
};

/// Whether its literals can be replaced.
pub(super) fn may_replace(opened: &Opened) -> Result<(), Failure> {
    if is_replaceable(opened.import.format) && opened.was_plaintext {
        return Ok(());
    }
    Err(invalid(
        format!(
            "values in a file of the format {} cannot be replaced by references",
            opened.import.format.word()
        ),
        "Leave --replace-with-references out.",
    ))
}

/// Puts references in place of the literals that are in the vault; says how many.
pub(super) fn replace(plan: &Plan) -> Result<usize, Failure> {
    let mut edits = Vec::new();
    for (item, verdict) in plan.items() {
        let Some(name) = Plan::lives_as(verdict) else {
            continue;
        };
        for field in &item.fields {
            if let (Some(span), Some(field)) = (&field.span, Plan::stands_as(verdict, field)) {
                let reference = reference(&plan.report.environment, name, field);
                edits.push(Edit {
                    span: span.clone(),
                    reference,
                });
            }
        }
    }
    let opened = &plan.source;
    let new = touchkeep_import::replace(&opened.bytes, opened.import.format, &edits)
        .map_err(|error| kept(&opened.path, &error.to_string()))?;
    let path = unchanged(opened)?;
    write_beside(&path, &new).map_err(|error| kept(&opened.path, &error.to_string()))?;
    Ok(edits.len())
}

// The items are in the vault, and the file is as it was.
pub(super) fn kept(path: &Path, why: &str) -> Failure {
    Failure::new(
        Code::System,
        format!(
            "the items are in the vault, but {} stays as it was: {why}",
            shown(path)
        ),
        "Change or delete it yourself.",
    )
}

// The file itself, where it says what it said when it was read.
fn unchanged(opened: &Opened) -> Result<PathBuf, Failure> {
    let path =
        fs::canonicalize(&opened.path).map_err(|error| kept(&opened.path, &error.to_string()))?;
    let now = read_file(&path)?;
    if *now == *opened.bytes {
        Ok(path)
    } else {
        Err(kept(&opened.path, "somebody has changed it meanwhile"))
    }
}

// Old or new, never half of it; with the permissions that it had.
fn write_beside(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mode = fs::metadata(path)?.permissions();
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(mode)?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Deletes the file, and looks that it is gone.
pub(super) fn delete(opened: &Opened) -> Result<(), Failure> {
    let unable = |error: std::io::Error| kept(&opened.path, &error.to_string());
    let path = unchanged(opened)?;
    fs::remove_file(&path).map_err(unable)?;
    // The name may have been a link to it.
    if fs::symlink_metadata(&opened.path).is_ok() {
        fs::remove_file(&opened.path).map_err(unable)?;
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(unable)?;
    match path.exists() {
        true => Err(kept(&opened.path, "it is there again")),
        false => Ok(()),
    }
}
