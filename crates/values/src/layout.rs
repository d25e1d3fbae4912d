//! How text is laid out on a terminal: columns, and lines that break at blanks.

use std::os::fd::AsFd;

/// Where nobody sees it, lines are as long as on a small terminal.
pub const USUAL_WIDTH: usize = 80;
/// Below this many columns nothing is broken: there is no room to break it well.
const LEAST_WIDTH: usize = 40;
/// A last column narrower than this goes on at the left instead.
const LEAST_COLUMN: usize = 8;
/// Blanks between two columns of a table.
const GAP: usize = 2;
/// A last column of a table that is narrower than this breaks every word.
const LEAST_LAST_COLUMN: usize = 10;
/// One cell in so many of a column may be longer than it.
const FEW: usize = 4;
/// How much longer a cell is than the others of its column where it may stand by itself.
const MUCH: usize = 8;
/// Blanks in front of what stands below its row.
const BELOW: usize = 4;
/// What commands that are to be typed begin with.
const COMMAND: &str = "touchkeep";

/// Whether the terminal is one that shows escape sequences as they are (`TERM=dumb`), as Emacs' shell does.
#[must_use]
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The columns of the terminal behind `stream`; nothing where there is none.
#[must_use]
pub fn width(stream: impl AsFd) -> Option<usize> {
    room(stream).filter(|width| *width >= LEAST_WIDTH)
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

/// The columns of the terminal behind `stream` for what can be laid out in any number of them; nothing where there is none.
#[must_use]
pub fn room(stream: impl AsFd) -> Option<usize> {
    let stream = stream.as_fd();
    if !rustix::termios::isatty(stream) {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|room| *room > 0)
}

/// Columns, aligned, two blanks apart; the last one is not padded. Where `room` has no place for them, the few cells that are
/// much longer than the others of their column have lines of their own; then the last column stands below the others; and where
/// that is not enough, each row is shown as lines of a head and a cell. Heads look as `painted` has them.
#[must_use]
pub fn table(
    head: &[&str],
    rows: &[Vec<String>],
    room: Option<usize>,
    painted: impl Fn(&str) -> String,
) -> String {
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let widest = cells(column).map(|cell| columns(cell)).max();
            columns(head).max(widest.unwrap_or(0))
        })
        .collect();
    let Some(fitting) = fitted(head, rows, widths, room) else {
        return records(head, rows, painted);
    };
    let heads = aligned(head.iter().copied(), &fitting);
    let body = rows
        .iter()
        .map(|row| aligned(row.iter().map(String::as_str), &fitting));
    std::iter::once(painted(&heads))
        .chain(body)
        .collect::<Vec<_>>()
        .join("\n")
}

// How a table fits.
struct Fitting {
    // A cell that is wider than its column stands on a line of its own.
    widths: Vec<usize>,
    // The last column stands below the others.
    is_last_below: bool,
}

fn fitted(
    head: &[&str],
    rows: &[Vec<String>],
    mut widths: Vec<usize>,
    room: Option<usize>,
) -> Option<Fitting> {
    let few = rows.len() / FEW;
    loop {
        let (last, others) = widths.split_last()?;
        let beside = others.iter().map(|width| width + GAP).sum::<usize>();
        let fits = |needed: usize| room.is_none_or(|room| needed <= room);
        if fits(beside + (*last).min(LEAST_LAST_COLUMN)) {
            return Some(Fitting {
                widths,
                is_last_below: false,
            });
        }
        // What is gained where the widest cells of a column stand by themselves, if these are few.
        let narrower = others.iter().enumerate().filter_map(|(column, width)| {
            let lengths = || {
                let cells = rows.iter().filter_map(move |row| row.get(column));
                cells.map(|cell| columns(cell))
            };
            let least = head.get(column).map_or(0, |head| columns(head));
            let shorter = lengths().filter(|length| length < width);
            let next = shorter.max()?.max(least);
            let alone = lengths().filter(|length| *length > next).count();
            (next + MUCH <= *width && alone <= few).then_some((width - next, column, next))
        });
        let Some((_, column, next)) = narrower.max() else {
            let is_last_below = fits(beside.saturating_sub(GAP)) && others.len() > 1;
            return is_last_below.then_some(Fitting {
                widths,
                is_last_below,
            });
        };
        *widths.get_mut(column)? = next;
    }
}

// One row, each cell at its column. After one that is too wide the others go on below it.
fn aligned<'a>(cells: impl Iterator<Item = &'a str>, fitting: &Fitting) -> String {
    let (mut row, mut used, mut start, mut is_over) = (String::new(), 0, 0, false);
    let last = fitting.widths.len().saturating_sub(1);
    for (column, (cell, width)) in cells.zip(&fitting.widths).enumerate() {
        if cell.is_empty() {
            start += width + GAP;
            continue;
        }
        let is_below = fitting.is_last_below && column == last;
        if is_over || is_below {
            row.truncate(row.trim_end().len());
            row.push('\n');
            used = 0;
        }
        let at = if is_below { BELOW } else { start };
        row.push_str(&" ".repeat(at - used));
        row.push_str(cell);
        is_over = columns(cell) > *width;
        if !is_over {
            row.push_str(&" ".repeat(width - columns(cell) + GAP));
            used = at + width + GAP;
        }
        start += width + GAP;
    }
    row.trim_end().to_owned()
}

// Each row as lines of its own, a blank line between two.
fn records(head: &[&str], rows: &[Vec<String>], painted: impl Fn(&str) -> String) -> String {
    let width = head.iter().map(|head| columns(head)).max().unwrap_or(0);
    let line = |(head, cell): (&&str, &String)| {
        let gap = " ".repeat(width - columns(head) + GAP);
        (!cell.is_empty()).then(|| format!("{}{gap}{cell}", painted(head)))
    };
    let record = |row: &Vec<String>| {
        let lines = head.iter().zip(row).filter_map(line);
        lines.collect::<Vec<_>>().join("\n")
    };
    rows.iter().map(record).collect::<Vec<_>>().join("\n\n")
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

/// Where the text after the last gap of two blanks begins, and after the dash of a list.
fn hang(line: &str) -> usize {
    let gap = line.trim_end().rfind("  ").map_or(0, |at| at + 2);
    let is_listed = line.get(gap..).is_some_and(|text| text.starts_with("- "));
    line.get(..gap).map_or(0, columns) + if is_listed { 2 } else { 0 }
}

/// How many columns a terminal needs for it: none for the escape sequences of colours, two for a character of full width.
#[must_use]
pub fn columns(text: &str) -> usize {
    let wide = |part: &str| part.chars().map(|c| 1 + usize::from(is_wide(c))).sum();
    let mut parts = text.split("\x1b[");
    let first: usize = parts.next().map_or(0, wide);
    let rest = parts.map(|part| part.split_once('m').map_or(0, |(_, shown)| wide(shown)));
    first + rest.sum::<usize>()
}

// Unicode's East Asian Width W and F (UAX #11), by blocks: what is not assigned in them is not shown anyway.
fn is_wide(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{33ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{a4cf}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}' | '\u{1f900}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
}

/// Breaks at blanks, never inside of a word: paths and commands are to be copied. `taken` columns of the first line are in
/// use already; the others begin with `indent` blanks. A word that would stand no further to the left on a line of its own
/// stays where it is. A command that fits on a line stands on one.
#[must_use]
pub fn wrap(text: &str, width: usize, taken: usize, indent: usize) -> String {
    let mut wrapped = String::new();
    let mut column = taken;
    let room = width.saturating_sub(indent);
    for (at, word) in whole_commands(text, room).into_iter().enumerate() {
        let length = columns(&word);
        if at > 0 && column + 1 + length > width && column + 1 > indent {
            wrapped.truncate(wrapped.trim_end_matches(' ').len());
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            column = indent;
        } else if at > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(&word);
        column += length;
    }
    wrapped
}

// The words of a text. A command is one, up to the mark that ends its sentence, where it is no longer than `room`.
fn whole_commands(text: &str, room: usize) -> Vec<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let (mut pieces, mut rest) = (Vec::with_capacity(words.len()), &words[..]);
    while let [first, others @ ..] = rest {
        let ends = |word: &&str| word.ends_with(['.', ',', ';', ')', ':']) || word.is_empty();
        let more = match *first == COMMAND {
            true => others
                .iter()
                .position(ends)
                .map_or(others.len(), |end| end + 1),
            false => 0,
        };
        let command = rest.get(..=more).unwrap_or_default().join(" ");
        let taken = if columns(&command) <= room { more } else { 0 };
        pieces.push(rest.get(..=taken).unwrap_or_default().join(" "));
        rest = others.get(taken..).unwrap_or_default();
    }
    pieces
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
            table(&["N", "WHAT", "Z"], &rows, None, str::to_owned),
            "N    WHAT       Z\na    long cell  x\nbcd  é"
        );
    }

    #[test]
    fn characters_of_full_width_take_two_columns() {
        let rows = vec![
            vec!["日本語の鍵".into(), "x".into()],
            vec!["éa".into(), "y".into()],
        ];
        assert_eq!(
            table(&["NAME", "Z"], &rows, None, str::to_owned),
            "NAME        Z\n日本語の鍵  x\néa          y"
        );
    }

    #[test]
    fn one_long_cell_has_a_line_of_its_own_and_widens_no_other_row() {
        let long = "n".repeat(60);
        let rows: Vec<Vec<String>> = ["a", "bb", long.as_str(), "ccc"]
            .iter()
            .map(|name| vec![(*name).into(), "api-key".into(), "stored".into()])
            .collect();
        let head = ["NAME", "KIND", "SECRET"];
        let shown = table(&head, &rows, Some(40), str::to_owned);
        assert_eq!(
            shown,
            format!(
                "NAME  KIND     SECRET\na     api-key  stored\nbb    api-key  stored\n\
                 {long}\n      api-key  stored\nccc   api-key  stored"
            )
        );
        assert!(table(&head, &rows, Some(80), str::to_owned).contains(&format!("{long}  api-key")));
    }

    #[test]
    fn what_stands_below_touches_no_other_and_has_no_blanks_before_it() {
        let long = "d".repeat(10);
        let rows: Vec<Vec<String>> = ["aa", "bb", "cc", long.as_str()]
            .iter()
            .map(|name| vec![(*name).into(), "stored".into(), "x".repeat(10)])
            .collect();
        let shown = table(&["N", "SECRET", "AGE"], &rows, Some(22), str::to_owned);
        assert!(
            shown.ends_with("\ndddddddddd\n    stored  xxxxxxxxxx"),
            "{shown}"
        );
        let rows: Vec<Vec<String>> = ["aa", "bb", "ccc"]
            .iter()
            .map(|name| vec![(*name).into(), String::new(), "x".repeat(10)])
            .collect();
        let shown = table(&["N", "SECRET", "AGE"], &rows, Some(22), str::to_owned);
        let heads = "N    SECRET\n    AGE\naa\n    xxxxxxxxxx\n";
        assert!(shown.starts_with(heads), "{shown}");
    }

    #[test]
    fn a_table_that_has_no_room_becomes_a_head_and_a_cell_a_line() {
        let row = |name: &str, last: &str| {
            vec![
                name.into(),
                "exchange-key".into(),
                String::new(),
                last.into(),
            ]
        };
        let rows = vec![row("money", "0 d"), row("trade", "0 d, due in 90 d")];
        let head = ["NAME", "KIND", "VENUE", "AGE"];
        assert_eq!(
            table(&head, &rows, Some(25), |head| format!("<{head}>")),
            "<NAME>   money\n<KIND>   exchange-key\n<AGE>    0 d\n\n\
             <NAME>   trade\n<KIND>   exchange-key\n<AGE>    0 d, due in 90 d"
        );
    }

    #[test]
    fn a_long_last_column_is_left_to_go_on_below_itself() {
        let rows = vec![vec!["a".into(), "one two three four five six".into()]];
        let shown = table(&["N", "WHY"], &rows, Some(24), str::to_owned);
        assert_eq!(shown, "N  WHY\na  one two three four five six");
        assert_eq!(
            fold(&shown, 24),
            "N  WHY\na  one two three four\n   five six"
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
    fn what_stands_behind_a_dash_goes_on_behind_it() {
        assert_eq!(fold("  - one two three", 12), "  - one two\n    three");
    }

    #[test]
    fn no_blanks_are_left_at_the_end_of_a_line() {
        assert_eq!(
            fold("one        two  three four", 16),
            "one        two\n    three four"
        );
    }

    #[test]
    fn a_command_is_not_broken_where_it_fits_on_a_line() {
        assert_eq!(
            wrap(
                "Take it back: touchkeep restore 'two words', or not.",
                36,
                0,
                2
            ),
            "Take it back:\n  touchkeep restore 'two words', or\n  not."
        );
        assert_eq!(
            wrap("Run: touchkeep recover kit", 20, 0, 2),
            "Run: touchkeep\n  recover kit"
        );
        assert_eq!(
            wrap("touchkeep: what happened", 12, 0, 0),
            "touchkeep:\nwhat\nhappened"
        );
    }

    #[test]
    fn colours_take_no_columns() {
        let red = "\x1b[1;31mone\x1b[0m two";
        assert_eq!(columns(red), 7);
        assert_eq!(fold(red, 7), red);
    }
}
