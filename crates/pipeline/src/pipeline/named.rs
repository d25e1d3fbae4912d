//! A withdrawal to a name under which the venue keeps an address. The venue is asked which one that is, by the way of every
//! request; it is shown, the withdrawal is held to it, and where it is another than last time nothing is signed.
//!
//! # Why not only the name
//! Whoever gets at the account's web site could put his own address behind a name that a person has approved for years.

use std::pin::pin;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{RequestId, text::visible};
use touchkeep_policy::{Action, request_digest};
use touchkeep_venue::{Decoded, Kept, KeyClass, Request, Saved, saved};

use super::{
    Incoming, Pipeline,
    read::{Read, about},
};
use crate::{KeyHandle, Named, NotSigned, Upstream};

impl<U: Upstream> Pipeline<U> {
    /// Finds out what the name in a withdrawal means, and holds the withdrawal to it.
    pub(super) async fn looks_up(&self, read: &mut Read) -> Result<(), NotSigned> {
        let Some(name) = saved(read.private.operation()) else {
            return Ok(());
        };
        // Nobody asks the venue about what is denied anyway.
        if matches!(self.would_be(read), None | Some(Action::Deny)) {
            return Ok(());
        }
        Box::pin(self.looks_up_name(read, &name)).await
    }

    async fn looks_up_name(&self, read: &mut Read, name: &Saved) -> Result<(), NotSigned> {
        let operation = read.private.operation();
        let before = self.0.approver.known_address(&read.key, operation).await;
        let named = match (self.ask(read, name).await, before) {
            (Ok(kept), None) => Named::Kept(words(&kept)),
            (Ok(kept), Some(before)) if words(&kept) == before => Named::Kept(before),
            (Ok(kept), Some(before)) => return Err(self.moved(read, name, before, &kept).await),
            (Err(why), Some(address)) => Named::Before { address, why },
            (Err(why), None) => Named::Unknown { why },
        };
        if let Named::Kept(words) | Named::Before { address: words, .. } = &named {
            let address = words.split(MEMO).next().unwrap_or_default();
            if let Some(said) = &operation.resolved
                && said != address
            {
                let (said, kept) = (
                    said.clone(),
                    Kept {
                        address: address.to_owned(),
                        memo: None,
                    },
                );
                return Err(self.moved(read, name, said, &kept).await);
            }
            if let Some(http) = name.held_to(operation, &read.incoming.http, address) {
                match read.venue.decode(&http) {
                    Ok(Decoded::Private(held)) => read.private = *held,
                    Ok(Decoded::Public(_)) => return Err(NotSigned::Interrupted),
                    Err(why) => return Err(why.into()),
                }
                read.incoming.http = http;
            }
        }
        read.named = Some(named);
        Ok(())
    }

    // Only where a rule lets it through: nobody is asked one question for the sake of another. With the key that will sign,
    // where that is at hand; else with the one that reads, which need not have the right.
    async fn ask(&self, read: &Read, name: &Saved) -> Result<Kept, String> {
        let keys = &self.0.keys;
        let key = if keys.stays(&read.key) {
            read.key.clone()
        } else {
            let Incoming { venue, key_set, .. } = &read.incoming;
            let key = keys.key_for(venue, key_set, KeyClass::Read);
            key.map_err(|why| why.to_string())?
        };
        let heard = self.hears(read, name.request(), key).await;
        let heard = heard
            .map_err(|why| why.unwrap_or("no rule lets this client read saved addresses".into()))?;
        name.read(&heard).map_err(|why| why.to_string())
    }

    /// The venue's answer to a question of ours beside a request: a request like any other, where a rule lets this client read.
    ///
    /// # Errors
    /// Why there is none, or nothing where no rule does.
    pub(super) async fn hears(
        &self,
        read: &Read,
        http: Request,
        key: KeyHandle,
    ) -> Result<Vec<u8>, Option<String>> {
        let Ok(Decoded::Private(private)) = read.venue.decode(&http) else {
            return Err(Some("it cannot be asked for".into()));
        };
        let incoming = Incoming {
            request: RequestId::random(),
            http,
            ..read.incoming.clone()
        };
        let mut asking = Box::new(Read::of(&self.0, incoming, read.venue, *private, key));
        if !matches!(self.would_be(&asking), Some(Action::Allow | Action::Notify)) {
            return Err(None);
        }
        let allowed = self.allowed(&mut asking).await;
        let (allowed, _) = allowed.map_err(|why| Some(why.to_string()))?;
        let never = pin!(std::future::pending());
        let done = self.carried_out(allowed, asking, None, never).await;
        let done = done.map_err(|why| Some(why.to_string()))?;
        let body = U::body(done.response).await.unwrap_or_default();
        if let Some(outcome) = done.outcome {
            outcome.heard(body.clone());
        }
        Ok(body)
    }

    pub(super) fn would_be(&self, read: &Read) -> Option<Action> {
        let digest = request_digest(&read.private, read.key.item);
        self.0.book.action(&self.0.asked(read, digest))
    }

    async fn moved(&self, read: &Read, name: &Saved, before: String, now: &Kept) -> NotSigned {
        let why = NotSigned::Moved {
            name: name.name().to_owned(),
            before: visible(&before),
            now: visible(&words(now)),
        };
        let mut event = Event::new(Kind::RequestRefused, Decision::Refused)
            .text(read.private.operation().sentence())
            .detail("why", why.to_string());
        event.operation = Some(read.private.operation().clone());
        let client = read.incoming.client.id;
        self.note_refusal(client, about(event, read)).await;
        why
    }
}

// No address has a blank.
const MEMO: &str = " with memo ";

fn words(kept: &Kept) -> String {
    match &kept.memo {
        Some(memo) => format!("{}{MEMO}{memo}", kept.address),
        None => kept.address.clone(),
    }
}
