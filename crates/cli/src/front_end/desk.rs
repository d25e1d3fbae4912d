//! The questions that wait here, and the one that has the terminal.

use std::{
    collections::VecDeque,
    io::stderr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::task::JoinHandle;
use touchkeep_core::{PromptId, text::surely_visible as visible};
use touchkeep_wire::{Answer, Prompt, PromptClosed, PromptWent, Question, Resting};

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
        }
    }

    pub(super) fn opened(&mut self, prompt: Box<Prompt>, answering: Answering) {
        if is_request(&prompt.question) && !answering.covers(&prompt.question) {
            return;
        }
        if let Question::Touch { device, why, pad } = &prompt.question {
            let (device, why) = (visible(device), in_full(why));
            self.output.say(&match pad {
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

    /// A refusal has brought its asker a rest.
    pub(super) fn rests(&self, rests: &Resting) {
        let what = format!(
            "  {} asks nobody for {} minutes now: a person said no to it three times. `touchkeep approve`, started anew, ends that.\n",
            visible(&rests.asker),
            rests.seconds_left.div_ceil(60)
        );
        self.folded(Style::Warn, &what);
    }

    fn folded(&self, style: Style, what: &str) {
        let folded = match layout::width(stderr()) {
            Some(width) => layout::fold(what, width),
            None => what.to_owned(),
        };
        self.output.say(&self.output.err(style, &folded));
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

// A program that asks for a value has a question; one that asks for a signature, a request.
const fn kind(question: &Question) -> &'static str {
    match question {
        Question::Use(_) => "Question",
        _ => "Request",
    }
}
