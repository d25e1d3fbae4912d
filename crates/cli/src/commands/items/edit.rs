//! `edit`.

use std::process::ExitCode;

use touchkeep_core::text::visible;
use touchkeep_wire::{EditItem, ShowItem};

use super::{
    Context, Done,
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
    let wanted = Wanted {
        item: &item.name,
        chief: args.secret.then_some("New secret"),
        is_pem: item.kind == "ssh-key",
        sealed: args.sealed,
    };
    let secrets = read_all(context, &args.secrets, &wanted)?;
    let mut set: std::collections::BTreeMap<_, _> = args.set.into_iter().collect();
    set.extend(args.note.map(|note| ("note".to_owned(), note)));
    let days = args.rotate_after_days.map(|days| days.to_string());
    set.extend(days.map(|days| ("rotate-after-days".to_owned(), days)));
    let call = EditItem {
        item: item.id.to_string(),
        name: args.name,
        set,
        unset: args.unset,
        secrets,
        add_tags: args.tag,
        remove_tags: args.untag,
        forget_old: args.forget_old,
    };
    let changed = context.call_asking(call).await?;
    context
        .output
        .result(&changed, |changed| detail(context.output, changed));
    Ok(ExitCode::SUCCESS)
}
