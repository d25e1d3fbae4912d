//! `touchkeep demo`: the whole story in two minutes, with a practice card and a practice exchange.
//!
//! Nothing is played: a real agent opens a real vault through a real pcscd, a real ccxt script sends real requests to a local
//! exchange that checks every signature. Only the card, the exchange and, with `--auto`, the person's fingers are practice.
//! Read in this order: [`story`], [`stage`] (what is started and ended), [`person`] (who answers), [`venue`].

mod person;
mod stage;
mod story;
mod venue;

use std::process::ExitCode;

use touchkeep_core::Code;
use touchkeep_wire::Failure;

use crate::{
    args::{Demo, Global},
    output::Output,
};

/// Plays the story. Ends with 0 only when every act went as told.
pub(crate) async fn run(args: Demo, global: Global, output: Output) -> Result<ExitCode, Failure> {
    if global.no_interaction && !args.auto {
        return Err(Failure::new(
            Code::Invalid,
            "the demo in steps needs a person",
            "Use: touchkeep demo --auto",
        ));
    }
    let mut stage = stage::Stage::set(&args, output).await?;
    let told = story::tell(&mut stage, output).await;
    stage.clear(args.keep, output).await;
    told.map(|()| ExitCode::SUCCESS)
}

/// A failure of the demo itself.
fn broken(what: impl Into<String>) -> Failure {
    Failure::new(
        Code::System,
        what,
        "Run it once more with --keep and look at the logs in its folder.",
    )
}
