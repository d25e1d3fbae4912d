//! `proxy add | list | revoke`.

use std::process::ExitCode;

use serde::Serialize;
use touchkeep_core::{ClientId, Clock, SystemClock, time};
use touchkeep_wire::{AddClient, ListClients, RevokeClient};

use super::{Context, Done};
use crate::{args::Proxy, output};

/// What `proxy add` prints: the one time that the token is shown.
#[derive(Serialize)]
struct Added {
    id: ClientId,
    token: String,
    base_url: String,
}

pub(super) async fn proxy(context: &Context<'_>, verb: Proxy) -> Done {
    match verb {
        Proxy::Add { name, key_set } => {
            let added = context
                .call_asking(AddClient {
                    name: name.clone(),
                    key_set,
                })
                .await?;
            // EXPOSE: on stdout, once, to the person who asked for it.
            let added = Added {
                id: added.id,
                token: added.token.into_inner(),
                base_url: added.base_url,
            };
            context.output.result(&added, |added| {
                format!(
                    "Give {name} this, in place of the real key (shown this once):\n\n  api key   {}\n  secret    anything\n  base url  {}\n\nEnd its access with: touchkeep proxy revoke {name}",
                    added.token, added.base_url
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
                let ago = |at| format!("{} d ago", now.since(at) / time::DAY_MS);
                let rows: Vec<_> = clients.iter().map(|client| vec![client.name.clone(), client.key_set.clone(), ago(client.created), client.last_seen.map_or_else(|| "never".into(), ago)]).collect();
                output::table(&["NAME", "KEY SET", "LET IN", "LAST SEEN"], &rows)
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
    }
    Ok(ExitCode::SUCCESS)
}
