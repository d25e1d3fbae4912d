//! Stores of `pass` and `passage`: a folder with a file for each entry, decrypted one by one with the user's own gpg or age.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use touchkeep_core::{Code, text::visible};
use touchkeep_import::{Import, MAX_ROWS, StoreEntry, read_store};
use touchkeep_wire::Failure;
use zeroize::Zeroizing;

use super::source::{invalid, output_of, shown, with_age};

/// How deep folders are followed.
const MAX_DEPTH: usize = 16;

/// Reads a store.
pub(super) fn open(folder: &Path, identity: Option<&Path>) -> Result<Import, Failure> {
    let mut files = Vec::new();
    walk(folder, 0, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(invalid(
            format!("{} holds no .gpg and no .age file", shown(folder)),
            "Name the store's folder: ~/.password-store, ~/.passage/store",
        ));
    }
    let identity = match identity {
        Some(file) => Some(file.to_owned()),
        None => usual_identities(),
    };
    Ok(read_store(
        files
            .iter()
            .map(|file| entry(folder, file, identity.as_deref()))
            .collect(),
    ))
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unable = |error: std::io::Error| {
        Failure::new(
            Code::System,
            format!("{} cannot be read: {error}", shown(folder)),
            "Check its permissions, and that it is the store's own folder. Nothing was imported.",
        )
    };
    if depth > MAX_DEPTH || files.len() > MAX_ROWS {
        return Err(invalid(
            format!(
                "{} is deeper or has more entries than are read",
                shown(folder)
            ),
            "Import it in parts.",
        ));
    }
    for entry in std::fs::read_dir(folder).map_err(unable)? {
        let entry = entry.map_err(unable)?;
        // `.git` and `.extensions` hold no entries.
        let kind = entry.file_type().map_err(unable)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if is_entry(&path) || (kind.is_symlink() && path.is_dir()) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_entry(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == "gpg" || ending == "age")
}

fn entry(folder: &Path, file: &Path, identity: Option<&Path>) -> StoreEntry {
    let path = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    // What is no file may lead anywhere, or never end.
    let text = match file.symlink_metadata() {
        Ok(found) if found.is_file() => decrypted(file, identity),
        Ok(_) => Err(
            "It is a link or no file at all, which is not followed. Put the file itself there."
                .into(),
        ),
        Err(error) => Err(error.to_string()),
    };
    StoreEntry {
        path: visible(&path.to_string_lossy()),
        text,
    }
}

fn decrypted(file: &Path, identity: Option<&Path>) -> Result<Zeroizing<String>, String> {
    let bytes = if file.extension().is_some_and(|ending| ending == "age") {
        let identity =
            identity.ok_or("There is no identity that could open it: --identity FILE")?;
        with_age(file, identity)
    } else {
        let mut gpg = Command::new("gpg");
        gpg.args(["--quiet", "--batch", "--decrypt", "--"])
            .arg(file);
        output_of(gpg, "gpg")
    };
    let bytes = bytes.map_err(|failure| failure.what)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "It is not text in UTF-8.")?;
    Ok(Zeroizing::new(text.to_owned()))
}

// Where passage keeps what opens its store.
fn usual_identities() -> Option<PathBuf> {
    let named = std::env::var_os("PASSAGE_IDENTITIES_FILE").map(PathBuf::from);
    let usual =
        || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".passage/identities"));
    named.or_else(usual).filter(|file| file.is_file())
}
