//! The way inside: the command replaces itself by `unshare`, which replaces itself by the command again, now in a
//! network and a mount namespace of its own. The process stays the same one, so whoever started it can end it.

use super::{
    Failure,
    needs::{NotHere, Tools},
    paths::Paths,
};
use std::{
    convert::Infallible,
    env, fmt, fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Where pcscd keeps its socket; compiled into it.
const RUN_PCSCD: &str = "/run/pcscd";

/// How the namespaces can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privilege {
    /// As the superuser.
    Root,
    /// In a user namespace.
    User,
}

/// Why the command could not get inside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum EnterError {
    #[error(transparent)]
    NotHere(#[from] NotHere),
    #[error("the command could not start itself again in its namespaces")]
    Restart(#[source] io::Error),
    #[error(
        "{} is needed and only root can create it: sudo mkdir {}, or choose a --dir outside of /run",
        RUN_PCSCD,
        RUN_PCSCD
    )]
    NoRunFolder,
    #[error("`{program}` failed: {said}")]
    Step { program: String, said: String },
    #[error("`{program}` could not be started")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
}

impl Failure for EnterError {
    fn exit(&self) -> u8 {
        match self {
            Self::NotHere(why) => why.exit(),
            Self::NoRunFolder => super::EXIT_NOT_HERE,
            Self::Restart(_) | Self::Step { .. } | Self::Start { .. } => 1,
        }
    }
}

impl Privilege {
    /// Tries what works here, by making namespaces for a program that does nothing.
    pub(super) fn probe(tools: &Tools) -> Result<Self, NotHere> {
        let attempt = |privilege: Self| -> Result<Self, String> {
            let output = privilege
                .unshare(tools)
                .arg("true")
                .output()
                .map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if output.status.success() {
                Ok(privilege)
            } else {
                Err(said)
            }
        };
        attempt(Self::Root)
            .or_else(|_| attempt(Self::User))
            .map_err(|said| NotHere::NoNamespace { said })
    }

    fn unshare(self, tools: &Tools) -> Command {
        let mut command = Command::new(&tools.unshare);
        if self == Self::User {
            command.arg("--map-root-user");
        }
        command.args(["--net", "--mount", "--propagation", "private", "--"]);
        command
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "as root",
            Self::User => "in a user namespace",
        })
    }
}

/// Starts this command again inside. Returns only if that failed.
pub(super) fn enter(paths: &Paths) -> Result<Infallible, EnterError> {
    let tools = Tools::find()?;
    let privilege = Privilege::probe(&tools)?;
    let parent = rustix::process::Pid::as_raw(rustix::process::getppid());
    let error = privilege
        .unshare(&tools)
        .arg(env::current_exe().map_err(EnterError::Restart)?)
        .args(env::args_os().skip(1))
        .arg(format!("--inside={parent}"))
        // pcsc-lite reads it once; the process inside uses it to see its own card.
        .env("PCSCLITE_CSOCK_NAME", paths.socket())
        .exec();
    Err(EnterError::Restart(error))
}

/// Inside: gives pcscd its private folder and the namespace its loopback device.
pub(super) fn prepare(tools: &Tools, paths: &Paths) -> Result<(), EnterError> {
    let target = Path::new(RUN_PCSCD);
    if !target.is_dir() && fs::create_dir_all(target).is_err() {
        cover_run(tools, paths)?;
    }
    step(
        Command::new(&tools.mount)
            .arg("--bind")
            .arg(paths.run())
            .arg(target),
    )?;
    step(Command::new(&tools.ip).args(["link", "set", "lo", "up"]))
}

/// Without root nobody can create a folder in /run; inside the namespace an empty /run of our own can be put over it.
fn cover_run(tools: &Tools, paths: &Paths) -> Result<(), EnterError> {
    if paths.run().starts_with("/run") {
        return Err(EnterError::NoRunFolder);
    }
    step(Command::new(&tools.mount).args(["-t", "tmpfs", "tmpfs", "/run"]))?;
    fs::create_dir_all(RUN_PCSCD).map_err(|_| EnterError::NoRunFolder)
}

fn step(command: &mut Command) -> Result<(), EnterError> {
    let program = PathBuf::from(command.get_program()).display().to_string();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(EnterError::Step {
            program,
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
        Err(source) => Err(EnterError::Start { program, source }),
    }
}
