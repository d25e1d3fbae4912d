//! One agent of a machine signs with the keys of a vault. Two that had copies of it would count sums, and the numbers of
//! requests, each for itself. Whoever holds the lock file signs; it is in a folder of the user and not of the agent, so that an
//! agent with another home meets it.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use touchkeep_core::VaultId;

/// Where agents that were started without a login meet. Not TMPDIR: two of them may have been given different ones.
const FOR_ALL: &str = "/tmp";

// A link in its place would be somebody else's idea.
const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// The seat of this agent.
#[derive(Debug, Default)]
pub(crate) struct SigningSeat(Mutex<Option<(VaultId, Vec<File>)>>);

/// Why this agent does not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NoSeat {
    /// Another one does.
    #[error("another agent of this machine signs with this vault already{0}")]
    Taken(String),
    /// The lock file cannot be had.
    #[error("it cannot be seen whether another agent signs with this vault: {0}")]
    Unknown(#[from] io::Error),
}

impl SigningSeat {
    /// Takes the seat of a vault, or keeps it.
    pub(crate) fn take(&self, vault: VaultId) -> Result<(), NoSeat> {
        // Each request asks; the folder is looked at by whoever has no seat yet.
        if self.is_taken(vault) {
            return Ok(());
        }
        self.take_in(&folders()?, vault)
    }

    fn is_taken(&self, vault: VaultId) -> bool {
        let seat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seat.as_ref().is_some_and(|(of, _)| *of == vault)
    }

    fn take_in(&self, folders: &[PathBuf], vault: VaultId) -> Result<(), NoSeat> {
        let mut seat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seat.as_ref().is_some_and(|(of, _)| *of == vault) {
            return Ok(());
        }
        *seat = None;
        let locks: Result<Vec<File>, NoSeat> =
            folders.iter().map(|folder| lock(folder, vault)).collect();
        *seat = Some((vault, locks?));
        Ok(())
    }

    /// Gives it up.
    pub(crate) fn leave(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn lock(folder: &Path, vault: VaultId) -> Result<File, NoSeat> {
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(NO_LINK)
        .open(folder.join(format!("signing-{vault}.lock")))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(NoSeat::Taken(holder(&mut file))),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

// Who wrote itself down; information only.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.take(16).read_to_string(&mut text));
    match (read, text.parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!(" (process {pid})"),
        _ => String::new(),
    }
}

// The folder of the login, where there is one, and the one for whoever was started without: an agent of before the login sits
// there alone. Where the latter cannot be made, or is somebody else's, no agent of ours sits in it, and none can take a seat there.
fn folders() -> io::Result<Vec<PathBuf>> {
    let user = rustix::process::getuid().as_raw();
    let of_login = PathBuf::from(format!("/run/user/{user}"));
    let without = Path::new(FOR_ALL).join(format!("touchkeep-signing-{user}"));
    if !is_ours(&of_login, user) {
        return Ok(vec![made(without, user)?]);
    }
    let mut all = vec![made(of_login.join("touchkeep-signing"), user)?];
    all.extend(made(without, user));
    Ok(all)
}

// A folder that nobody but this user can write to, and that does not outlive the machine's run.
fn made(folder: PathBuf, user: u32) -> io::Result<PathBuf> {
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if is_ours(&folder, user) {
        Ok(folder)
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is not this user's alone", folder.display()),
        ))
    }
}

fn is_ours(folder: &Path, user: u32) -> bool {
    std::fs::symlink_metadata(folder)
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use touchkeep_core::Id;

    use super::*;

    #[test]
    fn of_two_agents_one_signs_and_the_other_once_that_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (SigningSeat::default(), SigningSeat::default());
        let (one, other) = (VaultId(Id::random()), VaultId(Id::random()));
        first.take_in(&[dir.path().to_owned()], one).unwrap();
        first.take_in(&[dir.path().to_owned()], one).unwrap();
        let refused = second
            .take_in(&[dir.path().to_owned()], one)
            .unwrap_err()
            .to_string();
        assert!(
            refused.ends_with(&format!("(process {})", std::process::id())),
            "{refused}"
        );
        second.take_in(&[dir.path().to_owned()], other).unwrap();
        first.leave();
        second.take_in(&[dir.path().to_owned()], one).unwrap();
        // It has one seat: the other vault's is free again.
        first.take_in(&[dir.path().to_owned()], other).unwrap();
    }

    #[test]
    fn an_agent_of_before_the_login_is_met_by_one_of_after_it() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [login, without] = dirs.each_ref().map(|dir| dir.path().to_owned());
        let (before, after) = (SigningSeat::default(), SigningSeat::default());
        let vault = VaultId(Id::random());
        before
            .take_in(std::slice::from_ref(&without), vault)
            .unwrap();
        let both = [login, without];
        assert!(matches!(after.take_in(&both, vault), Err(NoSeat::Taken(_))));
        before.leave();
        after.take_in(&both, vault).unwrap();
        assert!(before.take_in(&both[1..], vault).is_err());
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let vault = VaultId(Id::random());
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        let lock = dir.path().join(format!("signing-{vault}.lock"));
        std::os::unix::fs::symlink(&victim, lock).unwrap();
        assert!(
            SigningSeat::default()
                .take_in(&[dir.path().to_owned()], vault)
                .is_err()
        );
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "mine");
    }
}
