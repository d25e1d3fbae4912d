//! How what follows the options in `--help` is laid out, which clap would break anywhere: an example is to be copied, and what
//! is said of it stands beside it or below it.

use clap::Command;

use crate::layout;

/// Beside an example there is room for a few words at least, or they stand below it.
const LEAST_BESIDE: usize = 30;
/// Columns in front of what goes on.
const INDENT: usize = 6;

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
