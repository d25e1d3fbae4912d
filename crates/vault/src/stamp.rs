//! What the kernel says of a file that nobody has touched since: so that a save need not read the whole vault to know that it is
//! the one of before.
//!
//! An inode whose change time is the same holds the same bytes, on a file system of this machine. Three things would make that
//! a wrong belief, and each falls back to reading: a file system whose times come from elsewhere (a network, another program);
//! a file that was changed so shortly before it was read that a second change could bear the same time; and one that changed
//! while it was read.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime},
};

/// Longer than the kernel's clock for files stands still, on any machine (a tick of 100 Hz).
const TICK: Duration = Duration::from_millis(20);

/// File systems that note each change at once, by the number that `statfs(2)` gives: ext2 to ext4, XFS, Btrfs, F2FS, bcachefs, tmpfs.
const OWN_TIMES: [u64; 6] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0xF2F5_2010,
    0xCA45_1A4E,
    0x0102_1994,
];

/// A file and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file that has its name under our lock: what only those can change now who do not heed the lock.
    pub(crate) fn of_own(file: &File, meta: &Metadata) -> Option<Self> {
        let statfs = rustix::fs::fstatfs(file).ok()?;
        let kind = u64::try_from(statfs.f_type).ok()?;
        OWN_TIMES.contains(&kind).then(|| Self::of(meta))
    }

    /// Of a file that was read between `before` and now; none where it may have changed unnoticed.
    pub(crate) fn of_read(file: &File, before: &Metadata) -> Option<Self> {
        let after = file.metadata().ok()?;
        let changed = Duration::new(
            u64::try_from(before.ctime()).ok()?,
            u32::try_from(before.ctime_nsec()).ok()?,
        );
        // One from the future bears a time that can come again.
        let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + changed);
        let is_settled = age.is_ok_and(|age| age > TICK);
        let stamp = Self::of_own(file, before)?;
        (is_settled && stamp == Self::of(&after)).then_some(stamp)
    }

    fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            len: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Instant};

    use super::*;

    #[test]
    fn a_file_that_has_just_changed_is_not_known_by_its_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let file = File::open(&path).unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!(Stamp::of_read(&file, &meta), None);
    }

    #[test]
    fn one_that_has_rested_is_until_it_changes_even_with_its_old_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let stamp = || Stamp::of_read(&file, &file.metadata().unwrap());
        let is_known_here = Stamp::of_own(&file, &file.metadata().unwrap()).is_some();
        let until = Instant::now() + Duration::from_secs(10);
        while stamp().is_none() && is_known_here && Instant::now() < until {
            thread::sleep(TICK);
        }
        let first = stamp();
        assert_eq!(first.is_some(), is_known_here);
        let modified = file.metadata().unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        file.set_modified(modified).unwrap();
        let now = Stamp::of_own(&file, &file.metadata().unwrap());
        assert_eq!(now == first, !is_known_here);
    }
}
