//! The gate: whether a program may have the values that it asks for.
//!
//! The first time that a program uses an item, a person is asked; the answer may be remembered for that process or for its
//! terminal, with an end. A script can be allowed ahead, bound to the file that it is. Nothing is remembered for sealed
//! values, for keys that may move money or make keys, and for an export: those are asked for each time. Whatever is let
//! through is on disk in the audit log before it leaves here.
//!
//! Requests of bots are another matter, with the same end: `requests` (a yes that holds for a time), `like` (for what).
//!
//! Read in this order: [`Gate::admit`], `rule` (what covers what), `ahead` (kept in the vault), `question` (what is shown),
//! `unspent` (a yes that is not used up by a mistyped PIN).

mod ahead;
mod like;
mod question;
mod requests;
mod rule;
mod unspent;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{Clock, Code, Id, ItemId, PromptId, SystemClock, text::visible};
use touchkeep_vault::{Item, ItemKind, SecretPlace};
use touchkeep_venue::KeyClass;
use touchkeep_wire::{Failure, Purpose, Question, Scope};

pub(crate) use self::{
    ahead::{Ahead, Interpreter, SETTING as GRANTS},
    like::Like,
    question::unusual_of,
    requests::{RequestGrant, RequestGrants, offer},
};
use self::{
    rule::{Covered, Grant, Holder, Remembered},
    unspent::Unspent,
};
use crate::{
    agent::Agent,
    caller::{Caller, Hashes, Held, Process},
    devices::blocking,
    failure,
    prompts::{self, Asker, Prompts, Reply},
    uptime::Uptime,
    vault::Current,
};

/// Grants that are remembered at a time; the oldest makes room.
const MAX_REMEMBERED: usize = 512;

/// A value that is asked for. Made by [`ItemUse::of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemUse {
    /// Of which item.
    pub(crate) item: ItemId,
    /// The item, as a person calls it: `prod/main-trade`.
    pub(crate) name: String,
    /// Which field.
    pub(crate) field: String,
    /// Asked for each time, whatever is remembered: a sealed value, or one of a key that may move money or make keys.
    pub(crate) each_time: bool,
}

impl ItemUse {
    /// A use of one field of an item, which a person calls `name`. The chief secret is called `secret`.
    pub(crate) fn of(item: &Item, name: String, field: &str) -> Self {
        let each_time = match item.place(field) {
            Some(SecretPlace::Sealed) => true,
            // What is not secret of such a key is no right of its.
            Some(_) => moves_money(item),
            None => false,
        };
        Self {
            item: item.id,
            name,
            field: field.to_owned(),
            each_time,
        }
    }
}

/// Whether a yes about every field of this item may be remembered.
pub(crate) fn may_be_remembered(item: &Item) -> bool {
    !moves_money(item)
        && item
            .places()
            .all(|(_, place)| *place != SecretPlace::Sealed)
}

// A key whose value in a program's hands is every withdrawal that it likes.
fn moves_money(item: &Item) -> bool {
    item.kind == ItemKind::ExchangeKey
        && matches!(item.class, KeyClass::MoveMoney | KeyClass::KeyAdmin)
}

/// Somebody was let through, and that is recorded. Made by [`Gate::admit`] alone.
#[must_use = "values may leave for whom this was made, and for nobody else"]
pub(crate) struct Admitted {
    by: String,
    // By a person's yes that counts once.
    is_once: bool,
    // The question that a person has answered for it.
    asked: Option<(Prompts, PromptId)>,
}

impl Admitted {
    /// Why it was let through, in words.
    pub(crate) fn by(&self) -> &str {
        &self.by
    }

    /// Nothing left, because of what a person typed for it: a yes for once is kept for the same call, made again at once.
    pub(crate) fn mistyped(
        &self,
        gate: &Gate,
        caller: &Caller,
        uses: &[ItemUse],
        purpose: Purpose,
    ) {
        if self.is_once {
            gate.unspent.keep(caller, uses, purpose);
        }
    }

    /// Tells whoever was asked how it went.
    pub(crate) fn went<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        if let Some((prompts, prompt)) = self.asked.take() {
            let (code, what) = match &done {
                Ok(_) => (None, "It has what was asked for.".to_owned()),
                Err(failure) => (
                    Some(failure.code),
                    format!("Nothing was given. {}", failure.what),
                ),
            };
            prompts.went(prompt, code, what);
        }
        done
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((prompts, prompt)) = self.asked.take() {
            prompts.went(prompt, None, "It may go on.".to_owned());
        }
    }
}

/// What is remembered of earlier answers.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    remembered: Mutex<Vec<Grant>>,
    ahead: Mutex<Arc<[Ahead]>>,
    hashes: Hashes,
    requests: RequestGrants,
    unspent: Unspent,
}

impl Gate {
    /// Lets a caller through to values of the open vault, or refuses. Asks a person where nothing covers it, unless `ask`
    /// says that nobody is to be asked. Whoever is let through, or refused by a person, has a durable row of the audit
    /// log for each item before this returns, so that whoever calls this need not record the reading again. One exception: where no value
    /// leaves, as for [`Purpose::Verify`], and no person was asked, the caller records what it does, and by what right.
    ///
    /// # Errors
    /// When a person refused or did not answer, when nobody may be asked, when the vault was locked meanwhile, or when
    /// nothing can be recorded.
    pub(crate) async fn admit(
        agent: &Arc<Agent>,
        caller: &Caller,
        uses: &[ItemUse],
        purpose: Purpose,
        ask: bool,
    ) -> Result<Admitted, Failure> {
        let current = agent.some_vault()?;
        let open = current.open()?;
        let client = caller.client();
        if client.is_none() && caller.seen().is_some() {
            return Err(gone());
        }
        open.touch();
        if uses.is_empty() {
            return Err(failure::invalid(
                "No value was named.",
                "Name what is wanted: touchkeep list",
            ));
        }
        let (how, prompt) = match Self::covers(agent, client, uses, purpose).await? {
            Covered::Yes(by) => (How::By(by), None),
            Covered::No if !ask => {
                let why = nobody_asked(caller);
                return Err(
                    refused(&current, (caller, uses, purpose), Decision::Denied, why).await,
                );
            }
            Covered::No if agent.gate().unspent.take(caller, uses, purpose) => (How::Again, None),
            Covered::No => {
                let asked = question::about(caller, uses, purpose, agent, &current);
                Self::ask(agent, &current, caller, uses, purpose, asked).await?
            }
        };
        let admitted = Admitted {
            by: how.words(),
            is_once: matches!(how, How::Once | How::Again),
            asked: prompt.map(|prompt| (agent.prompts().clone(), prompt)),
        };
        // A lock that came in between has ended everything.
        if !current.peek().is_some_and(|now| Arc::ptr_eq(&now, &open)) {
            return admitted.went(Err(failure::locked()));
        }
        let by = &admitted.by;
        if purpose != Purpose::Verify || !matches!(how, How::By(_)) {
            let given = how.given(purpose, agent.config().grant());
            let rows = rows(caller, uses, purpose, how.decision(), given).into_iter();
            let rows = rows.map(|row| row.detail("allowed by", by)).collect();
            if let Err(failure) = current.record_all(rows).await {
                return admitted.went(Err(failure));
            }
        }
        open.touch();
        Ok(admitted)
    }

    async fn ask(
        agent: &Arc<Agent>,
        current: &Arc<Current>,
        caller: &Caller,
        uses: &[ItemUse],
        purpose: Purpose,
        asked: touchkeep_wire::UseRequest,
    ) -> Result<(How, Option<PromptId>), Failure> {
        let offered = asked.scopes.clone();
        let within = Duration::from_secs(agent.config().approval_seconds);
        let asked = agent.prompts().asked(Question::Use(asked), within);
        let asker = Asker::Program(Arc::new(caller.clone()));
        let (reply, prompt) = prompts::on_behalf_of(asker, asked).await;
        let refusal = match reply {
            // The yes was to the program that was shown, and to no other that took its place meanwhile.
            Reply::Allowed(_) if caller.is_gone() => gone(),
            Reply::Allowed(scope) if offered.contains(&scope) => {
                let how = agent.gate().remember(agent, caller, uses, scope);
                return how.map(|how| (how, prompt));
            }
            Reply::TimedOut => Failure::new(
                Code::TimedOut,
                "Nobody answered whether this program may have the value.",
                "Open the desktop, or run `touchkeep approve` in a terminal, and try again.",
            ),
            Reply::Locked => failure::locked(),
            Reply::Unasked(why) => prompts::unasked(why),
            Reply::Absent => prompts::absent(),
            Reply::Refused(Some(rests)) => {
                prompts::tell_of_rest(&rests);
                Failure::new(
                    Code::Refused,
                    "A person refused it, for the third time.",
                    "Nothing was given, and nobody is asked for some minutes. `touchkeep approve` in a terminal ends that at once.",
                )
            }
            _ => Failure::new(
                Code::Refused,
                "A person refused it.",
                "Nothing was given. Where that was a slip, ask again.",
            ),
        };
        Err(refused(current, (caller, uses, purpose), Decision::Refused, refusal).await)
    }

    // The answer counts for the process that asked, if that is still there as it was.
    fn remember(
        &self,
        agent: &Agent,
        caller: &Caller,
        uses: &[ItemUse],
        scope: Scope,
    ) -> Result<How, Failure> {
        if scope == Scope::Once {
            return Ok(How::Once);
        }
        let client = caller.client().ok_or_else(gone)?;
        let holder = match scope {
            Scope::Once | Scope::Process => {
                Holder::Process(Held::process(client).ok_or_else(gone)?)
            }
            Scope::Terminal => {
                let terminal = client.terminal().and_then(Held::terminal);
                Holder::Terminal(terminal.ok_or_else(gone)?)
            }
        };
        let grant = Grant {
            id: Id::random(),
            holder,
            client: client.name.clone(),
            items: uses
                .iter()
                .map(|one| (one.item, one.name.clone()))
                .collect(),
            given: SystemClock.now(),
            end: Uptime::now().after(agent.config().grant()),
        };
        let how = How::Remembered(grant.id, scope);
        let mut remembered = self.remembered();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.remove(0);
        }
        remembered.push(grant);
        drop(remembered);
        agent.prompts().changed("grants");
        Ok(how)
    }

    // By what a client that was just looked at is covered, if by anything. What was allowed ahead is for files, which may have
    // to be read.
    async fn covers(
        agent: &Arc<Agent>,
        client: Option<&Process>,
        uses: &[ItemUse],
        purpose: Purpose,
    ) -> Result<Covered, Failure> {
        if purpose == Purpose::Export || uses.iter().any(|one| one.each_time) {
            return Ok(Covered::No);
        }
        let Some(client) = client else {
            return Ok(Covered::No);
        };
        let in_memory = agent.gate().in_memory(client);
        if let Covered::Yes(by) = in_memory.cover(uses, &[]) {
            return Ok(Covered::Yes(by));
        }
        let ahead = agent.gate().ahead();
        if ahead.is_empty() {
            return Ok(Covered::No);
        }
        let (agent, client, uses) = (Arc::clone(agent), client.clone(), uses.to_vec());
        blocking(move || {
            let hashes = agent.gate().hashes();
            let fitting: Vec<&Ahead> = ahead
                .iter()
                .filter(|one| one.is_for(&client, hashes, SystemClock.now()))
                .collect();
            in_memory.cover(&uses, &fitting)
        })
        .await
    }

    fn in_memory(&self, client: &Process) -> Remembered {
        let now = Uptime::now();
        let mut remembered = self.remembered();
        remembered.retain(|grant| !grant.is_over(now));
        Remembered::of(&remembered, client)
    }

    /// Forgets every answer; what was allowed ahead stays in the vault, and counts once that is open again.
    pub(crate) fn forget(&self) {
        self.remembered().clear();
        self.unspent.forget();
        self.requests.forget();
        *self.lock_ahead() = Arc::default();
    }

    /// Takes over what the open vault says was allowed ahead on this machine.
    pub(crate) fn load(&self, ahead: Vec<Ahead>) {
        *self.lock_ahead() = ahead.into();
    }

    /// What was allowed ahead on this machine.
    pub(crate) fn ahead(&self) -> Arc<[Ahead]> {
        Arc::clone(&self.lock_ahead())
    }

    /// What bots may have signed for a time.
    pub(crate) const fn requests(&self) -> &RequestGrants {
        &self.requests
    }

    /// Hashes of executables.
    pub(crate) const fn hashes(&self) -> &Hashes {
        &self.hashes
    }

    /// What is remembered and has not ended.
    pub(crate) fn list(&self) -> Vec<touchkeep_wire::GrantSummary> {
        let now = Uptime::now();
        let mut remembered = self.remembered();
        remembered.retain(|grant| grant.is_in_force(now));
        remembered.iter().map(|grant| grant.summary(now)).collect()
    }

    /// Forgets an answer. Its client and items, where there was one.
    pub(crate) fn revoke(&self, id: Id) -> Option<(String, Vec<String>)> {
        let mut remembered = self.remembered();
        let at = remembered.iter().position(|grant| grant.id == id)?;
        let grant = remembered.remove(at);
        Some((grant.client, grant.items.into_values().collect()))
    }

    fn remembered(&self) -> MutexGuard<'_, Vec<Grant>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_ahead(&self) -> MutexGuard<'_, Arc<[Ahead]>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Why somebody was let through.
enum How {
    By(String),
    Once,
    // Once, for a call that came to nothing because of what was typed for it, and is made again.
    Again,
    Remembered(Id, Scope),
}

impl How {
    const fn decision(&self) -> Decision {
        match self {
            Self::By(_) => Decision::Allowed,
            Self::Once | Self::Again | Self::Remembered(..) => Decision::Approved,
        }
    }

    // Where nothing leaves now, what is kept of the answer for later.
    fn given(&self, purpose: Purpose, grant: Duration) -> Option<String> {
        let minutes = grant.as_secs().div_ceil(60);
        (purpose == Purpose::Later).then(|| match self {
            Self::By(_) => "It has that already".to_owned(),
            Self::Once | Self::Again => "A yes for this once gives nothing for later".to_owned(),
            Self::Remembered(_, Scope::Terminal) => {
                format!("Given to its terminal, for {minutes} min")
            }
            Self::Remembered(..) => format!("Given to that process, for {minutes} min"),
        })
    }

    fn words(&self) -> String {
        match self {
            Self::By(by) => by.clone(),
            Self::Once => "a person, this once".to_owned(),
            Self::Again => "a person, this once, before something else was mistyped".to_owned(),
            Self::Remembered(id, Scope::Terminal) => {
                format!("a person, for this terminal (grant {id})")
            }
            Self::Remembered(id, _) => format!("a person, for this process (grant {id})"),
        }
    }
}

// Records why somebody gets nothing; what he is told, which is another thing where that cannot be recorded.
async fn refused(
    current: &Current,
    (caller, uses, purpose): (&Caller, &[ItemUse], Purpose),
    decision: Decision,
    why: Failure,
) -> Failure {
    let rows = rows(caller, uses, purpose, decision, None).into_iter();
    let rows = rows
        .map(|row| row.detail("why", why.what.clone()))
        .collect();
    match current.record_all(rows).await {
        Ok(()) => why,
        Err(failure) => failure,
    }
}

// A row for each item, because a row is found by one item.
fn rows(
    caller: &Caller,
    uses: &[ItemUse],
    purpose: Purpose,
    decision: Decision,
    given: Option<String>,
) -> Vec<Event> {
    let mut items: Vec<ItemId> = Vec::new();
    for one in uses {
        if !items.contains(&one.item) {
            items.push(one.item);
        }
    }
    let of = |item: &ItemId| -> Vec<ItemUse> {
        uses.iter()
            .filter(|one| one.item == *item)
            .cloned()
            .collect()
    };
    items
        .iter()
        .map(|item| row(caller, &of(item), purpose, decision, given.as_deref()))
        .collect()
}

fn row(
    caller: &Caller,
    uses: &[ItemUse],
    purpose: Purpose,
    decision: Decision,
    given: Option<&str>,
) -> Event {
    let client = caller
        .client()
        .map_or_else(|| "An unknown program".to_owned(), |one| one.line());
    let values: Vec<String> = uses.iter().map(question::value).collect();
    let given = given.map(|given| format!(" {given}.")).unwrap_or_default();
    let text = format!(
        "{client} asked for {} {}.{given}",
        values.join(", "),
        purpose.words()
    );
    let kind = match purpose {
        Purpose::Later => Kind::GrantGiven,
        Purpose::Verify => Kind::SecretUsed,
        _ => Kind::SecretRevealed,
    };
    let mut event = Event::new(kind, decision)
        .text(text)
        .detail("processes", caller.lines().join(" > "));
    if let Some(one) = uses.first() {
        event = event.item(one.item, visible(&one.name));
    }
    if let Some(terminal) = caller.terminal() {
        event = event.detail("terminal", terminal.name);
    }
    if let Some(unit) = caller.unit() {
        event = event.detail("unit", unit);
    }
    event
}

fn gone() -> Failure {
    Failure::new(
        Code::NotPermitted,
        "The program that asked has ended, or became another one, before it was answered.",
        "Start it again.",
    )
}

fn nobody_asked(caller: &Caller) -> Failure {
    let who = caller
        .client()
        .map_or_else(|| "This program".to_owned(), |one| one.name.clone());
    Failure::new(
        Code::NotPermitted,
        format!(
            "{who} may not have the value without a person's word, and nobody was to be asked."
        ),
        "Leave --no-interaction out, or allow the program ahead: touchkeep grant add PROGRAM ITEM",
    )
}
