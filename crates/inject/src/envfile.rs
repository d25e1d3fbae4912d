//! Env files: `NAME=value` lines as dotenv has them.
//!
//! `export` before a name, comments, single quotes (as they stand), double quotes (with `\n \r \t \" \\ \$` and the other
//! escapes of C), and line breaks inside quotes. Nothing is expanded: `${NAME}` stays as it is, because what a reference means
//! must not depend on what else is set.
//!
//! # Why
//! Readers of such files agree on most of this and differ at the edges. What one of them would skip is an error here: a line that
//! was meant to be a secret must not be lost in silence.

use std::fmt;

use zeroize::Zeroizing;

/// One assignment.
#[derive(PartialEq, Eq)]
pub struct Entry {
    /// The variable.
    pub name: String,
    /// Its value, wiped on drop.
    pub value: Zeroizing<String>,
    /// Where it begins, from 1.
    pub line: usize,
    /// Whether another reader might expand something in it.
    pub has_expansion: bool,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Entry({} at line {}, value hidden)",
            self.name, self.line
        )
    }
}

/// A line that cannot be read. It never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct EnvFileError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Neither a comment nor an assignment.
    #[error("no NAME=value")]
    NoAssignment,
    /// The name is empty, or holds what no variable's name may hold.
    #[error("this is no name of a variable")]
    BadName,
    /// A quote is opened and never closed.
    #[error("a quote is opened here and never closed")]
    OpenQuote,
    /// Something follows the closing quote that is no comment.
    #[error("something follows the closing quote")]
    AfterQuote,
    /// A `#` right after the `=`: some read a comment, some a value.
    #[error("a # right after the =: put quotes around the value, or leave the comment out")]
    Hash,
    /// A NUL, which no environment can hold.
    #[error("a NUL byte, which no environment can hold")]
    Nul,
}

/// Reads a file's text, in order; a name may come again, and the later one is meant.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Entry>, EnvFileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        rest: text,
        line: 1,
    };
    let mut entries = Vec::new();
    while reader.skip_blank_lines() {
        entries.push(reader.entry()?);
    }
    Ok(entries)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    // Skips what is empty or a comment; whether anything is left.
    fn skip_blank_lines(&mut self) -> bool {
        loop {
            self.skip_blanks();
            if self.rest.starts_with('#') {
                self.take_line();
            }
            if !self.end_line() {
                return !self.rest.is_empty();
            }
        }
    }

    fn entry(&mut self) -> Result<Entry, EnvFileError> {
        let line = self.line;
        let fail = |problem| EnvFileError { line, problem };
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.rest = after;
            self.skip_blanks();
        }
        let end = self.rest.find(['=', '\n', '\r']).unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at(end);
        let after = after.strip_prefix('=').ok_or(fail(Problem::NoAssignment))?;
        let name = name.trim_end_matches([' ', '\t']);
        if !is_name(name) {
            return Err(fail(Problem::BadName));
        }
        self.rest = after;
        self.skip_blanks();
        let (value, expandable) = self.value()?;
        if value.contains('\0') {
            return Err(fail(Problem::Nul));
        }
        let has_expansion = expandable && (value.contains("${") || value.contains("$("));
        Ok(Entry {
            name: name.to_owned(),
            value,
            line,
            has_expansion,
        })
    }

    fn value(&mut self) -> Result<(Zeroizing<String>, bool), EnvFileError> {
        match self.rest.chars().next() {
            Some('\'') => {
                let value = self.quoted('\'', |_| None)?;
                Ok((value, false))
            }
            Some('"') => {
                let value = self.quoted('"', escape)?;
                Ok((value, true))
            }
            Some('#') => Err(EnvFileError {
                line: self.line,
                problem: Problem::Hash,
            }),
            _ => {
                let value = unquoted(self.take_line());
                Ok((Zeroizing::new(value.to_owned()), true))
            }
        }
    }

    // A quoted value, and that nothing but a comment follows it.
    fn quoted(
        &mut self,
        quote: char,
        escape: impl Fn(char) -> Option<char>,
    ) -> Result<Zeroizing<String>, EnvFileError> {
        let fail = |line, problem| EnvFileError { line, problem };
        let opened = self.line;
        let body = self.rest.get(1..).unwrap_or_default();
        let mut value = Zeroizing::new(String::with_capacity(body.len()));
        let mut chars = body.char_indices();
        let closed = loop {
            let (at, c) = chars.next().ok_or(fail(opened, Problem::OpenQuote))?;
            if c == quote {
                break at;
            }
            if c == '\n' {
                self.line += 1;
            }
            let escaped = (c == '\\')
                .then(|| body.get(at + 1..)?.chars().next())
                .flatten();
            match escaped.and_then(&escape) {
                Some(meant) => {
                    value.push(meant);
                    chars.next();
                }
                None => value.push(c),
            }
        };
        self.rest = body.get(closed + 1..).unwrap_or_default();
        let line = self.line;
        let spaced = self.rest.starts_with([' ', '\t']);
        self.skip_blanks();
        match self.rest.chars().next() {
            None | Some('\n' | '\r') => {}
            Some('#') if spaced => drop(self.take_line()),
            Some(_) => return Err(fail(line, Problem::AfterQuote)),
        }
        Ok(value)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn take_line(&mut self) -> &'a str {
        let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        line
    }

    fn end_line(&mut self) -> bool {
        let after = ["\r\n", "\n", "\r"]
            .into_iter()
            .find_map(|end| self.rest.strip_prefix(end));
        match after {
            Some(after) => {
                self.rest = after;
                self.line += 1;
                true
            }
            None => false,
        }
    }
}

// Up to a comment: a `#` after a blank.
fn unquoted(line: &str) -> &str {
    let comment = line.find(" #").into_iter().chain(line.find("\t#")).min();
    let value = line.get(..comment.unwrap_or(line.len()));
    value.unwrap_or(line).trim_end_matches([' ', '\t'])
}

const fn escape(c: char) -> Option<char> {
    Some(match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'v' => '\x0b',
        '"' | '\\' | '\'' | '$' | '`' => c,
        _ => return None,
    })
}

/// Whether an environment may hold a variable of that name: not empty, no `=`, no blank, no control character, no quote.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let odd = |c: char| {
        c == '=' || c == '#' || c == '\'' || c == '"' || c.is_whitespace() || c.is_control()
    };
    !name.is_empty() && !name.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let entries = parse(text).unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.name, entry.value.to_string()))
            .collect()
    }

    fn one(text: &str) -> String {
        let [(_, value)] = &read(text)[..] else {
            panic!("{text:?} is one assignment")
        };
        value.clone()
    }

    #[test]
    fn lines_are_read_as_dotenv_reads_them() {
        let text = "\u{feff}# first\n\nA=1\r\n export B = two words  # why\nC=\nD='a # \\n b' # c\nE=\"x\\ny\\\"z\\$\"\nF=a#b\n";
        let wanted = [
            ("A", "1"),
            ("B", "two words"),
            ("C", ""),
            ("D", "a # \\n b"),
            ("E", "x\ny\"z$"),
            ("F", "a#b"),
        ];
        let wanted: Vec<_> = wanted.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(read(text), wanted);
    }

    #[test]
    fn quotes_go_over_lines() {
        let text = "KEY=\"-----BEGIN\nabc\n-----END\"\nNEXT='1\n2'\n";
        assert_eq!(read(text)[0].1, "-----BEGIN\nabc\n-----END");
        let entries = parse(text).unwrap();
        assert_eq!((entries[0].line, entries[1].line), (1, 4));
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(one("A=${HOME}/x"), "${HOME}/x");
        assert!(parse("A=${HOME}").unwrap()[0].has_expansion);
        assert!(!parse("A='${HOME}'").unwrap()[0].has_expansion);
    }

    #[test]
    fn a_line_that_would_be_lost_is_an_error_with_its_number_and_without_its_value() {
        for (text, line, problem) in [
            ("A=1\nhunter2\n", 2, Problem::NoAssignment),
            ("=hunter2", 1, Problem::BadName),
            ("two words=hunter2", 1, Problem::BadName),
            ("A=1\nB=\"hunter2\n\n", 2, Problem::OpenQuote),
            ("A='hunter2'x", 1, Problem::AfterQuote),
            ("A=\"1\n2\"x", 2, Problem::AfterQuote),
            ("A=#hunter2", 1, Problem::Hash),
            ("A= # hunter2", 1, Problem::Hash),
            ("A=hun\0ter2", 1, Problem::Nul),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, EnvFileError { line, problem }, "{text:?}");
            assert!(!error.to_string().contains("hunter"));
        }
    }

    #[test]
    fn debug_hides_the_value() {
        assert!(!format!("{:?}", parse("A=hunter2").unwrap()).contains("hunter"));
    }
}
