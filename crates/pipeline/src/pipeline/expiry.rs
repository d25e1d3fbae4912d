//! The end that a request has of its own: nobody is asked about it after that, and it is not signed.

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::UnixMillis;

use super::{
    Pipeline,
    read::{Read, about},
};
use crate::{NotSigned, Upstream};

impl<U: Upstream> Pipeline<U> {
    // What can no longer be carried out is refused before anybody is asked.
    pub(super) async fn in_time(&self, read: &Read) -> Result<(), NotSigned> {
        let Some(until) = read.private.expires() else {
            return Ok(());
        };
        if self.0.venue_time(read.private.origin(), &read.key) <= until {
            return Ok(());
        }
        let operation = read.private.operation();
        let mut event = Event::new(Kind::RequestRefused, Decision::Refused)
            .text(operation.sentence())
            .detail("why", NotSigned::Expired.to_string());
        event.operation = Some(operation.clone());
        let client = read.incoming.client.id;
        Box::pin(self.note_refusal(client, about(event, read))).await;
        Err(NotSigned::Expired)
    }

    // Of a person's answer: no later than the request's own end.
    pub(super) fn deadline(&self, read: &Read) -> UnixMillis {
        let now = self.0.clock.now();
        let left = read.private.expires().map(|until| {
            let there = self.0.venue_time(read.private.origin(), &read.key);
            until.0.saturating_sub(there.0)
        });
        let within = self.0.settings.approval_ms;
        now.plus_ms(left.map_or(within, |left| left.min(within)))
    }
}
