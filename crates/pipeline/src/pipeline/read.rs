//! A request that was read: what is known of it, and what ends with it.

use std::sync::Arc;

use touchkeep_audit::Event;
use touchkeep_core::{Code, Decimal, RequestId};
use touchkeep_venue::{Private, Venue};

use super::{Incoming, KEY_SET, Parts, SAVED_ADDRESS};
use crate::{Approver, KeyHandle, Keys, Named, NotSigned, Upstream, Went, repeats::Again};

// A request that was read, with the key that would sign it.
pub(super) struct Read {
    pub(super) incoming: Incoming,
    pub(super) venue: &'static dyn Venue,
    pub(super) private: Private,
    pub(super) key: KeyHandle,
    // Exactly the same was put to a person shortly before.
    pub(super) again: Option<Again>,
    // The address behind a name.
    pub(super) named: Option<Named>,
    // How much of the asset the venue has free.
    pub(super) free: Option<Decimal>,
    pub(super) lasts: Lasts,
    pub(super) fate: Fate,
}

impl Read {
    pub(super) fn of<U: Upstream>(
        parts: &Parts<U>,
        incoming: Incoming,
        venue: &'static dyn Venue,
        private: Private,
        key: KeyHandle,
    ) -> Self {
        Self {
            lasts: Lasts {
                keys: Arc::clone(&parts.keys),
                request: incoming.request,
            },
            fate: Fate::of(parts, incoming.request),
            incoming,
            venue,
            private,
            key,
            again: None,
            named: None,
            free: None,
        }
    }

    // The end of one that is not signed.
    pub(super) fn ends(self, why: NotSigned) -> NotSigned {
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
pub(super) struct Lasts {
    keys: Arc<dyn Keys>,
    request: RequestId,
}

impl Drop for Lasts {
    fn drop(&mut self) {
        self.keys.over(self.request);
    }
}

pub(super) fn by(mut event: Event, incoming: &Incoming) -> Event {
    event.request = Some(incoming.request);
    let client = &incoming.client;
    event
        .client(client.id, client.name.clone())
        .detail(KEY_SET, incoming.key_set.clone())
}

pub(super) fn about(event: Event, read: &Read) -> Event {
    let mut event = by(event, &read.incoming).item(read.key.item, read.key.name.clone());
    if let Some(Named::Kept(address) | Named::Before { address, .. }) = &read.named {
        event = event.detail(SAVED_ADDRESS, address);
    }
    match read.again {
        None => event,
        Some(again) => event.detail("again", again.to_string()),
    }
}
