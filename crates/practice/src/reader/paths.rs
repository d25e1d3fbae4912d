//! Where everything of one reader lives.

use super::{EXIT_USAGE, Failure};
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
};

/// A socket's path has 108 bytes with its end mark (unix(7)); pcsc-lite cuts longer ones without a word.
const LONGEST_SOCKET_PATH: usize = 107;
const RUN: &str = "run";
const CONFIGURATION: &str = "reader.conf.d";
const NO_DRIVERS: &str = "no-usb-drivers";

/// The reader's folder, absolute.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    dir: PathBuf,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum PathError {
    #[error("{} is {} bytes long, a socket's path has at most {LONGEST_SOCKET_PATH}: choose a shorter --dir", path.display(), path.as_os_str().len())]
    TooLong { path: PathBuf },
    #[error("{} could not be made ready", path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Failure for PathError {
    fn exit(&self) -> u8 {
        match self {
            Self::TooLong { .. } => EXIT_USAGE,
            Self::Unusable { .. } => 1,
        }
    }
}

impl Paths {
    /// Creates the folder (0700) and what belongs into it.
    pub(super) fn new(dir: &Path) -> Result<Self, PathError> {
        let unusable = |path: &Path, source| PathError::Unusable {
            path: path.to_owned(),
            source,
        };
        let absolute = std::path::absolute(dir).map_err(|source| unusable(dir, source))?;
        // Checked before anything is created.
        Self {
            dir: absolute.clone(),
        }
        .require_short()?;
        let private = |path: &Path| {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|source| unusable(path, source))
        };
        private(&absolute)?;
        let dir = fs::canonicalize(&absolute).map_err(|source| unusable(&absolute, source))?;
        let paths = Self { dir };
        paths.require_short()?;
        private(&paths.run())?;
        private(&paths.configuration())?;
        private(&paths.no_drivers())?;
        Ok(paths)
    }

    fn require_short(&self) -> Result<(), PathError> {
        for path in [self.socket(), self.control()] {
            if path.as_os_str().as_bytes().len() > LONGEST_SOCKET_PATH {
                return Err(PathError::TooLong { path });
            }
        }
        Ok(())
    }

    /// What pcscd sees as /run/pcscd.
    pub(super) fn run(&self) -> PathBuf {
        self.dir.join(RUN)
    }

    /// pcscd's socket, the value of `PCSCLITE_CSOCK_NAME`.
    pub(super) fn socket(&self) -> PathBuf {
        self.run().join("pcscd.comm")
    }

    /// pcscd's own note of its process.
    pub(super) fn pcscd_pid(&self) -> PathBuf {
        self.run().join("pcscd.pid")
    }

    /// The card's control socket.
    pub(super) fn control(&self) -> PathBuf {
        self.dir.join("card.sock")
    }

    /// Held while a reader runs in this folder.
    pub(super) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// What pcscd has to say.
    pub(super) fn pcscd_log(&self) -> PathBuf {
        self.dir.join("pcscd.log")
    }

    /// Folder of reader.conf.
    pub(super) fn configuration(&self) -> PathBuf {
        self.dir.join(CONFIGURATION)
    }

    /// An empty folder in place of pcscd's USB drivers: this pcscd must never open a real reader.
    pub(super) fn no_drivers(&self) -> PathBuf {
        self.dir.join(NO_DRIVERS)
    }
}
