//! Starting the desktop when a question comes up and nobody is there to see it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use touchkeep_client::vault::VAULT_VARIABLE;

/// Which variable names the desktop's program.
const VARIABLE: &str = "TOUCHKEEP_DESKTOP";
/// Its name beside our own program.
const SIBLING: &str = "touchkeep-desktop";
/// It is not started again before this is over: it may still be on its way, or fail each time.
const PAUSE: Duration = Duration::from_secs(60);

/// How to start the desktop; perhaps not at all.
pub(crate) struct Desktop {
    program: Option<PathBuf>,
    last: Mutex<Option<Instant>>,
}

impl Desktop {
    /// No desktop.
    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self {
            program: None,
            last: Mutex::new(None),
        }
    }

    /// The desktop of this session, where there is a display and a program.
    pub(crate) fn find(lookup: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let display = set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY"));
        let program = display.and_then(|_| {
            set(VARIABLE).map(PathBuf::from).or_else(|| {
                let sibling = std::env::current_exe().ok()?.with_file_name(SIBLING);
                sibling.is_file().then_some(sibling)
            })
        });
        Self {
            program,
            last: Mutex::new(None),
        }
    }

    /// What would be started.
    pub(crate) fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// Starts it, unless that was tried a short while ago. Its questions reach it once it has connected.
    pub(crate) fn start(&self) {
        let Some(program) = &self.program else {
            return;
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        *last = Some(Instant::now());
        let started = Command::new(program)
            // Whatever the shell meant that happened to start the agent: what is shown is what the agent has.
            .env_remove(VAULT_VARIABLE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            // Somebody must wait for it, or it stays a zombie.
            Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
            Err(error) => tracing::warn!(%error, "the desktop could not be started"),
        }
    }
}
