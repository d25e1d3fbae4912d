//! `rm`, `restore`.

use std::process::ExitCode;

use touchkeep_core::text::{shell_word, visible};
use touchkeep_wire::{RemoveItem, RestoreItem, ShowItem, TrashItem};

use super::{Context, Done};
use crate::terminal;

pub(in crate::commands) async fn remove(
    context: &Context<'_>,
    item: String,
    forever: bool,
    yes: bool,
) -> Done {
    let found = context.call(ShowItem { item }).await?.summary;
    let (name, id) = (visible(&found.name), found.id.to_string());
    if !yes {
        let question = if forever {
            format!(
                "Remove {name} and all its earlier versions from the vault? It cannot be had back; only the vault's backups still have it."
            )
        } else {
            format!("Put {name} into the trash? Programs that use it stop working.")
        };
        terminal::confirm(&context.global, &question, &found.name)?;
    }
    if forever {
        context.call_asking(RemoveItem { item: id }).await?;
        context.output.done(&format!("Removed {name}. The vault's backups still have it; what it opens still accepts it until you end it there."));
    } else {
        let item = context.call_asking(TrashItem { item: id }).await?;
        context.output.result(&item, |_| String::new());
        context.output.say(&format!(
            "{name} is in the trash, and not used any more. Take it back: touchkeep restore {}",
            shell_word(&found.name)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(in crate::commands) async fn restore(
    context: &Context<'_>,
    item: String,
    name: Option<String>,
) -> Done {
    let item = context.call_asking(RestoreItem { item, name }).await?;
    context
        .output
        .result(&item, |item| format!("{} is back.", visible(&item.name)));
    Ok(ExitCode::SUCCESS)
}
