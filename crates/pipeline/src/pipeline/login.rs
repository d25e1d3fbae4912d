//! The login of a socket: the same way as a request - read, key, decision, record, signature - but that what was signed is
//! handed over, to be said over the socket. Only a request for a socket's token is sent, and the venue's answer handed over.

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_policy::{Action, Allowed, Asked};
use touchkeep_venue::{Decoded, Outgoing, Venue, stream::Guard};

use super::{Incoming, Parts, Pipeline, carry::Ready, read::Read};
use crate::{NotDone, NotSigned, Question, Upstream, Went, end::Revoked, turns::Turn};

/// What a login was signed for.
pub enum LoggedIn<R> {
    /// To be said over the socket.
    Signed {
        /// What was signed, with its values as headers.
        values: Outgoing,
        /// Where the venue counts what a key signs, nothing else is signed with the key before this is dropped: so not before
        /// the login was said.
        turn: Option<LoginTurn>,
    },
    /// The venue's answer to a request for a token.
    Answered(R),
}

/// The turn of a key.
pub struct LoginTurn(#[expect(dead_code, reason = "held for its end")] Turn);

impl<U: Upstream> Pipeline<U> {
    /// Takes the login of a socket all the way to its signature. The request's method is
    /// [`touchkeep_venue::stream::LOGIN`], its path the socket's.
    ///
    /// # Errors
    /// Why it is not signed.
    pub async fn login(
        &self,
        guard: Guard,
        incoming: Incoming,
    ) -> Result<LoggedIn<U::Response>, NotDone> {
        let venue = guard.login();
        let private = match venue.decode(&incoming.http) {
            Ok(Decoded::Private(private)) => *private,
            Ok(Decoded::Public(_)) => return Err(NotSigned::NoVenue.into()),
            Err(why) => return Err(self.unreadable(&incoming, why).await.into()),
        };
        let class = private.operation().kind.class();
        let keys = &self.0.keys;
        let key = match keys.key_for(&incoming.venue, &incoming.key_set, class) {
            Ok(key) => key,
            Err(why) => return Err(self.without_key(&incoming, &private, why).await.into()),
        };
        let mut read = Box::new(Read::of(&self.0, incoming, venue, private, key));
        let (allowed, tell) = match self.allowed(&mut read).await {
            Ok(allowed) => allowed,
            Err(why) => return Err(read.ends(why).into()),
        };
        let parts = Arc::clone(&self.0);
        let asks = venue.asks_the_venue();
        let task = tokio::spawn(async move { parts.hand_over(allowed, read, tell, asks).await });
        task.await
            .unwrap_or_else(|_| Err(NotSigned::Interrupted.into()))
    }

    /// What the rules do with such a login now, as with the first request of its client. Decides nothing, and asks nobody.
    #[must_use]
    pub fn login_by_rules(&self, guard: Guard, incoming: &Incoming) -> Action {
        let Ok(Decoded::Private(private)) = guard.login().decode(&incoming.http) else {
            return Action::Deny;
        };
        let asked = Asked {
            request: incoming.request,
            digest: [0; 32],
            client: incoming.client.name.clone(),
            key_set: incoming.key_set.clone(),
            operation: private.operation().clone(),
            now: self.0.clock.now(),
        };
        self.0.book.as_the_first(&asked)
    }

    /// The name of the key that a login over a socket would be signed with. Says nothing that a signature does.
    ///
    /// # Errors
    /// When there is no such key, or the vault is locked.
    pub fn name_of_key(&self, venue: &str, key_set: &str) -> Result<String, NotSigned> {
        let class = touchkeep_venue::OperationKind::Read.class();
        Ok(self.0.keys.key_for(venue, key_set, class)?.api_key)
    }

    /// Where the practice venue of this set is, in place of a venue's sockets; none for real venues.
    ///
    /// # Errors
    /// When that cannot be known because the vault is locked.
    pub fn base_url(&self, venue: &str, key_set: &str) -> Result<Option<String>, NotSigned> {
        Ok(self.0.keys.base_url(venue, key_set)?)
    }
}

impl<U: Upstream> Parts<U> {
    async fn hand_over(
        self: Arc<Self>,
        allowed: Allowed,
        read: Box<Read>,
        tell: Option<Box<Question>>,
        asks: bool,
    ) -> Result<LoggedIn<U::Response>, NotDone> {
        let Ready {
            seq,
            outgoing,
            turn,
            incoming,
            key,
            fate,
            _lasts,
        } = self.signed(allowed, read, Revoked::never()).await?;
        let (done, event) = if asks {
            self.ask(outgoing, key.base_url.clone()).await
        } else {
            let event = Event::new(Kind::Outcome, Decision::Done).text("the login was signed");
            let turn = turn.map(LoginTurn);
            let values = outgoing;
            (Ok(LoggedIn::Signed { values, turn }), event)
        };
        let went = match &done {
            Ok(_) => Went::LoggedIn,
            Err(_) => Went::Unanswered(event.text.clone()),
        };
        self.outcome(seq, event, &incoming, &key).await;
        fate.is(went);
        if let Some(question) = &tell {
            self.approver.tell(question);
        }
        done
    }

    // Asks for a token. Nothing is lost where no answer comes: a token that nobody has opens nothing.
    async fn ask(
        &self,
        outgoing: Outgoing,
        base_url: Option<String>,
    ) -> (Result<LoggedIn<U::Response>, NotDone>, Event) {
        match self.upstream.send(outgoing, base_url).await {
            Ok(answer) => {
                let words = format!("a token was asked for: {}", U::status(&answer));
                let event = Event::new(Kind::Outcome, Decision::Done).text(words);
                (Ok(LoggedIn::Answered(answer)), event)
            }
            Err(why) => {
                let event = Event::new(Kind::Outcome, Decision::Failed);
                let event = event.text(format!("no token came: {why}"));
                (Err(why.into()), event)
            }
        }
    }
}
