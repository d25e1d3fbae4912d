//! Data on stdout, talk on stderr; JSON where asked; colour only where somebody sees it.

use std::{
    io::{self, IsTerminal, Write, stderr, stdout},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use serde::Serialize;
use touchkeep_core::Code;
use touchkeep_wire::Failure;

use crate::{closed, layout};

// A result was not written, whole or in part.
static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// How a verb ends that came to this end: not as done, where what it had to say did not get out.
#[must_use]
pub fn ends_with(code: ExitCode) -> ExitCode {
    match UNWRITTEN.load(Ordering::Relaxed) {
        true => ExitCode::from(Code::System.exit_code()),
        false => code,
    }
}

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    // The document was printed, so that nothing else goes to standard output.
    is_beside: bool,
    colour_out: bool,
    colour_err: bool,
}

/// Styles, by meaning.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// What matters.
    Strong,
    /// What is said by the way.
    Quiet,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// What a person should look at.
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
    /// To the standard streams, as a document where `json` says so.
    #[must_use]
    pub fn new(json: bool) -> Self {
        let wanted =
            std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !layout::is_dumb();
        Self {
            json,
            is_beside: false,
            colour_out: wanted && stdout().is_terminal(),
            colour_err: wanted && stderr().is_terminal(),
        }
    }

    /// The same for what is done after the document was printed: its results are talk, and its failures no documents.
    #[must_use]
    pub const fn beside(self) -> Self {
        Self {
            json: false,
            is_beside: self.json,
            ..self
        }
    }

    /// Whether results are documents.
    #[must_use]
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// A text as it looks on standard output.
    #[must_use]
    pub fn out(self, style: Style, text: &str) -> String {
        paint(self.colour_out, style, text)
    }

    /// A text as it looks on standard error.
    #[must_use]
    pub fn err(self, style: Style, text: &str) -> String {
        paint(self.colour_err, style, text)
    }

    /// The result of a verb: one JSON document, or what `human` makes of it.
    pub fn result<T: Serialize>(self, value: &T, human: impl FnOnce(&T) -> String) {
        self.document(value, |value| {
            let text = human(value);
            match layout::width(stdout()) {
                Some(width) => layout::fold(&text, width),
                None => text,
            }
        });
    }

    /// The same for what a program is to read: its lines stay as they are, since whoever copies it from a terminal wants it so.
    pub fn document<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(value).unwrap_or_default()
        } else {
            text(value)
        };
        if text.is_empty() {
            return;
        }
        if self.is_beside {
            self.say(text.trim_end());
        } else {
            self.was_written(closed::check_open().and_then(|()| {
                writeln!(stdout(), "{}", text.trim_end())?;
                stdout().flush()
            }));
        }
    }

    /// Has the verb end with an error where what it had to say did not get out, and says so. A closed pipe (`| head`) is no
    /// error; a full disk is one, because a script would go on with half of it.
    pub fn was_written(self, written: io::Result<()>) {
        let Err(error) = written else { return };
        if error.kind() == io::ErrorKind::BrokenPipe {
            return;
        }
        UNWRITTEN.store(true, Ordering::Relaxed);
        self.beside().failure(&Failure::new(
            Code::System,
            format!("standard output cannot be written: {error}."),
            "What was to be done is done all the same: touchkeep audit list. Open it, or make room, and have it shown again.",
        ));
    }

    /// A table for standard output, whose head stands back.
    #[must_use]
    pub fn table(self, head: &[&str], rows: &[Vec<String>]) -> String {
        let room = layout::room(stdout());
        layout::table(head, rows, room, |head| self.out(Style::Quiet, head))
    }

    /// The end of a verb that has nothing to show: an empty document, and what happened.
    pub fn done(self, text: &str) {
        self.result(&serde_json::json!({}), |_| String::new());
        self.say(text);
    }

    /// Talk.
    pub fn say(self, text: &str) {
        let _closed = match layout::width(stderr()) {
            Some(width) => writeln!(stderr(), "{}", layout::fold(text, width)),
            None => writeln!(stderr(), "{text}"),
        };
    }

    /// What happened, and what to do.
    pub fn failure(self, failure: &Failure) {
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
