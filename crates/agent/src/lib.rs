//! The one process that opens vaults, talks to devices, signs and notifies.
//!
//! It has no window and no argument but where its things are; it is asked over two sockets ([`touchkeep_client`] speaks to
//! them) and over the loopback proxy, and whatever needs a person goes to front ends as a question. It refuses to run
//! where its memory could be read by other processes of the user, and to listen in a folder that is not the user's alone.
//!
//! Read in this order: `hardening` and `instance` (how it starts), `channel` (who may call what), `prompts` (how a person
//! is asked), `devices` and `consent` (what a person does with the hands), `vault` and `calls`, `proxy` and `ports` (a bot's
//! request on its way), `schedule` (what happens by itself).

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

mod agent;
mod caller;
mod calls;
mod channel;
mod config;
mod consent;
mod deliveries;
mod desktop;
mod devices;
mod failure;
mod frugal;
mod grants;
mod hardening;
mod inherited;
mod instance;
mod logging;
mod method;
mod notify;
mod ports;
mod possible;
mod prompts;
mod proxy;
mod schedule;
mod signing_seat;
mod sockets;
mod state;
mod told;
mod uptime;
mod used_elsewhere;
mod vault;
mod watch;

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::signal::unix::{SignalKind, signal};
use touchkeep_client::{FolderError, Paths, folder};
use touchkeep_locked::WipingAllocator;

pub use calls::audit::{OfflineVerdict, bundle_end, verify_offline};
pub use calls::doctor::{Id as FindingId, alone as diagnose_alone, pcscd_socket};
pub use calls::outline::{count_copy, merge_copies};
pub use config::ConfigError;
pub use state::StateError;

use crate::{
    agent::{Agent, stopped},
    channel::Channel,
    config::Config,
    inherited::Inherited,
    instance::Instance,
    state::State,
};

/// In the agent, and in every program that is built with it, freed memory holds no secrets.
#[global_allocator]
static MEMORY: WipingAllocator = WipingAllocator;

/// Which variable says at which port the proxy listens, before the configuration.
const PROXY_PORT: &str = "TOUCHKEEP_PROXY_PORT";

/// Threads that calls and requests are answered on. What blocks has others.
const WORKERS: usize = 2;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its things are.
    pub paths: Paths,
    /// Started on demand: leave the terminal's session, and end quietly where another agent was faster.
    pub background: bool,
}

/// The agent cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The operating system does not let it protect itself.
    #[error("the operating system does not let the agent protect its memory: {0}")]
    Hardening(#[source] io::Error),
    /// What systemd handed over cannot be used.
    #[error("{0}; look at: systemctl --user cat touchkeep-agent.socket")]
    Inherited(#[source] io::Error),
    /// A folder cannot be trusted.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Another agent runs in this folder.
    #[error("another agent runs already, with its sockets in {}", .0.display())]
    AlreadyRuns(PathBuf),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It cannot listen.
    #[error("cannot listen at {}: {source}", .path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its own state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The system's certificate authorities cannot be read, so that no venue could be trusted.
    #[error(
        "the system's certificate authorities cannot be read (on Debian: apt install ca-certificates): {0}"
    )]
    NoRoots(#[source] io::Error),
    /// Threads or signals are refused.
    #[error("the operating system refused to start the agent: {0}")]
    Start(#[source] io::Error),
}

/// Runs the agent until it is told to stop, by a call or by SIGTERM or SIGINT. Call it before any other thread is started.
///
/// # Errors
/// Why it could not start.
pub fn run(options: &Options) -> Result<(), AgentError> {
    if options.background {
        inherited::let_go();
    }
    // First of all: the descriptors that were handed over are known by their numbers.
    let inherited =
        Inherited::take(&|name| std::env::var_os(name)).map_err(AgentError::Inherited)?;
    hardening::harden().map_err(AgentError::Hardening)?;
    frugal::settle();
    // Before any thread of ours asks the crypto provider for anything.
    touchkeep_locked::keep_keys_apart();
    if options.background {
        // Fails only where we lead a process group already, and then there is nothing to leave.
        let _ = rustix::process::setsid();
    }
    logging::start();
    folder::make(&options.paths.run)?;
    folder::make(&options.paths.data)?;
    let lock = options.paths.lock_file();
    // Who started one in the background starts it again. Sockets that were handed over are answered by nobody until they are served.
    let taken = if options.background || !inherited.is_empty() {
        Instance::take(&lock)
    } else {
        Instance::take_after_another(&lock, &options.paths.agent_socket())
    };
    let Some(instance) = taken.map_err(|source| AgentError::Listen { path: lock, source })? else {
        return if options.background {
            Ok(())
        } else {
            Err(AgentError::AlreadyRuns(options.paths.run.clone()))
        };
    };
    // Of another run folder; held for as long as this one runs.
    let data = Instance::take(&options.paths.data.join("agent.lock"));
    if matches!(data, Ok(None)) {
        tracing::warn!("another agent uses the same data, and what it has begun is left to it");
        vault::is_beside_another();
    }
    let config = Config::read(&options.paths.config)?;
    touchkeep_client::descriptors::check().map_err(AgentError::Start)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(AgentError::Start)?
        .block_on(serve(options.paths.clone(), config, &instance, inherited))
}

/// Serves a PKCS#11 module to the agent over standard input and output: the child that the agent starts as
/// `agent pkcs11-host --module PATH`.
///
/// # Errors
/// When the pipes fail.
pub fn pkcs11_host(module: &Path) -> io::Result<()> {
    touchkeep_device_pkcs11::host::run(module)
}

async fn serve(
    paths: Paths,
    config: Config,
    instance: &Instance,
    mut inherited: Inherited,
) -> Result<(), AgentError> {
    let mut listen = |path: PathBuf| {
        let listener = match inherited.at(&path) {
            Some(handed_over) => tokio::net::UnixListener::from_std(handed_over),
            None => instance.listen(&path),
        };
        listener.map_err(|source| AgentError::Listen { path, source })
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::Start)?;
    // `ui.sock` first: whoever finds `agent.sock` finds the other one too.
    let ui = listen(paths.ui_socket())?;
    let clients = listen(paths.agent_socket())?;
    if !inherited.is_empty() {
        tracing::warn!("systemd listens at another place than the agent, and is not heard there");
    }
    let state = State::open(&paths.data.join("state.sqlite"))?;
    let wanted = std::env::var(PROXY_PORT)
        .ok()
        .and_then(|port| port.parse().ok());
    let wanted = wanted.or(config.proxy_port);
    let (proxy, port) = proxy::listen(wanted, state.proxy_port())
        .await
        .and_then(|proxy| proxy.local_addr().map(|address| (proxy, address.port())))
        .map_err(|source| AgentError::Listen {
            path: format!("127.0.0.1:{}", wanted.unwrap_or(0)).into(),
            source,
        })?;
    state.keep_proxy_port(port)?;
    let agent = Agent::new(paths, config, state).map_err(AgentError::NoRoots)?;
    agent.listens_at(port);
    agent.find_vault();
    let mut stopping = agent.stopping();
    let sockets = [
        tokio::spawn(channel::serve(agent.clone(), ui, Channel::FrontEnds)),
        tokio::spawn(channel::serve(agent.clone(), clients, Channel::Clients)),
        tokio::spawn(proxy::serve(agent.clone(), proxy, port)),
        tokio::spawn(schedule::run(agent.clone())),
        tokio::spawn(watch::run(agent.clone())),
    ];
    tracing::info!(
        pid = std::process::id(),
        version = agent.version(),
        "the agent runs"
    );
    tokio::select! {
        _ = terminate.recv() => agent.stop(),
        _ = interrupt.recv() => agent.stop(),
        () = stopped(&mut stopping) => {}
    }
    agent.lock().await;
    for socket in sockets {
        let _ = socket.await;
    }
    tracing::info!("the agent ends");
    Ok(())
}
