//! The login of a socket: the same way as a request - read, key, decision, record, signature - but that what was signed is
//! handed over and not sent.

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_policy::Allowed;
use touchkeep_venue::{
    Decoded, Outgoing, Venue,
    stream::{Guard, Login},
};

use super::{Incoming, Lasts, Parts, Pipeline, Read, about};
use crate::{
    NotDone, NotSigned, Question, Upstream,
    sign::{Means, Signed, sign},
};

impl<U: Upstream> Pipeline<U> {
    /// Takes the login of a socket all the way to its signature. The request's method is
    /// [`touchkeep_venue::stream::LOGIN`], its path the socket's.
    ///
    /// # Errors
    /// Why it is not signed.
    pub async fn login(&self, guard: Guard, incoming: Incoming) -> Result<Outgoing, NotDone> {
        let venue = Login::of(guard).ok_or(NotSigned::NoVenue)?;
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
        let lasts = Lasts {
            keys: Arc::clone(&self.0.keys),
            request: incoming.request,
        };
        let mut read = Read {
            incoming,
            venue,
            private,
            key,
            lasts,
            again: None,
        };
        let (allowed, tell) = self.allowed(&mut read).await?;
        let parts = Arc::clone(&self.0);
        let task = tokio::spawn(async move { parts.hand_over(allowed, read, tell).await });
        task.await
            .unwrap_or_else(|_| Err(NotSigned::Interrupted.into()))
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
        read: Read,
        tell: Option<Question>,
    ) -> Result<Outgoing, NotDone> {
        let intent = about(Event::new(Kind::Intent, Decision::Allowed), &read);
        let recording = self.log.recording_intent(allowed, &intent);
        let recorded = recording.await.map_err(NotSigned::from)?;
        let seq = recorded.seq();
        let Read {
            venue,
            private,
            key,
            incoming,
            lasts,
            again: _,
        } = read;
        // Until the end of this function.
        let _lasts = lasts;
        let (origin, base_url) = (private.origin(), key.base_url.as_deref());
        let now = || self.upstream.venue_time(origin, base_url, self.clock.now());
        let means = Means {
            keys: &*self.keys,
            clock: &now,
            turns: &self.turns,
            kept: &self.kept,
            settings: self.settings,
        };
        let signed = sign(recorded, private, &key, venue, means).await;
        let event = match &signed {
            Ok(_) => Event::new(Kind::Outcome, Decision::Done).text("the login was signed"),
            Err(why) => {
                Event::new(Kind::Outcome, Decision::Failed).text(format!("not signed: {why}"))
            }
        };
        self.outcome(seq, event, &incoming, &key).await;
        let Signed { outgoing, turn } = signed?;
        drop(turn);
        if let Some(question) = &tell {
            self.approver.tell(question);
        }
        Ok(outgoing)
    }
}
