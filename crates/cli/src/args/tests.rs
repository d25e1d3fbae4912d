//! The tree is consistent, both parsers are of one opinion, and every verb has examples that can be typed.

use std::ffi::OsString;

use clap::CommandFactory;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

// What the quick parser makes of it, where it does, and whether the tree makes the same of it.
fn is_plain(line: &[OsString]) -> bool {
    let Some((global, verb)) = touchkeep_values::args::quick(line) else {
        return false;
    };
    let quick = Cli {
        global,
        vault: None,
        verb: Verb::Values(verb),
    };
    let all = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    assert_eq!(format!("{all:?}"), format!("{quick:?}"), "{line:?}");
    true
}

#[test]
fn what_programs_type_is_plain() {
    let typed = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    for line in [
        "touchkeep read tk://prod/a/secret",
        "touchkeep --no-interaction read tk://prod/a/secret --out f",
        "touchkeep run --env-file .env -- sh -c x --json",
        "touchkeep run -q --no-mask -- true",
        "touchkeep run --mount K=tk://prod/a/secret,reads=1 --mask=exact -- -x -- y",
        "touchkeep run-monitor 3 foreground sh --json -- x",
        "touchkeep inject -i a -o b",
        "touchkeep inject",
        "touchkeep credential-process aws prod/aws",
        "touchkeep credential git --item prod/g --host github.com get",
        "touchkeep credential docker --registry ghcr.io=prod/g get",
    ] {
        assert!(is_plain(&typed(line)), "{line}");
    }
    for line in [
        "touchkeep status --json",
        "touchkeep run",
        "touchkeep run true",
        "touchkeep run --help",
        "touchkeep read",
        "touchkeep read --force a",
        "touchkeep nothing",
        "touchkeep",
    ] {
        assert!(!is_plain(&typed(line)), "{line}");
    }
}

const VERBS: [&[&str]; 9] = [
    &["read"],
    &["run"],
    &["run"],
    &["run-monitor"],
    &["inject"],
    &["credential", "aws"],
    &["credential", "git"],
    &["credential-process", "docker"],
    &["credential"],
];
const WORDS: [&str; 48] = [
    "--json",
    "--no-interaction",
    "--no-newline",
    "--out",
    "--out=f",
    "--out=",
    "--force",
    "--env-file",
    "--env-file=-e",
    "--mount",
    "--mount=K=tk://a/b/c",
    "--no-mask",
    "--mask",
    "--mask=exact",
    "--mask=odd",
    "encoded",
    "exact",
    "-q",
    "--quiet",
    "-qq",
    "--in",
    "-i",
    "-ifile",
    "-o",
    "-o=x",
    "--item",
    "--item=a/b",
    "--host",
    "--host=h",
    "--username",
    "--username=u",
    "--registry",
    "--registry=h=a/b",
    "get",
    "list",
    "aws",
    "git",
    "read",
    "tk://prod/a/secret",
    "3",
    "foreground",
    "-",
    "--",
    "",
    "-h",
    "--help",
    "-1",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn both_parsers_are_of_one_opinion(
        before in vec(select(&["--json", "--no-interaction", "-h"][..]), 0..2),
        verb in select(&VERBS[..]),
        words in vec(select(&WORDS[..]), 0..7),
    ) {
        let words = before.iter().chain(verb).chain(&words);
        let line = std::iter::once(&"touchkeep").chain(words).map(OsString::from);
        is_plain(&line.collect::<Vec<_>>());
    }
}

#[test]
fn words_that_are_no_text_are_left_to_the_tree_but_in_programs() {
    use std::os::unix::ffi::OsStringExt;
    let odd = || OsString::from_vec(vec![0xff]);
    let line = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let mut run = line(&["touchkeep", "run", "--", "x"]);
    run.push(odd());
    assert!(is_plain(&run));
    let mut read = line(&["touchkeep", "read"]);
    read.push(odd());
    assert!(!is_plain(&read));
}

// Every verb that can be typed, with the words that lead to it.
fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
    let verbs: Vec<_> = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
        .collect();
    for verb in &verbs {
        leaves(verb, &format!("{path} {}", verb.get_name()), found);
    }
    if verbs.is_empty() {
        let help = command.get_after_help().map(ToString::to_string);
        found.push((path.to_owned(), help.unwrap_or_default()));
    }
}

// The words of a line, as a shell takes them, up to what is not our command line's: a pipe, a file, a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let line = line.split("   ").next().unwrap_or_default();
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                let _ = word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '|' | '<' | '>' | ';' | '&') => {
                // A number before it is a descriptor's.
                word.take_if(|word| word.chars().all(|c| c.is_ascii_digit()));
                break;
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_verb_down_to_the_last_has_examples_that_can_be_typed() {
    let mut found = Vec::new();
    leaves(&Cli::command(), "touchkeep", &mut found);
    assert!(found.len() > 80, "{}", found.len());
    for (path, help) in found {
        let examples = help.split_once("Examples:\n").map(|(_, examples)| examples);
        let examples = examples.unwrap_or_else(|| panic!("{path} has no examples: {help}"));
        let own: Vec<_> = examples
            .lines()
            .take_while(|line| line.starts_with("  "))
            .map(str::trim_start)
            .filter(|line| line.starts_with("touchkeep "))
            .collect();
        assert!(
            own.iter().any(|line| line.starts_with(&path)),
            "{path} is not among its examples: {examples}"
        );
        for line in own {
            let parsed = Cli::try_parse_from(words(line));
            assert!(parsed.is_ok(), "{path}: {line}: {}", parsed.err().unwrap());
        }
    }
}

// Commands that are proposed in texts of these sources, up to the mark that ends them. What is filled in counts as a word.
fn proposed(folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            proposed(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for command in line.split(": touchkeep ").skip(1) {
                let end = command.find(['"', '\\', '`', ';', ',', ')']);
                let command = command.get(..end.unwrap_or(command.len()));
                let command = command.map(|command| command.trim_end_matches('.'));
                found.push(format!("touchkeep {}", command.unwrap_or_default()));
            }
        }
    }
}

#[test]
fn a_command_that_is_proposed_has_all_that_it_needs() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
    let mut found = Vec::new();
    for sources in [
        "agent/src",
        "values/src",
        "client/src",
        "vault/src",
        "cli/src/commands",
        "cli/src/front_end",
    ] {
        proposed(&crates.join(sources), &mut found);
    }
    assert!(found.len() > 100, "{}", found.len());
    let lacking = found.iter().filter(|command| {
        let tried = Cli::try_parse_from(command.split_whitespace());
        tried.is_err_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            )
        })
    });
    assert_eq!(lacking.collect::<Vec<_>>(), Vec::<&String>::new());
}
