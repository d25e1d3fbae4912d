//! Starting the agent when it is not there.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use touchkeep_core::Code;
use touchkeep_wire::Failure;

use crate::{
    blocking,
    connection::{ConnectError, Connection},
    folder,
    paths::Paths,
};

/// How long a fresh agent may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is tried meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// How soon another one is started where the first found an agent that was ending.
const START_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// There is no agent, and none could be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// One is there, but cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The program could not be started.
    #[error("the agent could not be started: {0}")]
    Spawn(#[source] io::Error),
    /// It ended at once.
    #[error("the agent ended at once ({status}); its log is {log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// Where it says why.
        log: String,
    },
    /// It runs, but does not answer.
    #[error("the agent did not answer within {} seconds; its log is {log}", START_TIMEOUT.as_secs())]
    Silent {
        /// Where it says why.
        log: String,
    },
}

impl StartError {
    /// What happened and what to do.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Connect(error) => error.failure(),
            Self::Spawn(_) => Failure::new(
                Code::System,
                format!("{self}."),
                "Check the installation of touchkeep.",
            ),
            Self::Ended { .. } | Self::Silent { .. } => Failure::new(
                Code::Unreachable,
                format!("{self}."),
                "Read the log, or run `touchkeep agent` in a terminal to see why.",
            ),
        }
    }
}

/// Connects to the agent; where none runs, starts `<program> agent --background` and waits for it.
///
/// # Errors
/// When there is none and none could be started.
pub async fn start_on_demand(
    program: &Path,
    paths: &Paths,
    name: &str,
) -> Result<Connection, StartError> {
    let socket = paths.agent_socket();
    match Connection::connect(&socket, name).await {
        Err(ConnectError::NotRunning) => {}
        other => return Ok(other?),
    }
    let mut starting = Starting::new(program, paths)?;
    loop {
        match Connection::connect(&socket, name).await {
            Err(ConnectError::NotRunning) => {}
            other => return Ok(other?),
        }
        starting.goes_on()?;
        tokio::time::sleep(TRY_EVERY).await;
    }
}

/// Starts `<program> agent --background`, and waits until an agent listens; for a process that has no runtime.
///
/// # Errors
/// When none could be started, or what listens is not this user's.
pub fn start_without_runtime(program: &Path, paths: &Paths) -> Result<(), StartError> {
    let socket = paths.agent_socket();
    let mut starting = Starting::new(program, paths)?;
    loop {
        match blocking::connect(&socket) {
            Err(ConnectError::NotRunning) => {}
            other => return Ok(other.map(drop)?),
        }
        starting.goes_on()?;
        thread::sleep(TRY_EVERY);
    }
}

/// An agent on its way.
struct Starting<'a> {
    program: &'a Path,
    paths: &'a Paths,
    child: Child,
    started: Instant,
    deadline: Instant,
}

impl<'a> Starting<'a> {
    fn new(program: &'a Path, paths: &'a Paths) -> Result<Self, StartError> {
        let child = spawn(program, paths)?;
        let started = Instant::now();
        Ok(Self {
            program,
            paths,
            child,
            started,
            deadline: started + START_TIMEOUT,
        })
    }

    // Whether there is something to wait for.
    fn goes_on(&mut self) -> Result<(), StartError> {
        let log = || self.paths.log_file().display().to_string();
        let ended = self.child.try_wait().map_err(StartError::Spawn)?;
        if let Some(status) = ended
            && !status.success()
        {
            return Err(StartError::Ended { status, log: log() });
        }
        if Instant::now() >= self.deadline {
            return Err(StartError::Silent { log: log() });
        }
        // One that found another agent there ends with 0. The other one answers soon, or was ending itself and leaves nobody.
        if ended.is_some() && self.started.elapsed() >= START_AGAIN_AFTER {
            self.child = spawn(self.program, self.paths)?;
            self.started = Instant::now();
        }
        Ok(())
    }
}

// The agent leaves our session by itself (setsid) as its first act: a child cannot be told to from here without `unsafe`.
fn spawn(program: &Path, paths: &Paths) -> Result<Child, StartError> {
    folder::make(&paths.data).map_err(|error| StartError::Connect(error.into()))?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(paths.log_file())
        .map_err(StartError::Spawn)?;
    Command::new(program)
        .args(["agent", "--background"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(StartError::Spawn)
}
