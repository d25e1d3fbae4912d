//! Questions on the terminal: PINs, passphrases, touches, and requests that want a person's word.
//!
//! One question has the terminal at a time. Secrets come first, because a device or a request that was approved waits for
//! them; then the oldest. One that nobody wants to answer now can be put behind the others.
//!
//! Read in this order: [`watch`], [`ask`], then `words`.

mod words;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use touchkeep_client::{Connection, Event, front_end::Events};
use touchkeep_core::{Clock, PromptId, SystemClock, UnixMillis, text::surely_visible as visible};
use touchkeep_wire::{
    Answer, Approval, Prompt, PromptClosed, Question, Scope, SecretText, UseRequest,
};
use zeroize::Zeroizing;

pub(crate) use self::words::describe;
use self::words::{Place, choices, choices_use, describe_use, scope_word};
use crate::{
    output::{Output, Style},
    terminal::{Echo, Line, Terminal},
};

/// A key pressed sooner than this after a request appeared was meant for something else.
const INPUT_GUARD: Duration = Duration::from_millis(600);

/// The word that approves. A word, because a single key is pressed by accident.
const APPROVE: &str = "approve";

/// The word that puts a request behind the others.
const NEXT: &str = "next";

/// Which questions are answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    /// What a command of ours with this number brings up: PINs and passphrases, and whether the program that started it may
    /// have a value. What other programs ask for stays for whoever watches them.
    Of(u32),
    /// Everything.
    Everything,
}

impl Answering {
    fn covers(self, request: &Question) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(pid) => matches!(request, Question::Use(request) if request.pid == pid),
        }
    }
}

/// Answers PIN, passphrase and touch questions until the connection ends, and what this process's own calls bring up.
pub(crate) async fn answer_own(answers: Connection, events: Events, output: Output) {
    answer_for(std::process::id(), answers, events, output).await;
}

/// The same for what the calls of another process bring up.
pub(crate) async fn answer_for(pid: u32, answers: Connection, events: Events, output: Output) {
    watch(answers, events, output, Answering::Of(pid), false).await;
}

/// Answers everything until the connection ends, or with `once` after one request and what its device wants. Returns whether
/// that one was approved.
pub(crate) async fn answer_everything(
    answers: Connection,
    events: Events,
    output: Output,
    once: bool,
) -> bool {
    watch(answers, events, output, Answering::Everything, once).await
}

async fn watch(
    answers: Connection,
    mut events: Events,
    output: Output,
    answering: Answering,
    once: bool,
) -> bool {
    let answers = Arc::new(answers);
    let mut desk = Desk::new(output);
    let mut last = Last::default();
    loop {
        desk.take_up();
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Open(prompt)) => {
                    last.opened(&prompt);
                    desk.opened(prompt, answering);
                }
                Some(Event::Close(closed)) => {
                    last.closed(&closed);
                    match desk.closed(&closed).filter(|_| once) {
                        Some(true) => last.was_approved(),
                        Some(false) => return false,
                        None => {}
                    }
                }
                Some(_) => {} // something that this front end does not show
                None => return false,
            },
            done = last.is_over() => return done,
            said = desk.said() => {
                let Some((id, answer)) = said else { continue };
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    if let Err(error) = answers.answer(id, answer).await {
                        output.say(&error.failure().what);
                    }
                });
            }
        }
    }
}

/// A yes may want a PIN, a passphrase or a touch behind it. Nobody goes away before that was there too: nothing more is wanted
/// where nothing was for this long.
const MORE: Duration = Duration::from_secs(2);

// The one request that is waited for, once it was approved, and what its device wants.
#[derive(Default)]
struct Last {
    quiet_from: Option<tokio::time::Instant>,
    open: Vec<PromptId>,
    failed: bool,
}

impl Last {
    fn was_approved(&mut self) {
        self.quiet_from = Some(tokio::time::Instant::now());
    }

    fn opened(&mut self, prompt: &Prompt) {
        if !is_request(&prompt.question) {
            self.open.push(prompt.id);
        }
    }

    fn closed(&mut self, closed: &PromptClosed) {
        let before = self.open.len();
        self.open.retain(|id| *id != closed.prompt);
        if self.open.len() < before && self.quiet_from.is_some() {
            self.quiet_from = Some(tokio::time::Instant::now());
            // A PIN that was mistyped is asked for anew.
            self.failed = !matches!(closed.outcome.as_str(), "answered" | "done");
        }
    }

    // Whether it was done as far as this front end can tell.
    async fn is_over(&self) -> bool {
        match self.quiet_from {
            Some(from) if self.open.is_empty() => {
                tokio::time::sleep_until(from + MORE).await;
                !self.failed
            }
            _ => std::future::pending().await,
        }
    }
}

// The questions that wait, and the one that has the terminal.
struct Desk {
    output: Output,
    waiting: VecDeque<Box<Prompt>>,
    shown: Option<Shown>,
    // Answered, and not closed yet.
    answered: Vec<Prompt>,
    around: Arc<Around>,
}

/// What happens around the question that has the terminal.
#[derive(Default)]
pub(crate) struct Around {
    // Requests that wait behind it.
    behind: AtomicUsize,
    // Something has been typed to it.
    typing: AtomicBool,
    // It took the terminal from another one, whose answer may still be on its way.
    interrupts: AtomicBool,
}

struct Shown {
    prompt: Box<Prompt>,
    stop: Arc<AtomicBool>,
    // It is taken off the terminal for one that cannot wait, and comes back.
    aside: bool,
    asking: JoinHandle<Said>,
}

/// What a person said to a question.
pub(crate) enum Said {
    /// This.
    Answer(Answer),
    /// Not now: the next one first.
    Later,
    /// Nothing: somebody else was first, it is too late, or there is nobody to ask.
    Nothing,
}

// Whoever stops watching takes the questions back, so that the terminal is as it was.
impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(shown) = &self.shown {
            shown.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Desk {
    fn new(output: Output) -> Self {
        Self {
            output,
            waiting: VecDeque::new(),
            shown: None,
            answered: Vec::new(),
            around: Arc::default(),
        }
    }

    fn opened(&mut self, prompt: Box<Prompt>, answering: Answering) {
        if is_request(&prompt.question) && !answering.covers(&prompt.question) {
            return;
        }
        if let Question::Touch { device, why } = &prompt.question {
            self.output.say(&format!(
                "{} {} whenever it blinks: {}",
                self.output.err(Style::Warn, "Touch"),
                visible(device),
                visible(why)
            ));
            return;
        }
        if !is_request(&prompt.question)
            && let Some(shown) = &mut self.shown
            && is_request(&shown.prompt.question)
            // Whoever is in the middle of a word is not to end it as a PIN.
            && !self.around.typing.load(Ordering::Relaxed)
        {
            self.around.interrupts.store(true, Ordering::Relaxed);
            shown.aside = true;
            shown.stop.store(true, Ordering::Relaxed);
        }
        self.waiting.push_back(prompt);
        self.count();
    }

    // A question ended: whether it was approved, where it was a request.
    fn closed(&mut self, closed: &PromptClosed) -> Option<bool> {
        let is_it = |prompt: &Prompt| prompt.id == closed.prompt;
        let mut on_screen = true;
        let prompt = if let Some(shown) = self.shown.as_mut().filter(|one| is_it(&one.prompt)) {
            shown.aside = false;
            shown.stop.store(true, Ordering::Relaxed);
            (*shown.prompt).clone()
        } else if let Some(at) = self.answered.iter().position(&is_it) {
            self.answered.remove(at)
        } else {
            on_screen = false;
            let at = self.waiting.iter().position(|one| is_it(one))?;
            *self.waiting.remove(at)?
        };
        self.count();
        if !is_request(&prompt.question) {
            return None;
        }
        let approved = matches!(closed.outcome.as_str(), "approved" | "allowed");
        let style = if approved { Style::Good } else { Style::Bad };
        let outcome = self.output.err(style, &visible(&closed.outcome));
        let which = match &prompt.question {
            Question::Approval(_) | Question::Use(_) if on_screen => String::new(),
            Question::Approval(request) => format!(": {}", visible(&request.sentence)),
            Question::Use(request) => format!(": {}", visible(&request.sentence)),
            _ => String::new(),
        };
        let (number, kind) = (prompt.number, kind(&prompt.question));
        self.output
            .say(&format!("  {kind} {number} {outcome}{which}\n"));
        Some(approved)
    }

    // Gives the terminal to the next question, where it is free.
    fn take_up(&mut self) {
        if self.shown.is_some() {
            return;
        }
        let first = self
            .waiting
            .iter()
            .position(|one| !is_request(&one.question));
        let Some(prompt) = self.waiting.remove(first.unwrap_or(0)) else {
            return;
        };
        self.count();
        self.around.typing.store(false, Ordering::Relaxed);
        let (stop, around) = (Arc::<AtomicBool>::default(), Arc::clone(&self.around));
        let (asked, stopped, output) = (prompt.clone(), Arc::clone(&stop), self.output);
        let asking = tokio::task::spawn_blocking(move || ask(&asked, &stopped, &around, output));
        self.shown = Some(Shown {
            prompt,
            stop,
            aside: false,
            asking,
        });
    }

    // Waits for what is said to the question that has the terminal.
    async fn said(&mut self) -> Option<(PromptId, Answer)> {
        let Some(shown) = &mut self.shown else {
            return std::future::pending().await;
        };
        let said = (&mut shown.asking).await.unwrap_or(Said::Nothing);
        let shown = self.shown.take()?;
        let id = shown.prompt.id;
        match said {
            Said::Answer(answer) => {
                self.answered.push(*shown.prompt);
                return Some((id, answer));
            }
            Said::Later => self.waiting.push_back(shown.prompt),
            Said::Nothing if shown.aside => self.waiting.push_front(shown.prompt),
            // Until it is closed, which says how it ended.
            Said::Nothing => self.answered.push(*shown.prompt),
        }
        self.count();
        None
    }

    fn count(&self) {
        let requests = self.waiting.iter().filter(|one| is_request(&one.question));
        let behind = requests.count();
        self.around.behind.store(behind, Ordering::Relaxed);
    }
}

const fn is_request(question: &Question) -> bool {
    matches!(question, Question::Approval(_) | Question::Use(_))
}

// A program that asks for a value has a question; one that asks for a signature, a request.
const fn kind(question: &Question) -> &'static str {
    match question {
        Question::Use(_) => "Question",
        _ => "Request",
    }
}

/// Asks one question.
pub(crate) fn ask(prompt: &Prompt, stop: &AtomicBool, around: &Around, output: Output) -> Said {
    let Ok(terminal) = Terminal::open() else {
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
        } => format!(
            "{}: PIN of {}{}: ",
            visible(why),
            visible(device),
            left(tries_left)
        ),
        Question::Puk {
            device,
            why,
            tries_left,
        } => format!(
            "{}: PUK of {}{}: ",
            visible(why),
            visible(device),
            left(tries_left)
        ),
        Question::Passphrase { why } => format!("{}: passphrase: ", visible(why)),
        Question::NewPin { device, which } => {
            let label = format!(
                "New {} for {}, 6 to 8 characters: ",
                visible(which),
                visible(device)
            );
            return ask_twice(terminal, &label, stop, until);
        }
        Question::NewPassphrase {} => {
            return ask_twice(terminal, "New passphrase: ", stop, until);
        }
        Question::Touch { .. } | Question::Approval(_) | Question::Use(_) => return None,
    };
    ask_secret(terminal, &label, stop, until)
}

fn ask_secret(
    terminal: &Terminal,
    label: &str,
    stop: &AtomicBool,
    until: Instant,
) -> Option<Answer> {
    terminal.ask(label);
    match terminal
        .read_line(Echo::Dots, stop, Some(until), |_, _| {})
        .ok()?
    {
        Line::Typed(value) => Some(secret(value)),
        Line::Cancelled => Some(Answer::Refuse {}),
        Line::Ended => None,
    }
}

fn ask_twice(
    terminal: &Terminal,
    label: &str,
    stop: &AtomicBool,
    until: Instant,
) -> Option<Answer> {
    loop {
        let read = |label: &str| {
            terminal.ask(label);
            terminal
                .read_line(Echo::Dots, stop, Some(until), |_, _| {})
                .ok()
        };
        let (first, again) = match read(label)? {
            Line::Typed(first) => (first, read("Once more: ")?),
            Line::Cancelled => return Some(Answer::Refuse {}),
            Line::Ended => return None,
        };
        match again {
            Line::Typed(second) if first == second => return Some(secret(first)),
            Line::Typed(_) => terminal.write("They differ. Again.\r\n"),
            Line::Cancelled => return Some(Answer::Refuse {}),
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
    let label = |terminal: &Terminal, typed: usize| {
        around.typing.store(typed > 0, Ordering::Relaxed);
        if typed == 0 {
            let more = match around.behind.load(Ordering::Relaxed) {
                0 => String::new(),
                n => format!(", {n} more wait: {NEXT}"),
            };
            count_down(terminal, until, &more);
        }
    };
    label(terminal, 0);
    let line = terminal.read_line(Echo::Shown, stop, Some(until), label);
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
        Ok(Line::Cancelled) => Said::Answer(Answer::Refuse {}),
        Ok(Line::Ended) | Err(_) => Said::Nothing,
    }
}

// The line on which the answer is typed. Short, because it is drawn again in its place.
fn count_down(terminal: &Terminal, until: Instant, more: &str) {
    let left = until.saturating_duration_since(Instant::now()).as_secs();
    terminal.write(&format!("\r\x1b[K  ({left} s left{more}) > "));
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
    let label = |terminal: &Terminal, typed: usize| {
        around.typing.store(typed > 0, Ordering::Relaxed);
        if typed == 0 {
            count_down(terminal, until, "");
        }
    };
    label(terminal, 0);
    match terminal
        .read_line(Echo::Shown, stop, Some(until), label)
        .ok()?
    {
        Line::Typed(typed) => {
            let meant = |scope: &&Scope| scope_word(**scope) == typed.trim();
            let scope = request.scopes.iter().find(meant).copied();
            Some(scope.map_or(Answer::Refuse {}, |scope| Answer::Allow { scope }))
        }
        Line::Cancelled => Some(Answer::Refuse {}),
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
}
