//! What is done with a permission: recorded, signed, sent, and recorded how it went.

use std::{pin::pin, sync::Arc};

use touchkeep_audit::{Decision, Event, Kind, RecordError, Seq};
use touchkeep_core::{Code, UnixMillis, text::surely_visible};
use touchkeep_policy::{Allowed, Asked, How};
use touchkeep_venue::Outgoing;

use super::{
    Done, Incoming, NOT_SIGNED, Parts,
    read::{Fate, Lasts, Read, about, by},
};
use crate::{
    KeyHandle, NotDone, NotSigned, Question, SendError, Upstream, Went,
    book::Stricter,
    end::Revoked,
    outcome::{Left, Outcome},
    sign::{Means, Signed, sign},
    turns::Turn,
};

// What was recorded and signed, and is yet to be sent or handed over.
pub(super) struct Ready {
    pub(super) seq: Seq,
    pub(super) outgoing: Outgoing,
    pub(super) turn: Option<Turn>,
    pub(super) incoming: Incoming,
    pub(super) key: KeyHandle,
    pub(super) fate: Fate,
    // Until it is over.
    pub(super) _lasts: Lasts,
}

// What is signed once a finger is there: the policy may be replaced before that, and the key taken away.
struct Touched {
    asked: Asked,
    how: How,
    rule: String,
    under: u64,
}

impl Touched {
    fn of<U: Upstream>(parts: &Parts<U>, allowed: &Allowed, read: &Read) -> Self {
        Self {
            asked: parts.asked(read, *allowed.digest()),
            how: allowed.how(),
            rule: allowed.rule().to_owned(),
            under: parts.book.policies(),
        }
    }

    fn still<U: Upstream>(
        &self,
        parts: &Parts<U>,
        incoming: &Incoming,
        key: &KeyHandle,
    ) -> Result<(), NotSigned> {
        parts.still_the_key(incoming, self.asked.operation.kind, key)?;
        if parts.book.policies() == self.under {
            return Ok(());
        }
        let held = parts.book.holds(&self.asked, self.how, &self.rule);
        held.map_err(|Stricter { action, rule }| NotSigned::Overtaken { action, rule })
    }
}

impl<U: Upstream> Parts<U> {
    // The time at the venue's server.
    pub(super) fn venue_time(&self, origin: &str, key: &KeyHandle) -> UnixMillis {
        let base_url = key.base_url.as_deref();
        self.upstream.venue_time(origin, base_url, self.clock.now())
    }

    // Records, then signs. What is not signed has that as its outcome.
    pub(super) async fn signed(
        &self,
        allowed: Allowed,
        read: Box<Read>,
        revoked: Revoked,
    ) -> Result<Ready, NotSigned> {
        let touched = read.key.touched_each_use;
        let touched = touched.then(|| Touched::of(self, &allowed, &read));
        let recording = {
            let intent = about(Event::new(Kind::Intent, Decision::Allowed), &read);
            self.log.recording_intent(allowed, &intent)
        };
        let recorded = match recording.await {
            Ok(recorded) => recorded,
            Err(why) => return Err(read.ends(why.into())),
        };
        let seq = recorded.seq();
        let Read {
            venue,
            private,
            key,
            incoming,
            lasts,
            fate,
            again: _,
            named: _,
            free: _,
        } = *read;
        let origin = private.origin();
        let now = || self.venue_time(origin, &key);
        let means = Means {
            keys: &*self.keys,
            clock: &now,
            turns: &self.turns,
            kept: &self.kept,
            settings: self.settings,
        };
        let signed = {
            let signing = pin!(sign(recorded, private, &key, venue, means));
            // A device may wait for a finger, which then is for whoever has sent the client away.
            let signing = async {
                tokio::select! {
                    biased;
                    () = revoked.reached() => Err(NotSigned::Revoked),
                    signed = signing => signed,
                }
            };
            self.unless_over(signing).await
        };
        let signed = signed.and_then(|signed| match &touched {
            Some(touched) => touched.still(self, &incoming, &key).map(|()| signed),
            None => Ok(signed),
        });
        match signed {
            Ok(Signed { outgoing, turn }) => Ok(Ready {
                seq,
                outgoing,
                turn,
                incoming,
                key,
                fate,
                _lasts: lasts,
            }),
            Err(why) => {
                let event = Event::new(Kind::Outcome, unsigned(&why));
                let event = event.text(format!("{NOT_SIGNED}{why}"));
                Box::pin(self.outcome(seq, event, &incoming, &key)).await;
                fate.is(Went::not_signed(&why));
                Err(why)
            }
        }
    }

    pub(super) async fn carry_out(
        self: Arc<Self>,
        allowed: Allowed,
        read: Box<Read>,
        tell: Option<Box<Question>>,
        revoked: Revoked,
    ) -> Result<Done<U::Response>, NotDone> {
        let Ready {
            seq,
            outgoing,
            turn,
            incoming,
            key,
            fate,
            _lasts,
        } = self.signed(allowed, read, revoked).await?;
        if let Some(question) = &tell {
            self.approver.tell(question);
        }
        let (origin, base_url) = (outgoing.origin, key.base_url.clone());
        let sent = self.upstream.send(outgoing, base_url.clone()).await;
        drop(turn);
        match sent {
            Ok(response) => {
                let event = Event::new(Kind::Outcome, Decision::Unknown);
                let outcome = Outcome::of(Left {
                    log: self.log.clone(),
                    keys: Arc::clone(&self.keys),
                    event: by(event, &incoming).item(key.item, key.name.clone()),
                    key,
                    intent: seq,
                    venue: incoming.venue,
                    status: U::status(&response),
                    fate,
                    clock_refused: Box::new(move || {
                        self.upstream.clock_refused(origin, base_url.as_deref());
                    }),
                });
                Ok(Done {
                    response,
                    recorded: Some(seq),
                    outcome: Some(outcome),
                })
            }
            Err(why) => {
                let text = surely_visible(&why.to_string());
                let (decision, went) = match why {
                    SendError::NotSent(_) | SendError::NotTaken(_) => {
                        (Decision::Failed, Went::NotSent(text.clone()))
                    }
                    SendError::Unknown(_) => (Decision::Unknown, Went::Unanswered(text.clone())),
                };
                let event = Event::new(Kind::Outcome, decision).text(text);
                Box::pin(self.outcome(seq, event, &incoming, &key)).await;
                fate.is(went);
                Err(why.into())
            }
        }
    }

    // On disk once this is done. Whoever reads the log from now on sees it.
    pub(super) async fn outcome(
        &self,
        intent: Seq,
        event: Event,
        incoming: &Incoming,
        key: &KeyHandle,
    ) {
        let event = by(event, incoming).item(key.item, key.name.clone());
        was_written(intent, self.log.recording_outcome(intent, &event).await);
    }
}

impl From<SendError> for NotDone {
    fn from(why: SendError) -> Self {
        match why {
            SendError::NotSent(text) => Self::NotSent(text),
            SendError::NotTaken(text) => Self::NotTaken(text),
            SendError::Unknown(text) => Self::Unknown(text),
        }
    }
}

pub(crate) fn was_written(intent: Seq, written: Result<Seq, RecordError>) {
    if let Err(why) = written {
        tracing::error!(intent, %why, "the outcome was not recorded");
    }
}

// A touch, a PIN or a passphrase that did not come is a person's no, whatever was clicked before.
const fn unsigned(why: &NotSigned) -> Decision {
    match why.code() {
        Code::Refused | Code::TimedOut | Code::NoTouch => Decision::Refused,
        _ => Decision::Failed,
    }
}
