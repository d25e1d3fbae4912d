//! How text is laid out on a terminal: columns, and lines that break at blanks.

use std::os::fd::AsFd;

/// Where nobody sees it, lines are as long as on a small terminal.
pub const USUAL_WIDTH: usize = 80;
/// Below this many columns nothing is broken: there is no room to break it well.
const LEAST_WIDTH: usize = 40;
/// A last column narrower than this goes on at the left instead.
const LEAST_COLUMN: usize = 8;

/// Whether the terminal is one that shows escape sequences as they are (`TERM=dumb`), as Emacs' shell does.
#[must_use]
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The columns of the terminal behind `stream`; nothing where there is none.
#[must_use]
pub fn width(stream: impl AsFd) -> Option<usize> {
    let stream = stream.as_fd();
    if !rustix::termios::isatty(stream) {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width >= LEAST_WIDTH)
}

/// The rows of the terminal behind `stream`; nothing where there is none.
#[must_use]
pub fn height(stream: impl AsFd) -> Option<usize> {
    let stream = stream.as_fd();
    if !rustix::termios::isatty(stream) {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_row)).filter(|height| *height > 0)
}

/// Columns, aligned, two blanks apart; the last one is not padded.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain(head.get(column).map(|h| h.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            format!(
                "{cell}{}",
                " ".repeat(width - cell.chars().count().min(*width))
            )
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec()))
        .chain(body)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Breaks the lines that are longer than `width`. What goes on stands below the line's last column, or its text.
#[must_use]
pub fn fold(text: &str, width: usize) -> String {
    let folded = text.split('\n').map(|line| {
        if columns(line) <= width {
            return line.to_owned();
        }
        let indent = hang(line);
        let indent = if indent + LEAST_COLUMN > width {
            4
        } else {
            indent
        };
        wrap(line, width, 0, indent)
    });
    folded.collect::<Vec<_>>().join("\n")
}

/// Where the text after the last gap of two blanks begins.
fn hang(line: &str) -> usize {
    let gap = line.trim_end().rfind("  ").map_or(0, |at| at + 2);
    line.get(..gap).map_or(0, columns)
}

/// What a terminal shows of it: all but the escape sequences of colours.
fn columns(text: &str) -> usize {
    let mut parts = text.split("\x1b[");
    let first = parts.next().map_or(0, |part| part.chars().count());
    let rest = parts.map(|part| {
        part.split_once('m')
            .map_or(0, |(_, shown)| shown.chars().count())
    });
    first + rest.sum::<usize>()
}

/// Breaks at blanks, never inside of a word: paths and commands are to be copied. `taken` columns of the first line are in
/// use already; the others begin with `indent` blanks. A word that would stand no further to the left on a line of its own
/// stays where it is.
#[must_use]
pub fn wrap(text: &str, width: usize, taken: usize, indent: usize) -> String {
    let mut wrapped = String::new();
    let mut column = taken;
    for (at, word) in text.split(' ').enumerate() {
        let length = columns(word);
        if at > 0 && column + 1 + length > width && column + 1 > indent {
            wrapped.truncate(wrapped.trim_end_matches(' ').len());
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            column = indent;
        } else if at > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".into(), "long cell".into(), "x".into()],
            vec!["bcd".into(), "é".into(), String::new()],
        ];
        assert_eq!(
            table(&["N", "WHAT", "Z"], &rows),
            "N    WHAT       Z\na    long cell  x\nbcd  é"
        );
    }

    #[test]
    fn lines_are_no_longer_than_wanted_and_words_stay_whole() {
        let text = "one two three /a/path/that/is/longer/than/a/line four";
        assert_eq!(
            wrap(text, 12, 5, 2),
            "one two\n  three\n  /a/path/that/is/longer/than/a/line\n  four"
        );
        assert_eq!(wrap("", 12, 5, 2), "");
    }

    #[test]
    fn the_last_column_goes_on_below_itself() {
        assert_eq!(
            fold("a  b  one two three\nshort", 14),
            "a  b  one two\n      three\nshort"
        );
        assert_eq!(fold("one two three", 8), "one two\nthree");
    }

    #[test]
    fn a_word_that_is_too_long_gets_no_empty_line_above_it() {
        assert_eq!(fold("log  a-long-word b", 14), "log  a-long-word\n     b");
        assert_eq!(fold("  a-long-word", 8), "  a-long-word");
    }

    #[test]
    fn no_blanks_are_left_at_the_end_of_a_line() {
        assert_eq!(
            fold("one        two  three four", 16),
            "one        two\n    three four"
        );
    }

    #[test]
    fn colours_take_no_columns() {
        let red = "\x1b[1;31mone\x1b[0m two";
        assert_eq!(columns(red), 7);
        assert_eq!(fold(red, 7), red);
    }
}
