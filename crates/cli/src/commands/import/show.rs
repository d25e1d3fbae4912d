//! The preview before, and the report after. Never a value in either: names, kinds, and what happens.

use std::io::{stderr, stdout};

use touchkeep_core::text::visible;
use touchkeep_import::{Kind, Proposal};
use touchkeep_wire::{ImportAction, ImportVerdict};

use super::{
    plan::{Plan, USUAL_CLASS},
    source::shown,
};
use crate::{layout, output::Output};

/// The widest that a name or a list of fields is shown.
const MAX_CELL: usize = 26;
/// The widest place of a row.
const MAX_PLACE: usize = 22;

/// What would happen.
pub(super) fn preview(plan: &Plan, output: Output) -> String {
    let format = plan.source.import.format.word();
    let mut text = format!(
        "{} ({format}): {} into {}\n",
        shown(&plan.source.path),
        counted(plan.source.import.rows.len(), "row"),
        visible(&plan.report.environment)
    );
    if !plan.source.import.items.is_empty() {
        text.push('\n');
        text.push_str(&items(plan, output));
        text.push('\n');
    }
    text.push_str(&left(plan));
    text.push_str(&remarks(plan));
    text
}

fn items(plan: &Plan, output: Output) -> String {
    let rows: Vec<Vec<String>> = plan
        .items()
        .map(|(item, verdict)| {
            vec![
                cut(&visible(&verdict.name), MAX_CELL),
                kind(item),
                cut(&hidden(item), MAX_CELL),
                what(verdict, plan.is_done),
            ]
        })
        .collect();
    output.table(&["ITEM", "KIND", "HIDDEN FIELDS", "WHAT HAPPENS"], &rows)
}

fn kind(item: &Proposal) -> String {
    match (&item.venue, item.kind) {
        (venue, Kind::ExchangeKey) => {
            let class = item.class.as_deref().unwrap_or(USUAL_CLASS);
            format!(
                "{} {}",
                cut(&visible(venue.as_deref().unwrap_or("?")), 14),
                visible(class)
            )
        }
        (_, kind) => kind.word().to_owned(),
    }
}

fn hidden(item: &Proposal) -> String {
    let names: Vec<&str> = item
        .fields
        .iter()
        .filter(|field| field.secret)
        .map(|field| field.name.as_str())
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn what(verdict: &ImportVerdict, is_done: bool) -> String {
    let by = match verdict.known_by.as_deref() {
        Some("api-key") => "same API key",
        _ => "same name",
    };
    let other = verdict
        .duplicate_of
        .as_deref()
        .map(|name| cut(&visible(name), 20))
        .unwrap_or_default();
    match verdict.action {
        ImportAction::Add if verdict.duplicate_of.is_some() => {
            format!("{} beside {other}", if is_done { "added" } else { "add" })
        }
        ImportAction::Add => if is_done { "added" } else { "add" }.to_owned(),
        ImportAction::Update if is_done => format!("updated ({by})"),
        ImportAction::Update => format!("update {other} ({by})"),
        ImportAction::Skip if verdict.same => "skip: in the vault already".to_owned(),
        ImportAction::Skip => format!("skip: {by} as {other}"),
        ImportAction::Refuse => "refused, see below".to_owned(),
    }
}

// Rows that come into no item.
fn left(plan: &Plan) -> String {
    let rows: Vec<Vec<String>> = plan
        .source
        .import
        .rows
        .iter()
        .filter_map(|row| {
            let at = row
                .outcome
                .as_ref()
                .ok()
                .and_then(|at| plan.report.items.get(*at));
            // A duplicate is said in the table above.
            if at.is_some_and(|verdict| verdict.action == ImportAction::Skip) {
                return None;
            }
            let reason = plan.reason(row)?;
            Some(vec![
                cut(&visible(&row.place), MAX_PLACE),
                cut(&visible(&row.label), MAX_CELL),
                reason.words,
            ])
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = if plan.is_done {
        "\nNot imported:\n"
    } else {
        "\nWill not be imported:\n"
    };
    let mut text = head.to_owned();
    for row in rows {
        if let [place, label, words] = row.as_slice() {
            text.push_str(&wrapped(&format!("  {place}, {label}: "), words));
        }
    }
    text
}

fn remarks(plan: &Plan) -> String {
    let rows = plan.source.import.rows.iter();
    let all: Vec<String> = rows
        .flat_map(|row| {
            plan.remarks(row).into_iter().map(move |words| {
                wrapped(
                    &format!(
                        "  {}, {}: ",
                        cut(&visible(&row.place), MAX_PLACE),
                        cut(&visible(&row.label), MAX_CELL)
                    ),
                    &words,
                )
            })
        })
        .collect();
    if all.is_empty() {
        String::new()
    } else {
        format!("\nTo know:\n{}", all.concat())
    }
}

// Columns of the terminal, whichever stream it is that a person sees.
fn room() -> usize {
    let seen = layout::width(stdout()).or_else(|| layout::width(stderr()));
    seen.unwrap_or(layout::USUAL_WIDTH)
}

// Words after a beginning, in lines of the terminal.
fn wrapped(begin: &str, words: &str) -> String {
    // What goes on stands under the words, not under the margin, where there is one.
    let margin = if begin.is_empty() { 0 } else { 6 };
    let (mut text, width) = (begin.to_owned(), room());
    let mut column = begin.chars().count();
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column + length > width && column > margin {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&" ".repeat(margin));
            column = margin;
        }
        text.push_str(word);
        text.push(' ');
        column += length + 1;
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// What the person agrees to.
pub(super) fn consequences(plan: &Plan) -> String {
    let mut parts = vec![format!(
        "{} into {}: {} added, {} updated, {} left out.",
        counted(plan.goes_in(), "item"),
        visible(&plan.report.environment),
        plan.count(ImportAction::Add),
        plan.count(ImportAction::Update),
        plan.count(ImportAction::Skip) + plan.count(ImportAction::Refuse),
    )];
    if plan.count(ImportAction::Update) > 0 {
        parts.push("What the updated ones said before stays in their history.".to_owned());
    }
    if plan.wants_references {
        parts.push(format!(
            "{} in the file become references. A program that reads the file itself finds no values in it any more; one that `touchkeep run` starts does.",
            counted(plan.replaceable(), "value")
        ));
    }
    if plan.wants_deletion {
        parts.push("The file is deleted afterwards; what a disk, a backup or a sync service has kept of it is not.".to_owned());
    }
    parts
        .iter()
        .map(|part| wrapped("", part))
        .collect::<String>()
}

/// What happened.
pub(super) fn report(plan: &Plan, output: Output) -> String {
    let mut text = String::new();
    let rows: Vec<Vec<String>> = plan
        .source
        .import
        .rows
        .iter()
        .map(|row| report_row(plan, row))
        .collect();
    text.push_str(&output.table(&["FROM", "ROW", "ITEM", "RESULT"], &rows));
    text.push('\n');
    text.push_str(&left(plan));
    text.push_str(&remarks(plan));
    text.push_str(&format!(
        "\n{} in {}: {} added, {} updated. The vault was saved and read back.\n",
        counted(plan.goes_in(), "item"),
        visible(&plan.report.environment),
        plan.count(ImportAction::Add),
        plan.count(ImportAction::Update)
    ));
    if plan.replaced > 0 {
        text.push_str(&wrapped("", &format!("References in {} instead of values: {}. What the file said before may still be on the disk, in backups and in its version control.", shown(&plan.source.path), plan.replaced)));
    }
    if plan.deleted {
        text.push_str(&wrapped("", &format!("{} is deleted. That is no erasure: an SSD or a copy-on-write file system keeps old blocks, and backups keep copies.", shown(&plan.source.path))));
    }
    if plan.source.was_plaintext && plan.goes_in() > 0 {
        text.push_str(&wrapped("", "These values were in plaintext: rotate them. `touchkeep list` and `touchkeep remind` mark them until `touchkeep edit ITEM --unset plaintext-seen`."));
    }
    text
}

fn report_row(plan: &Plan, row: &touchkeep_import::Row) -> Vec<String> {
    let verdict = row
        .outcome
        .as_ref()
        .ok()
        .and_then(|at| plan.report.items.get(*at));
    let item = verdict
        .and_then(|verdict| Plan::lives_as(verdict))
        .map_or_else(|| "-".to_owned(), |name| cut(&visible(name), MAX_CELL));
    let result = match (verdict, &row.outcome) {
        (Some(verdict), _) => what(verdict, true),
        (None, _) => "not imported".to_owned(),
    };
    vec![
        cut(&visible(&row.place), MAX_PLACE),
        cut(&visible(&row.label), MAX_CELL),
        item,
        result,
    ]
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
