//! What is recorded of what was not done.

use data_encoding::HEXLOWER;
use touchkeep_audit::{Decision, Event, Kind, Seq};
use touchkeep_core::ClientId;
use touchkeep_policy::{Allowed, Denied, NeedsApproval, Refusal};

use super::{
    LET_THROUGH, Parts,
    allowed::refusal_of,
    read::{Read, about},
};
use crate::{KeyError, NotSigned, Upstream, book::Stricter, error::doubted_words};

impl<U: Upstream> Parts<U> {
    pub(super) async fn denied(&self, read: &Read, denied: &Denied) -> NotSigned {
        let mut event =
            Event::new(Kind::RequestDenied, Decision::Denied).text(denied.operation().sentence());
        event.rule = denied.rule().map(ToOwned::to_owned);
        event.operation = Some(denied.operation().clone());
        if let Some((rule, doubt)) = denied.doubted() {
            event = event.detail("why", doubted_words(rule, doubt));
        }
        let client = read.incoming.client.id;
        let row = self.note_refusal(client, about(event, read)).await;
        NotSigned::Denied {
            rule: denied.rule().map(ToOwned::to_owned),
            reason: denied.reason(),
            doubted: denied
                .doubted()
                .map(|(rule, doubt)| (rule.to_owned(), doubt)),
            kind: denied.operation().kind,
            row,
        }
    }

    pub(super) async fn refused(
        &self,
        read: &Read,
        asks: NeedsApproval,
        refusal: Refusal,
        why: &str,
    ) {
        self.note(refused(read, asks, refusal, why)).await;
    }

    // One that was put to nobody.
    pub(super) async fn unasked(&self, read: &Read, asks: NeedsApproval, why: &str) {
        let event = refused(read, asks, Refusal::Deadline, why);
        self.note_refusal(read.incoming.client.id, event).await;
    }

    // One whose key could not be made ready: by a person's word, or because it is not there.
    pub(super) async fn unready(&self, read: &Read, asks: NeedsApproval, why: &KeyError) {
        match why {
            KeyError::Refused | KeyError::TimedOut => {
                let refusal = refusal_of(why);
                self.refused(read, asks, refusal, &why.to_string()).await;
            }
            _ => self.unasked(read, asks, &why.to_string()).await,
        }
    }

    // One that a rule lets through, and whose key could not be made ready. A bot that polls while the key is not there leaves no
    // rows, as one does while the vault is locked.
    pub(super) async fn allowed_unready(&self, read: &Read, allowed: &Allowed, why: &KeyError) {
        let event = || let_through(of(read, allowed.rule(), allowed.digest(), &why.to_string()));
        match why {
            KeyError::Refused | KeyError::TimedOut => drop(self.note(event()).await),
            KeyError::Unasked(_) | KeyError::Over => {
                self.note_refusal(read.incoming.client.id, event()).await;
            }
            _ if allowed.operation().kind.is_dangerous() => {
                self.note_refusal(read.incoming.client.id, event()).await;
            }
            _ => {}
        }
    }

    // One that was allowed by rules, or as much as they wanted, and that they would have otherwise by now.
    pub(super) async fn overtaken(
        &self,
        read: &Read,
        allowed: &Allowed,
        now: Stricter,
    ) -> NotSigned {
        let Stricter { action, rule } = now;
        let why = NotSigned::Overtaken { action, rule };
        let event = of(read, allowed.rule(), allowed.digest(), &why.to_string());
        self.note(event).await;
        why
    }

    // One whose key is another by now, or gone.
    pub(super) async fn outlived(
        &self,
        read: &Read,
        allowed: &Allowed,
        why: KeyError,
    ) -> NotSigned {
        let event = of(read, allowed.rule(), allowed.digest(), &why.to_string());
        self.note(event).await;
        why.into()
    }

    pub(super) async fn note_refusal(&self, client: ClientId, event: Event) -> Option<Seq> {
        let event = self.seldom.row(client, event, self.clock.now())?;
        self.note(event).await
    }

    // Records what was not done, in which row. When that cannot be recorded it is still not done.
    pub(super) async fn note(&self, event: Event) -> Option<Seq> {
        let recorded = self.log.recording(&event).await;
        recorded
            .inspect_err(|why| tracing::error!(%why, "a refusal was not recorded"))
            .ok()
    }
}

fn refused(read: &Read, asks: NeedsApproval, refusal: Refusal, why: &str) -> Event {
    let denied = asks.refuse(refusal);
    let mut event = Event::new(Kind::RequestRefused, Decision::Refused)
        .text(denied.operation().sentence())
        .detail("why", why);
    event.rule = denied.rule().map(ToOwned::to_owned);
    event.digest = Some(HEXLOWER.encode(denied.digest()));
    event.operation = Some(denied.operation().clone());
    about(event, read)
}

/// Of one whose asker went away while a person was asked.
pub(super) fn gone(read: &Read, rule: &str, digest: &[u8; 32], by_rule: bool) -> Event {
    let why = "the client went away before it was decided";
    let event = of(read, rule, digest, why);
    if by_rule { let_through(event) } else { event }
}

fn let_through(event: Event) -> Event {
    event.detail(LET_THROUGH, "by the rule, and not signed")
}

fn of(read: &Read, rule: &str, digest: &[u8; 32], why: &str) -> Event {
    let operation = read.private.operation();
    let mut event = Event::new(Kind::RequestRefused, Decision::Refused)
        .text(operation.sentence())
        .detail("why", why);
    event.rule = Some(rule.to_owned());
    event.digest = Some(HEXLOWER.encode(digest));
    event.operation = Some(operation.clone());
    about(event, read)
}
