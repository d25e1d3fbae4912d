//! Questions on the terminal: PINs, passphrases, touches, and requests that want a person's word.
//!
//! One question has the terminal at a time. Secrets come first, because a device or a request that was approved waits for
//! them; then the oldest. One that nobody wants to answer now can be put behind the others.
//!
//! Read in this order: [`watch`], [`desk`] (what waits, what has the terminal), [`mod@ask`], then `words`.

mod ask;
mod desk;
mod words;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use touchkeep_client::{Connection, Event, front_end::Events};
use touchkeep_core::{Code, PromptId};
use touchkeep_wire::{Answer, Prompt, Question};

use self::desk::Desk;
pub(crate) use self::{
    ask::{Said, ask},
    desk::Around,
    words::{describe, in_full},
};
use crate::output::Output;

/// Which questions are answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    /// What a command of ours with this number brings up: PINs and passphrases, and whether the program that started it may
    /// have a value. What other programs ask for stays for whoever watches them.
    Of(u32),
    /// Everything; or one request, and what it wants.
    Everything {
        /// One.
        once: bool,
    },
}

impl Answering {
    // Whether it is known to be another's.
    fn is_foreign(self, prompt: &Prompt) -> bool {
        match (self, &prompt.asker) {
            (Self::Of(pid), Some(asker)) => asker.pid != Some(pid),
            _ => false,
        }
    }

    fn covers(self, request: &Question) -> bool {
        match self {
            Self::Everything { .. } => true,
            Self::Of(pid) => matches!(request, Question::Use(request) if request.pid == pid),
        }
    }
}

/// Answers PIN, passphrase and touch questions until the connection ends, and what this process's own calls bring up. `typed` becomes
/// true once a PIN or passphrase was given here.
pub(crate) async fn answer_own(
    answers: Connection,
    events: Events,
    output: Output,
    typed: &AtomicBool,
) {
    answer_for(std::process::id(), answers, events, output, typed).await;
}

/// The same for what the calls of another process bring up.
pub(crate) async fn answer_for(
    pid: u32,
    answers: Connection,
    events: Events,
    output: Output,
    typed: &AtomicBool,
) {
    watch(answers, events, output, Answering::Of(pid), typed).await;
}

/// Answers everything until the connection ends, or with `once` until it is known how the first request went: why it was not
/// done; none where it was.
pub(crate) async fn answer_everything(
    answers: Connection,
    events: Events,
    output: Output,
    once: bool,
) -> Option<Code> {
    let answering = Answering::Everything { once };
    watch(answers, events, output, answering, &AtomicBool::new(false)).await
}

/// Nothing is heard any more of how a request went: a PIN, a touch and the venue have had their time.
const FATE: Duration = Duration::from_secs(5 * 60);

async fn watch(
    answers: Connection,
    mut events: Events,
    output: Output,
    answering: Answering,
    typed: &AtomicBool,
) -> Option<Code> {
    let answers = Arc::new(answers);
    let mut desk = Desk::new(output);
    let mut last: Option<(PromptId, tokio::time::Instant)> = None;
    let once = answering == Answering::Everything { once: true };
    loop {
        desk.take_up();
        let given_up = async {
            match last {
                Some((_, from)) => tokio::time::sleep_until(from + FATE).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Open(prompt)) => desk.opened(prompt, answering),
                Some(Event::Close(closed)) => {
                    let approved = desk.closed(&closed);
                    // Whoever made the call sees that himself.
                    if let (Some(rests), Answering::Everything { .. }) = (&closed.rests, answering) {
                        desk.rests(rests);
                    }
                    match approved.filter(|_| once) {
                        Some(true) if last.is_none() => {
                            last = Some((closed.prompt, tokio::time::Instant::now()));
                        }
                        Some(false) if last.is_none() => return Some(Code::Refused),
                        _ => {}
                    }
                }
                Some(Event::Went(went)) => {
                    // Whoever made the call sees that himself.
                    if matches!(answering, Answering::Everything { .. }) {
                        desk.went(&went);
                    }
                    if last.is_some_and(|(prompt, _)| prompt == went.prompt) {
                        return went.code;
                    }
                }
                Some(Event::Signed(signed)) if matches!(answering, Answering::Everything { .. }) => {
                    desk.signed(&signed);
                }
                Some(_) => {} // something that this front end does not show
                None => return Some(Code::Unreachable),
            },
            () = given_up => {
                output.say("How it went is not known. Look at: touchkeep audit list");
                return Some(Code::Unreachable);
            }
            said = desk.said() => {
                let Some((id, answer)) = said else { continue };
                if matches!(answer, Answer::Secret { .. }) {
                    typed.store(true, Ordering::Relaxed);
                }
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

const fn is_request(question: &Question) -> bool {
    matches!(question, Question::Approval(_) | Question::Use(_))
}
