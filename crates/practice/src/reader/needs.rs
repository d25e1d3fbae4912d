//! What has to be installed, each with the package that brings it.

use super::{EXIT_NOT_HERE, Failure};
use std::{
    env,
    path::{Path, PathBuf},
};

/// Where Debian puts the virtual reader's driver.
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// Not in everybody's PATH.
const ADMINISTRATION: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) pcscd: PathBuf,
    pub(super) driver: PathBuf,
    pub(super) unshare: PathBuf,
    pub(super) setpriv: PathBuf,
    pub(super) mount: PathBuf,
    pub(super) ip: PathBuf,
}

/// Why no practice reader can be started here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum NotHere {
    #[error("a practice reader needs {what}: apt install {package}")]
    Missing { what: String, package: &'static str },
    #[error(
        "a practice reader needs a network and a mount namespace, and this system allows neither root nor you to make them: {said}"
    )]
    NoNamespace { said: String },
}

impl Failure for NotHere {
    fn exit(&self) -> u8 {
        EXIT_NOT_HERE
    }
}

impl Tools {
    /// Finds everything, or names the first thing that is missing.
    pub(super) fn find() -> Result<Self, NotHere> {
        Ok(Self {
            pcscd: program("pcscd", "pcscd")?,
            driver: driver()?,
            unshare: program("unshare", "util-linux")?,
            setpriv: program("setpriv", "util-linux")?,
            mount: program("mount", "mount")?,
            ip: program("ip", "iproute2")?,
        })
    }
}

fn program(name: &str, package: &'static str) -> Result<PathBuf, NotHere> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(ADMINISTRATION.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| NotHere::Missing {
            what: name.to_owned(),
            package,
        })
}

fn driver() -> Result<PathBuf, NotHere> {
    let path = Path::new(DRIVER);
    if path.exists() {
        return Ok(path.to_owned());
    }
    Err(NotHere::Missing {
        what: format!("the virtual smart card reader ({DRIVER})"),
        package: "vsmartcard-vpcd",
    })
}
