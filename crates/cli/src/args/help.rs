//! How what follows the options in `--help` is laid out, which clap would break anywhere: an example is to be copied, and what
//! is said of it stands beside it or below it.

use clap::Command;

use crate::layout;

/// Beside an example there is room for a few words at least, or they stand below it.
const LEAST_BESIDE: usize = 30;
/// Columns in front of what goes on.
const INDENT: usize = 6;

/// The verbs by what they are for. Each stands in one of them.
const GROUPS: [(&str, &[&str]); 6] = [
    (
        "Everyday",
        &[
            "unlock", "lock", "status", "list", "show", "add", "edit", "history", "rm", "trash",
            "restore", "env",
        ],
    ),
    (
        "Programs that need a value",
        &["run", "read", "inject", "credential", "grant"],
    ),
    (
        "Bots",
        &[
            "proxy",
            "policy",
            "approve",
            "arm",
            "venue",
            "public-key",
            "set-api-key",
            "remind",
            "webhook",
        ],
    ),
    (
        "Devices and recovery",
        &["device", "recover", "backup", "merge", "git"],
    ),
    ("Audit", &["audit"]),
    (
        "Set-up",
        &[
            "init",
            "demo",
            "doctor",
            "agent",
            "import",
            "export",
            "completions",
            "man",
        ],
    ),
];

/// The root, with its verbs in groups.
pub(super) fn grouped(command: Command, width: usize) -> Command {
    let mut text = String::new();
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let column = GROUPS.iter().flat_map(|(_, verbs)| verbs.iter());
    let column = 4 + column.map(|verb| verb.len()).max().unwrap_or_default();
    for (group, verbs) in GROUPS {
        text.push_str(&format!("{header}{group}:{header:#}\n"));
        for verb in verbs {
            let found = command.find_subcommand(verb);
            let about = found.and_then(Command::get_about).map(ToString::to_string);
            let about = about.unwrap_or_default();
            // Its first sentence; the verb's own page has the others.
            let about = about.split(". ").next().unwrap_or_default();
            let about = layout::wrap(about, width, column, column);
            let gap = " ".repeat(column - 2 - verb.len());
            text.push_str(&format!("  {literal}{verb}{literal:#}{gap}{about}\n"));
        }
        text.push('\n');
    }
    text.push_str("More about one of them: touchkeep help VERB");
    // In place of clap's one list.
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{{before-help}}{header}Options:{header:#}\n{{options}}{{after-help}}"
    );
    command
        .before_help(text.trim_end().to_owned())
        .help_template(template)
}

/// The tree, with everything after the options fit for so many columns.
pub(super) fn laid_out(mut command: Command, width: usize) -> Command {
    if let Some(help) = command.get_after_help().map(ToString::to_string) {
        let lines: Vec<String> = help.lines().map(|one| line(one, width)).collect();
        command = command.after_help(lines.join("\n"));
    }
    let verbs = command.get_subcommands();
    let names: Vec<String> = verbs.map(|verb| verb.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |verb| laid_out(verb, width))
    })
}

fn line(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    match text.rfind("   ") {
        Some(gap) => {
            let (said_of, words) = (text.split_at(gap).0.trim_end(), text.split_at(gap + 3).1);
            let column = text.chars().count() - words.chars().count();
            if column + LEAST_BESIDE <= width {
                return layout::fold(text, width);
            }
            let below = layout::wrap(words, width, INDENT, INDENT);
            format!("{}\n{:INDENT$}{below}", example(said_of, width), "")
        }
        None if text.starts_with("  ") => example(text, width),
        // A sentence, which clap breaks well.
        None => text.to_owned(),
    }
}

// A command line that goes on behind a backslash, broken where a shell would take a word to end, and never between an option
// and its value.
fn example(text: &str, width: usize) -> String {
    let mut lines = vec![Vec::new()];
    // Two columns in front, and a blank and a backslash behind.
    let mut left = width - 4;
    for word in words(text) {
        let Some(line) = lines.last_mut() else { break };
        let length = word.chars().count() + 1;
        if length > left && !line.is_empty() {
            let more = line.len() > 1;
            let option = line.pop_if(|last: &mut String| more && last.starts_with('-'));
            left = width - INDENT - 2;
            left -= option
                .as_ref()
                .map_or(0, |option| option.chars().count() + 1);
            lines.push(option.into_iter().collect());
        }
        left = left.saturating_sub(length);
        if let Some(line) = lines.last_mut() {
            line.push(word);
        }
    }
    let lines: Vec<String> = lines.iter().map(|line| line.join(" ")).collect();
    let between = format!(" \\\n{:INDENT$}", "");
    format!("  {}", lines.join(&between))
}

// A quoted text is one word, or part of one.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in text.trim_start().chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => {
                words.push(std::mem::take(&mut word));
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn an_example_goes_on_behind_a_backslash_and_never_inside_of_quotes() {
        assert_eq!(
            line("  touchkeep add money --class 'a b c d e f g' --sealed", 34),
            "  touchkeep add money \\\n      --class 'a b c d e f g' \\\n      --sealed"
        );
    }

    #[test]
    fn words_about_an_example_stand_beside_it_or_below() {
        assert_eq!(
            line("  a b    one two three four five six seven eight", 40),
            "  a b    one two three four five six\n         seven eight"
        );
        assert_eq!(
            line("  touchkeep a b c d    one two three", 30),
            "  touchkeep a b c d\n      one two three"
        );
    }

    #[test]
    fn every_verb_stands_in_one_group_and_fits_a_small_terminal() {
        let tree = Cli::command();
        let shown = tree.get_subcommands().filter(|verb| !verb.is_hide_set());
        let mut shown: Vec<&str> = shown.map(Command::get_name).collect();
        let mut listed: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, verbs)| verbs.to_vec())
            .collect();
        shown.sort_unstable();
        listed.sort_unstable();
        assert_eq!(shown, listed);
        let tree = grouped(Cli::command(), layout::USUAL_WIDTH);
        let tree = tree.term_width(layout::USUAL_WIDTH);
        let error = tree.try_get_matches_from(["touchkeep", "--help"]);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("\nBots:\n  proxy"), "{text}");
        assert!(text.contains("\nOptions:\n"), "{text}");
        for line in text.split("First steps").next().unwrap().lines() {
            assert!(line.chars().count() <= layout::USUAL_WIDTH, "{line}");
        }
    }

    // Every line of every verb but sentences.
    fn all(command: &Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string);
        let lines = help.unwrap_or_default();
        let lines = lines.lines().filter(|line| line.starts_with(' '));
        found.extend(lines.map(str::to_owned));
        for verb in command.get_subcommands() {
            all(verb, found);
        }
    }

    #[test]
    fn every_example_fits_a_small_terminal() {
        let mut found = Vec::new();
        all(&laid_out(Cli::command(), layout::USUAL_WIDTH), &mut found);
        assert!(found.len() > 150, "{}", found.len());
        for line in found {
            assert!(line.chars().count() <= layout::USUAL_WIDTH, "{line}");
        }
    }
}
