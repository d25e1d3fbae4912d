//! Which vault a program means, where that is not simply the one that the agent has.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf, absolute},
    sync::OnceLock,
};

/// The vault that is meant, where `--vault` does not name one.
pub const VAULT_VARIABLE: &str = "TOUCHKEEP_VAULT";

static NAMED: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Has every connection of this process mean the vault at `path`, as `--vault` does. Only the first time counts.
///
/// # Errors
/// When the path is empty, or the current folder is not known.
pub fn mean(path: &Path) -> io::Result<()> {
    let _first = NAMED.set(Some(absolute(path)?));
    Ok(())
}

/// Has every connection of this process mean whatever vault the agent has: for an agent of one's own.
pub fn mean_any() {
    let _first = NAMED.set(None);
}

/// The vault that is meant: what [`mean`] was told, else what [`VAULT_VARIABLE`] says. It is the caller's folder that a
/// relative path begins in.
#[must_use]
pub fn meant() -> Option<PathBuf> {
    match NAMED.get() {
        Some(named) => named.clone(),
        None => from(std::env::var_os(VAULT_VARIABLE)),
    }
}

fn from(variable: Option<OsString>) -> Option<PathBuf> {
    let path = PathBuf::from(variable.filter(|text| !text.is_empty())?);
    // Where the folder is gone no agent has a vault of that path, and each call says so.
    Some(absolute(&path).unwrap_or(path))
}

/// What is said of it in a greeting. A path that is no UTF-8 is the path of no vault.
pub(crate) fn said() -> Option<String> {
    meant().map(|path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_begins_where_the_caller_is_and_an_empty_one_is_none() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            from(Some("team.vault".into())),
            Some(here.join("team.vault"))
        );
        assert_eq!(from(Some("/a/b".into())), Some("/a/b".into()));
        assert_eq!((from(Some("".into())), from(None)), (None, None));
    }
}
