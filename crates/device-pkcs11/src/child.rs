//! The agent's side of the pipes: starts the child, asks with a deadline, and starts another when it is gone.

use std::{
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use touchkeep_device::DeviceError;
use zeroize::Zeroizing;

use crate::{
    confine,
    module::{self, ModuleFile, ModuleHash},
    pipe::Pipe,
    wire::{self, Failure, Frame, How, Load, Reply, Request, Tries, Use},
};

/// How long a module may take to load and find its tokens.
const LOADING: Duration = Duration::from_secs(20);
/// How long it may take for anything else.
const ANSWERING: Duration = Duration::from_secs(5);
/// How long it may take to make a key, or a person to type a PIN at the token.
const WAITING: Duration = Duration::from_secs(60);
/// How long it may take to end by itself.
const ENDING: Duration = Duration::from_millis(500);

/// How to start the child: a program that calls [`crate::host::run`]. `--module PATH` is appended.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// What comes before `--module`.
    pub args: Vec<OsString>,
    /// Set for the child alone, beside the little that it gets of our own environment.
    pub env: Vec<(OsString, OsString)>,
}

/// The way to a module.
pub(crate) struct Host {
    launch: Launch,
    module: ModuleFile,
    loaded: Option<ModuleHash>,
    running: Option<Running>,
}

impl Host {
    pub(crate) const fn new(launch: Launch, module: ModuleFile) -> Self {
        Self {
            launch,
            module,
            loaded: None,
            running: None,
        }
    }

    /// The way to the same module by another child, which loads what this one's did.
    pub(crate) fn again(&self) -> Self {
        let module = ModuleFile {
            sha256: self.module.sha256.or(self.loaded),
            ..self.module.clone()
        };
        Self::new(self.launch.clone(), module)
    }

    /// Whether a child answers already.
    pub(crate) fn is_running(&mut self) -> bool {
        self.running = self.running.take().and_then(Running::alive);
        self.running.is_some()
    }

    /// Ends the child; the next question starts another.
    pub(crate) fn end(&mut self) {
        self.running = None;
    }

    /// What was loaded.
    pub(crate) const fn loaded(&self) -> Option<ModuleHash> {
        self.loaded
    }

    /// Asks once. A child that does not answer is ended, and the next question starts another.
    pub(crate) fn ask(
        &mut self,
        question: &Request,
        secret: &[u8],
        body: &[u8],
    ) -> Result<(Reply, Zeroizing<Vec<u8>>), DeviceError> {
        let mut running = match self.running.take().and_then(Running::alive) {
            Some(running) => running,
            None => self.start()?,
        };
        let answer = running.ask(question, secret, body, patience(question))?;
        self.running = Some(running);
        answered(&answer.head).map(|reply| (reply, answer.body))
    }

    fn start(&mut self) -> Result<Running, DeviceError> {
        let path = module::checked(&self.module.path)
            .map_err(|error| DeviceError::Middleware(error.to_string()))?;
        let mut running = Running::start(self.command(&path))?;
        let load = Request::Load(Load {
            // Another child of this device loads what the first did.
            sha256: self.module.sha256.or(self.loaded),
            init: self.module.init.clone(),
        });
        let answer = running.ask(&load, &[], &[], LOADING)?;
        let Reply::Loaded(hash) = answered(&answer.head)? else {
            return Err(broken("answered something else"));
        };
        self.loaded = Some(hash);
        // Looking for tokens is slow with some modules; after it every answer is quick.
        running.ask(&Request::Tokens, &[], &[], LOADING)?;
        Ok(running)
    }

    fn command(&self, module: &Path) -> Command {
        let mut command = Command::new(&self.launch.program);
        command
            .args(&self.launch.args)
            .arg("--module")
            .arg(module)
            .env_clear()
            .envs(confine::environment())
            .envs(self.launch.env.iter().cloned())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }
}

const fn patience(question: &Request) -> Duration {
    match question {
        Request::Generate(_) => WAITING,
        Request::Login(_, login, _)
        | Request::Agree(Use { login, .. })
        | Request::Decrypt(Use { login, .. })
        | Request::Sign(Use { login, .. })
            if matches!(login.how, How::Pad) =>
        {
            WAITING
        }
        _ => ANSWERING,
    }
}

struct Running {
    child: Child,
    // Whoever asks waits for the answer himself: to be woken by another thread takes as long as some signatures.
    questions: Option<Pipe>,
    answers: Pipe,
    _starter: mpsc::Sender<()>,
}

impl Running {
    // The child ends with the thread that started it, so that one stays until it is dropped.
    fn start(mut command: Command) -> Result<Self, DeviceError> {
        let (starter, end) = mpsc::channel::<()>();
        let (started, child) = mpsc::channel();
        thread::spawn(move || {
            if started.send(command.spawn()).is_ok() {
                // Nothing is ever sent.
                let _ = end.recv();
            }
        });
        let did_not_start = |error: io::Error| broken(&format!("did not start: {error}"));
        let child = child.recv().map_err(|_| broken("did not start"))?;
        let mut child = child.map_err(did_not_start)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let pipe = |end: Option<OwnedFd>| {
            let end = end.ok_or_else(|| broken("has no pipe"))?;
            Pipe::new(end).map_err(did_not_start)
        };
        Ok(Self {
            questions: Some(pipe(stdin.map(Into::into))?),
            answers: pipe(stdout.map(Into::into))?,
            child,
            _starter: starter,
        })
    }

    // One that ended by itself while nobody asked is no error of the next question.
    fn alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    fn ask(
        &mut self,
        question: &Request,
        secret: &[u8],
        body: &[u8],
        deadline: Duration,
    ) -> Result<Frame, DeviceError> {
        let until = Instant::now() + deadline;
        let questions = self.questions.as_mut().ok_or_else(|| broken("is gone"))?;
        questions.until(until);
        self.answers.until(until);
        wire::write(questions, question, secret, body).map_err(|error| unanswered(&error))?;
        let answer = Frame::read(&mut self.answers).map_err(|error| unanswered(&error))?;
        answer.ok_or_else(|| broken("ended"))
    }
}

fn unanswered(error: &io::Error) -> DeviceError {
    broken(match error.kind() {
        io::ErrorKind::TimedOut => "did not answer in time",
        io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => "ended",
        _ => "answered nonsense",
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.questions.take());
        // The end of its output is the end of the child; one that stays is made to go.
        self.answers.until(Instant::now() + ENDING);
        let _ = io::copy(&mut self.answers, &mut io::sink());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(how: &str) -> DeviceError {
    DeviceError::Middleware(format!("the process of the PKCS#11 module {how}"))
}

fn answered(head: &[u8]) -> Result<Reply, DeviceError> {
    let reply = serde_json::from_slice(head);
    match reply.map_err(|error| DeviceError::Middleware(error.to_string()))? {
        Reply::Failed(failure) => Err(explained(failure)),
        reply => Ok(reply),
    }
}

fn explained(failure: Failure) -> DeviceError {
    match failure {
        Failure::NoToken => DeviceError::Removed,
        Failure::NoKey => DeviceError::Unexpected("that the key is gone".into()),
        Failure::OtherKey => {
            DeviceError::Unexpected("with another key in the place of this one".into())
        }
        Failure::NotLoggedIn => DeviceError::NeedsSecret,
        Failure::NotOpened => DeviceError::NotForThisKey,
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
