//! What a process runs: which file, and what is in it.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use aws_lc_rs::digest::{Context, SHA256};
use touchkeep_core::text::visible;

use super::folder::Folder;

/// What the kernel writes after the path of a file that has been removed or replaced.
const DELETED: &str = " (deleted)";
/// What runs scripts, without the number of its version.
const INTERPRETERS: [&str; 18] = [
    "ash", "bash", "bun", "busybox", "dash", "deno", "fish", "java", "ksh", "lua", "node", "perl",
    "php", "pypy", "python", "ruby", "sh", "zsh",
];
/// Files whose hash is remembered.
const MAX_HASHES: usize = 256;

/// The file that a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executable {
    pid: i32,
    path: PathBuf,
    deleted: bool,
    file: FileId,
    hands: Hands,
    elsewhere: bool,
}

// Whose a file is, and who else may write to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hands {
    owner: u32,
    writers: u32,
}

/// Group and others (inode(7)).
const OTHER_WRITERS: u32 = 0o022;

// A file and its state: the inode cannot be another's while a process runs it, and a change of it changes the times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Executable {
    /// What a process runs; none where that may not be looked at.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Self::of_process(pid, &Folder::open(pid)?)
    }

    /// The same for a process whose folder is open.
    pub(super) fn of_process(pid: i32, folder: &Folder) -> Option<Self> {
        let path = folder.link("exe")?;
        let meta = folder.target("exe")?;
        let text = path.to_string_lossy();
        let deleted = text.ends_with(DELETED) || meta.st_nlink == 0;
        let path = text
            .strip_suffix(DELETED)
            .map_or(path.clone(), PathBuf::from);
        Some(Self {
            pid,
            path,
            deleted,
            file: FileId::of_stat(&meta),
            hands: Hands {
                owner: meta.st_uid,
                writers: meta.st_mode & OTHER_WRITERS,
            },
            elsewhere: folder.link(MOUNTS).as_ref() != own_mounts(),
        })
    }

    /// Whether the process of this number runs this file; or still one that may not be looked at.
    pub(super) fn is_of(executable: Option<&Self>, pid: i32) -> bool {
        let now = std::fs::metadata(Path::new("/proc").join(pid.to_string()).join("exe"));
        match (executable, now) {
            (Some(then), Ok(now)) => then.file.is_same(FileId::of(&now)),
            (None, Err(_)) => true,
            _ => false,
        }
    }

    /// Whether the process whose folder this is lives and runs this file, which was not removed or replaced since.
    pub(super) fn is_still_in(&self, folder: &Folder) -> bool {
        folder.target("exe").is_some_and(|now| {
            self.file.is_same(FileId::of_stat(&now)) && (self.deleted || now.st_nlink > 0)
        })
    }

    /// What this process runs.
    pub(crate) fn own() -> Option<&'static Self> {
        static OWN: OnceLock<Option<Executable>> = OnceLock::new();
        OWN.get_or_init(|| Self::of(own_pid()?)).as_ref()
    }

    /// Its path, as it was when the process was started.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last part of its path.
    pub(crate) fn file_name(&self) -> Option<String> {
        Some(self.path.file_name()?.to_string_lossy().into_owned())
    }

    /// Whether the file has been removed or replaced since.
    pub(crate) const fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Whether its path is one of another place, such as a container, where it may mean another file.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// Whether two processes run the same file.
    pub(crate) const fn is_same_file(&self, other: &Self) -> bool {
        self.file.is_same(other.file)
    }

    /// Whether two processes run what was at the same path.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        !self.elsewhere && !other.elsewhere && self.path == other.path
    }

    /// Whether it has this name in the folder of the other.
    pub(crate) fn is_beside(&self, other: &Self, name: &str) -> bool {
        !self.elsewhere && !other.elsewhere && self.path == other.path.with_file_name(name)
    }

    /// Whether it belongs to the owner of the other, and nobody may write to it who may not write to the other.
    pub(crate) const fn is_in_the_same_hands(&self, other: &Self) -> bool {
        self.hands.owner == other.hands.owner && self.hands.writers & !other.hands.writers == 0
    }

    /// Whether a process runs a script with this, as its arguments say it: alone or after exactly the options of the script's
    /// own first line, so that no other option brings code of its own. A process can write what it likes there; whoever does
    /// that attacks.
    pub(crate) fn runs_script(&self, script: &Path, options: &[String]) -> bool {
        let Some((arguments, folder)) = self.arguments() else {
            return false;
        };
        let arguments: Vec<&[u8]> = arguments.split(|byte| *byte == 0).skip(1).collect();
        let is_script = |argument: Option<&&[u8]>| {
            argument
                .filter(|argument| !argument.is_empty())
                .is_some_and(|argument| {
                    let path = folder.join(OsStr::from_bytes(argument));
                    std::fs::canonicalize(path).is_ok_and(|path| path == script)
                })
        };
        let has_options = arguments.len() > options.len()
            && arguments
                .iter()
                .zip(options)
                .all(|(own, option)| *own == option.as_bytes());
        is_script(arguments.first()) || (has_options && is_script(arguments.get(options.len())))
    }

    /// Whether it is known to do by itself nothing but what a script says.
    pub(crate) fn is_interpreter(&self) -> bool {
        let name = self.file_name().unwrap_or_default();
        // `python3.13`, `perl5.40.1`
        let name = name.trim_end_matches(|end: char| end.is_ascii_digit() || end == '.');
        INTERPRETERS.contains(&name)
    }

    /// The script that the process runs with this, as its arguments say it: the first one that is no option, where that is a
    /// file.
    pub(crate) fn script(&self) -> Option<PathBuf> {
        let (arguments, folder) = self.arguments()?;
        let mut arguments = arguments.split(|byte| *byte == 0).skip(1);
        let script = arguments.find(|argument| !argument.starts_with(b"-"))?;
        let path = std::fs::canonicalize(folder.join(OsStr::from_bytes(script))).ok()?;
        path.is_file().then_some(path)
    }

    // The arguments of the process, each ended by a zero byte, and the folder that it is in.
    fn arguments(&self) -> Option<(Vec<u8>, PathBuf)> {
        let link = Path::new("/proc").join(self.pid.to_string());
        let arguments = std::fs::read(link.join("cmdline")).ok()?;
        Some((arguments, std::fs::read_link(link.join("cwd")).ok()?))
    }

    /// For a person.
    pub(crate) fn shown(&self) -> String {
        let mut shown = visible(&self.path.to_string_lossy());
        if self.deleted {
            shown.push_str(" (removed or replaced since it was started)");
        }
        if self.elsewhere {
            shown.push_str(" (in a container)");
        }
        shown
    }
}

// The mount namespace of a process: where another one is in force, a path may mean another file.
const MOUNTS: &str = "ns/mnt";

fn own_mounts() -> Option<&'static PathBuf> {
    static OWN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let own = || Folder::open(own_pid()?)?.link(MOUNTS);
    OWN.get_or_init(own).as_ref()
}

fn own_pid() -> Option<i32> {
    i32::try_from(std::process::id()).ok()
}

impl FileId {
    const fn is_same(self, other: Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    fn of_stat(meta: &rustix::fs::Stat) -> Self {
        Self {
            device: meta.st_dev,
            inode: meta.st_ino,
            size: meta.st_size.cast_unsigned(),
            changed: (meta.st_ctime, meta.st_ctime_nsec.cast_signed()),
        }
    }
}

/// SHA-256 of executables, each read once while it stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Hashes(Mutex<HashMap<FileId, [u8; 32]>>);

impl Hashes {
    /// The hash of what a process runs. Reads the file itself, not what is at its path now. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it was when the process was looked at.
    pub(crate) fn of(&self, executable: &Executable) -> io::Result<[u8; 32]> {
        if let Some(known) = self.lock().get(&executable.file) {
            return Ok(*known);
        }
        let file = File::open(format!("/proc/{}/exe", executable.pid))?;
        self.read(file, Some(executable.file))
    }

    /// The hash of a file at a path. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of_path(&self, path: &Path) -> io::Result<[u8; 32]> {
        self.read(File::open(path)?, None)
    }

    fn read(&self, mut file: File, wanted: Option<FileId>) -> io::Result<[u8; 32]> {
        let before = FileId::of(&file.metadata()?);
        // Not the times: a removal changes them, and what a process runs cannot be written to.
        if wanted.is_some_and(|wanted| !wanted.is_same(before)) {
            return Err(io::Error::other("the process runs another file by now"));
        }
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            let read = file.read(&mut buffer)?;
            match buffer.get(..read) {
                Some(part) if read > 0 => context.update(part),
                _ => break,
            }
        }
        let mut hash = [0u8; 32];
        hash.copy_from_slice(context.finish().as_ref());
        if FileId::of(&file.metadata()?) == before {
            let mut known = self.lock();
            if known.len() >= MAX_HASHES {
                known.clear();
            }
            known.insert(before, hash);
        }
        Ok(hash)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<FileId, [u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    // A copy of a program that sleeps, started from a path of ours.
    fn started(at: &Path) -> (Running, Executable) {
        let child = Running(Command::new(at).arg("60").spawn().unwrap());
        let pid = i32::try_from(child.0.id()).unwrap();
        // `spawn` returns once the new program has taken the process's place.
        let executable = Executable::of(pid).unwrap();
        assert_eq!(executable.path(), at);
        (child, executable)
    }

    fn sleeper() -> PathBuf {
        std::fs::canonicalize("/bin/sleep").unwrap()
    }

    #[test]
    fn the_same_path_with_another_file_is_another_executable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bot");
        std::fs::copy(sleeper(), &path).unwrap();
        let (_first, before) = started(&path);
        let other = dir.path().join("other");
        let mut bytes = std::fs::read(sleeper()).unwrap();
        bytes.extend_from_slice(b"swapped");
        std::fs::write(&other, &bytes).unwrap();
        std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        std::fs::rename(&other, &path).unwrap();
        let (_second, after) = started(&path);
        assert!(before.is_at(&after) && !before.is_same_file(&after));
        let hashes = Hashes::default();
        assert_ne!(hashes.of(&before).unwrap(), hashes.of(&after).unwrap());
        assert_eq!(hashes.of(&after).unwrap(), hashes.of_path(&path).unwrap());
        assert_eq!(
            hashes.of(&before).unwrap(),
            hashes.of_path(&sleeper()).unwrap(),
            "what was replaced is still read from the process"
        );
    }

    #[test]
    fn what_was_replaced_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bot");
        std::fs::copy(sleeper(), &path).unwrap();
        let (child, before) = started(&path);
        assert!(!before.is_deleted());
        std::fs::remove_file(&path).unwrap();
        let after = Executable::of(i32::try_from(child.0.id()).unwrap()).unwrap();
        assert!(after.is_deleted() && after.path() == path && after.is_same_file(&before));
        assert!(after.shown().contains("removed or replaced"));
    }
}
