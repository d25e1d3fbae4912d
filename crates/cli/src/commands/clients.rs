//! `proxy add | bind | list | revoke | exec`.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use serde::Serialize;
use touchkeep_core::{
    ClientId, Clock, Code, SystemClock,
    text::{shell_word, visible},
};
use touchkeep_inject::program::{self, Program};
use touchkeep_values::ask::call_once;
use touchkeep_wire::{
    AddClient, BindClient, ClientSummary, Failure, ListClients, OpenClient, RevokeClient,
};
use zeroize::Zeroizing;

use super::{Context, Done, grants::time_left};
use crate::{
    args::{Bounds, Exec, Global, Proxy},
    output::Output,
};

/// What `proxy add` prints: the one time that the token is shown.
#[derive(Serialize)]
struct Added {
    id: ClientId,
    token: String,
    /// Of the first venue.
    base_url: String,
    base_urls: BTreeMap<String, String>,
    webhooks: String,
}

pub(super) async fn proxy(context: &Context<'_>, verb: Proxy) -> Done {
    match verb {
        Proxy::Add {
            name,
            bounds,
            webhooks,
        } => {
            let Bounds {
                key_set,
                venue,
                kind,
            } = bounds;
            let only = venue.clone();
            let added = context
                .call_asking(AddClient {
                    name: name.clone(),
                    key_set: if webhooks { String::new() } else { key_set },
                    venues: venue,
                    kinds: kind,
                })
                .await?;
            // EXPOSE: on stdout, once, to the person who asked for it.
            let mut base_urls = added.base_urls;
            base_urls.retain(|venue, _| only.is_empty() || only.contains(venue));
            let added = Added {
                id: added.id,
                token: added.token.into_inner(),
                base_url: base_urls.values().next().cloned().unwrap_or_default(),
                base_urls,
                webhooks: added.webhooks,
            };
            let (name, word) = (visible(&name), shell_word(&name));
            context.output.result(&added, |added| {
                if webhooks {
                    return format!(
                        "Give {name} this (shown this once):\n\n  token     {}\n  address   {}ITEM\n\nIt shows the token in X-Touchkeep-Token. End its access with: touchkeep proxy revoke {word}",
                        added.token, added.webhooks
                    );
                }
                format!(
                    "Give {name} this, in place of the real key (shown this once):\n\n  api key   {}\n  secret    anything that its library takes for one: it is not looked at\n{}\n\nIts public requests show it in X-Touchkeep-Token. End its access with: touchkeep proxy revoke {word}",
                    added.token,
                    addresses(&added.base_urls)
                )
            });
        }
        Proxy::Bind {
            client,
            venue,
            kind,
        } => {
            let bind = BindClient {
                client,
                venues: venue,
                kinds: kind,
            };
            let bound = context.call_asking(bind).await?;
            context.output.result(&bound, |bound| {
                format!(
                    "{} may use the key set {}: {}.",
                    visible(&bound.name),
                    visible(&bound.key_set),
                    only(bound)
                )
            });
        }
        Proxy::List => {
            let clients = context.call(ListClients {}).await?;
            let now = SystemClock.now();
            context.output.result(&clients, |clients| {
                if clients.is_empty() {
                    return "No program may use the proxy yet. Next: touchkeep proxy add NAME --key-set main".into();
                }
                let ago = |at| format!("{} ago", time_left(now.since(at) / 1000));
                let rows: Vec<_> = clients.iter().map(|client| vec![visible(&client.name), visible(&client.key_set), only(client), ago(client.created), client.last_seen.map_or_else(|| "never".into(), ago)]).collect();
                context.output.table(&["NAME", "KEY SET", "ONLY", "LET IN", "LAST SEEN"], &rows)
            });
        }
        Proxy::Revoke { client } => {
            context
                .call_asking(RevokeClient {
                    client: client.clone(),
                })
                .await?;
            context
                .output
                .done(&format!("{client} has no access any more."));
        }
        // It needs no runtime beside the program.
        Proxy::Exec(args) => return exec(args, context.global, context.output),
    }
    Ok(ExitCode::SUCCESS)
}

// One line a venue.
fn addresses(base_urls: &BTreeMap<String, String>) -> String {
    let one = |(at, url): (usize, &String)| {
        let label = if at == 0 { "base url" } else { "" };
        format!("  {label:8}  {url}")
    };
    let lines: Vec<String> = base_urls.values().enumerate().map(one).collect();
    lines.join("\n")
}

// What it is bound to, in words.
fn only(client: &ClientSummary) -> String {
    if client.key_set.is_empty() {
        return "webhooks".into();
    }
    let venues = client.venues.join(", ");
    match (client.kinds.is_empty(), client.venues.is_empty()) {
        (true, true) => "everything".into(),
        (true, false) => venues,
        (false, true) => client.kinds.join(", "),
        (false, false) => format!("{} at {venues}", client.kinds.join(", ")),
    }
}

/// Becomes the program. Its token ends with this process, and so with the program.
pub(super) fn exec(args: Exec, global: Global, output: Output) -> Done {
    match prepare(args, global) {
        Ok(program) => {
            let error = program.exec();
            output.failure(&Failure::new(
                Code::System,
                error.to_string(),
                "Check that the program is there and may be run. Its token has ended with this.",
            ));
            Ok(ExitCode::from(error.status()))
        }
        Err(failure) => {
            output.failure(&failure);
            Ok(ExitCode::from(program::FAILED))
        }
    }
}

fn prepare(args: Exec, global: Global) -> Result<Program, Failure> {
    let own = args
        .command
        .first()
        .map(Path::new)
        .and_then(Path::file_name);
    let own = own.map(|name| name.to_string_lossy().into_owned());
    let open = OpenClient {
        name: args.client.or(own).unwrap_or_default(),
        key_set: args.bounds.key_set,
        venues: args.bounds.venue,
        kinds: args.bounds.kind,
    };
    let opened = call_once(&open, global)?;
    let nothing = || {
        Failure::new(
            Code::Invalid,
            "there is no program to run",
            "Name one after --, as in: touchkeep proxy exec -- python3 bot.py",
        )
    };
    let mut program = Program::new(args.command).ok_or_else(nothing)?;
    for variable in opened.variables {
        // EXPOSE: to the environment of the program that is let in.
        program.set(variable.name, Zeroizing::new(variable.value.into_inner()));
    }
    Ok(program)
}
