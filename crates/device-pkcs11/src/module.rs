//! Which files may be loaded as a module, and that what was looked at is what is loaded.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;
/// The largest that is looked at; real ones have some megabytes.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// A module and how to load it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFile {
    /// Where it is: an absolute path that a person chose.
    pub path: PathBuf,
    /// What it was when its token was enrolled. Another file is refused. Without it any file is loaded that nobody else can
    /// have written; [`hash_of`] says what is there now.
    pub sha256: Option<ModuleHash>,
    /// What it wants to be initialised with, where it wants something: NSS takes its folder so
    /// (`configdir='sql:/home/…' …`).
    pub init: Option<String>,
}

impl From<PathBuf> for ModuleFile {
    fn from(path: PathBuf) -> Self {
        Self {
            path,
            sha256: None,
            init: None,
        }
    }
}

/// SHA-256 of a module; hex in text.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModuleHash([u8; 32]);

impl ModuleHash {
    fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }

    // As much as a person compares.
    fn first_digits(&self) -> String {
        self.to_string().chars().take(16).collect()
    }
}

impl fmt::Display for ModuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ModuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleHash({self})")
    }
}

impl From<ModuleHash> for String {
    fn from(hash: ModuleHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ModuleHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or("64 hex digits are wanted")
    }
}

/// Why a file is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// A relative path would depend on where the program was started.
    #[error("the PKCS#11 module must be given by its absolute path")]
    Relative,
    /// It cannot be looked at.
    #[error("the PKCS#11 module cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is a folder or a device.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// It, or a folder on the way, belongs to another user.
    #[error("{0} belongs to another user")]
    Foreign(PathBuf),
    /// Everybody may replace it.
    #[error("{0} can be changed by every user")]
    WorldWritable(PathBuf),
    /// No module is so large.
    #[error("{0} is too large to be a PKCS#11 module")]
    TooLarge(PathBuf),
    /// No copy of it can be made in memory.
    #[error(
        "this system does not let the PKCS#11 module be loaded from memory (look at vm.memfd_noexec): {0}"
    )]
    NoCopy(io::Error),
    /// It is another file than the one that was enrolled.
    #[error(
        "{path} is not the PKCS#11 module that was enrolled: its SHA-256 begins with {}, not with {}",
        found.first_digits(),
        expected.first_digits()
    )]
    Changed {
        /// Where it is.
        path: PathBuf,
        /// What it is now.
        found: ModuleHash,
        /// What it was.
        expected: ModuleHash,
    },
}

/// The module's real path, when nobody but root and this user can have put anything there.
///
/// # Errors
/// What speaks against loading it.
pub fn checked(path: &Path) -> Result<PathBuf, ModuleError> {
    if !path.is_absolute() {
        return Err(ModuleError::Relative);
    }
    let real = path.canonicalize().map_err(ModuleError::Unreadable)?;
    for (depth, place) in real.ancestors().enumerate() {
        let metadata = fs::metadata(place).map_err(ModuleError::Unreadable)?;
        if depth == 0 && !metadata.is_file() {
            return Err(ModuleError::NotAFile(real));
        }
        if metadata.uid() != 0 && metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(ModuleError::Foreign(place.into()));
        }
        // In a sticky folder (/tmp) nobody can replace what is another user's.
        let sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
        if metadata.mode() & WRITABLE_BY_ALL != 0 && !sticky {
            return Err(ModuleError::WorldWritable(place.into()));
        }
    }
    Ok(real)
}

/// What the module is now: what an enrolment pins, and what a person accepts who says that it was changed on purpose.
///
/// # Errors
/// As [`checked`].
pub fn hash_of(path: &Path) -> Result<ModuleHash, ModuleError> {
    read(path).map(|bytes| ModuleHash::of(&bytes))
}

fn read(path: &Path) -> Result<Vec<u8>, ModuleError> {
    let real = checked(path)?;
    let file = File::open(&real).map_err(ModuleError::Unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(ModuleError::Unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_BYTES) {
        Ok(bytes)
    } else {
        Err(ModuleError::TooLarge(real))
    }
}

/// A copy of a module in memory that cannot be changed any more: what was hashed is what is loaded, whatever happens to the
/// file meanwhile.
pub(crate) struct Image {
    copy: OwnedFd,
    pub(crate) hash: ModuleHash,
}

impl Image {
    /// Copies the file, and compares.
    pub(crate) fn of(path: &Path, expected: Option<ModuleHash>) -> Result<Self, ModuleError> {
        let bytes = read(path)?;
        let found = ModuleHash::of(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let path = path.into();
            return Err(ModuleError::Changed {
                path,
                found,
                expected,
            });
        }
        let copy = sealed(&bytes).map_err(ModuleError::NoCopy)?;
        Ok(Self { copy, hash: found })
    }

    /// What the dynamic loader opens it by, in this process.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.copy.as_raw_fd()).into()
    }
}

fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 on may be set up to want the second word.
    let copy = memfd_create("pkcs11-module", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("pkcs11-module", flags))?;
    let mut copy = File::from(copy);
    copy.write_all(bytes)?;
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&copy, all)?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_a_private_file_at_an_absolute_path_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("module.so");
        fs::write(&path, b"").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&path, 0o644);
        assert_eq!(checked(&path).unwrap(), path.canonicalize().unwrap());

        let relative = checked(Path::new("module.so"));
        assert!(matches!(relative, Err(ModuleError::Relative)));
        let folder = checked(dir.path());
        assert!(matches!(folder, Err(ModuleError::NotAFile(_))));
        let absent = checked(&dir.path().join("other.so"));
        assert!(matches!(absent, Err(ModuleError::Unreadable(_))));

        mode(&path, 0o646);
        assert!(matches!(checked(&path), Err(ModuleError::WorldWritable(p)) if p == path));
        mode(&path, 0o644);
        mode(dir.path(), 0o777);
        assert!(matches!(checked(&path), Err(ModuleError::WorldWritable(p)) if p == dir.path()));

        let link = dir.path().join("link.so");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(
            checked(&link).is_err(),
            "a link is as good as what it leads to"
        );
    }

    // The hash is that of sha256sum; the image stays what it was when the file changes, and cannot be written.
    #[test]
    fn what_was_hashed_is_what_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("module.so");
        fs::write(&path, b"first").unwrap();
        let output = std::process::Command::new("sha256sum").arg(&path).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let first = hash_of(&path).unwrap();
        assert!(text.starts_with(&format!("{first} ")), "{text}");

        let image = Image::of(&path, Some(first)).unwrap();
        fs::write(&path, b"other").unwrap();
        assert_eq!(fs::read(image.path()).unwrap(), b"first");
        let reopened = File::options().write(true).open(image.path());
        assert!(reopened.and_then(|mut file| file.write_all(b"x")).is_err());

        let refused = Image::of(&path, Some(first)).err().unwrap().to_string();
        for hash in [first, hash_of(&path).unwrap()] {
            assert!(refused.contains(&hash.first_digits()), "{refused}");
        }
    }
}
