//! `man` and `completions`: what shells and readers of pages are told of the command line.

use std::{io::Write, path::Path, process::ExitCode};

use clap::CommandFactory;
use clap_complete::Shell;
use touchkeep_client::Connection;
use touchkeep_core::{Code, text::visible};
use touchkeep_values::write_out;
use touchkeep_wire::{Failure, ItemFilter};

use super::{Done, items::all};
use crate::{args::Cli, output::Output};

/// Writes a page for the program and each of its verbs.
pub(super) fn man(folder: &Path, output: Output) -> Done {
    let written = clap_mangen::generate_to(Cli::command(), folder);
    written.map_err(|error| {
        Failure::new(
            Code::System,
            format!(
                "the pages cannot be written to {}: {error}",
                folder.display()
            ),
            "Name a folder that is there.",
        )
    })?;
    output.done(&format!("Wrote the pages into {}.", folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// Prints a shell's completions. Names of items are looked up when Tab is pressed, and only while the vault is unlocked.
pub(super) fn completions(shell: Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "touchkeep", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    write_out(with_items(shell, script).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Verbs whose first word is an item.
const OF_ITEMS: [&str; 6] = ["show", "edit", "rm", "history", "set-api-key", "public-key"];

fn with_items(shell: Shell, script: String) -> String {
    match shell {
        Shell::Bash => script + &BASH.replace("VERBS", &OF_ITEMS.join("|")),
        Shell::Fish => script + &FISH.replace("VERBS", &OF_ITEMS.join(" ")),
        Shell::Zsh => {
            let lines = script.lines().map(|line| {
                let is_item = line.trim_start().starts_with("':item -- ");
                match line.strip_suffix(":_default' \\") {
                    Some(start) if is_item => format!("{start}:_touchkeep_items' \\\n"),
                    _ => format!("{line}\n"),
                }
            });
            let script: String = lines.collect();
            script.replacen(
                "#compdef touchkeep\n",
                &format!("#compdef touchkeep\n{ZSH}"),
                1,
            )
        }
        _ => script,
    }
}

const BASH: &str = r#"
_touchkeep_items() {
    local word="${COMP_WORDS[COMP_CWORD]}" name quoted
    if [[ $COMP_CWORD -eq 2 && $word != -* && ${COMP_WORDS[1]} =~ ^(VERBS)$ ]]; then
        COMPREPLY=()
        while IFS= read -r name; do
            quoted=$(printf %q "$name")
            [[ $name == "$word"* || $quoted == "$word"* ]] && COMPREPLY+=("$quoted")
        done < <(touchkeep items-for-completion 2>/dev/null)
    else
        _touchkeep "$@"
    fi
}
complete -F _touchkeep_items -o nosort -o bashdefault -o default touchkeep
"#;

const FISH: &str = r#"
complete -c touchkeep -n "__fish_seen_subcommand_from VERBS" -f -a "(touchkeep items-for-completion 2>/dev/null)"
"#;

const ZSH: &str = r#"
_touchkeep_items() {
    local -a names
    names=(${(f)"$(touchkeep items-for-completion 2>/dev/null)"})
    compadd -a names
}
"#;

/// Prints the names of items, one a line; nothing while the vault is locked or no agent runs. Asks nobody and starts nothing.
pub(super) async fn items(name: &str) -> Done {
    let paths = touchkeep_values::ask::paths()?;
    let filter = ItemFilter::default();
    if let Ok(connection) = Connection::connect(&paths.agent_socket(), name).await
        && let Ok(found) = all(&filter, async |call| {
            let found = connection.call(call).await;
            found.map_err(|error| error.failure())
        })
        .await
    {
        for item in found.items {
            // What a name could do to a terminal is not completed.
            if visible(&item.name) == item.name {
                let _closed = writeln!(std::io::stdout(), "{}", item.name);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
