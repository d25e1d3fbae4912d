//! `edit`.

use std::process::ExitCode;

use touchkeep_core::text::{shell_word, visible};
use touchkeep_wire::{CheckEdit, EditItem, ShowItem};

use super::{
    Context, Done,
    add::made,
    secrets::{Wanted, read_all},
    show::detail,
};
use crate::{args::Edit, terminal};

pub(in crate::commands) async fn edit(context: &Context<'_>, args: Edit) -> Done {
    let item = context
        .call(ShowItem {
            item: args.item.clone(),
        })
        .await?
        .summary;
    if args.forget_old && !args.yes {
        terminal::confirm(
            &context.global,
            &format!(
                "Forget every earlier version of {}? They cannot be had back from this vault; its backups still have them.",
                visible(&item.name)
            ),
            &item.name,
        )?;
    }
    let replaces = args.secret || args.secrets.secret_fd.is_some();
    if replaces && item.secret == "on-device" && !args.yes {
        context.output.say(&format!(
            "The key of {} is on a device. With another secret it is not used any more, and no earlier version brings it back.",
            visible(&item.name)
        ));
        terminal::confirm(&context.global, "Replace it?", &item.name)?;
    }
    let wanted = Wanted {
        item: &item.name,
        chief: args.secret.then_some("New secret"),
        is_pem: item.kind == "ssh-key",
        sealed: args.sealed,
    };
    let edit = || EditItem {
        item: item.id.to_string(),
        name: args.name.clone(),
        set: set(&args),
        unset: args.unset.clone(),
        secrets: std::collections::BTreeMap::new(),
        add_tags: args.tag.clone(),
        remove_tags: args.untag.clone(),
        forget_old: args.forget_old,
        created: args.age_days.map(made),
    };
    // Whoever has typed a secret is not to hear then that it was for nothing.
    let checked = CheckEdit {
        edit: edit(),
        secrets: wanted.fields(&args.secrets),
    };
    context.call(checked).await?;
    let mut call = edit();
    call.secrets = read_all(context, &args.secrets, &wanted)?;
    let changed = context.call_asking(call).await?;
    context
        .output
        .result(&changed, |changed| detail(context.output, changed));
    let named = args.set.iter().any(|(name, _)| name == "api-key");
    if replaces && !named && item.kind == "exchange-key" {
        context.output.say(&format!(
            "The API key is the one that it was. If the venue gave out another one with this secret: touchkeep set-api-key {} KEY",
            shell_word(&item.name)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

// Plain fields to set.
fn set(args: &Edit) -> std::collections::BTreeMap<String, String> {
    let mut set: std::collections::BTreeMap<_, _> = args.set.iter().cloned().collect();
    set.extend(args.note.clone().map(|note| ("note".to_owned(), note)));
    let days = args.rotate_after_days.map(|days| days.to_string());
    set.extend(days.map(|days| ("rotate-after-days".to_owned(), days)));
    set
}
