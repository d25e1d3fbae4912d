//! Values as files that end with the program: on tmpfs alone, readable by this user alone, or as a pipe that can be read so many
//! times and not once more.
//!
//! Each program has a folder of its own, with a lock that this process holds. Where it could not remove the folder (a kill, a
//! crash), the lock is free, and the next mount of this user sweeps it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat, statfs},
    process::geteuid,
};
use zeroize::Zeroizing;

use crate::sys::out_of_reach;

const FOLDER: &str = "touchkeep-mounts";
/// No variable is called so, and a mount is called as its variable.
const LOCK: &str = ".lock";
/// statfs(2): the type of tmpfs.
const TMPFS: i64 = 0x0102_1994;
/// statfs(2): the type of ramfs.
const RAMFS: i64 = 0x8584_58f6;

/// No mount.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// No folder of this user's is in memory alone.
    #[error("no folder of yours is in memory alone (looked at {0})")]
    NoMemory(String),
    /// The operating system refused.
    #[error("cannot make {path}: {source}", path = .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The mounted values of one program; removed when this is dropped.
#[derive(Debug)]
pub struct Mounts {
    folder: PathBuf,
    _lock: File,
}

impl Mounts {
    /// A folder for one program's values below one of these, in this order, and a sweep of what others left behind.
    ///
    /// # Errors
    /// When none of them is in memory, or nothing can be made there.
    pub fn begin(candidates: &[PathBuf]) -> Result<Self, MountError> {
        let base = candidates.iter().find(|path| is_in_memory(path));
        let none = || {
            let names: Vec<_> = candidates
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            MountError::NoMemory(names.join(", "))
        };
        let base = base
            .ok_or_else(none)?
            .join(format!("{FOLDER}-{}", geteuid().as_raw()));
        let io = |source| MountError::Io {
            path: base.clone(),
            source,
        };
        own_folder(&base).map_err(io)?;
        // One at a time, so that nobody sweeps what is not locked yet.
        let turn = private_file(OpenOptions::new().create(true))
            .open(base.join(LOCK))
            .map_err(io)?;
        flock(&turn, FlockOperation::LockExclusive).map_err(|error| io(error.into()))?;
        sweep(&base);
        let folder = tempfile::Builder::new()
            .prefix("m")
            .rand_bytes(12)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&base)
            .map_err(io)?;
        let lock = private_file(OpenOptions::new().create_new(true))
            .open(folder.path().join(LOCK))
            .map_err(io)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| io(error.into()))?;
        Ok(Self {
            folder: folder.keep(),
            _lock: lock,
        })
    }

    /// A file with a value.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, value: &str) -> Result<PathBuf, MountError> {
        let path = self.folder.join(name);
        let io = |source| MountError::Io {
            path: path.clone(),
            source,
        };
        let mut file = private_file(OpenOptions::new().create_new(true))
            .open(&path)
            .map_err(io)?;
        // EXPOSE: to the file that the person asked for, in memory alone.
        file.write_all(value.as_bytes()).map_err(io)?;
        Ok(path)
    }

    /// A pipe that gives a value this many times, each reader the whole of it, and is gone then. Two who open it in the same
    /// moment have one turn together, and one of them finds nothing: the kernel tells a writer of readers, not of which.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn pipe(
        &self,
        name: &str,
        value: Zeroizing<String>,
        reads: u32,
    ) -> Result<PathBuf, MountError> {
        let path = self.folder.join(name);
        let io = |source| MountError::Io {
            path: path.clone(),
            source,
        };
        make_pipe(&path).map_err(io)?;
        let serving = path.clone();
        // A signal must find a thread that passes it on.
        let thread = thread::Builder::new().name("mount".into());
        out_of_reach(|| thread.spawn(move || serve(&serving, &value, reads))).map_err(io)?;
        Ok(path)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

// A new pipe stands there before a reader is given anything, so that who comes later never shares the first one's.
fn serve(path: &Path, value: &str, reads: u32) {
    for left in (0..reads).rev() {
        let Ok(mut reader) = OpenOptions::new().write(true).open(path) else {
            return;
        };
        let replaced = if left == 0 {
            fs::remove_file(path)
        } else {
            replace(path)
        };
        if replaced.is_err() {
            return;
        }
        // EXPOSE: to who opened the pipe. A reader that goes away early has had its turn.
        let _gone = reader.write_all(value.as_bytes());
    }
}

fn replace(path: &Path) -> io::Result<()> {
    let next = path.with_extension("next");
    make_pipe(&next)?;
    fs::rename(next, path)
}

fn make_pipe(path: &Path) -> io::Result<()> {
    Ok(mknodat(
        CWD,
        path,
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )?)
}

fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    options.write(true).mode(0o600)
}

fn is_in_memory(path: &Path) -> bool {
    path.is_absolute() && statfs(path).is_ok_and(|found| matches!(found.f_type, TMPFS | RAMFS))
}

// 0700, ours, and no link.
fn own_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    let found = fs::symlink_metadata(path)?;
    let is_ours = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
    let squatted = || {
        io::Error::new(
            io::ErrorKind::PermissionDenied,
            "somebody else has made it, or may look into it",
        )
    };
    is_ours.then_some(()).ok_or_else(squatted)
}

// Removes the folders of processes that are gone.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let lock = OpenOptions::new().write(true).open(entry.path().join(LOCK));
        let is_left =
            lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok());
        if is_left {
            let _gone = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let paths = vec![folder.path().to_owned()];
        (folder, paths)
    }

    #[test]
    fn a_file_is_ours_alone_and_ends_with_the_mount() {
        let (_folder, candidates) = memory();
        let mounts = Mounts::begin(&candidates).unwrap();
        let path = mounts.file("KEY", "s3cr3t").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "s3cr3t");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777,
            0o700
        );
        drop(mounts);
        assert!(!path.exists() && !path.parent().unwrap().exists());
    }

    #[test]
    fn a_pipe_gives_its_value_so_many_times() {
        let (_folder, candidates) = memory();
        let mounts = Mounts::begin(&candidates).unwrap();
        let path = mounts
            .pipe("KEY", Zeroizing::new("s3cr3t".into()), 2)
            .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "s3cr3t");
        assert_eq!(fs::read_to_string(&path).unwrap(), "s3cr3t");
        let gone = fs::read_to_string(&path).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_is_in_use_is_not() {
        let (_folder, candidates) = memory();
        let kept = Mounts::begin(&candidates).unwrap();
        let left = Mounts::begin(&candidates).unwrap();
        let (in_use, stale) = (kept.folder.clone(), left.folder.clone());
        // As a kill leaves it: the lock is gone, the folder is not.
        let moved = stale.with_file_name("mleft");
        fs::rename(&stale, &moved).unwrap();
        drop(left);
        let next = Mounts::begin(&candidates).unwrap();
        assert!(in_use.exists() && !moved.exists());
        drop((kept, next));
    }

    #[test]
    fn a_folder_on_a_disk_or_of_somebody_else_is_refused() {
        let disk = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
        let refused = Mounts::begin(&[disk.path().to_owned(), "relative".into()]);
        assert!(matches!(refused, Err(MountError::NoMemory(_))));
        let (folder, candidates) = memory();
        let base = folder
            .path()
            .join(format!("{FOLDER}-{}", geteuid().as_raw()));
        std::os::unix::fs::symlink("/dev/shm", &base).unwrap();
        assert!(matches!(
            Mounts::begin(&candidates),
            Err(MountError::Io { .. })
        ));
    }
}
