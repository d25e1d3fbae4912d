//! A withdrawal of a client that asks nobody for a while. It is refused whatever the venue would say of it, so the venue is not
//! asked: neither what a name means there nor what is free. It is refused here and not left to the question that follows, because
//! the rest may be over by then, and a person would be asked about what nobody has looked up.

use touchkeep_policy::{Action, Verdict, request_digest};
use touchkeep_venue::{balance, saved};

use super::{Pipeline, read::Read};
use crate::{NotSigned, Unasked, Upstream};

impl<U: Upstream> Pipeline<U> {
    /// Why nobody would be asked about what something is looked up for; none where somebody would be, or nothing is.
    pub(super) fn rests(&self, read: &Read) -> Option<Unasked> {
        let operation = read.private.operation();
        let looks_up = operation.kind.is_dangerous()
            && (saved(operation).is_some() || balance(operation).is_some());
        let why = looks_up.then(|| self.0.approver.would_ask(&read.incoming.client).err());
        why.flatten()
            .filter(|_| matches!(self.would_be(read), Some(Action::Approve | Action::Touch)))
    }

    pub(super) async fn unasked(&self, read: &mut Read, why: Unasked) -> NotSigned {
        let asked = self
            .0
            .asked(read, request_digest(&read.private, read.key.item));
        // No rule lets what is dangerous through by itself, so nothing is counted by this.
        match self.0.book.decide(asked) {
            Verdict::Ask(asks) => {
                let now = self.0.clock.now();
                read.again = self.0.repeats.note(*asks.digest(), now, now);
                self.0.unasked(read, asks, &why.to_string()).await;
                NotSigned::Unasked(why)
            }
            Verdict::Deny(denied) => self.0.denied(read, &denied).await,
            Verdict::Allow(allowed) => {
                drop(self.0.book.reserved(allowed.request()));
                NotSigned::Interrupted
            }
        }
    }
}
