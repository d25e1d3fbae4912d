//! The practice venue: a local exchange that speaks as Binance, Kraken and Coinbase do and checks what the real ones check.
//!
//! It is in memory, on loopback, and has one customer with one set of books for all dialects. Read in this order:
//! `exchange` (what the dialects share), then of a dialect `mod` (what is checked before anything is done), `endpoints` (what
//! there is) and how it signs; the books (`account`, `market`, `order`, `book`, `withdrawals`), `keys` and `credential`;
//! `server` and `socket`; and last `control` (the venue's web site), `record` and `faults`. `docs/practice-venue.md` is for those who
//! use it.

mod account;
mod addresses;
mod binance;
mod body;
mod book;
mod calendar;
mod coinbase;
mod coins;
mod control;
mod credential;
mod exchange;
mod faults;
mod form;
mod keys;
mod kraken;
mod market;
mod members;
mod order;
mod record;
mod request;
mod server;
mod socket;
mod tally;
mod withdrawals;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use exchange::Exchange;
use record::Record;
use server::{Port, serve};

/// Where the practice venue listens, and where its record goes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address of the exchange's API; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address of the venue's web site (keys, record, faults); port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// Folder to which every request is written, in record.jsonl
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Why the practice venue does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum VenueError {
    #[error(
        "{0} is not an address of this machine alone: the practice venue gives keys to anyone who asks"
    )]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot write record.jsonl in {}", folder.display())]
    Record {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot tie the venue's life to its parent's")]
    Parent(#[source] rustix::io::Errno),
    #[error("the parent has already ended")]
    Orphan,
    #[error("cannot start the runtime or wait for signals")]
    Runtime(#[source] io::Error),
    #[error("cannot tell where the venue listens")]
    Ready(#[source] io::Error),
}

/// Serves the practice venue until its parent ends or it is asked to stop.
pub(crate) fn run(args: Args) -> ExitCode {
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let because = std::error::Error::source(&error).map(|source| format!(": {source}"));
            let _ = writeln!(
                io::stderr(),
                "error: {error}{}",
                because.unwrap_or_default()
            );
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> Result<(), VenueError> {
    end_with_parent()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(VenueError::Runtime)?;
    runtime.block_on(listen(args))
}

async fn listen(args: &Args) -> Result<(), VenueError> {
    let mut terminated = signal(SignalKind::terminate()).map_err(VenueError::Runtime)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(VenueError::Runtime)?;
    let record = match &args.dir {
        None => Record::default(),
        Some(folder) => Record::in_folder(folder).map_err(|source| VenueError::Record {
            folder: folder.clone(),
            source,
        })?,
    };
    let exchange = Arc::new(Mutex::new(Exchange::recording(record)));
    let (api, url) = bind(args.listen).await?;
    let (site, control) = bind(args.control).await?;
    say_ready(&url, &control).map_err(VenueError::Ready)?;
    tokio::select! {
        never = serve(api, Arc::clone(&exchange), Port::Exchange) => match never {},
        never = serve(site, exchange, Port::Control) => match never {},
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, String), VenueError> {
    if !address.ip().is_loopback() {
        return Err(VenueError::NotLoopback(address));
    }
    let failed = |source| VenueError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{bound}")))
}

fn say_ready(url: &str, control: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let line = json!({ "ready": true, "url": url, "control": control });
    writeln!(out, "{line}")?;
    out.flush()
}

fn end_with_parent() -> Result<(), VenueError> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(VenueError::Parent)?;
    // A parent that ended before the call above sends no signal any more.
    if getppid() == parent {
        Ok(())
    } else {
        Err(VenueError::Orphan)
    }
}
