//! `show`: everything of an item but its secrets.

use std::process::ExitCode;

use touchkeep_core::{
    Clock, SystemClock, UnixMillis,
    text::{shell_word, surely_visible, visible},
    time,
};
use touchkeep_wire::{DeviceKey, ItemDetail, ItemSummary, ShowItem};

use super::{
    Context, Done,
    list::{age, away},
};
use crate::output::{Output, Style};

const MASK: &str = "••••••••";

pub(in crate::commands) async fn show(context: &Context<'_>, item: String) -> Done {
    let item = context.call(ShowItem { item }).await?;
    context
        .output
        .result(&item, |item| detail(context.output, item));
    Ok(ExitCode::SUCCESS)
}

/// What it means that other items have the same API key.
pub(super) fn same_key(item: &ItemSummary) -> Option<String> {
    let others: Vec<String> = item.same_key.iter().map(|name| visible(name)).collect();
    (!others.is_empty()).then(|| {
        format!(
            "{} has the same API key: to {} they are one key, and its rights are those of all of them, whatever the class here says. Make a key of its own for each use there.",
            others.join(", "),
            visible(&item.venue)
        )
    })
}

/// An item for people: one field a line, secrets masked.
pub(super) fn detail(output: Output, item: &ItemDetail) -> String {
    let summary = &item.summary;
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut line = |name: &str, value: String| lines.push((name.to_owned(), value));
    line("kind", summary.kind.clone());
    line("environment", visible(&summary.environment));
    if !summary.tags.is_empty() {
        line("tags", visible(&summary.tags.join(" ")));
    }
    if let Some(at) = summary.trashed {
        line(
            "trashed",
            format!(
                "{}; take it back: touchkeep restore {}",
                day(at),
                shell_word(&summary.name)
            ),
        );
    }
    if let Some(at) = summary.plaintext_seen {
        line("plaintext", format!("seen on {}: rotate it", day(at)));
    }
    if let Some(warning) = same_key(summary) {
        line("same key", warning);
    }
    let now = SystemClock.now();
    line("age", age(summary, now));
    for field in &item.fields {
        match (field.name.as_str(), summary.expires) {
            ("created" | "plaintext-seen" | "rotate-after-days", _) => {}
            ("expires", Some(at)) => {
                line(
                    "expires",
                    format!("{}, {}", shown(&field.value), away(at, now)),
                );
            }
            (name, _) => line(name, shown(&field.value)),
        }
    }
    for secret in &item.secrets {
        let whose = match secret.devices.is_empty() {
            true => String::new(),
            false => format!(": {}", surely_visible(&secret.devices.join(", "))),
        };
        let conflict = match item.conflicts.contains(&secret.name) {
            true => "; given twice by two writers, set it again",
            false => "",
        };
        line(
            &secret.name,
            format!("{MASK} ({}{whose}{conflict})", secret.place),
        );
    }
    if let Some(key) = &item.device_key {
        line("key", device_key(key));
    }
    line("version", item.version.to_string());
    line("id", summary.id.to_string());
    let field = match (summary.kind.as_str(), summary.secret.as_str()) {
        ("otp-seed", _) => "otp",
        (_, "missing") => "note",
        _ => "secret",
    };
    line("reference", format!("{}/{field}", item.reference));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let rows = lines.iter().map(|(name, value)| {
        let name = output.out(Style::Quiet, &format!("{name:width$}"));
        format!("{name}  {value}")
    });
    let head = output.out(Style::Strong, &visible(&summary.name));
    std::iter::once(head)
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

fn device_key(key: &DeviceKey) -> String {
    let origin = match (&key.attested, key.imported) {
        (_, true) => "made elsewhere and put there".to_owned(),
        (Some(root), _) => format!("made there, says {root}"),
        (None, _) => "made there".to_owned(),
    };
    let touch = match key.touch.as_str() {
        "always" => "a touch for each signature",
        "cached" => "a touch for 15 seconds",
        _ => "no touch",
    };
    format!(
        "{} in {}, {origin}; {touch}",
        key.algorithm,
        visible(&key.key)
    )
}

// Several lines stand under each other.
fn shown(value: &str) -> String {
    let lines: Vec<String> = value.lines().map(visible).collect();
    lines.join("\n    ")
}

/// A time's day, in UTC.
pub(super) fn day(at: UnixMillis) -> String {
    time::rfc3339(at).chars().take(10).collect()
}
