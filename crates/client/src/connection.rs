//! A connection to the agent: checked, greeted, and then any number of calls at a time.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    task::AbortHandle,
};
use touchkeep_core::Code;
use touchkeep_wire::{
    Call, Failure, Hello, MAX_ANSWER_BYTES, MAX_FRAME_BYTES, Message, Notification, PROTOCOL,
    Response, StopAgent, Welcome, rpc::Version2, wiped,
};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    folder::{self, FolderError},
    frames,
    turn::Turn,
    vault,
};

/// How long the agent may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Versions of the language after ours that an agent to be ended is tried in.
const NEWER_TRIED: u32 = 16;
/// News that may wait to be read before the connection stops reading.
const NEWS_WAITING: usize = 256;

/// No connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens there.
    #[error("the agent is not running")]
    NotRunning,
    /// The folder cannot be trusted.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The process behind the socket is another user's.
    #[error("the socket is served by user {uid}, not by you")]
    NotOurs {
        /// Whose it is.
        uid: u32,
    },
    /// The agent speaks another version of the protocol, or does not let us in.
    #[error(transparent)]
    Refused(Failure),
    /// It hung up before it was greeted, for as long as that was tried: it has as many connections as it takes.
    #[error("the agent has as many connections as it takes")]
    Full,
    /// It did not answer, or not in our language.
    #[error("the agent did not answer the greeting")]
    NoGreeting,
    /// The operating system refused.
    #[error("cannot connect to the agent: {0}")]
    Io(#[source] io::Error),
}

impl ConnectError {
    /// What happened and what to do.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::NotRunning => Failure::new(
                Code::Unreachable,
                "The agent is not running.",
                "Start it with: touchkeep agent",
            ),
            Self::Folder(error) => error.failure(),
            Self::NotOurs { .. } => Failure::new(
                Code::NotPermitted,
                format!("{self}."),
                "Somebody else's program answers in your place: find out whose it is before you type a PIN.",
            ),
            Self::Refused(failure) => failure.clone(),
            Self::Full => Failure::new(
                Code::Unreachable,
                "The agent has as many connections as it takes.",
                "Nothing was done. Try again when other commands have ended.",
            ),
            Self::NoGreeting => Failure::new(
                Code::Unreachable,
                format!("{self}."),
                "Stop the agent and start it again: touchkeep agent stop",
            ),
            // The kernel takes 108 bytes (unix(7)).
            Self::Io(error) if error.kind() == io::ErrorKind::InvalidInput => Failure::new(
                Code::System,
                format!("{self}."),
                "The folder of the sockets has too long a path. Name a shorter one: XDG_RUNTIME_DIR, or TOUCHKEEP_HOME for everything.",
            ),
            Self::Io(_) => Failure::new(
                Code::System,
                format!("{self}."),
                "Look at the agent and its runtime folder: touchkeep doctor",
            ),
        }
    }
}

/// A call came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The agent says why.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The agent went away before it answered.
    #[error("the agent went away before it answered")]
    Gone,
    /// The answer cannot be read.
    #[error("the agent's answer cannot be read")]
    Unreadable,
}

impl CallError {
    /// What happened and what to do.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Failed(failure) => failure.clone(),
            Self::Gone => Failure::new(
                Code::Unreachable,
                format!("{self}."),
                "Look at `touchkeep audit list` for what was done before you try again.",
            ),
            Self::Unreadable => Failure::new(
                Code::ProtocolMismatch,
                format!("{self}."),
                "Restart the agent, so that both sides are of one version.",
            ),
        }
    }
}

type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Response>>>>>;

/// A connection. Calls may run side by side; dropping it ends them.
#[derive(Debug)]
pub struct Connection {
    outbox: mpsc::Sender<Zeroizing<Vec<u8>>>,
    waiting: Waiting,
    next_id: AtomicU64,
    welcome: Welcome,
    longest_frame: usize,
    tasks: [AbortHandle; 2],
}

impl Connection {
    /// Connects, checks who answers, and says hello as `name`.
    ///
    /// # Errors
    /// When nobody answers, when it is not this user's agent, or when it is of another version.
    pub async fn connect(socket: &Path, name: &str) -> Result<Self, ConnectError> {
        let opened = Self::open(socket, (name, false), MAX_FRAME_BYTES).await;
        opened.map(|(connection, _)| connection)
    }

    /// The same for a caller that wants nobody waited for: what has to be asked fails where no front end is there.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_unattended(socket: &Path, name: &str) -> Result<Self, ConnectError> {
        let opened = Self::open(socket, (name, true), MAX_FRAME_BYTES).await;
        opened.map(|(connection, _)| connection)
    }

    pub(crate) async fn open(
        socket: &Path,
        caller: (&str, bool),
        longest_frame: usize,
    ) -> Result<(Self, mpsc::Receiver<Notification>), ConnectError> {
        let mut turn = Turn::wait();
        loop {
            match Self::open_now(socket, caller, longest_frame).await {
                Err(ConnectError::Full) => match turn.pause() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(ConnectError::Full),
                },
                opened => return opened,
            }
        }
    }

    async fn open_now(
        socket: &Path,
        (name, unattended): (&str, bool),
        longest_frame: usize,
    ) -> Result<(Self, mpsc::Receiver<Notification>), ConnectError> {
        let stream = checked_stream(socket).await?;
        let (reader, writer) = stream.into_split();
        let (outbox, to_write) = mpsc::channel(16);
        let (news, news_receiver) = mpsc::channel(NEWS_WAITING);
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let tasks = [
            tokio::spawn(write_all(writer, to_write, longest_frame)).abort_handle(),
            tokio::spawn(read_all(reader, Arc::clone(&waiting), news)).abort_handle(),
        ];
        let mut connection = Self {
            outbox,
            waiting,
            next_id: AtomicU64::new(1),
            welcome: Welcome {
                protocol: 0,
                version: String::new(),
                pid: 0,
            },
            longest_frame,
            tasks,
        };
        connection.welcome = connection.greet(name, unattended).await?;
        Ok((connection, news_receiver))
    }

    /// What the agent said of itself.
    #[must_use]
    pub const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Calls the agent. Waits as long as the agent does: a person may have to answer first.
    ///
    /// # Errors
    /// The agent's failure, or that there was no answer.
    pub async fn call<C: Call>(&self, call: C) -> Result<C::Result, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = frame_of(id, &call).map_err(|_| CallError::Unreadable)?;
        drop(call);
        if frame.len() > self.longest_frame {
            return Err(too_long(frame.len(), self.longest_frame));
        }
        let (answer, answered) = oneshot::channel();
        match lock(&self.waiting).as_mut() {
            Some(waiting) => waiting.insert(id, answer),
            None => return Err(CallError::Gone),
        };
        self.outbox.send(frame).await.map_err(|_| CallError::Gone)?;
        let response = answered.await.map_err(|_| CallError::Gone)?;
        parse(response)
    }

    async fn greet(&self, name: &str, unattended: bool) -> Result<Welcome, ConnectError> {
        let hello = Hello {
            protocol: PROTOCOL,
            name: name.to_owned(),
            unattended,
            vault: vault::said(),
        };
        match tokio::time::timeout(HELLO_TIMEOUT, self.call(hello)).await {
            Ok(Ok(welcome)) if welcome.protocol == PROTOCOL => Ok(welcome),
            Ok(Ok(welcome)) => Err(ConnectError::Refused(other_protocol(
                welcome.protocol,
                &welcome.version,
            ))),
            Ok(Err(CallError::Failed(failure))) => Err(ConnectError::Refused(failure)),
            Ok(Err(CallError::Gone)) => Err(ConnectError::Full),
            Ok(Err(_)) | Err(_) => Err(ConnectError::NoGreeting),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The failure for two sides that do not speak the same version.
#[must_use]
pub fn other_protocol(theirs: u32, version: &str) -> Failure {
    Failure::new(
        Code::ProtocolMismatch,
        format!(
            "The other side ({version}) speaks protocol {theirs}, this program speaks {PROTOCOL}."
        ),
        "Stop the agent with `touchkeep agent stop`; the next command starts the installed version.",
    )
}

/// Ends an agent of whatever version: the greeting is tried in its language, and `agent.stop` is the same in all of them.
/// Whether it was heard.
///
/// # Errors
/// When nobody answers, or it is not this user's agent.
pub async fn stop_any(socket: &Path, name: &str) -> Result<bool, ConnectError> {
    let older = (1..=PROTOCOL).rev();
    let newer = (PROTOCOL + 1)..=(PROTOCOL + NEWER_TRIED);
    for protocol in older.chain(newer) {
        let mut stream = checked_stream(socket).await?;
        let hello = Hello {
            protocol,
            name: name.to_owned(),
            unattended: false,
            vault: None,
        };
        let spoken = async {
            if !says_yes(&mut stream, 1, &hello).await? {
                return Ok(false);
            }
            says_yes(&mut stream, 2, &StopAgent {}).await
        };
        match tokio::time::timeout(HELLO_TIMEOUT, spoken).await {
            Ok(Ok(true)) => return Ok(true),
            Ok(Ok(false) | Err(_)) => {}
            Err(_) => return Err(ConnectError::NoGreeting),
        }
    }
    Ok(false)
}

// One call and its answer. A version that ends at once may not answer the last one.
async fn says_yes<C: Call>(stream: &mut UnixStream, id: u64, call: &C) -> io::Result<bool> {
    frames::write(stream, &frame_of(id, call)?).await?;
    match frames::read(stream).await? {
        Some(answer) => Ok(matches!(
            Message::parse(&answer),
            Ok(Message::Response(response)) if response.error.is_none()
        )),
        None => Ok(C::METHOD == StopAgent::METHOD),
    }
}

async fn checked_stream(socket: &Path) -> Result<UnixStream, ConnectError> {
    check_folder(socket)?;
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ConnectError::NotRunning,
            _ => ConnectError::Io(error),
        })?;
    let uid = stream.peer_cred().map_err(ConnectError::Io)?.uid();
    check_owner(uid)?;
    Ok(stream)
}

pub(crate) fn check_folder(socket: &Path) -> Result<(), ConnectError> {
    match socket.parent().map(folder::check) {
        Some(Err(FolderError::Io { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
            Err(ConnectError::NotRunning)
        }
        Some(checked) => Ok(checked.map(drop)?),
        None => Ok(()),
    }
}

pub(crate) fn check_owner(uid: u32) -> Result<(), ConnectError> {
    if uid == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(ConnectError::NotOurs { uid })
    }
}

/// What an answer says; the text that it was in is wiped.
pub(crate) fn parse<T: DeserializeOwned>(response: Response) -> Result<T, CallError> {
    match (response.result, response.error) {
        (Some(result), None) => {
            let parsed = serde_json::from_str(result.get()).map_err(|_| CallError::Unreadable);
            wipe(result);
            parsed
        }
        (None, Some(error)) => Err(CallError::Failed(error.data)),
        _ => Err(CallError::Unreadable),
    }
}

/// A [`touchkeep_wire::Request`] as it is written: the parameters go straight into the frame.
#[derive(Serialize)]
struct Asked<'a, C> {
    jsonrpc: Version2,
    id: u64,
    method: &'static str,
    params: &'a C,
}

// A frame may hold a PIN that a person typed.
pub(crate) fn frame_of<C: Call>(
    id: u64,
    call: &C,
) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    wiped::to_json(&Asked {
        jsonrpc: Version2,
        id,
        method: C::METHOD,
        params: call,
    })
}

/// What is more than one frame holds is not sent, and nobody waits for its answer.
pub(crate) fn too_long(bytes: usize, longest: usize) -> CallError {
    CallError::Failed(Failure::new(
        Code::Invalid,
        format!("The call has {bytes} bytes, and no more than {longest} are sent at once."),
        "Ask for less at a time.",
    ))
}

fn wipe(json: Box<RawValue>) {
    Box::<str>::from(json).into_string().zeroize();
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write_all(
    mut to: OwnedWriteHalf,
    mut frames_to_write: mpsc::Receiver<Zeroizing<Vec<u8>>>,
    longest: usize,
) {
    while let Some(frame) = frames_to_write.recv().await {
        let written = frames::write_up_to(&mut to, &frame, longest).await;
        if written.is_err() {
            return;
        }
    }
}

async fn read_all(mut from: OwnedReadHalf, waiting: Waiting, news: mpsc::Sender<Notification>) {
    while let Ok(Some(frame)) = frames::read_up_to(&mut from, MAX_ANSWER_BYTES).await {
        match Message::parse(&frame) {
            Ok(Message::Response(response)) => {
                let asked = lock(&waiting)
                    .as_mut()
                    .and_then(|waiting| waiting.remove(&response.id));
                if let Some(asked) = asked {
                    // Whoever asked may have given up.
                    let _ = asked.send(response);
                }
            }
            Ok(Message::Notification(notification)) => {
                // Nobody listens on a plain connection: then the news is dropped, not waited for.
                if !news.is_closed() && news.send(notification).await.is_err() {
                    tracing::debug!("news dropped");
                }
            }
            Ok(Message::Request(_)) | Err(_) => break,
        }
    }
    // Whoever still waits learns that the agent is gone.
    *lock(&waiting) = None;
}
