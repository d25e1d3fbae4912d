//! `policy show | set`.

use std::{io::Read, path::Path, process::ExitCode};

use touchkeep_core::Code;
use touchkeep_wire::{Failure, GetPolicy, SetPolicy};

use super::{Context, Done};
use crate::args::Policy;

pub(super) async fn policy(context: &Context<'_>, verb: Policy) -> Done {
    match verb {
        Policy::Show => {
            let policy = context.call(GetPolicy {}).await?;
            if !policy.readable {
                context
                    .output
                    .say("This policy cannot be read, so everything is asked by hand.");
            }
            context.output.result(&policy, |policy| policy.text.clone());
        }
        Policy::Set { file } => {
            context
                .call_asking(SetPolicy { text: read(&file)? })
                .await?;
            context.output.done("The new policy holds from now on.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| {
        Failure::new(
            Code::Invalid,
            format!("{} cannot be read: {error}", file.display()),
            "Give a TOML file, or - for stdin.",
        )
    })
}
