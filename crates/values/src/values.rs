//! Values from the agent, and where they are written: a terminal, a pipe, a private file.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    path::Path,
};

use touchkeep_core::{Code, text::visible};
use touchkeep_wire::{Failure, Purpose, ReadOut, ReadValue, ReadValues};

use crate::{args::Global, ask::call_once, closed};

/// The values that references name, each asked for once.
pub(crate) struct Values {
    by_reference: HashMap<String, ReadValue>,
    pub(crate) hints: bool,
}

impl Values {
    /// Asks the agent. It is not asked for nothing.
    pub(crate) fn ask<'a>(
        references: impl IntoIterator<Item = &'a str>,
        purpose: Purpose,
        global: Global,
    ) -> Result<Self, Failure> {
        let mut wanted: Vec<String> = Vec::new();
        for reference in references {
            if !wanted.iter().any(|one| one == reference) {
                wanted.push(reference.to_owned());
            }
        }
        if wanted.is_empty() {
            return Ok(Self {
                by_reference: HashMap::new(),
                hints: false,
            });
        }
        let call = ReadValues {
            references: wanted.clone(),
            purpose,
            no_interaction: global.no_interaction,
        };
        let ReadOut { values, hints } = call_once(&call, global)?;
        if values.len() != wanted.len() {
            return Err(Failure::new(
                Code::ProtocolMismatch,
                "the agent's answer does not fit the question",
                "Restart the agent, so that both sides are of one version.",
            ));
        }
        Ok(Self {
            by_reference: wanted.into_iter().zip(values).collect(),
            hints,
        })
    }

    pub(crate) fn of(&self, reference: &str) -> Result<&ReadValue, Failure> {
        let value = self.by_reference.get(reference);
        value.ok_or_else(|| {
            let fix = "Look at what the item has: touchkeep show ITEM";
            Failure::new(Code::NotFound, format!("no value for {reference}"), fix)
        })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &ReadValue> {
        self.by_reference.values()
    }
}

/// Writes to standard output; a reader that has gone away is no failure.
///
/// # Errors
/// When it cannot be written to.
pub fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Code::System,
            format!("cannot write to standard output: {error}"),
            "Open it, or write to a file: --out",
        )
    };
    let mut out = io::stdout().lock();
    let written = closed::check_open().and_then(|()| out.write_all(bytes));
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
        _ => Ok(()),
    }
}

pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a file may be written there; asked before anybody is asked for a value.
pub(crate) fn may_write(path: &Path, force: bool) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(Failure::new(
            Code::Invalid,
            format!("{} is a folder", path.display()),
            "Name a file in it.",
        )),
        Ok(_) if !force => Err(is_there(path)),
        _ => is_place(path),
    }
}

/// Whether a file can be made there: whoever typed a passphrase for it, or said yes, is not to hear afterwards that there is no
/// such folder.
///
/// # Errors
/// There is no such folder, or nothing may be written in it.
pub fn is_place(path: &Path) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    if folder.is_dir() && rustix::fs::access(folder, access).is_ok() {
        return Ok(());
    }
    Err(Failure::new(
        Code::Invalid,
        format!(
            "no file can be made in {}",
            visible(&folder.to_string_lossy())
        ),
        "Name a place in a folder of yours.",
    ))
}

fn is_there(path: &Path) -> Failure {
    Failure::new(
        Code::Invalid,
        format!("{} is there already", path.display()),
        "Choose another name, or replace it: --force",
    )
}

/// Writes a file that its owner alone can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    may_write(path, force)?;
    let failed = |error: io::Error| {
        Failure::new(
            Code::System,
            format!("cannot write {}: {error}", path.display()),
            "Choose another place.",
        )
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // tempfile makes it with 0600.
    let mut file = tempfile::Builder::new()
        .prefix(".touchkeep-")
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    let put = if force {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    put.map(drop).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => is_there(path),
        _ => failed(error.error),
    })
}
