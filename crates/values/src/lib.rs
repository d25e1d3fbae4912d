//! The verbs that programs call all the time: `read`, `run`, `inject`, `credential`.
//!
//! They are a library of their own so that a small program can have them ([`args::quick`]), which starts in a fraction of the
//! time of the one that has everything. Nothing in here has a runtime or knows how a person is asked: where that becomes
//! necessary, [`ask`] has the large program do it, beside this one.
//!
//! Read in this order: [`args`], [`ask`] (one call of the agent), `values`, `read`, `run`, `credential`.

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

pub mod args;
pub mod ask;
pub mod closed;
mod credential;
pub mod layout;
pub mod output;
mod read;
mod run;
mod values;

use std::process::ExitCode;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use touchkeep_core::Code;
use touchkeep_wire::Failure;

pub use values::{is_place, write_out};

use crate::{
    args::{Global, Values},
    output::Output,
};

/// What the agent calls this front end.
pub const NAME: &str = concat!("touchkeep ", env!("CARGO_PKG_VERSION"));

/// A verb's end.
pub type Done = Result<ExitCode, Failure>;

/// Does what one of these verbs says. Does not return where that is to become a program.
///
/// # Errors
/// What happened, and what to do.
pub fn perform(verb: Values, global: Global, output: Output) -> Done {
    match verb {
        Values::Read(args) => read::read(&args, global),
        Values::Inject(args) => read::inject(&args, global),
        Values::Run(args) => run::run(args, global, output),
        Values::Credential(verb) => credential::credential(&verb, global),
        Values::RunMonitor(args) => run::be_the_monitor(&args),
    }
}

/// What cannot be, if this program is right.
fn unwritable() -> Failure {
    Failure::new(
        Code::System,
        "the answer cannot be written as JSON",
        "Leave --json out, and please report this.",
    )
}

/// Values and PINs go through this process: no core dump of it, and no look into it by other programs of the user.
///
/// # Errors
/// When the operating system does not allow that.
pub fn hide_memory() -> Result<(), Failure> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| {
        let what =
            format!("the operating system does not let this program protect its memory: {error}");
        let fix = "Look for a sandbox that forbids prctl(2), and allow it there: without it other programs could read values.";
        Failure::new(Code::System, what, fix)
    })
}
