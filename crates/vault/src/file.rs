//! The one way in which files are read and replaced: never through a link, never half written.
//!
//! A save takes the lock beside the file, writes a new file under another name with mode 0600, syncs it, keeps the old one as
//! a backup, renames the new one over the old and syncs the folder. Killed at any point, the path holds the old file or the new.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags};
use touchkeep_container::tar::{Archive, MAX_ARCHIVE_BYTES};

use crate::error::VaultError;

/// Older versions that stay beside the vault, as `<name>.1` (the newest) and so on.
pub const BACKUPS: u32 = 3;

/// What is read or written at once where a file is not held whole.
const PIECE_BYTES: usize = 128 << 10;

const TEMPORARY_SUFFIX: &str = ".tmp";

/// Reads a whole plain file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, VaultError> {
    let file = open(path)?;
    let len = file.metadata().map_err(failed("look at", path))?.len();
    // One byte more than allowed: the parser says that it is too large.
    let limit = u64::try_from(MAX_ARCHIVE_BYTES).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(len.min(limit)).unwrap_or(0));
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    Ok(bytes)
}

fn open(path: &Path) -> Result<File, VaultError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::NOENT) => return Err(VaultError::NoVault(path.into())),
        Err(rustix::io::Errno::LOOP) => return Err(not_a_file(path, "a symbolic link")),
        Err(errno) => return Err(failed("open", path)(errno.into())),
    };
    let meta = file.metadata().map_err(failed("look at", path))?;
    if !meta.is_file() {
        return Err(not_a_file(path, "a folder, a pipe or a device"));
    }
    if meta.nlink() > 1 {
        return Err(not_a_file(path, "a hard link"));
    }
    Ok(file)
}

// Whether a file's bytes are an archive's, without holding either whole.
fn is_of(file: File, archive: &Archive<'_>) -> io::Result<bool> {
    let mut file = BufReader::with_capacity(PIECE_BYTES, file);
    let mut buffer = vec![0; PIECE_BYTES];
    let compared: io::Result<()> = archive.pieces(|piece| {
        for part in piece.chunks(PIECE_BYTES) {
            let read = buffer.get_mut(..part.len()).unwrap_or_default();
            file.read_exact(read)?;
            if read != part {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    });
    match compared {
        Ok(()) => Ok(file.read(&mut buffer)? == 0),
        // Shorter, or different.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where the backup of this number is.
pub(crate) fn backup_path(path: &Path, number: u32) -> Result<PathBuf, VaultError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(VaultError::Invalid("a path without a name in UTF-8"))?;
    Ok(path.with_file_name(format!("{name}.{number}")))
}

/// Holds the lock of a file; others wait.
pub(crate) struct Lock<'a> {
    path: &'a Path,
    folder: PathBuf,
    name: String,
    _held: OwnedFd,
}

impl<'a> Lock<'a> {
    /// Waits for the lock beside `path`.
    pub(crate) fn take(path: &'a Path) -> Result<Self, VaultError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or(VaultError::Invalid("a path without a name in UTF-8"))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let beside = folder.join(format!("{name}.lock"));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = rustix::fs::open(&beside, flags, Mode::RUSR | Mode::WUSR)
            .and_then(|fd| rustix::fs::flock(&fd, FlockOperation::LockExclusive).map(|()| fd))
            .map_err(|errno| failed("lock", &beside)(errno.into()))?;
        Ok(Self {
            path,
            folder,
            name: name.to_owned(),
            _held: held,
        })
    }

    /// Reads the file under the lock.
    pub(crate) fn read(&self) -> Result<Vec<u8>, VaultError> {
        read(self.path)
    }

    /// Whether the file is this archive.
    pub(crate) fn holds(&self, archive: &Archive<'_>) -> Result<bool, VaultError> {
        is_of(open(self.path)?, archive).map_err(failed("read", self.path))
    }

    /// Makes the file, which must not exist.
    pub(crate) fn create(&self, bytes: &[u8]) -> Result<(), VaultError> {
        self.sweep();
        let new = self.written(|file| file.write_all(bytes))?;
        match new.persist_noclobber(self.path) {
            Ok(_) => self.sync(),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(VaultError::Exists(self.path.into()))
            }
            Err(error) => Err(failed("make", self.path)(error.error)),
        }
    }

    /// Replaces the file by an archive; what it held becomes the first backup.
    pub(crate) fn replace(&self, archive: &Archive<'_>) -> Result<(), VaultError> {
        self.replace_by(|file| archive.pieces(|piece| file.write_all(piece)))
    }

    /// Replaces the file by what `write` writes; what it held becomes the first backup.
    pub(crate) fn replace_by(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), VaultError> {
        self.sweep();
        let new = self.written(write)?;
        for number in (1..BACKUPS).rev() {
            self.rename_backup(number, number + 1)?;
        }
        let first = self.backup(1);
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        let here = rustix::fs::CWD;
        // The two files change places at once; nothing is written twice. Some file systems cannot.
        match rustix::fs::renameat_with(here, new.path(), here, self.path, flags) {
            Ok(()) => {
                // What the temporary file's name stands for now is the old vault; somebody may have opened it to others.
                let private = fs::Permissions::from_mode(0o600);
                fs::set_permissions(new.path(), private).map_err(failed("keep", &first))?;
                new.persist(&first)
                    .map_err(|error| failed("keep", &first)(error.error))?;
            }
            Err(_) => {
                let old = self.read()?;
                self.written(|file| file.write_all(&old))?
                    .persist(&first)
                    .map_err(|error| failed("keep", &first)(error.error))?;
                new.persist(self.path)
                    .map_err(|error| failed("replace", self.path)(error.error))?;
            }
        }
        self.sync()
    }

    /// Replaces a small file that keeps no backups, or makes it.
    pub(crate) fn overwrite(&self, bytes: &[u8]) -> Result<(), VaultError> {
        self.sweep();
        self.written(|file| file.write_all(bytes))?
            .persist(self.path)
            .map_err(|error| failed("replace", self.path)(error.error))?;
        self.sync()
    }

    fn backup(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{}.{number}", self.name))
    }

    fn rename_backup(&self, from: u32, to: u32) -> Result<(), VaultError> {
        match fs::rename(self.backup(from), self.backup(to)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("keep", &self.backup(from))(error))
            }
            _ => Ok(()),
        }
    }

    // A file beside, 0600 from its first moment, with the bytes on the disk.
    fn written(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<tempfile::NamedTempFile, VaultError> {
        let mut file = tempfile::Builder::new()
            .prefix(&self.temporary_prefix())
            .suffix(TEMPORARY_SUFFIX)
            .tempfile_in(&self.folder)
            .map_err(failed("write beside", self.path))?;
        let mut pieces = BufWriter::with_capacity(PIECE_BYTES, file.as_file_mut());
        let flushed = write(&mut pieces).and_then(|()| pieces.flush());
        drop(pieces);
        flushed
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed("write beside", self.path))?;
        Ok(file)
    }

    fn temporary_prefix(&self) -> String {
        format!(".{}.", self.name)
    }

    // Removes what a killed save left behind. Only the lock's holder writes such files, so nobody is writing one now.
    fn sweep(&self) {
        let prefix = self.temporary_prefix();
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let is_left_over = name.to_str().is_some_and(|name| {
                name.strip_prefix(&prefix)
                    .and_then(|rest| rest.strip_suffix(TEMPORARY_SUFFIX))
                    .is_some_and(|random| !random.contains('.'))
            });
            if is_left_over && let Err(error) = fs::remove_file(entry.path()) {
                tracing::warn!(%error, "a left-over file could not be removed");
            }
        }
    }

    fn sync(&self) -> Result<(), VaultError> {
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync the folder of", self.path))
    }
}

fn not_a_file(path: &Path, what: &'static str) -> VaultError {
    VaultError::NotAFile {
        path: path.into(),
        what,
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    let path = path.to_owned();
    move |source| VaultError::Io { what, path, source }
}
