//! `remind`.

use std::process::ExitCode;

use touchkeep_core::{text::visible, time::rfc3339};
use touchkeep_wire::{CheckReminders, Failure, ItemFilter, KeyAge, ListReminders};

use super::{Context, Done, items::all};

pub(super) async fn remind(context: &Context<'_>, now: bool) -> Done {
    let keys = if now {
        context.call(CheckReminders {}).await?
    } else {
        context.call(ListReminders {}).await?
    };
    context.output.result(&keys, |keys| {
        if keys.is_empty() {
            return if now {
                "Nothing is due that was not said already.".into()
            } else {
                "No keys yet.".into()
            };
        }
        let row = |key: &KeyAge| {
            let made = rfc3339(key.created).chars().take(10).collect();
            let due = key.due.map_or_else(
                || "no rule".into(),
                |due| rfc3339(due).chars().take(10).collect(),
            );
            let left = match key.days_left {
                None => String::new(),
                Some(0) => "today".into(),
                Some(days) if days < 0 => format!("{} days overdue", -days),
                Some(days) => format!("in {days} days"),
            };
            vec![visible(&key.name), visible(&key.venue), made, due, left]
        };
        context.output.table(
            &["NAME", "VENUE", "MADE", "ROTATE BY", ""],
            &keys.iter().map(row).collect::<Vec<_>>(),
        )
    });
    seen_in_plaintext(context).await?;
    Ok(ExitCode::SUCCESS)
}

// Their age says nothing of them: whoever could read the file that they came from may have them.
async fn seen_in_plaintext(context: &Context<'_>) -> Result<(), Failure> {
    let filter = ItemFilter::default();
    let found = all(&filter, async |call| context.call(call).await).await?;
    let seen = found
        .items
        .iter()
        .filter(|item| item.plaintext_seen.is_some());
    let names: Vec<_> = seen.map(|item| visible(&item.name)).collect();
    if !names.is_empty() {
        context.output.say(&format!(
            "Was in plaintext, rotate: {}\nOnce that is done: touchkeep edit ITEM --unset plaintext-seen",
            names.join(", ")
        ));
    }
    Ok(())
}
