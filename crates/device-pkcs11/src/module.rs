//! Which files may be loaded as a module.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;

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
}
