//! A program that is to be started: what it is, what its environment has in addition, and how its end is told.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt,
    process::Command,
};

use rustix::process::WaitStatus;
use touchkeep_core::text::quoted;
use zeroize::Zeroizing;

/// Our own failure, before the program was started.
pub const FAILED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
const SIGNALLED: i32 = 128;

/// A program and its arguments.
#[derive(Debug)]
pub struct Program {
    words: Vec<OsString>,
    changes: Changes,
}

/// What its environment has, beside what it inherits. Values are wiped on drop; the program's own copies are the program's.
#[derive(Default)]
pub struct Changes(Vec<(OsString, Zeroizing<String>)>);

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Signalled(i32),
}

impl Ended {
    /// What a shell would say of it: its own status, or 128 and the signal's number.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Signalled(signal) => u8::try_from(SIGNALLED + signal).unwrap_or(FAILED),
        }
    }

    pub(crate) fn of(status: WaitStatus) -> Option<Self> {
        if let Some(code) = status.exit_status() {
            return Some(Self::Exited(u8::try_from(code & 0xff).unwrap_or(FAILED)));
        }
        status.terminating_signal().map(Self::Signalled)
    }
}

/// The program did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such program.
    #[error("there is no program {}", named(.0))]
    NotFound(OsString),
    /// It is there and cannot be run.
    #[error("{} cannot be run: {source}", named(.program))]
    NotExecutable {
        /// Which.
        program: OsString,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is needed around it could not be made.
    #[error("cannot {what}: {source}")]
    Around {
        /// What was to be done.
        what: &'static str,
        /// Why it was not.
        #[source]
        source: io::Error,
    },
}

fn named(program: &OsStr) -> String {
    quoted(&program.to_string_lossy())
}

impl StartError {
    /// As `env` and `timeout` have it: 127 not found, 126 not executable, 125 for everything of ours.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::NotFound(_) => NOT_FOUND,
            Self::NotExecutable { .. } => NOT_EXECUTABLE,
            Self::Around { .. } => FAILED,
        }
    }

    pub(crate) fn of(program: &OsStr, source: io::Error) -> Self {
        let program = program.to_owned();
        match source.raw_os_error() {
            Some(libc::ENOENT) => Self::NotFound(program),
            // No process, no memory, no descriptor: nothing that the program could help.
            Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => Self::Around {
                what: "start a process",
                source,
            },
            _ => Self::NotExecutable { program, source },
        }
    }

    pub(crate) const fn around(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |source| Self::Around {
            what,
            source: io::Error::from_raw_os_error(source.raw_os_error()),
        }
    }

    pub(crate) const fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Around { what, source }
    }
}

impl Program {
    /// A program with its arguments; none where there is no word.
    #[must_use]
    pub fn new(words: Vec<OsString>) -> Option<Self> {
        (!words.is_empty()).then(|| Self {
            words,
            changes: Changes::default(),
        })
    }

    /// Its environment has this, too.
    pub fn set(&mut self, name: impl Into<OsString>, value: Zeroizing<String>) {
        self.changes.0.push((name.into(), value));
    }

    /// Becomes the program: returns only when that fails.
    #[must_use]
    pub fn exec(&self) -> StartError {
        StartError::of(self.name(), self.command().exec())
    }

    pub(crate) fn name(&self) -> &OsStr {
        self.words
            .first()
            .map(OsString::as_os_str)
            .unwrap_or_default()
    }

    pub(crate) fn words(&self) -> &[OsString] {
        &self.words
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.name());
        command.args(self.words.get(1..).unwrap_or_default());
        self.add_environment(&mut command);
        command
    }

    pub(crate) fn add_environment(&self, command: &mut Command) {
        for (name, value) in &self.changes.0 {
            // EXPOSE: to the environment of the program that the person named, and of nothing else.
            command.env(name, value.as_str());
        }
    }
}
