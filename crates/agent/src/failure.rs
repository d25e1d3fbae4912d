//! What failures of the crates below mean to a person: a stable code, what happened, and what to do.

use touchkeep_audit::{CheckpointError, OpenError, ReadError, RecordError, VerifyError};
use touchkeep_core::{Code, text::quoted};
use touchkeep_vault::VaultError;
use touchkeep_wire::Failure;

use crate::{
    devices::{Failed, device_failure},
    state::StateError,
};

pub(crate) fn locked() -> Failure {
    Failure::new(
        Code::Locked,
        "The vault is locked.",
        "Run: touchkeep unlock",
    )
}

pub(crate) fn invalid(what: impl Into<String>, fix: impl Into<String>) -> Failure {
    Failure::new(Code::Invalid, what, fix)
}

/// What cannot be, if this program is right.
pub(crate) fn fault(what: impl Into<String>) -> Failure {
    Failure::new(
        Code::System,
        what,
        "Please report this, with the agent's log.",
    )
}

pub(crate) fn not_found(what: &str, name: &str, fix: &str) -> Failure {
    let name = quoted(name);
    Failure::new(Code::NotFound, format!("There is no {what} {name}."), fix)
}

/// A failure of the vault.
pub(crate) fn vault(error: &VaultError) -> Failure {
    let fix = match error {
        VaultError::Device(device) => return device_failure(device, "The device"),
        VaultError::NoVault(_) => "Look at the path; or make one with: touchkeep init",
        VaultError::Exists(_) => "Choose another path, or move that file away.",
        VaultError::NotAFile { .. } => "Put the vault's own file there.",
        VaultError::NotAVault { .. } => {
            "Look at the path. If that was a vault once, keep the file as it is, and go back to the newest sound copy beside it: touchkeep backup list, touchkeep backup restore NUMBER"
        }
        VaultError::Damaged(_) | VaultError::Content { .. } => {
            "Keep a copy of the file as it is. Then look at its older copies, and go back to the newest sound one: touchkeep backup list, touchkeep backup restore NUMBER"
        }
        VaultError::Written(_) => {
            "Look at what is there before you do it again, and check the disk, the space and the permissions of that place."
        }
        VaultError::Busy(_) => {
            "Nothing was changed. Find who holds it (fuser -v FILE), end or continue that program, and try again."
        }
        VaultError::TooNew => "Update Touchkeep.",
        VaultError::ReadOnly => {
            "Take the newer copy in: touchkeep merge PATH; or go back on purpose: touchkeep backup restore NUMBER"
        }
        VaultError::NotEnrolled | VaultError::NoKey(_) => {
            "Use a device that is enrolled in this vault: touchkeep device list"
        }
        VaultError::Forked => "Join the two: touchkeep device join",
        VaultError::MembersChanged => "Look at it, and try again.",
        VaultError::Lapsed => {
            "Ask an admin to let you in again; or open that copy by itself, and make its changes anew."
        }
        VaultError::Rekeyed => {
            "Nothing was merged. Go on with one of the two copies: open the other by itself, and make anew in the first what was changed there, the retirement too."
        }
        VaultError::NotAllowed => "Ask an admin of the vault.",
        VaultError::LastDevice => "Enroll another device first: touchkeep device enroll DEVICE",
        VaultError::NotAttested(_) => {
            "Use a key that was made on the device, on a device of a maker who vouches for it."
        }
        VaultError::Memory(_) => "Raise the limit of locked memory: ulimit -l",
        VaultError::NotFound => "Look at: touchkeep list",
        VaultError::NoEnvironment => "Look at: touchkeep env list",
        VaultError::NoVersion(_) | VaultError::NotKept => "Look at: touchkeep history ITEM",
        VaultError::Ambiguous(ids) => return ambiguous(error, ids),
        VaultError::AmbiguousEnvironment(ids) => return ambiguous(error, ids),
        VaultError::PracticeOnly => "Leave the address out, or make a practice vault.",
        VaultError::Invalid(_) => "Nothing was changed. Give it otherwise, and try again.",
        VaultError::NoSecret => "Look at where it is kept: touchkeep show ITEM",
        VaultError::Io { .. } => "Check the space and the permissions of that place.",
        VaultError::Encrypt(_) => "Try again. If it stays so, please report it.",
        _ => "Look at: touchkeep doctor",
    };
    Failure::new(
        error.code(),
        format!("{}.", capital(&error.to_string())),
        fix,
    )
}

fn ambiguous(error: &VaultError, ids: &[impl ToString]) -> Failure {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Failure::new(
        error.code(),
        format!("{}.", capital(&error.to_string())),
        format!("Use the id of the one that is meant: {}", ids.join(", ")),
    )
}

/// A failure of the vault, where a device was in play: a refused PIN is told apart from the rest.
pub(crate) fn vault_or_device(error: VaultError) -> Failed {
    match error {
        VaultError::Device(device) => Failed::Device(device),
        other => Failed::Other(vault(&other)),
    }
}

pub(crate) fn record(error: &RecordError) -> Failure {
    Failure::new(
        error.code(),
        format!("{}, so nothing was done.", capital(&error.to_string())),
        "Check the space and the permissions of the data folder; `touchkeep audit verify` says what is wrong with the log.",
    )
}

/// It was done, and the log cannot say so.
pub(crate) fn unrecorded(error: &RecordError) -> Failure {
    Failure::new(
        error.code(),
        format!("It is done, but the log has only that it was begun: {error}."),
        "Check the space and the permissions of the data folder; `touchkeep audit verify` says what is wrong with the log.",
    )
}

pub(crate) fn open_log(error: &OpenError) -> Failure {
    Failure::new(
        error.code(),
        format!("{}.", capital(&error.to_string())),
        "Keep the log as it is for whoever looks into it; move it away to begin a new one.",
    )
}

pub(crate) fn read_log(error: &ReadError) -> Failure {
    let fix = match error {
        ReadError::Locked => "Run: touchkeep unlock",
        ReadError::NotSigned(_) => "Unlock the vault, which has the log signed: touchkeep unlock",
        ReadError::NoRow(_) => "Look at: touchkeep audit list",
        ReadError::OtherHistory(_) => {
            "Keep both: the log, and the checkpoint that it does not continue. One of them was forged, or the log was cut."
        }
        ReadError::TooNew(_) => "Update Touchkeep.",
        _ => "Run: touchkeep audit verify",
    };
    Failure::new(
        error.code(),
        format!("{}.", capital(&error.to_string())),
        fix,
    )
}

pub(crate) fn verify_log(error: &VerifyError) -> Failure {
    let fix = match error {
        VerifyError::NotFound(_) => {
            "Name the file of a log, or unlock the vault of this machine once: touchkeep unlock"
        }
        VerifyError::TooNew { .. } => "Update Touchkeep.",
        _ => {
            "Keep the file as it is. Check its permissions and its disk; what SQLite itself says: sqlite3 FILE 'pragma integrity_check'"
        }
    };
    Failure::new(
        error.code(),
        format!("{}.", capital(&error.to_string())),
        fix,
    )
}

pub(crate) fn checkpoint(error: &CheckpointError) -> Failure {
    Failure::new(
        error.code(),
        format!("{}.", capital(&error.to_string())),
        "Run: touchkeep audit verify",
    )
}

pub(crate) fn state(error: &StateError) -> Failure {
    Failure::new(
        Code::System,
        format!("{}.", capital(&error.to_string())),
        "Check the space and the permissions of the data folder.",
    )
}

pub(crate) fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
