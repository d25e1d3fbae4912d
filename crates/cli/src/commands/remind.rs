//! `remind`.

use std::process::ExitCode;

use touchkeep_core::{text::visible, time::rfc3339};
use touchkeep_wire::{CheckReminders, Failure, ItemFilter, KeyAge, ListReminders};

use super::{Context, Done, items::all};
use crate::output::Output;

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
        table(keys, context.output)
    });
    seen_in_plaintext(context).await?;
    Ok(ExitCode::SUCCESS)
}

fn table(keys: &[KeyAge], output: Output) -> String {
    let day = |at| rfc3339(at).chars().take(10).collect::<String>();
    // Most keys have no end: the column stands where one does.
    let ends = keys.iter().any(|key| key.expires.is_some());
    let row = |key: &KeyAge| {
        let left = match key.days_left {
            None => String::new(),
            Some(0) => "today".into(),
            Some(days) if days < 0 => format!("{} overdue", counted(-days)),
            Some(days) => format!("in {}", counted(days)),
        };
        let mut row = vec![
            visible(&key.name),
            visible(&key.venue),
            day(key.created),
            key.due.map_or_else(|| "no rule".into(), day),
            left,
        ];
        if ends {
            row.push(key.expires.map(day).unwrap_or_default());
            row.push(match key.expires_in_days {
                None => String::new(),
                Some(0) => "today".into(),
                Some(days) if days < 0 => format!("{} ago", counted(-days)),
                Some(days) => format!("in {}", counted(days)),
            });
        }
        row
    };
    let mut heads = vec!["NAME", "VENUE", "MADE", "ROTATE BY", ""];
    if ends {
        heads.extend(["EXPIRES", ""]);
    }
    output.table(&heads, &keys.iter().map(row).collect::<Vec<_>>())
}

fn counted(days: i64) -> String {
    format!("{days} day{}", if days == 1 { "" } else { "s" })
}

/// As many names as are read.
const NAMED: usize = 10;

fn first_of(names: &[String]) -> String {
    let first = names.get(..NAMED).unwrap_or(names).join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}, and {more} more that `touchkeep list` marks"),
    }
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
            first_of(&names)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_import_fills_no_screen_with_names() {
        let names: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        assert_eq!(first_of(&names[..10]), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
        assert_eq!(
            first_of(&names),
            "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more that `touchkeep list` marks"
        );
    }
}
