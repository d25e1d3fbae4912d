//! A person's eyes: what is shown of a request, and what is said back. An earlier yes that covers it is looked for first.
//!
//! Read in this order: this file, `facts` (what the request says), `limits` (of the rules), `share` (of what is there), `unusual` (what is not as it was before).

mod facts;
mod limits;
mod share;
mod unusual;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use data_encoding::HEXLOWER;
use touchkeep_audit::{Decision, Event, Kind, Log};
use touchkeep_core::{
    Clock, Code, Id, PromptId, RequestId, SystemClock,
    text::{visible, visible_ascii},
};
use touchkeep_pipeline::{
    Answer, Answering, Approver, Client, End, KeyHandle, Named, Question, Signer, Unasked, Went,
};
use touchkeep_policy::Need;
use touchkeep_vault::SecretPlace;
use touchkeep_venue::Operation;
use touchkeep_wire::Approval;

use super::{Running, intents};
use crate::{
    agent::Agent,
    caller::Caller,
    devices::blocking,
    grants::{RequestGrant, offer},
    notify,
    prompts::{Prompts, Reply, tell_of_rest},
    told::Told,
    vault::{Current, device_label},
};

/// The question ends that much before the request does, so that silence is seen to be silence.
const SOONER: Duration = Duration::from_millis(20);

/// Where a request is answered when no front end is there.
const WHERE: &str = "Open the desktop, or type: touchkeep approve";

pub(super) struct People {
    prompts: Prompts,
    told: Arc<Told>,
    running: Arc<Running>,
    agent: Weak<Agent>,
    current: Weak<Current>,
    log: Log,
    end: End,
    // Questions that were answered with yes, until it is known how their requests went.
    allowed: Mutex<HashMap<RequestId, PromptId>>,
}

// What is known once somebody has been looked for: an earlier yes, or what is to be shown of whom.
enum Looked {
    Granted(Id),
    Unasked(Unasked),
    Shown(Box<(Approval, Caller)>),
}

impl People {
    pub(super) fn new(agent: &Arc<Agent>, current: &Arc<Current>, log: Log, end: End) -> Self {
        Self {
            prompts: agent.prompts().clone(),
            told: Told::new(agent.prompts().clone()),
            running: Arc::clone(agent.running()),
            agent: Arc::downgrade(agent),
            current: Arc::downgrade(current),
            log,
            end,
            allowed: Mutex::default(),
        }
    }

    fn allowed(&self) -> MutexGuard<'_, HashMap<RequestId, PromptId>> {
        self.allowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, question: &Question) -> Option<Looked> {
        let (running, agent) = (Arc::clone(&self.running), self.agent.upgrade()?);
        let (current, log) = (self.current.upgrade()?, self.log.clone());
        let question = question.clone();
        blocking(move || {
            // Whoever is to be refused at once costs no more than that: what is looked for below may take longer than a
            // hundred requests that are signed.
            let asks = agent.prompts().would_ask(&question.client.name);
            if let Err(why) = asks
                && !agent.gate().requests().has_some_for(question.client.id)
            {
                return Looked::Unasked(why);
            }
            let caller = running.caller(question.request);
            // Nothing that was allowed outlives the lock, even where the key does.
            let is_open = current.peek().is_some();
            if is_open && let Some(grant) = agent.gate().requests().take(&question, &caller) {
                return Looked::Granted(grant);
            }
            if let Err(why) = asks {
                return Looked::Unasked(why);
            }
            let mut approval = shown(&question, &caller, &current, &log);
            let longest = agent.config().grant();
            approval.more = offer(&question, &caller, longest).filter(|_| is_open);
            Looked::Shown(Box::new((approval, caller)))
        })
        .await
        .ok()
    }

    // Remembers a yes that was given for a time, for the process that was shown, and only once that is recorded. Whatever
    // comes in between leaves the yes what it is: to this one request.
    async fn remember(&self, question: &Question, caller: Caller, minutes: u32) {
        let (Some(agent), Some(current)) = (self.agent.upgrade(), self.current.upgrade()) else {
            return;
        };
        let question = question.clone();
        let remembered = blocking(move || {
            let open = current.peek()?;
            let grant = RequestGrant::of(&question, &caller, minutes)?;
            let (id, client) = (grant.id(), &question.client);
            let mut event = Event::new(Kind::GrantGiven, Decision::Approved)
                .text(grant.sentence(minutes))
                .client(client.id, client.name.clone())
                .item(question.key.item, question.key.name.clone())
                .detail("grant", id.to_string());
            event.request = Some(question.request);
            event.rule = Some(question.rule.clone());
            current.record(&event).ok()?;
            agent.gate().requests().give(grant);
            // A lock that came in between has ended everything already, and would not come by again.
            if !current.peek().is_some_and(|now| Arc::ptr_eq(&now, &open)) {
                agent.gate().requests().revoke(id)?;
                return None;
            }
            Some(())
        });
        match remembered.await {
            Ok(Some(())) => self.prompts.changed("grants"),
            _ => tracing::warn!(
                "a yes for a time was not remembered: the program that asked is gone, the vault was locked, or the log cannot be written"
            ),
        }
    }
}

impl Approver for People {
    fn ask<'a>(&'a self, question: &'a Question) -> Answering<'a, Answer> {
        Box::pin(async move {
            let (approval, caller) = match self.look(question).await {
                Some(Looked::Granted(grant)) => {
                    let digest = question.digest;
                    return Answer::Granted { digest, grant };
                }
                Some(Looked::Unasked(why)) => return unasked(question, why),
                Some(Looked::Shown(shown)) => *shown,
                None => return Answer::Nobody,
            };
            let within = Duration::from_millis(question.deadline.since(SystemClock.now()));
            if self.prompts.nobody_is_there() {
                tokio::spawn(notify::show(waiting(question), WHERE.to_owned()));
            }
            let asked = touchkeep_wire::Question::Approval(approval);
            let within = within.saturating_sub(SOONER);
            let asked = self.prompts.asked_until(asked, within, self.end.reached());
            let (reply, prompt) = asked.await;
            if let (Some(prompt), Reply::Approved(_) | Reply::ApprovedFor(..)) = (prompt, &reply) {
                self.allowed().insert(question.request, prompt);
            }
            if let Reply::ApprovedFor(digest, minutes) = &reply
                && digest_of(digest) == Some(question.digest)
            {
                self.remember(question, caller, *minutes).await;
            }
            match reply {
                Reply::Approved(digest) | Reply::ApprovedFor(digest, _) => {
                    digest_of(&digest).map_or(Answer::No, |digest| Answer::Yes { digest })
                }
                Reply::Refused(Some(rests)) => {
                    tell_of_rest(&rests);
                    Answer::No
                }
                Reply::Refused(None) | Reply::Secret(_) | Reply::Allowed(_) => Answer::No,
                Reply::TimedOut | Reply::Locked | Reply::Absent => Answer::Nobody,
                Reply::Unasked(why) => unasked(question, why),
            }
        })
    }

    fn would_ask(&self, client: &Client) -> Result<(), Unasked> {
        match self.prompts.would_ask(&client.name) {
            // There may be room in a moment.
            Ok(()) | Err(Unasked::TooMany) => Ok(()),
            rests => rests,
        }
    }

    fn tell(&self, question: &Question) {
        let body = format!(
            "{}. Asked by {}, let through by the rule {}.",
            facts::sentence(&question.operation),
            visible(&question.client.name),
            visible(&question.rule)
        );
        self.told.signed(body);
    }

    fn went(&self, request: RequestId, went: &Went) {
        let prompt = self.allowed().remove(&request);
        if let Some(prompt) = prompt {
            let (code, what) = in_words(went);
            self.prompts.went(prompt, code, what);
        }
    }

    fn known_address<'a>(
        &'a self,
        key: &'a KeyHandle,
        operation: &'a Operation,
    ) -> Answering<'a, Option<String>> {
        let (current, log) = (self.current.upgrade(), self.log.clone());
        let (item, operation) = (key.item, operation.clone());
        Box::pin(async move {
            blocking(move || unusual::kept_before(&*current?, &log, item, &operation))
                .await
                .ok()
                .flatten()
        })
    }
}

fn unasked(question: &Question, why: Unasked) -> Answer {
    tracing::warn!(
        client = visible(&question.client.name),
        "a request was not put to anybody: {why}"
    );
    Answer::Unasked(why)
}

// Why it was not done, as far as that is known, and a sentence.
fn in_words(went: &Went) -> (Option<Code>, String) {
    match went {
        Went::NotSigned { code, why } => (Some(*code), format!("Nothing was signed: {why}.")),
        Went::NotSent(why) => {
            let what = format!("Signed, and not done: the venue does not have it: {why}.");
            (Some(Code::Unreachable), what)
        }
        Went::Unanswered(why) => {
            let what = format!("Signed and sent. Whether the venue did it is not known: {why}.");
            (Some(Code::Unreachable), what)
        }
        Went::Answered { decision, text } => {
            let code = match decision {
                Decision::Done => None,
                Decision::Failed => Some(Code::Denied),
                _ => Some(Code::Unreachable),
            };
            let text = if text.is_empty() {
                "The venue did it."
            } else {
                text
            };
            let end = if text.ends_with(['.', '!', '?']) {
                ""
            } else {
                "."
            };
            (code, format!("Signed and sent. {text}{end}"))
        }
        Went::LoggedIn => (None, "The login was signed and handed over.".to_owned()),
    }
}

// Whoever walks past may read it: no amount, no address.
fn waiting(question: &Question) -> String {
    let (client, venue) = (&question.client.name, &question.operation.venue);
    let what = &question.operation.endpoint;
    format!("{} waits for you: {what} at {venue}", visible(client))
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

fn shown(question: &Question, caller: &Caller, current: &Current, log: &Log) -> Approval {
    let operation = &question.operation;
    let (mut facts, whole) = facts::of(operation);
    if let Some(Named::Kept(address)) = &question.named {
        put_after(
            &mut facts,
            "Destination",
            "Address there",
            visible_ascii(address),
        );
    }
    if let Some(share) = share::fact(question) {
        put_after(&mut facts, "Amount", "Balance", share);
    }
    let held = question.limits.iter().flat_map(limits::held);
    facts.extend(held.map(|limit| ("Limit".to_owned(), limit)));
    let mut unusual = unusual::of(question, caller, current, log);
    if !whole {
        unusual.insert(
            0,
            "too long to be shown whole: what is not shown here is signed as well".to_owned(),
        );
    }
    Approval {
        sentence: facts::sentence(operation),
        operation: operation.kind.as_str().to_owned(),
        facts,
        again: question
            .again
            .map(|again| again.to_string())
            .unwrap_or_default(),
        unusual,
        client: visible(&question.client.name),
        process: caller.lines(),
        executable: caller
            .seen()
            .and_then(|seen| seen.executable.as_ref())
            .map(|executable| executable.shown())
            .unwrap_or_default(),
        place: caller.place(),
        key: visible(&question.key.name),
        kept: kept(&question.key, current),
        rule: visible(&question.rule),
        touch: question.need == Need::Touch,
        digest: HEXLOWER.encode(&question.digest),
        practice: current.is_practice(),
        more: None,
    }
}

// Beside what it belongs to.
fn put_after(facts: &mut Vec<(String, String)>, after: &str, name: &str, value: String) {
    let at = facts.iter().position(|(name, _)| name == after);
    facts.insert(
        at.map_or(facts.len(), |at| at + 1),
        (name.to_owned(), value),
    );
}

// Where the key is, and what its use takes.
fn kept(key: &KeyHandle, current: &Current) -> String {
    let place = current
        .peek()
        .and_then(|open| open.read().item(key.item).map(|item| item.secret.clone()));
    match (&key.signer, place) {
        (Signer::Device { device, .. }, _) => {
            let devices = current.devices();
            let found = devices.iter().find(|one| one.id == *device);
            let label = found.map_or_else(|| "a device".to_owned(), device_label);
            let touch = if key.touched_each_use {
                ", and waits for a touch at each use"
            } else {
                ""
            };
            format!("never leaves {label}{touch}")
        }
        (Signer::Secret, _) if key.touched_each_use => {
            "sealed: a touch opens it for this one use".to_owned()
        }
        (Signer::Secret, Some(SecretPlace::Sealed)) => "sealed: opened for this one use".to_owned(),
        (Signer::Secret, Some(_)) => "in the vault".to_owned(),
        (Signer::Secret, None) => "armed: it outlived the lock".to_owned(),
    }
}
