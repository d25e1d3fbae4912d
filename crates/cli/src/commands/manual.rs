//! `man` and `completions`: what shells and readers of pages are told of the command line.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use touchkeep_client::Connection;
use touchkeep_core::{Code, text::visible};
use touchkeep_values::write_out;
use touchkeep_wire::{Failure, ItemFilter};

use super::{Done, items::all};
use crate::{
    args::{Cli, in_columns},
    output::Output,
};

/// Writes a page for the program and each of its verbs.
pub(super) fn man(folder: &Path, output: Output) -> Done {
    let written = pages().and_then(|pages| {
        let mut pages = pages.into_iter();
        pages.try_for_each(|(name, page)| std::fs::write(folder.join(name), page))
    });
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

/// Columns of an example on a page: the text of one of 80 has a margin.
const ON_A_PAGE: usize = 72;

// A page for the program and each of its verbs, by the names of their files.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut tree = in_columns(Cli::command(), ON_A_PAGE).disable_help_subcommand(true);
    tree.build();
    let mut found = Vec::new();
    add_pages(&tree, &mut found)?;
    Ok(found)
}

fn add_pages(command: &Command, found: &mut Vec<(String, String)>) -> io::Result<()> {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        add_pages(verb, found)?;
    }
    let usage = command.clone().render_usage().to_string();
    let after = command.get_after_help().map(ToString::to_string);
    // What follows the options has sections of its own, where clap has one that it calls EXTRA.
    let page = Man::new(command.clone().after_help(None::<&'static str>))
        .source(concat!("touchkeep ", env!("CARGO_PKG_VERSION")))
        .manual("Touchkeep");
    let mut text = Vec::new();
    page.render(&mut text)?;
    let mut text = with_usage(&String::from_utf8_lossy(&text), &usage);
    for part in after.unwrap_or_default().split("\n\n") {
        text.push_str(&section(part));
    }
    found.push((page.get_filename(), text));
    Ok(())
}

// The synopsis as `--help` has it, which says what stands behind `--` and what an option takes.
fn with_usage(page: &str, usage: &str) -> String {
    let (Some(begin), Some(end)) = (page.find(".SH SYNOPSIS\n"), page.find(".SH DESCRIPTION\n"))
    else {
        return page.to_owned();
    };
    let lines = usage.lines().map(|line| {
        let line = line.trim_start_matches("Usage:").trim();
        format!("{}\n.br\n", roff(line))
    });
    let before = page.get(..begin).unwrap_or_default();
    let after = page.get(end..).unwrap_or_default();
    format!("{before}.SH SYNOPSIS\n{}{after}", lines.collect::<String>())
}

// Lines that are to be copied stay as they are.
fn section(part: &str) -> String {
    let lines = |text: &str| {
        text.lines()
            .map(|line| roff(line) + "\n")
            .collect::<String>()
    };
    let as_it_is = |text: &str| format!(".nf\n{}.fi\n", lines(text));
    match part.split_once('\n') {
        Some(("Examples:" | "First steps:", examples)) => {
            format!(".SH EXAMPLES\n{}", as_it_is(examples))
        }
        Some(_) => format!(".SH NOTES\n{}", as_it_is(part)),
        None => match part.strip_prefix("Exit codes:") {
            Some(codes) => format!(".SH \"EXIT STATUS\"\n{}", lines(codes.trim())),
            None if part.is_empty() => String::new(),
            None => format!(".SH NOTES\n{}", lines(part)),
        },
    }
}

// As a page shows it: what is copied from one is what was meant, down to quotes and hyphens.
fn roff(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    if line.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    for c in line.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c => out.push(c),
        }
    }
    out
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
    local word="${COMP_WORDS[COMP_CWORD]}" verb=1 name quoted
    # Behind options; one of them takes a word, and bash counts a = as a word.
    while [[ ${COMP_WORDS[verb]} == -* ]]; do
        if [[ ${COMP_WORDS[verb]} == --vault ]]; then
            [[ ${COMP_WORDS[verb + 1]} == "=" ]] && verb=$((verb + 1))
            verb=$((verb + 1))
        fi
        verb=$((verb + 1))
    done
    if [[ $COMP_CWORD -eq $((verb + 1)) && $word != -* && ${COMP_WORDS[verb]} =~ ^(VERBS)$ ]]; then
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
function __fish_touchkeep_verb
    set -l takes_a_word 0
    for word in (commandline -opc)[2..-1]
        if test $takes_a_word = 1
            set takes_a_word 0
        else if test $word = --vault
            set takes_a_word 1
        else if not string match -q -- '-*' $word
            echo $word
            return
        end
    end
end
complete -c touchkeep -n "contains -- (__fish_touchkeep_verb) VERBS" -f -a "(touchkeep items-for-completion 2>/dev/null)"
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
                let _closed = writeln!(io::stdout(), "{}", item.name);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
