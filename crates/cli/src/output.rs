//! Data on stdout, talk on stderr; JSON where asked; colour only where somebody sees it.

use std::io::{IsTerminal, Write, stderr, stdout};

use serde::Serialize;
use touchkeep_wire::Failure;

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    colour_out: bool,
    colour_err: bool,
}

/// Styles, by meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Strong,
    Quiet,
    Good,
    Bad,
    Warn,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Strong => "\x1b[1m",
            Self::Quiet => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[1;31m",
            Self::Warn => "\x1b[33m",
        }
    }
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            json,
            colour_out: wanted && stdout().is_terminal(),
            colour_err: wanted && stderr().is_terminal(),
        }
    }

    pub(crate) fn out(self, style: Style, text: &str) -> String {
        paint(self.colour_out, style, text)
    }

    pub(crate) fn err(self, style: Style, text: &str) -> String {
        paint(self.colour_err, style, text)
    }

    /// The result of a verb: one JSON document, or what `human` makes of it.
    pub(crate) fn result<T: Serialize>(self, value: &T, human: impl FnOnce(&T) -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(value).unwrap_or_default()
        } else {
            human(value)
        };
        if !text.is_empty() {
            // A closed pipe (`| head`) is no error.
            let _closed = writeln!(stdout(), "{}", text.trim_end());
        }
    }

    /// The end of a verb that has nothing to show: an empty document, and what happened.
    pub(crate) fn done(self, text: &str) {
        self.result(&serde_json::json!({}), |_| String::new());
        self.say(text);
    }

    /// Talk.
    pub(crate) fn say(self, text: &str) {
        let _closed = writeln!(stderr(), "{text}");
    }

    /// What happened, and what to do.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            let _closed = writeln!(stdout(), "{}", serde_json::json!({ "error": failure }));
        }
        self.say(&format!(
            "{} {}",
            self.err(Style::Bad, "touchkeep:"),
            failure.what
        ));
        if !failure.fix.is_empty() {
            self.say(&format!("  {}", failure.fix));
        }
    }
}

fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour {
        format!("{}{text}\x1b[0m", style.code())
    } else {
        text.to_owned()
    }
}

/// Columns, aligned, two blanks apart; the last one is not padded.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
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
}
