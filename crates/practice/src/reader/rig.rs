//! Inside the namespaces: starts pcscd, connects the card, says when both are really there.

use super::{
    Args, Failure, Touch,
    control::Control,
    ending::Ending,
    link::Slot,
    namespace::{self, EnterError},
    needs::{NotHere, Tools},
    parent,
    paths::{PathError, Paths},
    presence, terminal,
};
use crate::card::{Button, Card, Memory, StateError, StateFile};
use rustix::{
    fs::{FlockOperation, flock},
    process::Pid,
};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// How the reader is called: what programs that look for a YubiKey by name expect.
const READER_NAME: &str = "Yubico YubiKey OTP+FIDO+CCID";
/// How long pcscd may take to report the card.
const START_PATIENCE: Duration = Duration::from_secs(30);

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
    let ending = Ending::on_signals().map_err(RigError::Watch)?;
    parent::end_with(parent, Arc::clone(&ending)).map_err(RigError::Watch)?;
    let paths = Paths::new(dir)?;
    let lock = paths.lock();
    let _held = hold(&lock).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => RigError::InUse,
        _ => RigError::File { path: lock, source },
    })?;
    let result = serve(args, &paths, &ending);
    for socket in [paths.socket(), paths.pcscd_pid(), paths.control()] {
        remove(&socket)?;
    }
    if ending.is_wanted() { Ok(()) } else { result }
}

fn serve(args: &Args, paths: &Paths, ending: &Ending) -> Result<(), RigError> {
    let tools = Tools::find()?;
    namespace::prepare(&tools, paths)?;
    let (card, button) = card(args)?;
    let mut pcscd = start_pcscd(&tools, paths)?;
    ending
        .with_pcscd(Pid::from_child(&pcscd))
        .map_err(RigError::Watch)?;
    let serial = card.serial();
    start_card(card, button, paths)?;
    wait_until_ready(&mut pcscd, paths)?;
    announce(paths, serial).map_err(RigError::Output)?;
    let status = pcscd.wait().map_err(RigError::NoPcscd)?;
    Err(RigError::PcscdEnded {
        status,
        log: paths.pcscd_log(),
    })
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

fn card(args: &Args) -> Result<(Card, Arc<Button>), RigError> {
    let fresh =
        Memory::new(args.serial, args.firmware, &args.pin, &args.puk).ok_or(RigError::BadPin)?;
    let (file, memory) = match &args.state {
        Some(path) => StateFile::open(path, fresh).map(|(file, memory)| (Some(file), memory))?,
        None => (None, fresh),
    };
    let button = Arc::new(if args.touch == Touch::Auto {
        Button::held()
    } else {
        Button::default()
    });
    if args.touch == Touch::Terminal {
        terminal::take_touches(Arc::clone(&button)).map_err(RigError::NoTerminal)?;
    }
    Ok((
        Card::new(memory, file, Arc::clone(&button), args.times()),
        button,
    ))
}

/// Starts pcscd as our child. The kernel kills it when this thread ends, and this is the main thread: whatever ends
/// this process, pcscd goes too.
fn start_pcscd(tools: &Tools, paths: &Paths) -> Result<Child, RigError> {
    for leftover in [paths.socket(), paths.pcscd_pid()] {
        remove(&leftover)?;
    }
    let configuration = paths.configuration().join("reader.conf");
    let text = format!(
        "FRIENDLYNAME \"{READER_NAME}\"\nDEVICENAME /dev/null:0x8C7B\nLIBPATH {}\nCHANNELID 0x8C7B\n",
        tools.driver.display()
    );
    fs::write(&configuration, text).map_err(|source| RigError::File {
        path: configuration,
        source,
    })?;
    let log = paths.pcscd_log();
    let output = File::create(&log).map_err(|source| RigError::File { path: log, source })?;
    Command::new(&tools.setpriv)
        .args(["--pdeathsig", "KILL"])
        .arg(&tools.pcscd)
        .arg("--foreground")
        .arg("-c")
        .arg(paths.configuration())
        // No drivers, no real reader: this pcscd must not even open what is plugged into the machine.
        .env("PCSCLITE_HP_DROPDIR", paths.no_drivers())
        .env_remove("PCSCLITE_CSOCK_NAME")
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(RigError::NoPcscd)?)
        .stderr(output)
        .spawn()
        .map_err(RigError::NoPcscd)
}

fn remove(path: &Path) -> Result<(), RigError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RigError::File {
            path: path.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn start_card(mut card: Card, button: Arc<Button>, paths: &Paths) -> Result<(), RigError> {
    let slot = Arc::new(Slot::new(Arc::clone(&button)));
    let control = Control {
        button,
        slot: Arc::clone(&slot),
        ledger: card.ledger(),
        serial: card.serial(),
    };
    let path = paths.control();
    control
        .listen(&path)
        .map_err(|source| RigError::File { path, source })?;
    thread::spawn(move || slot.serve(&mut card));
    Ok(())
}

/// Waits until pcscd reports the card, or ends.
fn wait_until_ready(pcscd: &mut Child, paths: &Paths) -> Result<(), RigError> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(presence::wait_for(true, None, START_PATIENCE)));
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(true) => return Ok(()),
            Ok(false) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(RigError::NoCard {
                    log: paths.pcscd_log(),
                });
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = pcscd.try_wait().map_err(RigError::NoPcscd)? {
            return Err(RigError::PcscdEnded {
                status,
                log: paths.pcscd_log(),
            });
        }
    }
}

fn announce(paths: &Paths, serial: u32) -> io::Result<()> {
    let line = serde_json::json!({
        "ready": true,
        "pcsclite_csock_name": paths.socket(),
        "control": paths.control(),
        "serial": serial,
    });
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
