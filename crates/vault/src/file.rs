//! The one way in which files are read and replaced: never through a link, never half written.
//!
//! A save takes the lock beside the file, writes a new file under another name with mode 0600, syncs it, asks for its length, gives
//! it the name of the first backup, exchanges that and the vault, and syncs the folder. Killed at any point, the path holds the old
//! file or the new, and the old one is never under a name that somebody sweeps.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use memmap2::{Advice, MmapMut};
use rustix::fs::{FlockOperation, Mode, OFlags};
use touchkeep_container::tar::{Archive, MAX_ARCHIVE_BYTES};

use crate::{error::VaultError, stamp::Stamp};

/// Older versions that stay beside the vault, as `<name>.1` (the newest) and so on.
pub const BACKUPS: u32 = 3;

/// What is read or written at once where a file is not held whole.
const PIECE_BYTES: usize = 128 << 10;

/// A large page of memory, on most machines.
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// What one core reads at a time.
const SHARE_BYTES: usize = LARGE_PAGE_BYTES / 4;

/// What part of the memory for a file may stay unused, for large pages.
const MAX_UNUSED: usize = 8;

/// How long somebody else may hold the lock: many saves of a large vault. Who holds it for longer was stopped in the middle, or
/// does not save, and whoever waits has keys in memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a lock is asked for that somebody else has.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

const TEMPORARY_SUFFIX: &str = ".tmp";

/// Reads a whole plain file.
pub(crate) fn read(path: &Path) -> Result<Bytes, VaultError> {
    let (file, meta) = open(path)?;
    read_of(&file, &meta, path)
}

/// Reads a whole plain file, and says by what it is known again, where it is.
pub(crate) fn read_stamped(path: &Path) -> Result<(Bytes, Option<Stamp>), VaultError> {
    let (file, meta) = open(path)?;
    let bytes = read_of(&file, &meta, path)?;
    Ok((bytes, Stamp::of_read(&file, &meta)))
}

/// Whether the file is the one of this stamp, and nobody has changed it since.
pub(crate) fn is_as(path: &Path, stamp: Option<Stamp>) -> Result<bool, VaultError> {
    let (file, meta) = open(path)?;
    Ok(stamp.is_some() && Stamp::of_own(&file, &meta) == stamp)
}

fn read_of(mut file: &File, meta: &fs::Metadata, path: &Path) -> Result<Bytes, VaultError> {
    // One byte more than allowed: the parser says that it is too large.
    let limit = u64::try_from(MAX_ARCHIVE_BYTES).unwrap_or(u64::MAX) + 1;
    let known = meta.len().min(limit);
    let mut more = Vec::new();
    let bytes = usize::try_from(known)
        .map_err(io::Error::other)
        .and_then(|known| read_known(file, known))
        .map_err(failed("read", path))?;
    // It may be longer than it was a moment ago.
    file.seek(io::SeekFrom::Start(known))
        .and_then(|_| file.take(limit - known).read_to_end(&mut more))
        .map_err(failed("read", path))?;
    match more.is_empty() {
        true => Ok(bytes),
        false => Ok([&bytes[..], &more].concat().into()),
    }
}

// New memory costs more than what is read into it, and each small page of it most: so large pages are asked for. They are given
// back as they are, for what is in a file is no secret of this process.
fn read_known(file: &File, len: usize) -> io::Result<Bytes> {
    if len < LARGE_PAGE_BYTES {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        return Ok(bytes.into());
    }
    let mut memory = MmapMut::map_anon(len.next_multiple_of(LARGE_PAGE_BYTES))?;
    // Not the last one, where much of it would stay unused. Where there are none, there are small ones.
    let unused = memory.len() - len;
    let large = match unused <= len / MAX_UNUSED {
        true => memory.len(),
        false => len - len % LARGE_PAGE_BYTES,
    };
    let _none = memory.advise_range(Advice::HugePage, 0, large);
    let offsets = (0..).step_by(SHARE_BYTES);
    let pieces = memory.get_mut(..len).unwrap_or_default();
    let pieces = pieces.chunks_mut(SHARE_BYTES).map(Mutex::new);
    let read = touchkeep_parallel::map(
        &offsets.zip(pieces).collect::<Vec<_>>(),
        |(offset, piece)| {
            let mut piece = piece.lock().unwrap_or_else(PoisonError::into_inner);
            file.read_exact_at(&mut piece, *offset)
        },
    );
    read.into_iter().collect::<io::Result<()>>()?;
    Ok(Bytes::from_owner(memory).slice(..len))
}

fn open(path: &Path) -> Result<(File, fs::Metadata), VaultError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::NOENT) => return Err(VaultError::NoVault(path.into())),
        Err(rustix::io::Errno::LOOP) => return Err(not_a_file(path, "a symbolic link")),
        Err(errno) => return Err(failed("open", path)(errno.into())),
    };
    let meta = plain(&file, path)?;
    Ok((file, meta))
}

// A file with one name; or with none any more.
fn plain(file: &File, path: &Path) -> Result<fs::Metadata, VaultError> {
    let meta = file.metadata().map_err(failed("look at", path))?;
    if !meta.is_file() {
        return Err(not_a_file(path, "a folder, a pipe or a device"));
    }
    if meta.nlink() > 1 {
        return Err(not_a_file(path, "a hard link"));
    }
    Ok(meta)
}

/// Where the backup of this number is.
pub(crate) fn backup_path(path: &Path, number: u32) -> Result<PathBuf, VaultError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(VaultError::Invalid("a path without a name in UTF-8"))?;
    Ok(path.with_file_name(format!("{name}.{number}")))
}

/// Waits until nobody else writes to the vault at this path. Whoever has it open does so before he takes it to change it, so that
/// it can be looked at and locked meanwhile.
///
/// # Errors
/// [`VaultError::Busy`] when somebody else held the lock all the time; or there can be no lock.
pub fn wait_for_others(path: &Path) -> Result<(), VaultError> {
    Lock::take(path).map(drop)
}

/// Holds the lock of a file; others wait, but not for ever.
pub(crate) struct Lock<'a> {
    path: &'a Path,
    folder: PathBuf,
    name: String,
    _held: File,
}

impl<'a> Lock<'a> {
    /// Waits for the lock beside `path`, as long as a save may take.
    pub(crate) fn take(path: &'a Path) -> Result<Self, VaultError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or(VaultError::Invalid("a path without a name in UTF-8"))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self {
            path,
            _held: hold(&folder.join(format!("{name}.lock")))?,
            folder,
            name: name.to_owned(),
        })
    }

    /// Reads the file under the lock, to replace it.
    pub(crate) fn read(&self) -> Result<Bytes, VaultError> {
        let (file, meta) = self.open()?;
        read_of(&file, &meta, self.path)
    }

    /// Whether the file, which is going to be replaced, is the one of this stamp, and nobody has changed it since.
    pub(crate) fn is_as(&self, stamp: Option<Stamp>) -> Result<bool, VaultError> {
        let (file, meta) = self.open()?;
        Ok(stamp.is_some() && Stamp::of_own(&file, &meta) == stamp)
    }

    /// Whether the file, which is going to be replaced, is this archive.
    pub(crate) fn holds(&self, archive: &Archive<'_>) -> Result<bool, VaultError> {
        let (file, _) = self.open()?;
        is_of(&file, |file| archive.pieces(|piece| file.write_all(piece)))
            .map_err(failed("read", self.path))
    }

    // Another user's is not replaced: the new one would be ours.
    fn open(&self) -> Result<(File, fs::Metadata), VaultError> {
        let (file, meta) = open(self.path)?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(not_a_file(self.path, "another user's"));
        }
        Ok((file, meta))
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

    /// Replaces the file by an archive; what it held becomes the first backup. Gives what the new one is known by.
    pub(crate) fn replace(&self, archive: &Archive<'_>) -> Result<Option<Stamp>, VaultError> {
        self.replace_by(|file| archive.pieces(|piece| file.write_all(piece)))?;
        let (file, meta) = self.open()?;
        Ok(Stamp::of_own(&file, &meta))
    }

    /// Replaces the file by what `write` writes; what it held becomes the first backup.
    pub(crate) fn replace_by(
        &self,
        write: impl Fn(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), VaultError> {
        self.sweep();
        let new = self.written(&write)?;
        for number in (1..BACKUPS).rev() {
            self.rename_backup(number, number + 1)?;
        }
        let first = self.backup(1);
        // The new vault waits where the old one is going to be kept; then the two change places at once, and nothing is
        // written twice. Some file systems cannot.
        new.persist(&first)
            .map_err(|error| failed("keep", &first)(error.error))?;
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        let here = rustix::fs::CWD;
        match rustix::fs::renameat_with(here, &first, here, self.path, flags) {
            // Somebody may have opened the old vault to others.
            Ok(()) => fs::set_permissions(&first, fs::Permissions::from_mode(0o600))
                .map_err(failed("keep", &first))?,
            Err(_) => {
                let old = self.read()?;
                self.written(|file| file.write_all(&old))?
                    .persist(&first)
                    .map_err(|error| failed("keep", &first)(error.error))?;
                self.written(write)?
                    .persist(self.path)
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
                Err(failed("move an older copy to", &self.backup(to))(error))
            }
            _ => Ok(()),
        }
    }

    // A file beside, 0600 from its first moment, with the bytes on the disk.
    fn written(
        &self,
        write: impl Fn(&mut dyn Write) -> io::Result<()>,
    ) -> Result<tempfile::NamedTempFile, VaultError> {
        let mut file = tempfile::Builder::new()
            .prefix(&self.temporary_prefix())
            .suffix(TEMPORARY_SUFFIX)
            .tempfile_in(&self.folder)
            .map_err(failed("write beside", self.path))?;
        let mut pieces = Counted {
            to: BufWriter::with_capacity(PIECE_BYTES, file.as_file_mut()),
            len: 0,
        };
        let flushed = write(&mut pieces).and_then(|()| pieces.flush());
        let len = pieces.len;
        drop(pieces);
        flushed
            .and_then(|()| file.as_file().sync_all())
            .and_then(|()| has_len(file.as_file(), len))
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

// Waits for the lock that a file stands for. It is never written to, and never removed by us.
fn hold(path: &Path) -> Result<File, VaultError> {
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let until = Instant::now() + PATIENCE;
    loop {
        let file = match rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::LOOP) => return Err(not_a_file(path, "a symbolic link")),
            Err(rustix::io::Errno::ISDIR) => return Err(not_a_file(path, "a folder")),
            Err(errno) => return Err(failed("lock", path)(errno.into())),
        };
        plain(&file, path)?;
        lock_by(&file, until, path)?;
        // Somebody who removed it while we waited let the next one in.
        if file.metadata().map_err(failed("look at", path))?.nlink() > 0 {
            return Ok(file);
        }
    }
}

fn lock_by(file: &File, until: Instant, path: &Path) -> Result<(), VaultError> {
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                thread::sleep(LOOK_AGAIN);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(VaultError::Busy(path.into())),
            locked => return locked.map_err(|errno| failed("lock", path)(errno.into())),
        }
    }
}

// What a write says that it has taken is not always there.
fn has_len(file: &File, len: u64) -> io::Result<()> {
    match file.metadata()?.len() == len {
        true => Ok(()),
        false => Err(io::Error::other("what was written is not what is there")),
    }
}

// How many bytes a writer was given.
struct Counted<W> {
    to: W,
    len: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.to.write(bytes)?;
        self.len += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

// Whether the rest of a file is what `write` writes, without holding either whole.
fn is_of(file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<bool> {
    let mut compared = Compared(BufReader::with_capacity(PIECE_BYTES, file));
    match write(&mut compared) {
        Ok(()) => Ok(compared.0.fill_buf()?.is_empty()),
        // Shorter, or different.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

// Takes what a file holds, and nothing else.
struct Compared<'a>(BufReader<&'a File>);

impl Write for Compared<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let there = self.0.fill_buf()?;
        let len = bytes.len().min(there.len());
        // At the end of the file there is nothing to be the same.
        let is_same = len > 0 && bytes.get(..len) == there.get(..len);
        if !is_same && !bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.consume(len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_size_are_read_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let large = LARGE_PAGE_BYTES;
        let sizes = [0, 1, large - 1, large, large + 1, 2 * large - 4096];
        // So many pieces that the cores share them, and the last is short.
        for size in sizes.into_iter().chain([8 * large + 7]) {
            let bytes: Vec<u8> = (0..251).cycle().take(size).collect();
            fs::write(&path, &bytes).unwrap();
            assert!(read(&path).unwrap() == bytes, "{size}");
        }
    }

    #[test]
    fn a_file_is_told_from_a_shorter_a_longer_and_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..251).cycle().take(3 * PIECE_BYTES + 5).collect();
        let is_this = |there: &[u8]| {
            fs::write(&path, there).unwrap();
            // In pieces that fit no piece of the file.
            let write =
                |file: &mut dyn Write| bytes.chunks(777).try_for_each(|it| file.write_all(it));
            is_of(&File::open(&path).unwrap(), write).unwrap()
        };
        assert!(is_this(&bytes));
        for shorter in [0, 1, PIECE_BYTES, bytes.len() - 1] {
            assert!(!is_this(&bytes[..shorter]), "{shorter}");
        }
        assert!(!is_this(&[&bytes[..], b"x"].concat()));
        for at in [0, PIECE_BYTES - 1, PIECE_BYTES, bytes.len() - 1] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!is_this(&other), "{at}");
        }
    }
}
