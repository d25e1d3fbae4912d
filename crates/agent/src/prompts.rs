//! Questions to a person. Every front end sees a question, the first answer wins, the others are told that it is closed,
//! and silence is a refusal. A question whose asker went away closes by itself.

mod asker;
mod closing;
mod news;
mod patience;
mod unasked;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{broadcast, oneshot, watch};
use touchkeep_core::{Clock, Code, PromptId, SystemClock, text::visible};
use touchkeep_pipeline::Unasked;
use touchkeep_wire::{
    Answer, CHANGED, Changed, Failure, Notification, PROMPT_OPEN, PROMPT_WENT, Prompt, PromptWent,
    Question, Resting, SIGNED, Scope, SecretText, Signed, rpc::Version2,
};

pub(crate) use self::{
    asker::{Asker, on_behalf_of},
    closing::Shown,
    unasked::{absent, tell_of_rest, unasked, unattended},
};
use self::{
    asker::{Counts, asker_of, told_of},
    closing::Closing,
    news::Often,
    patience::{Ended, Patience, Rest, Worth},
};
use crate::desktop::Desktop;

/// Questions that may wait at a time.
const MAX_OPEN: usize = 32;
/// Questions that one program may have waiting: nobody is to be tired into a yes.
const MAX_OPEN_PER_CLIENT: usize = 4;
/// News that a slow front end may be behind before it is dropped.
const NEWS_BEHIND: usize = 256;

/// The questions that wait, and who is told of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Prompts(Arc<Inner>);

struct Inner {
    open: Mutex<Vec<Open>>,
    asked: AtomicU32,
    news: broadcast::Sender<Arc<[u8]>>,
    of_log: Often,
    front_ends: AtomicUsize,
    desktop: Desktop,
    patience: Patience,
    // How often it was locked.
    locks: watch::Sender<u64>,
}

struct Open {
    prompt: Prompt,
    asker: Option<Counts>,
    answer: Option<oneshot::Sender<Answer>>,
}

/// How a question ended.
pub(crate) enum Reply {
    /// Yes, to this digest (in hex, as it came).
    Approved(String),
    /// Yes, to this digest, and to requests like it for so many minutes.
    ApprovedFor(String, u32),
    /// Yes, for this much.
    Allowed(Scope),
    /// No; and who asks nobody for a while after that, where it was said often enough.
    Refused(Option<Resting>),
    /// What was typed.
    Secret(SecretText),
    /// Nobody answered in time.
    TimedOut,
    /// It was locked before anybody answered.
    Locked,
    /// It was put to nobody.
    Unasked(Unasked),
    /// No front end is there, and whoever asks wants nobody waited for.
    Absent,
}

/// A front end's seat: what it has missed, and what comes.
pub(crate) struct Seat {
    pub(crate) open: Vec<Arc<[u8]>>,
    pub(crate) news: broadcast::Receiver<Arc<[u8]>>,
    prompts: Prompts,
}

impl Prompts {
    pub(crate) fn new(desktop: Desktop) -> Self {
        Self(Arc::new(Inner {
            open: Mutex::new(Vec::new()),
            asked: AtomicU32::new(0),
            news: broadcast::channel(NEWS_BEHIND).0,
            of_log: Often::default(),
            front_ends: AtomicUsize::new(0),
            desktop,
            patience: Patience::default(),
            locks: watch::channel(0).0,
        }))
    }

    /// Asks, and waits for the first answer until `within` is over.
    pub(crate) async fn ask(&self, question: Question, within: Duration) -> Reply {
        self.asked(question, within).await.0
    }

    /// The same, with the question's id, for whoever says later how it went: see [`Self::went`]. A lock ends it.
    pub(crate) async fn asked(
        &self,
        question: Question,
        within: Duration,
    ) -> (Reply, Option<PromptId>) {
        let mut locks = self.0.locks.subscribe();
        let locked = async {
            // The sender is ours.
            let _ = locks.changed().await;
        };
        self.asked_until(question, within, locked).await
    }

    /// The same for what is spared by some locks: until its own end.
    pub(crate) async fn asked_until(
        &self,
        question: Question,
        within: Duration,
        locked: impl Future<Output = ()>,
    ) -> (Reply, Option<PromptId>) {
        if self.nobody_is_there() && unasked::is_unattended() {
            return (Reply::Absent, None);
        }
        let asker = asker_of(&question);
        let rest = asker.as_ref().and_then(|one| self.0.patience.rest(one));
        if let Some(rest) = rest {
            return (Reply::Unasked(rest.why()), None);
        }
        let worth = Worth::of(&question);
        let Some((mut closing, answer)) = self.open(question, within, asker.clone()) else {
            return (Reply::Unasked(Unasked::TooMany), None);
        };
        let counted = self.0.patience.counts(asker);
        let answered = tokio::select! {
            // An answer that comes when it is locked already comes too late.
            biased;
            () = locked => None,
            answered = tokio::time::timeout(within, answer) => Some(answered),
        };
        let (mut reply, outcome) = match answered {
            None => (Reply::Locked, "locked"),
            Some(Ok(Ok(Answer::Approve { digest }))) => (Reply::Approved(digest), "approved"),
            Some(Ok(Ok(Answer::ApproveFor { digest, minutes }))) => {
                (Reply::ApprovedFor(digest, minutes), "approved")
            }
            Some(Ok(Ok(Answer::Allow { scope }))) => (Reply::Allowed(scope), "allowed"),
            Some(Ok(Ok(Answer::Secret { value }))) => (Reply::Secret(value), "answered"),
            Some(Ok(Ok(Answer::Refuse {}) | Err(_))) => (Reply::Refused(None), "refused"),
            Some(Err(_)) => (Reply::TimedOut, "timed-out"),
        };
        closing.outcome = outcome;
        let rests = counted.ended(match reply {
            Reply::Locked => Ended::Otherwise,
            Reply::TimedOut => Ended::Unanswered,
            Reply::Refused(_) => Ended::Refused(worth),
            Reply::Secret(_) => Ended::Typed,
            _ => Ended::Allowed(worth),
        });
        if let (Reply::Refused(brought), Some(rests)) = (&mut reply, rests) {
            *brought = Some(rests.clone());
            closing.rests = Some(rests);
        }
        (reply, Some(closing.id))
    }

    /// It is locked: whatever waits for an answer ends, but for what has an end of its own.
    pub(crate) fn locked(&self) {
        self.0.locks.send_modify(|locks| *locks += 1);
    }

    /// Tells front ends how it went with what a question allowed: the code where it was not done, and a sentence.
    pub(crate) fn went(&self, prompt: PromptId, code: Option<Code>, what: String) {
        self.tell(PROMPT_WENT, &PromptWent { prompt, code, what });
    }

    /// Tells front ends what was signed by a rule that tells a person.
    pub(crate) fn signed(&self, signed: &Signed) {
        self.tell(SIGNED, signed);
    }

    /// Whether no front end would show a question now.
    pub(crate) fn nobody_is_there(&self) -> bool {
        self.0.front_ends.load(Ordering::SeqCst) == 0
    }

    /// Whether what would wait for a finger may: not where its asker rests because it was refused.
    pub(crate) fn may_wait(&self, question: &Question) -> Result<(), Unasked> {
        let rest = asker_of(question).and_then(|asker| self.0.patience.rest(&asker));
        match rest.map(Rest::why) {
            Some(why @ Unasked::Refused { .. }) => Err(why),
            _ => Ok(()),
        }
    }

    /// Whether a question of this client would be put to a person now. Says nothing of the next moment.
    pub(crate) fn would_ask(&self, client: &str) -> Result<(), Unasked> {
        let asker = asker::client(&visible(client));
        if let Some(rest) = self.0.patience.rest(&asker) {
            return Err(rest.why());
        }
        match has_room(&self.lock(), Some(&asker.name)) {
            true => Ok(()),
            false => Err(Unasked::TooMany),
        }
    }

    /// Shows that a device waits.
    pub(crate) fn show(&self, question: Question, within: Duration) -> Option<Shown> {
        let asker = asker_of(&question);
        // What it waits for was asked already, or needs no question: it takes none of the places for those.
        let (mut open, refused) = self.open(question, within, None)?;
        open.outcome = "done";
        Some(Shown {
            open,
            asker,
            refused,
        })
    }

    /// Takes an answer to a question.
    pub(crate) fn answer(&self, id: PromptId, answer: Answer) -> Result<(), Failure> {
        let sender = {
            let mut open = self.lock();
            let found = open
                .iter_mut()
                .find(|open| open.prompt.id == id)
                .ok_or_else(closed)?;
            if !fits(&found.prompt.question, &answer) {
                return Err(Failure::new(
                    Code::Invalid,
                    "That is no answer to this question.",
                    "Update the front end.",
                ));
            }
            found.answer.take().ok_or_else(closed)?
        };
        sender.send(answer).map_err(|_| closed())
    }

    /// What waits, oldest first.
    pub(crate) fn list(&self) -> Vec<Prompt> {
        self.lock().iter().map(|open| open.prompt.clone()).collect()
    }

    /// Who asks nobody for a while, because its last questions went unanswered or were refused.
    pub(crate) fn resting(&self) -> Vec<Resting> {
        self.0.patience.list()
    }

    /// A person is there again: whoever rests may ask at once. Who that was.
    pub(crate) fn end_rests(&self) -> Vec<Resting> {
        let ended = self.0.patience.list();
        self.0.patience.forget();
        if !ended.is_empty() {
            self.changed("grants");
        }
        ended
    }

    /// A seat for a front end.
    pub(crate) fn seat(&self) -> Seat {
        let open = self.lock();
        self.0.front_ends.fetch_add(1, Ordering::SeqCst);
        Seat {
            open: open
                .iter()
                .map(|open| notification(PROMPT_OPEN, &open.prompt))
                .collect(),
            news: self.0.news.subscribe(),
            prompts: self.clone(),
        }
    }

    /// Tells front ends that what they show has changed.
    pub(crate) fn changed(&self, what: &str) {
        self.tell(
            CHANGED,
            &Changed {
                what: what.to_owned(),
            },
        );
    }

    /// Tells front ends that there is more in the log: at once where it is the first for a while, else a few times a second.
    pub(crate) fn more_in_log(&self) {
        let Some(after) = self.0.of_log.is_told_after() else {
            return;
        };
        if after.is_zero() {
            self.changed("audit");
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            this.0.of_log.is_told();
            this.changed("audit");
        });
    }

    fn open(
        &self,
        question: Question,
        within: Duration,
        asker: Option<Counts>,
    ) -> Option<(Closing, oneshot::Receiver<Answer>)> {
        let asked = SystemClock.now();
        let of_asker = asker.clone();
        let mut prompt = Prompt {
            id: PromptId::random(),
            number: 0,
            asked,
            deadline: asked.plus_ms(u64::try_from(within.as_millis()).unwrap_or(u64::MAX)),
            asker: told_of(&question),
            question,
        };
        let (answer, answered) = oneshot::channel();
        {
            let mut open = self.lock();
            if !has_room(&open, asker.as_ref().map(|one| one.name.as_str())) {
                return None;
            }
            if matches!(prompt.question, Question::Approval(_) | Question::Use(_)) {
                prompt.number = self.0.asked.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            }
            self.tell(PROMPT_OPEN, &prompt);
            open.push(Open {
                prompt: prompt.clone(),
                asker,
                answer: Some(answer),
            });
        }
        if self.nobody_is_there() {
            self.0.desktop.start();
        }
        let closing = Closing {
            prompts: self.clone(),
            id: prompt.id,
            outcome: "failed",
            asker: of_asker,
            rests: None,
        };
        Some((closing, answered))
    }

    fn tell<T: Serialize>(&self, method: &str, params: &T) {
        // Nobody may be listening.
        let _ = self.0.news.send(notification(method, params));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.prompts.0.front_ends.fetch_sub(1, Ordering::SeqCst);
    }
}

// Whether one more may wait, and of this one who asks.
fn has_room(open: &[Open], asker: Option<&str>) -> bool {
    let is_its = |one: &&Open| {
        let name = one.asker.as_ref().map(|asker| asker.name.as_str());
        asker.is_some() && name == asker
    };
    let of_asker = open.iter().filter(is_its);
    open.len() < MAX_OPEN && of_asker.count() < MAX_OPEN_PER_CLIENT
}

fn closed() -> Failure {
    Failure::new(
        Code::NotFound,
        "This question is closed: it was answered, or its time is over.",
        "Nothing has to be done. Whoever asked may ask again.",
    )
}

fn fits(question: &Question, answer: &Answer) -> bool {
    match answer {
        Answer::Refuse {} => true,
        Answer::Approve { .. } => matches!(question, Question::Approval(_)),
        Answer::ApproveFor { minutes, .. } => matches!(
            question,
            Question::Approval(asked)
                if asked.more.as_ref().is_some_and(|more| more.minutes.contains(minutes))
        ),
        Answer::Allow { scope } => {
            matches!(question, Question::Use(asked) if asked.scopes.contains(scope))
        }
        Answer::Secret { .. } => !matches!(
            question,
            Question::Approval(_) | Question::Use(_) | Question::Touch { .. }
        ),
    }
}

fn notification<T: Serialize>(method: &str, params: &T) -> Arc<[u8]> {
    let body = serde_json::value::to_raw_value(params).and_then(|params| {
        serde_json::to_vec(&Notification {
            jsonrpc: Version2,
            method: method.to_owned(),
            params,
        })
    });
    // Our own types have no map with keys that are no strings, which is all that could fail.
    body.unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
