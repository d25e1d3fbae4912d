//! `history`: who changed what, when; and back.

use std::process::ExitCode;

use touchkeep_core::{Code, text::visible, time::rfc3339};
use touchkeep_wire::{Failure, ItemVersion, ListVersions, RestoreVersion, ShowItem};

use super::{Context, Done, show::detail};
use crate::terminal;

pub(in crate::commands) async fn history(
    context: &Context<'_>,
    item: String,
    restore: Option<u32>,
    yes: bool,
) -> Done {
    let Some(version) = restore else {
        let versions = context.call(ListVersions { item }).await?;
        let output = context.output;
        output.result(&versions, |versions| {
            let rows: Vec<_> = versions.iter().map(row).collect();
            output.table(&["VERSION", "WHEN", "WHO", "CHANGED", ""], &rows)
        });
        return Ok(ExitCode::SUCCESS);
    };
    let found = context.call(ShowItem { item }).await?.summary;
    // Before anybody is asked about what cannot be.
    let item = found.id.to_string();
    let versions = context.call(ListVersions { item }).await?;
    let wanted = versions.iter().find(|known| known.version == version);
    if wanted.is_some_and(|wanted| !wanted.is_kept && !wanted.is_current) {
        return Err(Failure::new(
            Code::NotFound,
            format!(
                "What {} was in version {version} is not kept: a key on a device, or a value that was forgotten.",
                visible(&found.name)
            ),
            "Look at: touchkeep history ITEM",
        ));
    }
    if !yes {
        let question = format!(
            "Make {} what it was in version {version}? It becomes a new version; programs get the earlier secret from then on.",
            visible(&found.name)
        );
        terminal::confirm(&context.global, &question, &found.name)?;
    }
    let item = found.id.to_string();
    let restored = context
        .call_asking(RestoreVersion { item, version })
        .await?;
    context
        .output
        .result(&restored, |restored| detail(context.output, restored));
    Ok(ExitCode::SUCCESS)
}

fn row(version: &ItemVersion) -> Vec<String> {
    let changed = match (version.version, version.changed.is_empty()) {
        (1, _) => "made".to_owned(),
        (_, true) => "not known any more".to_owned(),
        (_, false) => visible(&version.changed.join(", ")),
    };
    let state = match (version.is_current, version.is_kept) {
        (true, _) => "now",
        (false, true) => "",
        (false, false) => "not kept",
    };
    vec![
        version.version.to_string(),
        version.at.map_or_else(|| "?".to_owned(), rfc3339),
        version
            .by
            .as_deref()
            .map_or_else(|| "?".to_owned(), visible),
        changed,
        state.to_owned(),
    ]
}
