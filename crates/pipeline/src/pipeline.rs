//! The way itself.

mod carry;
mod expiry;
mod free;
mod login;
mod named;
mod refused;
mod rests;

pub(crate) use carry::was_written;
pub use login::{LoggedIn, LoginTurn};

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use touchkeep_audit::{Decision, Event, Kind, Log, Seq};
use touchkeep_core::{
    ClientId, Clock, Code, Decimal, RequestId, UnixMillis,
    text::{surely_visible, visible},
};
use touchkeep_policy::{
    Allowed, Approval, ApprovedBy, Asked, How, Need, NeedsApproval, Past, Policy, Refusal, Verdict,
    request_digest,
};
use touchkeep_venue::{Decoded, Outgoing, Private, Request, Unreadable, Venue, venue};

use self::refused::gone;
use crate::{
    Answer, Approver, End, HistorySource, KeyError, KeyHandle, Keys, Named, NotDone, NotSigned,
    Question, Upstream, Went,
    book::Book,
    end::Revoked,
    kept::Kept,
    outcome::Outcome,
    repeats::{Again, Repeats},
    seldom::Seldom,
    turns::Turns,
};

/// The detail of a row that names the key set.
pub const KEY_SET: &str = "key-set";
/// The detail of a row that says which address the venue kept under the name that money went to.
pub const SAVED_ADDRESS: &str = "saved-address";

/// The detail of a refusal that no rule had: one let the request through, and what it needs to be signed was not there.
pub const LET_THROUGH: &str = "let-through";

/// Times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a person has to answer.
    pub approval_ms: u64,
    /// The `recvWindow` of requests that name none.
    pub recv_window_ms: u32,
    /// The least `recvWindow` where the device waits for a touch after it was given the time to sign.
    pub touch_window_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            approval_ms: 120_000,
            recv_window_ms: 5_000,
            touch_window_ms: 60_000,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Its name, unique; rules speak of it.
    pub name: String,
}

/// A request of a client, as the proxy read it.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Which request. Never used before.
    pub request: RequestId,
    /// Who asks.
    pub client: Client,
    /// At which venue.
    pub venue: String,
    /// With a key of which set.
    pub key_set: String,
    /// What.
    pub http: Request,
}

/// The venue answered.
#[derive(Debug)]
pub struct Done<R> {
    /// Its answer, whatever its status.
    pub response: R,
    /// The row of the intent; none for public requests, which need no key and leave no row.
    pub recorded: Option<Seq>,
    /// What is left to be written down of it; none for public requests.
    pub outcome: Option<Outcome>,
}

/// The one way from a request to a signature. Clones are the same one.
pub struct Pipeline<U: Upstream>(Arc<Parts<U>>);

impl<U: Upstream> Clone for Pipeline<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Parts<U> {
    keys: Arc<dyn Keys>,
    approver: Arc<dyn Approver>,
    upstream: U,
    log: Log,
    clock: Arc<dyn Clock>,
    settings: Settings,
    end: End,
    book: Book,
    repeats: Repeats,
    seldom: Seldom,
    turns: Turns,
    kept: Kept,
}

// What came of a request before anything was recorded of it.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all requests are the large one, which is moved on at once"
)]
enum Decided<R> {
    Public(Box<Done<R>>),
    Allowed(Allowed, Box<Read>, Option<Box<Question>>),
}

// A request that was read, with the key that would sign it.
struct Read {
    incoming: Incoming,
    venue: &'static dyn Venue,
    private: Private,
    key: KeyHandle,
    // Exactly the same was put to a person shortly before.
    again: Option<Again>,
    // The address behind a name.
    named: Option<Named>,
    // How much of the asset the venue has free.
    free: Option<Decimal>,
    lasts: Lasts,
    fate: Fate,
}

impl Read {
    // The end of one that is not signed.
    fn ends(self, why: NotSigned) -> NotSigned {
        self.fate.is(Went::not_signed(&why));
        why
    }
}

// Says how a request went, once, wherever it ends.
pub(crate) struct Fate {
    approver: Arc<dyn Approver>,
    request: RequestId,
    said: bool,
}

impl Fate {
    fn of<U: Upstream>(parts: &Parts<U>, request: RequestId) -> Self {
        Self {
            approver: Arc::clone(&parts.approver),
            request,
            said: false,
        }
    }

    pub(crate) fn is(mut self, went: Went) {
        self.said = true;
        self.approver.went(self.request, &went);
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        if !self.said {
            let went = Went::NotSigned {
                code: Code::Unreachable,
                why: "the client went away before that".to_owned(),
            };
            self.approver.went(self.request, &went);
        }
    }
}

// Says that a request is over, wherever it ends.
struct Lasts {
    keys: Arc<dyn Keys>,
    request: RequestId,
}

impl Drop for Lasts {
    fn drop(&mut self) {
        self.keys.over(self.request);
    }
}

// A row for a request whose asker goes away while a person is asked: what was put to somebody is on record.
struct Abandoned<'a> {
    log: &'a Log,
    read: &'a Read,
    rule: String,
    digest: [u8; 32],
    by_rule: bool,
    decided: bool,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if self.decided {
            return;
        }
        let event = gone(self.read, &self.rule, &self.digest, self.by_rule);
        let log = self.log.clone();
        let record = move || {
            if let Err(why) = log.record(&event) {
                tracing::error!(%why, "a request that was given up was not recorded");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(record)),
            Err(_) => record(),
        }
    }
}

impl<U: Upstream> Pipeline<U> {
    /// A pipeline under [`Policy::by_hand`], until its end.
    #[must_use]
    pub fn new(
        keys: Arc<dyn Keys>,
        approver: Arc<dyn Approver>,
        upstream: U,
        log: Log,
        clock: Arc<dyn Clock>,
        settings: Settings,
        end: End,
    ) -> Self {
        let turns = keys.turns();
        Self(Arc::new(Parts {
            keys,
            approver,
            upstream,
            log,
            clock,
            settings,
            end,
            book: Book::new(),
            repeats: Repeats::default(),
            seldom: Seldom::default(),
            turns,
            kept: Kept::default(),
        }))
    }

    /// Puts a policy in force. Reads the history that its limits look back at; blocks meanwhile.
    ///
    /// # Errors
    /// When the history cannot be read. Everything is by hand then.
    pub fn set_policy<S: HistorySource>(&self, policy: Policy, source: &S) -> Result<(), S::Error> {
        let now = self.0.clock.now();
        self.0.book.set_policy(policy, source, now)
    }

    /// Takes one request all the way. Dropping the future before anything was recorded means that nothing is signed; after
    /// that it is carried out and its outcome recorded all the same.
    ///
    /// # Errors
    /// Why there is no answer of the venue.
    pub async fn handle(&self, incoming: Incoming) -> Result<Done<U::Response>, NotDone> {
        self.handle_unless(std::future::pending(), incoming).await
    }

    /// The same, unless its client is revoked before it is signed. What is signed by then has its answer.
    ///
    /// # Errors
    /// Why there is no answer of the venue.
    pub async fn handle_unless(
        &self,
        revoked: impl Future<Output = ()>,
        incoming: Incoming,
    ) -> Result<Done<U::Response>, NotDone> {
        let mut revoked = pin!(revoked);
        let decided = tokio::select! {
            biased;
            () = &mut revoked => return Err(NotSigned::Revoked.into()),
            decided = self.decided(incoming) => decided?,
        };
        match decided {
            Decided::Public(done) => Ok(*done),
            Decided::Allowed(allowed, read, tell) => {
                self.carried_out(allowed, read, tell, revoked).await
            }
        }
    }

    // # Why what happens seldom is boxed
    // A future is as large as the largest of its parts, and is moved several times before it first runs.
    async fn decided(&self, incoming: Incoming) -> Result<Decided<U::Response>, NotDone> {
        let venue = venue(&incoming.venue).ok_or(NotSigned::NoVenue)?;
        let private = match venue.decode(&incoming.http) {
            Ok(Decoded::Private(private)) => *private,
            Ok(Decoded::Public(outgoing)) => {
                let done = Box::pin(self.public(&incoming, outgoing));
                return done.await.map(|done| Decided::Public(Box::new(done)));
            }
            Err(why) => return Err(Box::pin(self.unreadable(&incoming, why)).await.into()),
        };
        let class = private.operation().kind.class();
        let key = self
            .0
            .keys
            .key_for(&incoming.venue, &incoming.key_set, class);
        let key = match key {
            Ok(key) => key,
            Err(why) => {
                let refused = Box::pin(self.without_key(&incoming, &private, why));
                return Err(refused.await.into());
            }
        };
        let lasts = Lasts {
            keys: Arc::clone(&self.0.keys),
            request: incoming.request,
        };
        let fate = Fate::of(&self.0, incoming.request);
        let mut read = Box::new(Read {
            incoming,
            venue,
            private,
            key,
            again: None,
            named: None,
            free: None,
            lasts,
            fate,
        });
        if let Err(why) = self.in_time(&read).await {
            return Err(read.ends(why).into());
        }
        if let Some(why) = self.rests(&read) {
            let why = Box::pin(self.unasked(&mut read, why)).await;
            return Err(read.ends(why).into());
        }
        if let Err(why) = self.looks_up(&mut read).await {
            return Err(read.ends(why).into());
        }
        read.free = self.free(&read).await;
        match self.allowed(&mut read).await {
            Ok((allowed, tell)) => Ok(Decided::Allowed(allowed, read, tell)),
            Err(why) => Err(read.ends(why).into()),
        }
    }

    // On a task of its own, so that whoever stops waiting leaves nothing half done. A revocation ends it as long as it is not
    // signed.
    async fn carried_out(
        &self,
        allowed: Allowed,
        read: Box<Read>,
        tell: Option<Box<Question>>,
        revoked: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Done<U::Response>, NotDone> {
        let parts = Arc::clone(&self.0);
        let (revokes, is_revoked) = Revoked::later();
        let mut task =
            tokio::spawn(async move { parts.carry_out(allowed, read, tell, is_revoked).await });
        let done = tokio::select! {
            biased;
            done = &mut task => done,
            () = revoked => {
                revokes.comes();
                task.await
            }
        };
        done.unwrap_or_else(|_| Err(NotDone::Unknown("the request was interrupted".into())))
    }

    async fn public(
        &self,
        incoming: &Incoming,
        outgoing: Outgoing,
    ) -> Result<Done<U::Response>, NotDone> {
        let base_url = self.0.keys.base_url(&incoming.venue, &incoming.key_set);
        let base_url = base_url.map_err(NotSigned::from)?;
        let response = self.0.upstream.send(outgoing, base_url).await?;
        Ok(Done {
            response,
            recorded: None,
            outcome: None,
        })
    }

    async fn unreadable(&self, incoming: &Incoming, why: Unreadable) -> NotSigned {
        let what = format!(
            "{} {} at {}: {why}",
            visible(&incoming.http.method),
            visible(&incoming.http.path),
            visible(&incoming.venue)
        );
        let event = Event::new(Kind::RequestUnreadable, Decision::Denied).text(what);
        self.note_refusal(incoming.client.id, by(event, incoming))
            .await;
        why.into()
    }

    // A bot that polls while the vault is locked leaves no rows; one that would have moved money does.
    async fn without_key(
        &self,
        incoming: &Incoming,
        private: &Private,
        why: KeyError,
    ) -> NotSigned {
        let operation = private.operation();
        if operation.kind.is_dangerous() {
            let mut event = Event::new(Kind::RequestRefused, Decision::Refused)
                .text(operation.sentence())
                .detail("why", surely_visible(&why.to_string()));
            event.operation = Some(operation.clone());
            self.note_refusal(incoming.client.id, by(event, incoming))
                .await;
        }
        why.into()
    }

    /// Records something that a client was refused without anybody being asked, in which row. So many an hour of a client
    /// have a row; the next one says how many had none.
    pub async fn note_refusal(&self, client: ClientId, event: Event) -> Option<Seq> {
        self.0.note_refusal(client, event).await
    }

    /// Ends it: what waits is refused, nothing is signed from now on, and the private keys that stayed are wiped.
    pub fn end(&self) {
        self.0.end.comes();
        self.0.kept.forget();
    }

    /// Records how many refusals had no row and are told by none yet: before a lock, after which nothing might come. Blocks.
    pub fn tell_unsaid(&self) {
        for event in self.0.seldom.unsaid() {
            if let Err(why) = self.0.log.record(&event) {
                tracing::error!(%why, "how many refusals had no row was not recorded");
            }
        }
    }

    /// Takes over which requests were put to a person before this pipeline was made: digest and time.
    pub fn remember(&self, asked: impl IntoIterator<Item = ([u8; 32], UnixMillis)>) {
        let now = self.0.clock.now();
        for (digest, at) in asked {
            self.0.repeats.note(digest, at, now);
        }
    }

    // From what was read to what may be signed, and what a person is told once it is.
    async fn allowed(
        &self,
        read: &mut Read,
    ) -> Result<(Allowed, Option<Box<Question>>), NotSigned> {
        let asked = self.asked(read, request_digest(&read.private, read.key.item));
        let under = self.0.book.policies();
        match self.0.book.decide(asked) {
            Verdict::Deny(denied) => Err(Box::pin(self.0.denied(read, &denied)).await),
            Verdict::Allow(allowed) => {
                let reserved = self.0.book.reserved(allowed.request());
                let question = self.question(read, allowed.digest(), allowed.rule(), Need::Click);
                let question = Box::new(question);
                // A PIN or a passphrase may have to be typed.
                let mut abandoned = self.abandoned(read, allowed.rule(), allowed.digest());
                abandoned.by_rule = true;
                let ready = self.0.unless_over(self.0.keys.make_ready(&question));
                let ready = ready.await;
                abandoned.decided = true;
                drop(abandoned);
                if let Err(why) = ready {
                    Box::pin(self.0.allowed_unready(read, &allowed, &why)).await;
                    return Err(why.into());
                }
                reserved.stays();
                if self.0.book.policies() != under {
                    Box::pin(self.still_allowed(read, &allowed)).await?;
                }
                let tell = (allowed.how() == How::RuleAndNotify).then_some(question);
                Ok((allowed, tell))
            }
            Verdict::Ask(asks) => {
                let allowed = Box::pin(self.asks(read, asks)).await?;
                Box::pin(self.still_allowed(read, &allowed)).await?;
                Ok((allowed, None))
            }
        }
    }

    // What waited for somebody is held against the rules once more, as they are by now, and then counts.
    async fn still_allowed(&self, read: &Read, allowed: &Allowed) -> Result<(), NotSigned> {
        let asked = self.asked(read, *allowed.digest());
        match self.0.book.reserve(&asked, allowed) {
            Ok(()) => Ok(()),
            Err(now) => Err(self.0.overtaken(read, allowed, now).await),
        }
    }

    // From a rule that asks to what a person has allowed.
    async fn asks(&self, read: &mut Read, asks: NeedsApproval) -> Result<Allowed, NotSigned> {
        let now = self.0.clock.now();
        read.again = self.0.repeats.note(*asks.digest(), now, now);
        let limits = self.0.book.standing(&self.asked(read, *asks.digest()));
        let question = Question {
            limits,
            ..self.question(read, asks.digest(), asks.rule(), asks.need())
        };
        let mut abandoned = self.abandoned(read, asks.rule(), asks.digest());
        let allowed = self.approved(read, asks, &question).await;
        abandoned.decided = true;
        drop(abandoned);
        allowed
    }

    fn abandoned<'a>(&'a self, read: &'a Read, rule: &str, digest: &[u8; 32]) -> Abandoned<'a> {
        Abandoned {
            log: &self.0.log,
            read,
            rule: rule.to_owned(),
            digest: *digest,
            by_rule: false,
            decided: false,
        }
    }

    // Unlock first, then ask, then touch: a mistyped PIN spends no approval, and nobody touches what was not approved.
    async fn approved(
        &self,
        read: &Read,
        asks: NeedsApproval,
        question: &Question,
    ) -> Result<Allowed, NotSigned> {
        let ready = self.0.unless_over(self.0.keys.make_ready(question));
        if let Err(why) = ready.await {
            self.0.unready(read, asks, &why).await;
            return Err(why.into());
        }
        let question = &Question {
            deadline: self.deadline(read),
            ..question.clone()
        };
        let (digest, grant) = match self.0.answer(question).await {
            Ok(Answer::Yes { digest }) => (digest, None),
            Ok(Answer::Granted { digest, grant }) => (digest, Some(grant)),
            Ok(Answer::No) => {
                self.0
                    .refused(read, asks, Refusal::Person, "a person refused")
                    .await;
                return Err(NotSigned::Refused);
            }
            Ok(Answer::Nobody) => {
                self.0
                    .refused(read, asks, Refusal::Deadline, "nobody answered in time")
                    .await;
                return Err(NotSigned::TimedOut);
            }
            Ok(Answer::Unasked(why)) => {
                self.0.unasked(read, asks, &why.to_string()).await;
                return Err(NotSigned::Unasked(why));
            }
            Err(why) => {
                self.0
                    .refused(read, asks, Refusal::Deadline, &why.to_string())
                    .await;
                return Err(why.into());
            }
        };
        // A yes to something else is not worth a touch.
        let by = if let Some(grant) = grant {
            ApprovedBy::Grant(grant)
        } else if digest != *asks.digest() || asks.need() == Need::Click {
            ApprovedBy::Click
        } else if read.key.touched_each_use {
            ApprovedBy::KeyTouch
        } else {
            let consent = self.0.unless_over(self.0.keys.consent(question));
            match consent.await {
                Ok(consent) => consent.into(),
                Err(why) => {
                    let refusal = refusal_of(&why);
                    self.0.refused(read, asks, refusal, &why.to_string()).await;
                    return Err(why.into());
                }
            }
        };
        match asks.approve(Approval { digest, by }) {
            Ok(allowed) => Ok(allowed),
            Err(mismatch) => {
                let event = Event::new(Kind::RequestRefused, Decision::Refused).text(format!(
                    "{}: {mismatch}",
                    read.private.operation().sentence()
                ));
                self.0.note(about(event, read)).await;
                Err(mismatch.into())
            }
        }
    }

    fn question(&self, read: &Read, digest: &[u8; 32], rule: &str, need: Need) -> Question {
        Question {
            request: read.incoming.request,
            client: read.incoming.client.clone(),
            key_set: read.incoming.key_set.clone(),
            key: read.key.clone(),
            operation: read.private.operation().clone(),
            digest: *digest,
            rule: rule.to_owned(),
            need,
            deadline: self.deadline(read),
            again: read.again,
            limits: Vec::new(),
            named: read.named.clone(),
            free: read.free.clone(),
        }
    }

    fn asked(&self, read: &Read, digest: [u8; 32]) -> Asked {
        Asked {
            request: read.incoming.request,
            digest,
            client: read.incoming.client.name.clone(),
            key_set: read.incoming.key_set.clone(),
            operation: read.private.operation().clone(),
            now: self.0.clock.now(),
        }
    }
}

impl<U: Upstream> Parts<U> {
    // Does something that may take long, unless the end comes first. What is done in the moment of the end counts for nothing.
    async fn unless_over<T, E: From<KeyError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let done = tokio::select! {
            biased;
            done = work => done?,
            () = self.end.reached() => return Err(KeyError::Over.into()),
        };
        if self.end.has_come() {
            return Err(KeyError::Over.into());
        }
        Ok(done)
    }

    async fn answer(&self, question: &Question) -> Result<Answer, KeyError> {
        let left = question.deadline.0.saturating_sub(self.clock.now().0);
        let within = Duration::from_millis(left.min(self.settings.approval_ms));
        let asked = tokio::time::timeout(within, self.approver.ask(question));
        self.unless_over(async { Ok(asked.await.unwrap_or(Answer::Nobody)) })
            .await
    }
}

fn by(mut event: Event, incoming: &Incoming) -> Event {
    event.request = Some(incoming.request);
    let client = &incoming.client;
    event
        .client(client.id, client.name.clone())
        .detail(KEY_SET, incoming.key_set.clone())
}

fn about(event: Event, read: &Read) -> Event {
    let mut event = by(event, &read.incoming).item(read.key.item, read.key.name.clone());
    if let Some(Named::Kept(address) | Named::Before { address, .. }) = &read.named {
        event = event.detail(SAVED_ADDRESS, address);
    }
    match read.again {
        None => event,
        Some(again) => event.detail("again", again.to_string()),
    }
}

const fn refusal_of(why: &KeyError) -> Refusal {
    match why {
        KeyError::TimedOut => Refusal::Deadline,
        _ => Refusal::Person,
    }
}

/// What an intent in the log means to later limits: for a [`HistorySource`]. Other events mean nothing to them.
#[must_use]
pub fn past_of(event: &Event, at: UnixMillis) -> Option<Past> {
    if event.kind != Kind::Intent {
        return None;
    }
    let key_set = event.details.iter().find(|(name, _)| name == KEY_SET);
    Some(Past::new(
        event.request?,
        at,
        event.client_name.as_deref()?,
        &key_set?.1,
        event.operation.as_ref()?,
    ))
}
