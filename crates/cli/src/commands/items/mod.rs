//! Items: `add`, `list`, `show`, `edit`, `rm`, `trash`, `restore`, `history`, `set-api-key`, `public-key`.

mod add;
mod edit;
mod history;
mod list;
mod secrets;
mod show;
mod trash;

use std::process::ExitCode;

use touchkeep_core::text::visible;
use touchkeep_wire::{ExportPublicKey, SetApiKey};

use super::{Context, Done};
use crate::args::KeyForm;

pub(super) use add::add;
pub(super) use edit::edit;
pub(super) use history::history;
pub(super) use list::{all, list};
pub(super) use secrets::secret_from;
pub(super) use show::show;
pub(super) use trash::{remove, restore};

pub(super) async fn set_api_key(context: &Context<'_>, item: String, api_key: String) -> Done {
    let item = context.call_asking(SetApiKey { item, api_key }).await?;
    context.output.result(&item, |item| {
        let (name, venue) = (visible(&item.name), visible(&item.venue));
        format!("{name} is {} at {venue}", item.api_key_hint)
    });
    if let Some(warning) = show::same_key(&item) {
        context.output.say(&warning);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn public_key(context: &Context<'_>, item: String, form: Option<KeyForm>) -> Done {
    let form = form.map(|form| form.name().to_owned());
    let key = context.call(ExportPublicKey { item, form }).await?;
    context.output.document(&key, |key| key.text.clone());
    // Beside the key, so that a file gets the key alone.
    if let Some(steps) = &key.steps {
        context.output.say(steps);
    }
    Ok(ExitCode::SUCCESS)
}
