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
            typed_twice(&terminal)?
        }
    };
    if is_short(&first) {
        return Err(invalid(
            "the passphrase is too short for a file that holds everything",
            &format!(
                "Use {MIN_NEW_CHARS} characters or more: five words picked by chance are good."
            ),
        ));
    }
    Ok(first)
}

// As a vault's own: what is too short is said before it is typed again, and what differs is asked for anew.
fn typed_twice(terminal: &Terminal) -> Result<SecretText, Failure> {
    let question = format!("New passphrase for the export, {MIN_NEW_CHARS} characters or more: ");
    loop {
        let first = typed(terminal, &question)?;
        if is_short(&first) {
            terminal.write(&format!(
                "It has fewer than {MIN_NEW_CHARS} characters. Choose five words by chance.\r\n"
            ));
            continue;
        }
        let again = typed(terminal, "Once more: ")?;
        // EXPOSE: both, to their comparison.
        if first.expose() == again.expose() {
            return Ok(first);
        }
        terminal.write("They differ. Again.\r\n");
    }
}

fn is_short(passphrase: &SecretText) -> bool {
    // EXPOSE: to a look at its length.
    passphrase.expose().chars().count() < MIN_NEW_CHARS
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
