//! `list`, `trash`.

use std::process::ExitCode;

use touchkeep_core::{Clock, Code, SystemClock, UnixMillis, text::visible, time};
use touchkeep_wire::{Failure, FindItems, FoundItems, ItemFilter, ItemSummary};

use super::{Context, Done};
use crate::{args::List, output::Output};

/// Finds that are shown where nobody says how many.
const BEST: u32 = 50;
/// How often a list is begun anew because items changed meanwhile.
const AGAIN: u8 = 5;

pub(in crate::commands) async fn list(context: &Context<'_>, args: List) -> Done {
    let is_narrowed = args.query.is_some()
        || args.kind.is_some()
        || args.venue.is_some()
        || args.environment.is_some()
        || !args.tag.is_empty();
    // Whoever looks for something reads the first few.
    let most = args.query.is_some().then_some(BEST);
    let filter = ItemFilter {
        limit: args.limit.or(most),
        query: args.query,
        kind: args.kind.map(|kind| kind.name().to_owned()),
        tags: args.tag,
        venue: args.venue,
        environment: args.environment,
        trash: args.trash,
    };
    let FoundItems { items, more } = all(&filter, async |call| context.call(call).await).await?;
    let output = context.output;
    output.result(&items, |items| {
        if items.is_empty() {
            return empty(args.trash, is_narrowed).to_owned();
        }
        table(items, SystemClock.now(), output)
    });
    // Whoever said how many knows that there may be more.
    if more && args.limit.is_none() {
        output.say(&format!(
            "These are the best {BEST}. Narrow it, or say with -n how many."
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What fits, up to the filter's limit, in as many calls as it takes; and whether there is more. An answer has room for some thousand.
///
/// # Errors
/// As the call's. Where items were changed between two calls, it begins anew, a few times.
pub(in crate::commands) async fn all(
    filter: &ItemFilter,
    call: impl AsyncFn(FindItems) -> Result<FoundItems, Failure>,
) -> Result<FoundItems, Failure> {
    let mut tries = AGAIN;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let so_far = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let filter = ItemFilter {
            limit: filter.limit.map(|limit| limit.saturating_sub(so_far)),
            ..filter.clone()
        };
        let enough = filter.limit;
        match call(FindItems { filter, after }).await {
            Ok(FoundItems { items, more }) => {
                let found = u32::try_from(items.len()).unwrap_or(u32::MAX);
                after = items.last().map(|item| item.id);
                all.extend(items);
                if !more || after.is_none() || enough.is_some_and(|enough| found >= enough) {
                    return Ok(FoundItems { items: all, more });
                }
            }
            Err(failure) if after.is_some() && failure.code == Code::Ambiguous && tries > 0 => {
                tries -= 1;
                (all, after) = (Vec::new(), None);
            }
            Err(failure) => return Err(failure),
        }
    }
}

const fn empty(trash: bool, is_narrowed: bool) -> &'static str {
    match (trash, is_narrowed) {
        (true, false) => "The trash is empty.",
        (_, true) => "Nothing fits. All items: touchkeep list",
        (false, false) => {
            "No items yet. Next: touchkeep add NAME --venue binance --class trade --api-key KEY, or touchkeep add NAME --kind api-key"
        }
    }
}

// Columns that say the same of every item, or nothing, are left out.
fn table(items: &[ItemSummary], now: UnixMillis, output: Output) -> String {
    type Cell<'a> = Box<dyn Fn(&ItemSummary) -> String + 'a>;
    let several = items
        .windows(2)
        .any(|two| matches!(two, [a, b] if a.environment != b.environment));
    let mut columns: Vec<(&str, Cell<'_>)> = vec![("NAME", Box::new(|item| visible(&item.name)))];
    if several {
        columns.push(("ENVIRONMENT", Box::new(|item| visible(&item.environment))));
    }
    columns.push(("KIND", Box::new(|item| item.kind.clone())));
    if items.iter().any(|item| !item.venue.is_empty()) {
        columns.push(("VENUE", Box::new(|item| visible(&item.venue))));
        columns.push(("KEY SET", Box::new(|item| visible(&item.key_set))));
        columns.push(("CLASS", Box::new(|item| item.class.clone())));
    }
    columns.push(("SECRET", Box::new(place)));
    if items.iter().any(|item| !item.api_key_hint.is_empty()) {
        columns.push(("API KEY", Box::new(|item| item.api_key_hint.clone())));
    }
    if items.iter().any(|item| !item.tags.is_empty()) {
        columns.push(("TAGS", Box::new(|item| visible(&item.tags.join(" ")))));
    }
    columns.push(("AGE", Box::new(move |item| age_and_next(item, now))));
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let row = |item| columns.iter().map(|(_, cell)| cell(item)).collect();
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    output.table(&heads, &rows)
}

/// Where its chief secret is; nothing of a note that has none.
pub(super) fn place(item: &ItemSummary) -> String {
    match (item.kind.as_str(), item.secret.as_str()) {
        ("note", "missing") => String::new(),
        (_, place) => place.to_owned(),
    }
}

// What comes first of its rotation and its end; both have no room in a list.
fn age_and_next(item: &ItemSummary, now: UnixMillis) -> String {
    let ends_first = |at: &UnixMillis| item.due.is_none_or(|due| *at <= due);
    match item.expires.filter(ends_first) {
        Some(at) => aged(item, now, Some(expiry(at, now))),
        None => age(item, now),
    }
}

fn expiry(at: UnixMillis, now: UnixMillis) -> String {
    let verb = if now < at { "expires" } else { "expired" };
    format!("{verb} {}", away(at, now))
}

/// How far away a time is, or how long ago it was.
pub(super) fn away(at: UnixMillis, now: UnixMillis) -> String {
    if now < at {
        return format!("in {} d", at.since(now).div_ceil(time::DAY_MS));
    }
    match now.since(at) / time::DAY_MS {
        0 => "today".to_owned(),
        days => format!("{days} d ago"),
    }
}

/// How old an item is against its rule.
pub(super) fn age(item: &ItemSummary, now: UnixMillis) -> String {
    let due = item.due.map(|due| match due <= now {
        true => "overdue".to_owned(),
        false => format!("due {}", away(due, now)),
    });
    aged(item, now, due)
}

fn aged(item: &ItemSummary, now: UnixMillis, next: Option<String>) -> String {
    let days = now.since(item.created) / time::DAY_MS;
    let seen = item.plaintext_seen.map(|_| "was in plaintext".to_owned());
    let parts = [Some(format!("{days} d")), next, seen];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_in_days_a_begun_one_counted() {
        // 2027-01-31T00:00:00Z, and times around it: `date -u -d … +%s`.
        let end = UnixMillis(1_801_353_600_000);
        for (now, said) in [
            (1_800_316_800, "expires in 12 d"),
            (1_801_353_599, "expires in 1 d"),
            (1_801_353_600, "expired today"),
            (1_801_612_800, "expired 3 d ago"),
        ] {
            assert_eq!(expiry(end, UnixMillis(now * 1000)), said);
        }
    }
}
