//! The way itself.

mod allowed;
mod carry;
mod expiry;
mod free;
mod login;
mod named;
mod read;
mod refused;
mod rests;

pub(crate) use carry::was_written;
pub use login::{LoggedIn, LoginTurn};
pub(crate) use read::Fate;

use std::{
    pin::{Pin, pin},
    sync::Arc,
};

use touchkeep_audit::{Decision, Event, Kind, Log, Seq};
use touchkeep_core::{
    ClientId, Clock, RequestId, UnixMillis,
    text::{surely_visible, visible},
};
use touchkeep_policy::{Allowed, Past, Policy};
use touchkeep_venue::{Decoded, OperationKind, Outgoing, Private, Request, Unreadable, venue};

use self::read::{Read, by};
use crate::{
    Approver, End, HistorySource, KeyError, Keys, NotDone, NotSigned, Question, Upstream,
    book::Book, end::Revoked, kept::Kept, outcome::Outcome, repeats::Repeats, seldom::Seldom,
    turns::Turns,
};

/// The detail of a row that names the key set.
pub const KEY_SET: &str = "key-set";
/// The detail of a row that says which address the venue kept under the name that money went to.
pub const SAVED_ADDRESS: &str = "saved-address";

/// What the outcome of a request begins with whose intent is on record, and that was not signed.
pub const NOT_SIGNED: &str = "not signed: ";
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
        let mut read = Box::new(Read::of(&self.0, incoming, venue, private, key));
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

    // A bot that polls while the vault is locked, or without a key to read with, leaves no rows; one that would have moved money
    // does, and so does one whose orders have no key.
    async fn without_key(
        &self,
        incoming: &Incoming,
        private: &Private,
        why: KeyError,
    ) -> NotSigned {
        let operation = private.operation();
        let is_poll = operation.kind == OperationKind::Read || matches!(why, KeyError::Locked);
        if operation.kind.is_dangerous() || !is_poll {
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
