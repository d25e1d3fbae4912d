//! Inside the namespaces: starts pcscd, connects the cards, says when all of it is really there.

use super::{
    Args, Failure, Touch,
    control::{Control, Target},
    ending::Ending,
    link::Slot,
    namespace::{self, EnterError},
    needs::{NotHere, Tools},
    parent,
    paths::{PathError, Paths},
    pcscd::{Event, Pcscd},
    presence::Place,
    terminal,
};
use crate::card::{Button, Card, Memory, StateError, StateFile};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

/// Why the reader did not start, or why it ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum RigError {
    #[error(transparent)]
    NotHere(#[from] NotHere),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Enter(#[from] EnterError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("PIN and PUK have six to eight characters")]
    BadPin,
    #[error("another practice reader runs in this folder already")]
    InUse,
    #[error("--touch terminal needs a terminal")]
    NoTerminal(#[source] io::Error),
    #[error("{} could not be used", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("signals and the process that started the reader could not be watched")]
    Watch(#[source] io::Error),
    #[error("pcscd could not be started")]
    NoPcscd(#[source] io::Error),
    #[error("pcscd ended ({status}); it said why in {}", log.display())]
    PcscdEnded { status: ExitStatus, log: PathBuf },
    #[error("pcscd did not report the card in time; what it said is in {}", log.display())]
    NoCard { log: PathBuf },
    #[error("the ready line could not be written")]
    Output(#[source] io::Error),
}

impl Failure for RigError {
    fn exit(&self) -> u8 {
        match self {
            Self::NotHere(why) => why.exit(),
            Self::Path(why) => why.exit(),
            Self::Enter(why) => why.exit(),
            Self::BadPin | Self::NoTerminal(_) => super::EXIT_USAGE,
            _ => 1,
        }
    }
}

/// Runs the reader until it is told to stop or its parent is gone, which is no error.
pub(super) fn run(args: &Args, dir: &Path, parent: i32) -> Result<(), RigError> {
    let (wake, events) = channel();
    let ending = Ending::on_signals(wake.clone()).map_err(RigError::Watch)?;
    parent::end_with(parent, Arc::clone(&ending)).map_err(RigError::Watch)?;
    let paths = Paths::new(dir)?;
    let lock = paths.lock();
    let _held = hold(&lock).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => RigError::InUse,
        _ => RigError::File { path: lock, source },
    })?;
    let result = serve(args, &paths, &ending, wake, &events);
    for socket in [paths.socket(), paths.pcscd_pid(), paths.control()] {
        remove(&socket)?;
    }
    if ending.is_wanted() { Ok(()) } else { result }
}

fn serve(
    args: &Args,
    paths: &Paths,
    ending: &Ending,
    wake: Sender<Event>,
    events: &Receiver<Event>,
) -> Result<(), RigError> {
    let tools = Tools::find()?;
    namespace::prepare(&tools, paths)?;
    remove(&paths.pcscd_log())?;
    let mut cards = vec![card(args, Place::First, args.serial, args.state.clone())?];
    if let Some(serial) = args.second {
        cards.push(card(args, Place::Second, serial, args.second_state())?);
    }
    let targets: Vec<_> = cards.iter().map(Inserted::target).collect();
    let slots = cards.iter().map(|card| Arc::clone(&card.slot)).collect();
    let mut pcscd = Pcscd::new(&tools, paths, ending, slots, wake.clone());
    for mut inserted in cards {
        thread::spawn(move || inserted.slot.serve(&mut inserted.card));
    }
    let ready = Ready::new(paths, &targets);
    let path = paths.control();
    Control::new(targets, wake)
        .listen(&path)
        .map_err(|source| RigError::File { path, source })?;
    pcscd.start()?;
    announce(&ready).map_err(RigError::Output)?;
    pcscd.serve(events)
}

/// A card and the slot that it is in.
struct Inserted {
    card: Card,
    slot: Arc<Slot>,
    button: Arc<Button>,
}

impl Inserted {
    fn target(&self) -> Target {
        Target {
            button: Arc::clone(&self.button),
            slot: Arc::clone(&self.slot),
            ledger: self.card.ledger(),
            serial: self.card.serial(),
        }
    }
}

fn hold(path: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn card(
    args: &Args,
    place: Place,
    serial: u32,
    state: Option<PathBuf>,
) -> Result<Inserted, RigError> {
    let fresh = Memory::new(serial, args.firmware, &args.pin, &args.puk).ok_or(RigError::BadPin)?;
    let (file, memory) = match &state {
        Some(path) => StateFile::open(path, fresh).map(|(file, memory)| (Some(file), memory))?,
        None => (None, fresh),
    };
    let button = Arc::new(if args.touch == Touch::Auto {
        Button::held()
    } else {
        Button::default()
    });
    if args.touch == Touch::Terminal {
        terminal::take_touches(Arc::clone(&button), place).map_err(RigError::NoTerminal)?;
    }
    Ok(Inserted {
        card: Card::new(memory, file, Arc::clone(&button), args.times()),
        slot: Arc::new(Slot::new(place, Arc::clone(&button))),
        button,
    })
}

pub(super) fn remove(path: &Path) -> Result<(), RigError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RigError::File {
            path: path.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    pcsclite_csock_name: PathBuf,
    control: PathBuf,
    serial: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_serial: Option<u32>,
}

impl Ready {
    fn new(paths: &Paths, targets: &[Target]) -> Self {
        let serial = |n: usize| targets.get(n).map(|target| target.serial);
        Self {
            ready: true,
            pcsclite_csock_name: paths.socket(),
            control: paths.control(),
            serial: serial(0),
            second_serial: serial(1),
        }
    }
}

fn announce(ready: &Ready) -> io::Result<()> {
    let line = serde_json::to_string(ready)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
