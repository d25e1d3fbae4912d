//! The questions that wait here, and the one that has the terminal.

use std::{
    collections::VecDeque,
    io::stderr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::task::JoinHandle;
use touchkeep_core::{PromptId, text::surely_visible as visible};
use touchkeep_wire::{Answer, Prompt, PromptClosed, PromptWent, Question, Resting, Signed};

use super::{
    Answering,
    ask::{Said, ask},
    is_request,
    words::in_full,
};
use crate::{
    layout,
    output::{Output, Style},
};

// The questions that wait, and the one that has the terminal.
pub(super) struct Desk {
    output: Output,
    waiting: VecDeque<Box<Prompt>>,
    shown: Option<Shown>,
    // Answered, and not closed yet.
    answered: Vec<Prompt>,
    // Closed with a yes: what each is called until it is known how it went.
    allowed: Vec<(PromptId, String)>,
    around: Arc<Around>,
    // To be said once the question that is taken off the terminal is gone from it: its line would else be drawn over that.
    held: Mutex<Vec<String>>,
}

/// What happens around the question that has the terminal.
#[derive(Default)]
pub(crate) struct Around {
    // Requests that wait behind it.
    pub(super) behind: AtomicUsize,
    // Something has been typed to it.
    pub(super) typing: AtomicBool,
    // It took the terminal from another one, whose answer may still be on its way.
    pub(super) interrupts: AtomicBool,
}

struct Shown {
    prompt: Box<Prompt>,
    stop: Arc<AtomicBool>,
    // It is taken off the terminal for one that cannot wait, and comes back.
    aside: bool,
    asking: JoinHandle<Said>,
}

// Whoever stops watching takes the questions back, so that the terminal is as it was.
impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(shown) = &self.shown {
            shown.stop.store(true, Ordering::Relaxed);
        }
        self.say_held();
    }
}

impl Desk {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            waiting: VecDeque::new(),
            shown: None,
            answered: Vec::new(),
            allowed: Vec::new(),
            around: Arc::default(),
            held: Mutex::default(),
        }
    }

    fn say(&self, what: &str) {
        let is_leaving = |shown: &Shown| shown.stop.load(Ordering::Relaxed);
        if self.shown.as_ref().is_some_and(is_leaving) {
            self.held().push(what.to_owned());
        } else {
            self.output.say(what);
        }
    }

    fn say_held(&self) {
        for what in std::mem::take(&mut *self.held()) {
            self.output.say(&what);
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn opened(&mut self, prompt: Box<Prompt>, answering: Answering) {
        if is_request(&prompt.question) && !answering.covers(&prompt.question) {
            return;
        }
        if let Question::Touch { device, why, pad } = &prompt.question {
            let (device, why) = (visible(device), in_full(why));
            // What it is for is said to whoever wants it: read here, it would be touched for what is done here.
            if let (true, Some(asker)) = (answering.is_foreign(&prompt), &prompt.asker) {
                let waits = match pad {
                    true => "its PIN, typed there",
                    false => "a touch",
                };
                let what = format!(
                    "{device} is in use: {} waits for {waits}, which would be for that and not for this.\n",
                    visible(&asker.name)
                );
                self.folded(Style::Warn, &what);
                return;
            }
            self.say(&match pad {
                true => format!(
                    "{} at {device}: {why}",
                    self.output.err(Style::Warn, "Type the PIN")
                ),
                false => {
                    let touch = self.output.err(Style::Warn, "Touch");
                    format!("{touch} {device} whenever it blinks: {why}")
                }
            });
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
    pub(super) fn closed(&mut self, closed: &PromptClosed) -> Option<bool> {
        let is_it = |prompt: &Prompt| prompt.id == closed.prompt;
        let (mut on_screen, mut is_answered) = (true, false);
        let prompt = if let Some(shown) = self.shown.as_mut().filter(|one| is_it(&one.prompt)) {
            shown.aside = false;
            shown.stop.store(true, Ordering::Relaxed);
            (*shown.prompt).clone()
        } else if let Some(at) = self.answered.iter().position(&is_it) {
            is_answered = matches!(closed.outcome.as_str(), "answered" | "refused");
            self.answered.remove(at)
        } else {
            on_screen = false;
            let at = self.waiting.iter().position(|one| is_it(one))?;
            *self.waiting.remove(at)?
        };
        self.count();
        if !is_request(&prompt.question) {
            // What was typed here says itself what came of it.
            if on_screen && !is_answered {
                let what = format!(
                    "  {} is not asked for any more: {}\n",
                    asked_for(&prompt.question),
                    why_closed(&closed.outcome)
                );
                self.folded(Style::Warn, &what);
            }
            return None;
        }
        let approved = matches!(closed.outcome.as_str(), "approved" | "allowed");
        let style = if approved { Style::Good } else { Style::Bad };
        let outcome = match closed.outcome.as_str() {
            said @ ("approved" | "allowed" | "refused") => said.to_owned(),
            other => format!("is not asked any more: {}", why_closed(other)),
        };
        let outcome = self.output.err(style, &outcome);
        let which = match &prompt.question {
            Question::Approval(_) | Question::Use(_) if on_screen => String::new(),
            Question::Approval(request) => format!(": {}", visible(&request.sentence)),
            Question::Use(request) => format!(": {}", visible(&request.sentence)),
            _ => String::new(),
        };
        let (number, kind) = (prompt.number, kind(&prompt.question));
        self.say(&format!("  {kind} {number} {outcome}{which}\n"));
        if approved {
            self.allowed.push((prompt.id, format!("{kind} {number}")));
        }
        Some(approved)
    }

    /// How it went with what was allowed.
    pub(super) fn went(&mut self, went: &PromptWent) {
        let Some(at) = self.allowed.iter().position(|(id, _)| *id == went.prompt) else {
            return;
        };
        let (_, name) = self.allowed.swap_remove(at);
        let style = match went.code {
            None => Style::Good,
            Some(_) => Style::Bad,
        };
        self.folded(style, &format!("  {name}: {}\n", visible(&went.what)));
    }

    /// What was signed by a rule that tells a person.
    pub(super) fn signed(&self, signed: &Signed) {
        let last = visible(&signed.last);
        let what = match signed.how_many {
            1 => format!("  Signed by rule: {last}"),
            many => format!("  Signed by rule: {many} requests, the last of them: {last}"),
        };
        self.folded(Style::Quiet, &what);
    }

    /// A refusal, or that nobody answered, has brought its asker a rest.
    pub(super) fn rests(&self, rests: &Resting) {
        let time = match rests.seconds_left.div_ceil(60) {
            1 => "a minute".to_owned(),
            minutes => format!("{minutes} minutes"),
        };
        let why = match rests.refused {
            true => "a person said no to it three times",
            false => "nobody answered it twice",
        };
        let what = format!(
            "  {} asks nobody for {time} now: {why}. `touchkeep approve`, started anew, ends that.\n",
            visible(&rests.asker)
        );
        self.folded(Style::Warn, &what);
    }

    fn folded(&self, style: Style, what: &str) {
        let folded = match layout::width(stderr()) {
            Some(width) => layout::fold(what, width),
            None => what.to_owned(),
        };
        self.say(&self.output.err(style, &folded));
    }

    // Gives the terminal to the next question, where it is free.
    pub(super) fn take_up(&mut self) {
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
    pub(super) async fn said(&mut self) -> Option<(PromptId, Answer)> {
        let Some(shown) = &mut self.shown else {
            return std::future::pending().await;
        };
        let said = (&mut shown.asking).await.unwrap_or(Said::Nothing);
        let shown = self.shown.take()?;
        self.say_held();
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

// What was to be typed.
fn asked_for(question: &Question) -> String {
    match question {
        Question::Pin { device, .. } => format!("The PIN of {}", visible(device)),
        Question::Puk { device, .. } => format!("The PUK of {}", visible(device)),
        Question::NewPin { device, which } => {
            format!("A new {} for {}", visible(which), visible(device))
        }
        Question::Words { device, .. } => format!("What stands on {}", visible(device)),
        Question::NewPassphrase { .. } => "A new passphrase".to_owned(),
        _ => "The passphrase".to_owned(),
    }
}

// Why a question is closed without an answer from here, after a colon.
fn why_closed(outcome: &str) -> String {
    match outcome {
        "answered" | "approved" | "allowed" => "it was answered elsewhere".to_owned(),
        "refused" => "it was refused elsewhere".to_owned(),
        "timed-out" => "nobody answered in time".to_owned(),
        "locked" => "the vault was locked".to_owned(),
        "done" => "it is done".to_owned(),
        "failed" => "whoever asked has gone, or what it was for came to nothing".to_owned(),
        other => visible(other),
    }
}

// A program that asks for a value has a question; one that asks for a signature, a request.
const fn kind(question: &Question) -> &'static str {
    match question {
        Question::Use(_) => "Question",
        _ => "Request",
    }
}
