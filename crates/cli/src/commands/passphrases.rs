//! Passwords and passphrases that are not the vault's own: from a descriptor, or typed.

use std::sync::atomic::AtomicBool;

use touchkeep_core::Code;
use touchkeep_wire::{Failure, SecretText};

use super::{Context, items::secret_from};
use crate::terminal::{Echo, Line, Terminal};

/// What guards a whole export is typed by somebody who may guess as fast as his machines can: it is not short.
const MIN_NEW_CHARS: usize = 12;

/// What opens a file, from a descriptor or from the terminal.
pub(super) fn ask(
    context: &Context<'_>,
    fd: Option<i32>,
    question: &str,
) -> Result<SecretText, Failure> {
    if let Some(fd) = fd {
        return secret_from(fd);
    }
    typed(&terminal(context, "--password-fd")?, question)
}

/// What shall open a file: typed twice.
pub(super) fn ask_new(context: &Context<'_>, fd: Option<i32>) -> Result<SecretText, Failure> {
    let first = match fd {
        Some(fd) => secret_from(fd)?,
        None => {
            let terminal = terminal(context, "--passphrase-fd")?;
            let first = typed(&terminal, "New passphrase for the export: ")?;
            let again = typed(&terminal, "Once more: ")?;
            // EXPOSE: both, to their comparison.
            if first.expose() != again.expose() {
                return Err(invalid("the two are not the same", "Try again."));
            }
            first
        }
    };
    // EXPOSE: to a look at its length.
    if first.expose().chars().count() < MIN_NEW_CHARS {
        return Err(invalid(
            "the passphrase is too short for a file that holds everything",
            "Use 12 characters or more: five words picked by chance are good.",
        ));
    }
    Ok(first)
}

fn terminal(context: &Context<'_>, option: &str) -> Result<Terminal, Failure> {
    let nobody = || {
        invalid(
            "a passphrase must come from somewhere",
            &format!("Give it on a descriptor, as in: {option} 3 3<file"),
        )
    };
    if context.global.no_interaction {
        return Err(nobody());
    }
    Terminal::open().map_err(|_| nobody())
}

fn typed(terminal: &Terminal, question: &str) -> Result<SecretText, Failure> {
    match terminal.read_line(
        question,
        Echo::DotsWhole,
        &AtomicBool::new(false),
        None,
        |_, _| {},
    ) {
        Ok(Line::Typed(mut text)) if !text.is_empty() => {
            Ok(SecretText::new(std::mem::take(&mut *text)))
        }
        _ => Err(Failure::new(
            Code::Refused,
            "nothing was done",
            "It was ended where the passphrase was to be typed. Run it again when that is at hand.",
        )),
    }
}

fn invalid(what: &str, fix: &str) -> Failure {
    Failure::new(Code::Invalid, what, fix)
}
