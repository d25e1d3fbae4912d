//! The agent's side of the pipes: starts the child, asks with a deadline, and starts another when it is gone.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use touchkeep_device::DeviceError;
use zeroize::Zeroizing;

use crate::{
    module,
    wire::{self, Failure, Frame, Reply, Request, Tries},
};

/// How long a module may take to load and find its tokens.
const LOADING: Duration = Duration::from_secs(20);
/// How long it may take for anything else.
const ANSWERING: Duration = Duration::from_secs(5);
/// How long it may take to make a key.
const GENERATING: Duration = Duration::from_secs(60);
/// How long it may take to end by itself.
const ENDING: Duration = Duration::from_millis(500);

/// How to start the child: a program that calls [`crate::host::run`]. `--module PATH` is appended.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// What comes before `--module`.
    pub args: Vec<OsString>,
    /// Set for the child alone, beside what it inherits.
    pub env: Vec<(OsString, OsString)>,
}

/// The way to a module.
pub(crate) struct Host {
    launch: Launch,
    module: PathBuf,
    running: Option<Running>,
}

impl Host {
    pub(crate) const fn new(launch: Launch, module: PathBuf) -> Self {
        Self {
            launch,
            module,
            running: None,
        }
    }

    /// Asks once. A child that does not answer is ended, and the next question starts another.
    pub(crate) fn ask(
        &mut self,
        question: &Request,
        secret: &[u8],
        body: &[u8],
    ) -> Result<(Reply, Zeroizing<Vec<u8>>), DeviceError> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let deadline = match question {
            Request::Generate(_) => GENERATING,
            _ => ANSWERING,
        };
        let answer = running.ask(question, secret, body, deadline)?;
        self.running = Some(running);
        let reply = serde_json::from_slice(&answer.head)
            .map_err(|error| DeviceError::Middleware(error.to_string()))?;
        match reply {
            Reply::Failed(failure) => Err(explained(failure)),
            reply => Ok((reply, answer.body)),
        }
    }

    fn start(&self) -> Result<Running, DeviceError> {
        let module = module::checked(&self.module)
            .map_err(|error| DeviceError::Middleware(error.to_string()))?;
        let mut child = Command::new(&self.launch.program)
            .args(&self.launch.args)
            .arg("--module")
            .arg(module)
            .envs(self.launch.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| broken(&format!("did not start: {error}")))?;
        let (Some(stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(broken("has no pipes"));
        };
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            while let Some(answer) = Frame::read(&mut stdout).transpose() {
                let broken = answer.is_err();
                if sender.send(answer).is_err() || broken {
                    break;
                }
            }
        });
        let mut running = Running {
            child,
            stdin: Some(stdin),
            answers,
        };
        // Loading is slow with some modules; after it every answer is quick.
        running.ask(&Request::Tokens, &[], &[], LOADING)?;
        Ok(running)
    }
}

struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: mpsc::Receiver<io::Result<Frame>>,
}

impl Running {
    fn ask(
        &mut self,
        question: &Request,
        secret: &[u8],
        body: &[u8],
        deadline: Duration,
    ) -> Result<Frame, DeviceError> {
        let stdin = self.stdin.as_mut().ok_or_else(|| broken("is gone"))?;
        wire::write(stdin, question, secret, body).map_err(|_| broken("ended"))?;
        match self.answers.recv_timeout(deadline) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(broken("answered nonsense")),
            Err(RecvTimeoutError::Disconnected) => Err(broken("ended")),
            Err(RecvTimeoutError::Timeout) => Err(broken("did not answer in time")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // The end of its output is the end of the child; one that stays is made to go.
        let _ = self.answers.recv_timeout(ENDING);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(how: &str) -> DeviceError {
    DeviceError::Middleware(format!("the process of the PKCS#11 module {how}"))
}

fn explained(failure: Failure) -> DeviceError {
    match failure {
        Failure::NoToken => DeviceError::Removed,
        Failure::NoKey => DeviceError::Unexpected("that the key is gone".into()),
        Failure::WrongPin(Tries::Some) => DeviceError::WrongPinUncounted,
        Failure::WrongPin(Tries::Last) => DeviceError::WrongPin { tries_left: 1 },
        Failure::WrongPin(Tries::Locked) => DeviceError::WrongPin { tries_left: 0 },
        Failure::PinLocked => DeviceError::PinBlocked,
        Failure::LastTry => DeviceError::LastTry,
        Failure::Unsupported(what) => DeviceError::Unsupported(what),
        Failure::Module(what) => DeviceError::Middleware(what),
        Failure::Unexpected(what) => DeviceError::Unexpected(what),
    }
}
