//! `env`: environments.

use std::process::ExitCode;

use touchkeep_core::text::{shell_word, visible};
use touchkeep_wire::{AddEnvironment, EnvironmentSummary, ListEnvironments, RenameEnvironment};

use super::{Context, Done};
use crate::args::Env;

pub(super) async fn env(context: &Context<'_>, verb: Env) -> Done {
    let output = context.output;
    match verb {
        Env::List => {
            let environments = context.call(ListEnvironments {}).await?;
            output.result(&environments, |environments| {
                let rows: Vec<_> = environments.iter().map(row).collect();
                output.table(&["NAME", "ITEMS", "ID", ""], &rows)
            });
        }
        Env::Add { name } => {
            let made = context.call_asking(AddEnvironment { name }).await?;
            output.result(&made, |made| {
                let (name, word) = (visible(&made.name), shell_word(&made.name));
                format!("Made {name}. Items come into it with: touchkeep add … -e {word}")
            });
        }
        Env::Rename { environment, name } => {
            let renamed = context
                .call_asking(RenameEnvironment { environment, name })
                .await?;
            output.result(&renamed, |renamed| {
                let name = visible(&renamed.name);
                format!("It is called {name} now; references by the old name end.")
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(environment: &EnvironmentSummary) -> Vec<String> {
    let default = if environment.is_default {
        "default"
    } else {
        ""
    };
    vec![
        visible(&environment.name),
        environment.items.to_string(),
        environment.id.to_string(),
        default.to_owned(),
    ]
}
