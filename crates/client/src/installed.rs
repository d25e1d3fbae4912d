//! The files of one installation. They lie in one folder, and each finds the others beside itself and nowhere else: what a
//! `PATH` or a variable names could be anybody's, and would be handed PINs.

use std::path::{Path, PathBuf};

use touchkeep_core::Code;
use touchkeep_wire::Failure;

/// What people and programs type. Small, because programs call it all the time; it hands over whatever is not theirs.
pub const COMMAND: &str = "touchkeep";
/// The agent, and the verbs that are for people.
pub const AGENT: &str = "touchkeep-agent";
/// How [`COMMAND`] says of which version it is when it hands over, as the first argument.
pub const HANDED_OVER: &str = "--handed-over-by=";

/// The agent's file beside this process's own.
///
/// # Errors
/// When it is not there.
pub fn agent_program() -> Result<PathBuf, Failure> {
    beside(AGENT)
}

/// A file beside this process's own, whatever has become of that meanwhile.
///
/// # Errors
/// When it is not there.
pub fn beside(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| {
        let what = format!("cannot find this program's own file: {error}");
        let fix = "Check that /proc is mounted and may be read.";
        Failure::new(Code::System, what, fix)
    })?;
    beside_of(&own, name)
}

fn beside_of(own: &Path, name: &str) -> Result<PathBuf, Failure> {
    let program = own.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    let folder = own.parent().unwrap_or(own);
    Err(Failure::new(
        Code::System,
        format!("{name} is missing in {}.", folder.display()),
        format!(
            "Touchkeep is two files, {COMMAND} and {AGENT}: put both of one version into that folder. A link to {COMMAND} may be anywhere."
        ),
    ))
}

/// Whether a program of this version may be handed over to by one of `theirs`.
///
/// # Errors
/// When they are of two versions: one was replaced without the other.
pub fn is_of_one_version(theirs: &str) -> Result<(), Failure> {
    let own = env!("CARGO_PKG_VERSION");
    if theirs == own {
        return Ok(());
    }
    Err(Failure::new(
        Code::System,
        format!("{COMMAND} is of version {theirs}, {AGENT} beside it of version {own}."),
        "Put both files of one version into one folder, then: touchkeep agent stop",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_is_found_and_a_missing_one_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        // What the kernel says of a file that was replaced.
        let own = folder.path().join("touchkeep (deleted)");
        let missing = beside_of(&own, AGENT).unwrap_err();
        assert!(missing.what.contains("touchkeep-agent is missing in"));
        assert!(missing.fix.contains("put both of one version"));
        std::fs::write(folder.path().join(AGENT), "").unwrap();
        assert_eq!(beside_of(&own, AGENT).unwrap(), folder.path().join(AGENT));
    }

    #[test]
    fn a_folder_of_that_name_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(AGENT)).unwrap();
        assert!(beside_of(&folder.path().join(COMMAND), AGENT).is_err());
    }

    #[test]
    fn two_versions_are_told_apart() {
        assert!(is_of_one_version(env!("CARGO_PKG_VERSION")).is_ok());
        let differ = is_of_one_version("9.9.9").unwrap_err();
        assert!(differ.what.contains("9.9.9") && differ.fix.contains("both files"));
    }
}
