//! One question on the terminal.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use touchkeep_core::{Clock, SystemClock, UnixMillis, text::surely_visible as visible};
use touchkeep_wire::{Answer, Approval, Prompt, Question, Scope, SecretText, UseRequest};
use zeroize::Zeroizing;

use super::{
    desk::Around,
    words::{Place, choices, choices_use, describe, describe_use, in_full, scope_word},
};
use crate::{
    layout,
    output::Output,
    terminal::{Echo, Line, Terminal},
};

/// A key pressed sooner than this after a request appeared was meant for something else.
const INPUT_GUARD: Duration = Duration::from_millis(600);

/// The word that approves. A word, because a single key is pressed by accident.
const APPROVE: &str = "approve";

/// The word that puts a request behind the others.
const NEXT: &str = "next";

/// What a person said to a question.
pub(crate) enum Said {
    /// This.
    Answer(Answer),
    /// Not now: the next one first.
    Later,
    /// Nothing: somebody else was first, it is too late, or there is nobody to ask.
    Nothing,
}

/// Asks one question.
pub(crate) fn ask(prompt: &Prompt, stop: &AtomicBool, around: &Around, output: Output) -> Said {
    let Ok(terminal) = Terminal::open() else {
        output.say(&elsewhere(prompt));
        return Said::Nothing;
    };
    let until = deadline(prompt.deadline);
    let place = Place {
        number: prompt.number,
        behind: around.behind.load(Ordering::Relaxed),
    };
    let answer = match &prompt.question {
        Question::Approval(approval) => {
            let asked = (approval, place);
            return ask_approval(&terminal, asked, stop, until, around, output);
        }
        Question::Use(request) => ask_use(&terminal, (request, place), stop, until, around, output),
        question => {
            if around.interrupts.swap(false, Ordering::Relaxed) {
                terminal.settle(INPUT_GUARD);
            }
            ask_secret_of(&terminal, question, stop, until)
        }
    };
    answer.map_or(Said::Nothing, Said::Answer)
}

// What somebody is waited for who has no terminal here: silence would look like a program that hangs.
fn elsewhere(prompt: &Prompt) -> String {
    let first = |why: &str| in_full(why.lines().next().unwrap_or_default());
    let what = match &prompt.question {
        Question::Pin { device, why, .. } => {
            format!("the PIN of {} ({})", visible(device), first(why))
        }
        Question::Puk { device, why, .. } => {
            format!("the PUK of {} ({})", visible(device), first(why))
        }
        Question::Passphrase { why } => format!("a passphrase ({})", first(why)),
        Question::Words { device, why } => {
            format!("the words of {} ({})", visible(device), first(why))
        }
        Question::NewPin { device, which } => {
            format!("a new {} for {}", visible(which), visible(device))
        }
        Question::NewPassphrase { .. } => "a new passphrase".to_owned(),
        Question::Use(request) => format!("a yes: {}", in_full(&request.sentence)),
        Question::Approval(request) => format!("a yes: {}", in_full(&request.sentence)),
        Question::Touch { device, .. } => format!("a touch of {}", visible(device)),
    };
    let left = deadline(prompt.deadline).saturating_duration_since(Instant::now());
    format!(
        "Waiting {} s for {what}. There is no terminal here: answer in the desktop, or in a terminal with touchkeep approve.",
        left.as_secs()
    )
}

fn ask_secret_of(
    terminal: &Terminal,
    question: &Question,
    stop: &AtomicBool,
    until: Instant,
) -> Option<Answer> {
    let left = |tries: &Option<u8>| {
        tries
            .map(|n| {
                if n == 1 {
                    ", 1 try left".to_owned()
                } else {
                    format!(", {n} tries left")
                }
            })
            .unwrap_or_default()
    };
    let label = match question {
        Question::Pin {
            device,
            why,
            tries_left,
        } => purpose(
            why,
            &format!("PIN of {}{}: ", visible(device), left(tries_left)),
        ),
        Question::Puk {
            device,
            why,
            tries_left,
        } => purpose(
            why,
            &format!("PUK of {}{}: ", visible(device), left(tries_left)),
        ),
        Question::Passphrase { why } => purpose(why, "passphrase: "),
        Question::Words { device, why } => purpose(why, &format!("words of {}: ", visible(device))),
        Question::NewPin { device, which } => {
            let label = format!(
                "New {} for {}, 6 to 8 characters: ",
                visible(which),
                visible(device)
            );
            let fits = |typed: &str| pin_fits(which, typed);
            return ask_twice(terminal, &label, fits, stop, until);
        }
        Question::NewPassphrase { least } => {
            let label = match least {
                0 | 1 => "New passphrase: ".to_owned(),
                least => format!("New passphrase, {least} characters or more: "),
            };
            let fits = |typed: &str| is_long_enough(*least, typed);
            return ask_twice(terminal, &label, fits, stop, until);
        }
        Question::Touch { .. } | Question::Approval(_) | Question::Use(_) => return None,
    };
    ask_secret(terminal, &label, stop, until)
}

// What for, and what is to be typed: on one line, or below what it means in full.
fn purpose(why: &str, asked: &str) -> String {
    let all = in_full(why);
    let between = if why.contains('\n') { "\n" } else { ": " };
    format!("{all}{between}{asked}")
}

fn ask_secret(
    terminal: &Terminal,
    label: &str,
    stop: &AtomicBool,
    until: Instant,
) -> Option<Answer> {
    match terminal
        .read_line(label, Echo::Dots, stop, Some(until), |_, _| {})
        .ok()?
    {
        Line::Typed(value) => Some(secret(value)),
        Line::Cancelled | Line::Several => Some(Answer::Refuse {}),
        Line::Ended => None,
    }
}

// Before it is typed a second time. What else a card may not have, the agent says.
fn pin_fits(which: &str, typed: &str) -> Result<(), String> {
    let is_plain = typed.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_plain && (6..=8).contains(&typed.len()) {
        return Ok(());
    }
    let which = visible(which);
    Err(format!(
        "A {which} has 6 to 8 letters, digits and signs, none of them accented. Choose another."
    ))
}

// Before it is typed a second time, as the agent counts.
fn is_long_enough(least: u32, typed: &str) -> Result<(), String> {
    let short = match typed.chars().count() {
        0 => "An empty passphrase keeps nobody out.".to_owned(),
        chars if chars < least as usize => format!("It has fewer than {least} characters."),
        _ => return Ok(()),
    };
    Err(format!(
        "{short} Choose five words that nobody has put together before."
    ))
}

fn ask_twice(
    terminal: &Terminal,
    label: &str,
    fits: impl Fn(&str) -> Result<(), String>,
    stop: &AtomicBool,
    until: Instant,
) -> Option<Answer> {
    loop {
        let read = |label: &str| {
            terminal
                .read_line(label, Echo::Dots, stop, Some(until), |_, _| {})
                .ok()
        };
        let (first, again) = match read(label)? {
            Line::Typed(first) => {
                // EXPOSE: to count its characters.
                if let Err(why) = fits(&first) {
                    terminal.write(&format!("{why}\r\n"));
                    continue;
                }
                (first, read("Once more: ")?)
            }
            Line::Cancelled | Line::Several => return Some(Answer::Refuse {}),
            Line::Ended => return None,
        };
        match again {
            Line::Typed(second) if first == second => return Some(secret(first)),
            Line::Typed(_) => terminal.write("They differ. Again.\r\n"),
            Line::Cancelled | Line::Several => return Some(Answer::Refuse {}),
            Line::Ended => return None,
        }
    }
}

fn secret(mut typed: Zeroizing<String>) -> Answer {
    Answer::Secret {
        value: SecretText::new(std::mem::take(&mut *typed)),
    }
}

fn ask_approval(
    terminal: &Terminal,
    (approval, place): (&Approval, Place),
    stop: &AtomicBool,
    until: Instant,
    around: &Around,
    output: Output,
) -> Said {
    terminal.write(&describe(approval, Some(place), output));
    terminal.write(&choices(approval, place.behind, output));
    terminal.settle(INPUT_GUARD);
    let drawn = CountDown::default();
    let label = |terminal: &Terminal, typed: usize| {
        around.typing.store(typed > 0, Ordering::Relaxed);
        if typed == 0 && drawn.may_draw() {
            let more = match around.behind.load(Ordering::Relaxed) {
                0 => String::new(),
                n => format!(", {n} more wait: {NEXT}"),
            };
            count_down(terminal, until, &more);
        }
    };
    let line = terminal.read_line("", Echo::Shown, stop, Some(until), label);
    let digest = || approval.digest.clone();
    match line {
        Ok(Line::Typed(typed)) => match meant(&typed, approval) {
            Meant::Approve => Said::Answer(Answer::Approve { digest: digest() }),
            Meant::ApproveFor(minutes) => Said::Answer(Answer::ApproveFor {
                digest: digest(),
                minutes,
            }),
            Meant::Next => Said::Later,
            Meant::Refuse => Said::Answer(Answer::Refuse {}),
        },
        Ok(Line::Cancelled | Line::Several) => Said::Answer(Answer::Refuse {}),
        Ok(Line::Ended) | Err(_) => Said::Nothing,
    }
}

// Whether the line was drawn: a dumb terminal cannot draw it again in its place.
#[derive(Default)]
struct CountDown(Cell<bool>);

impl CountDown {
    fn may_draw(&self) -> bool {
        !self.0.replace(true) || !layout::is_dumb()
    }
}

// The line on which the answer is typed. Short, because it is drawn again in its place.
fn count_down(terminal: &Terminal, until: Instant, more: &str) {
    let left = until.saturating_duration_since(Instant::now()).as_secs();
    let again = if layout::is_dumb() { "" } else { "\r\x1b[K" };
    terminal.write(&format!("{again}  ({left} s left{more}) > "));
}

#[derive(Debug, PartialEq, Eq)]
enum Meant {
    Approve,
    ApproveFor(u32),
    Next,
    Refuse,
}

fn meant(typed: &str, approval: &Approval) -> Meant {
    let mut words = typed.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(APPROVE), None, _) => Meant::Approve,
        (Some(NEXT), None, _) => Meant::Next,
        (Some(APPROVE), Some(minutes), None) => {
            let offered = approval.more.iter().flat_map(|more| more.minutes.iter());
            offered
                .copied()
                .find(|offered| offered.to_string() == minutes)
                .map_or(Meant::Refuse, Meant::ApproveFor)
        }
        _ => Meant::Refuse,
    }
}

fn ask_use(
    terminal: &Terminal,
    (request, place): (&UseRequest, Place),
    stop: &AtomicBool,
    until: Instant,
    around: &Around,
    output: Output,
) -> Option<Answer> {
    terminal.write(&describe_use(request, Some(place), output));
    terminal.write(&choices_use(request, output));
    terminal.settle(INPUT_GUARD);
    let drawn = CountDown::default();
    let label = |terminal: &Terminal, typed: usize| {
        around.typing.store(typed > 0, Ordering::Relaxed);
        if typed == 0 && drawn.may_draw() {
            count_down(terminal, until, "");
        }
    };
    match terminal
        .read_line("", Echo::Shown, stop, Some(until), label)
        .ok()?
    {
        Line::Typed(typed) => {
            let meant = |scope: &&Scope| scope_word(**scope) == typed.trim();
            let scope = request.scopes.iter().find(meant).copied();
            Some(scope.map_or(Answer::Refuse {}, |scope| Answer::Allow { scope }))
        }
        Line::Cancelled | Line::Several => Some(Answer::Refuse {}),
        Line::Ended => None,
    }
}

fn deadline(at: UnixMillis) -> Instant {
    Instant::now() + Duration::from_millis(at.since(SystemClock.now()))
}

#[cfg(test)]
mod tests {
    use touchkeep_wire::More;

    use super::*;

    #[test]
    fn a_word_approves_and_everything_else_refuses() {
        let mut approval = Approval::default();
        assert_eq!(meant("approve", &approval), Meant::Approve);
        assert_eq!(meant(" approve ", &approval), Meant::Approve);
        assert_eq!(meant("next", &approval), Meant::Next);
        for other in [
            "",
            "y",
            "yes",
            "Approve",
            "approve 5",
            "approve approve",
            "approved",
            "next 1",
        ] {
            assert_eq!(meant(other, &approval), Meant::Refuse, "{other:?}");
        }
        approval.more = Some(More {
            what: String::new(),
            minutes: vec![5, 15],
            uses: 20,
        });
        assert_eq!(meant("approve 15", &approval), Meant::ApproveFor(15));
        for other in ["approve 10", "approve 05", "approve 5 5", "approve 5m"] {
            assert_eq!(meant(other, &approval), Meant::Refuse, "{other:?}");
        }
    }

    #[test]
    fn what_a_change_means_stands_above_what_is_typed_for_it() {
        let short = purpose("Unlock the vault", "passphrase: ");
        assert_eq!(short, "Unlock the vault: passphrase: ");
        let full = purpose(
            "Replace it: 2 rules changed\na: \u{202e}b\nc",
            "passphrase: ",
        );
        assert_eq!(
            full,
            "Replace it: 2 rules changed\n  - a: \\u{202e}b\n  - c\npassphrase: "
        );
    }

    #[test]
    fn a_new_passphrase_is_long_enough_before_it_is_typed_again() {
        assert!(is_long_enough(15, "fifteen letters").is_ok());
        assert!(is_long_enough(1, "x").is_ok() && is_long_enough(1, "").is_err());
        let why = is_long_enough(15, "fifteen letter").unwrap_err();
        assert!(why.contains("fewer than 15"), "{why}");
    }

    #[test]
    fn a_pin_has_six_to_eight_characters_that_every_card_takes() {
        for fits in ["123456", "1234567", "pass wrd"] {
            assert!(pin_fits("PIN", fits).is_ok(), "{fits}");
        }
        for bad in ["", "12345", "123456789", "12345\u{e9}", "12345\t"] {
            let why = pin_fits("PUK", bad).unwrap_err();
            assert!(why.starts_with("A PUK has 6 to 8"), "{why}");
        }
    }
}
