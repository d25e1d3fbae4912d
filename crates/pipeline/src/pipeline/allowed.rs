//! From a request that was read to what may be signed: by a rule, or by a person's word.

use std::time::Duration;

use touchkeep_audit::{Decision, Event, Kind, Log};
use touchkeep_policy::{
    Allowed, Approval, ApprovedBy, Asked, How, Need, NeedsApproval, Refusal, Verdict,
    request_digest,
};

use touchkeep_venue::OperationKind;

use super::{
    Incoming, Parts, Pipeline,
    read::{Read, about},
    refused::gone,
};
use crate::{Answer, KeyError, KeyHandle, NotSigned, Question, Signer, Upstream};

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
    // From what was read to what may be signed, and what a person is told once it is.
    pub(super) async fn allowed(
        &self,
        read: &mut Read,
    ) -> Result<(Allowed, Option<Box<Question>>), NotSigned> {
        let asked = self
            .0
            .asked(read, request_digest(&read.private, read.key.item));
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
                // A person may have been waited for.
                if !is_at_hand(&read.key) {
                    Box::pin(self.still_the_key(read, &allowed)).await?;
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
                Box::pin(self.still_the_key(read, &allowed)).await?;
                Box::pin(self.still_allowed(read, &allowed)).await?;
                Ok((allowed, None))
            }
        }
    }

    // Who takes a key away, or replaces it, while somebody is asked about a request does not find it used afterwards.
    async fn still_the_key(&self, read: &Read, allowed: &Allowed) -> Result<(), NotSigned> {
        let kind = read.private.operation().kind;
        match self.0.still_the_key(&read.incoming, kind, &read.key) {
            Ok(()) => Ok(()),
            Err(why) => Err(self.0.outlived(read, allowed, why).await),
        }
    }

    // What waited for somebody is held against the rules once more, as they are by now, and then counts.
    async fn still_allowed(&self, read: &Read, allowed: &Allowed) -> Result<(), NotSigned> {
        let asked = self.0.asked(read, *allowed.digest());
        match self.0.book.reserve(&asked, allowed) {
            Ok(()) => Ok(()),
            Err(now) => Err(self.0.overtaken(read, allowed, now).await),
        }
    }

    // From a rule that asks to what a person has allowed.
    async fn asks(&self, read: &mut Read, asks: NeedsApproval) -> Result<Allowed, NotSigned> {
        let now = self.0.clock.now();
        read.again = self.0.repeats.note(*asks.digest(), now, now);
        let limits = self.0.book.standing(&self.0.asked(read, *asks.digest()));
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
}

impl<U: Upstream> Parts<U> {
    pub(super) fn asked(&self, read: &Read, digest: [u8; 32]) -> Asked {
        Asked {
            request: read.incoming.request,
            digest,
            client: read.incoming.client.name.clone(),
            key_set: read.incoming.key_set.clone(),
            operation: read.private.operation().clone(),
            now: self.clock.now(),
        }
    }

    /// Whether such requests of the set are signed with this key by now.
    pub(super) fn still_the_key(
        &self,
        incoming: &Incoming,
        kind: OperationKind,
        key: &KeyHandle,
    ) -> Result<(), KeyError> {
        let now = self
            .keys
            .key_for(&incoming.venue, &incoming.key_set, kind.class());
        match now {
            Ok(now) if now.is_still(key) => Ok(()),
            Err(why @ (KeyError::Locked | KeyError::Over)) => Err(why),
            _ => Err(KeyError::Changed(key.name.clone())),
        }
    }

    // Does something that may take long, unless the end comes first. What is done in the moment of the end counts for nothing.
    pub(super) async fn unless_over<T, E: From<KeyError>>(
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

// Whether it is signed with without anybody having to come.
const fn is_at_hand(key: &KeyHandle) -> bool {
    matches!(key.signer, Signer::Secret) && !key.touched_each_use
}

pub(super) const fn refusal_of(why: &KeyError) -> Refusal {
    match why {
        KeyError::TimedOut => Refusal::Deadline,
        _ => Refusal::Person,
    }
}
