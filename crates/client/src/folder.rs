//! A folder that is this user's alone: made so where it is missing, refused where it is somebody else's or a link.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use touchkeep_core::Code;
use touchkeep_wire::Failure;

/// A folder cannot be trusted with a socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A link could lead anywhere, and elsewhere a moment later.
    #[error("{} is a symbolic link or no folder", .0.display())]
    NotAFolder(PathBuf),
    /// Whoever owns it can replace the sockets in it.
    #[error("{} belongs to user {uid}, not to you", .path.display())]
    NotOurs {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Others may look or write into it.
    #[error("{} is open to other users (mode {mode:o})", .path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FolderError {
    /// What happened and what to do.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let fix = match self {
            Self::NotAFolder(path) | Self::NotOurs { path, .. } => {
                format!("Look at who made {}, and remove it.", path.display())
            }
            Self::Open { path, .. } => format!("Run: chmod 700 {}", path.display()),
            Self::Io { .. } => "Check the permissions and the space of that folder.".to_owned(),
        };
        Failure::new(Code::System, format!("{self}."), fix)
    }
}

/// Makes the folder, 0700, with the folders above it; or checks it where it is there.
///
/// # Errors
/// When it is not a folder of this user's alone.
pub fn make(path: &Path) -> Result<(), FolderError> {
    let io = |source| FolderError::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(io)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    check(path)
}

/// Checks that the folder is there and is this user's alone.
///
/// # Errors
/// When it is not.
pub fn check(path: &Path) -> Result<(), FolderError> {
    let meta = fs::symlink_metadata(path).map_err(|source| FolderError::Io {
        path: path.to_owned(),
        source,
    })?;
    if !meta.is_dir() {
        return Err(FolderError::NotAFolder(path.to_owned()));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(FolderError::NotOurs {
            path: path.to_owned(),
            uid: meta.uid(),
        });
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        make(&path).unwrap();
        make(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn links_open_folders_and_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link, file) = (
            dir.path().join("real"),
            dir.path().join("link"),
            dir.path().join("file"),
        );
        make(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        fs::write(&file, "").unwrap();
        assert!(matches!(make(&link), Err(FolderError::NotAFolder(_))));
        assert!(matches!(make(&file), Err(FolderError::NotAFolder(_))));
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(
            make(&real),
            Err(FolderError::Open { mode: 0o755, .. })
        ));
    }
}
