//! The practice reader: a pcscd of its own, in a network and mount namespace of its own, with the practice card in it.
//! Programs find it through `PCSCLITE_CSOCK_NAME`; nothing else on the machine notices it, and it notices nothing else.
//!
//! Read in this order: `needs` (can it work here?), `namespace` (the way inside), `rig` (what is started there), `pcscd`
//! and `ending` (what keeps it running, and how it stops), `link` (the card's end of the reader), `control` (the finger and
//! the hand that pulls the card out), `faults` (what goes wrong on demand).

mod control;
mod ending;
mod faults;
mod link;
mod namespace;
mod needs;
mod parent;
mod paths;
mod pcscd;
mod presence;
mod rig;
mod terminal;

use crate::card;
use clap::{Subcommand, ValueEnum};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Something that has to be installed or allowed is missing.
const EXIT_NOT_HERE: u8 = 3;
/// The arguments cannot be meant.
const EXIT_USAGE: u8 = 2;

/// Which card to put into which reader.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    only: Option<Only>,
    /// Private folder of the reader; its socket will be DIR/run/pcscd.comm.
    #[arg(long, required = true)]
    dir: Option<PathBuf>,
    /// Serial number of the card. The default is above those of real keys.
    #[arg(long, default_value_t = 4_000_000_001)]
    serial: u32,
    /// Put a second card, with this serial number, into the second slot of the reader.
    #[arg(long, value_name = "SERIAL")]
    second: Option<u32>,
    /// Firmware version to behave like.
    #[arg(long, default_value = "5.4.3", value_parser = firmware)]
    firmware: (u8, u8, u8),
    /// Who touches the key.
    #[arg(long, value_enum, default_value_t = Touch::Control)]
    touch: Touch,
    /// PIN of a new card. It is practice: everyone may see it.
    #[arg(long, default_value = card::FACTORY_PIN)]
    pin: String,
    /// PUK of a new card.
    #[arg(long, default_value = card::FACTORY_PUK)]
    puk: String,
    /// File that remembers the card; what it says counts more than serial, firmware, PIN and PUK above. A second card is
    /// remembered in FILE.second.
    #[arg(long)]
    state: Option<PathBuf>,
    /// How long the key waits for a touch.
    #[arg(long, default_value_t = 15_000)]
    touch_timeout_ms: u64,
    /// How long a touch counts for keys with the touch policy "cached".
    #[arg(long, default_value_t = 15_000)]
    touch_cached_ms: u64,
    /// Set by the command itself once it is inside its namespaces: the process that it must not outlive.
    #[arg(long, hide = true)]
    inside: Option<i32>,
}

#[derive(Subcommand)]
enum Only {
    /// Say whether a practice reader can be started here, and what is missing if not.
    Check,
}

/// Who touches the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Touch {
    /// You, with Enter in this terminal.
    Terminal,
    /// Whoever writes {"do":"touch"} to DIR/card.sock.
    Control,
    /// Nobody has to: every touch is given at once.
    Auto,
}

impl Args {
    fn second_state(&self) -> Option<PathBuf> {
        let mut path = self.state.clone()?.into_os_string();
        path.push(".second");
        Some(path.into())
    }

    fn times(&self) -> card::Times {
        card::Times {
            touch: Duration::from_millis(self.touch_timeout_ms),
            cached_touch: Duration::from_millis(self.touch_cached_ms),
        }
    }
}

/// Runs the practice reader until its parent ends or it is told to stop.
pub(crate) fn run(args: Args) -> ExitCode {
    match (&args.only, args.inside, args.dir.as_deref()) {
        (Some(Only::Check), _, _) => check(),
        (None, Some(parent), Some(dir)) => ended(rig::run(&args, dir, parent)),
        (None, None, Some(dir)) => match paths::Paths::new(dir) {
            Ok(paths) => match namespace::enter(&paths) {
                Ok(never) => match never {},
                Err(why) => ended::<std::convert::Infallible, _>(Err(why)),
            },
            Err(why) => ended::<std::convert::Infallible, _>(Err(why)),
        },
        (None, _, None) => ExitCode::from(EXIT_USAGE),
    }
}

#[expect(clippy::print_stdout, reason = "the answer of `reader check`")]
fn check() -> ExitCode {
    match needs::Tools::find().and_then(|tools| namespace::Privilege::probe(&tools)) {
        Ok(privilege) => {
            println!("A practice reader can be started here ({privilege}).");
            ExitCode::SUCCESS
        }
        Err(missing) => ended::<std::convert::Infallible, _>(Err(missing)),
    }
}

/// What a failure of some step means for the exit code.
trait Failure: std::error::Error {
    fn exit(&self) -> u8;
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where the reader's errors are printed"
)]
fn ended<T, E: Failure>(result: Result<T, E>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("touchkeep-practice: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::from(error.exit())
}

fn firmware(text: &str) -> Result<(u8, u8, u8), String> {
    let numbers: Result<Vec<u8>, _> = text.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[major @ 4..=5, minor, patch]) => Ok((major, minor, patch)),
        _ => Err("a firmware version is three numbers, 4.0.0 to 5.255.255".to_owned()),
    }
}
