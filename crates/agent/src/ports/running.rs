//! Requests that are on their way: who asked, and what a device that is used for one of them should say that it is for.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use touchkeep_core::{ApiSecret, ItemId, RequestId, text::visible};
use touchkeep_pipeline::Question;

use crate::{
    caller::Caller,
    prompts::{self, Asker},
};

/// The requests.
#[derive(Default)]
pub(crate) struct Running(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    peers: HashMap<RequestId, (SocketAddr, u16)>,
    purposes: HashMap<RequestId, Purpose>,
    secrets: HashMap<RequestId, (ItemId, ApiSecret)>,
}

// What a request is for, and who asks.
#[derive(Clone)]
struct Purpose {
    why: String,
    client: String,
}

/// A request's place in front of the proxy; given up when this is dropped. What was recorded goes on without it.
pub(crate) struct Seat {
    running: Arc<Running>,
    request: RequestId,
}

/// What a PIN, a passphrase or a touch is wanted for.
pub(super) fn what_for(question: &Question) -> String {
    format!(
        "{}, asked by {}",
        question.operation.sentence(),
        visible(&question.client.name)
    )
}

impl Running {
    pub(crate) fn begin(self: &Arc<Self>, request: RequestId, peer: SocketAddr, port: u16) -> Seat {
        self.lock().peers.insert(request, (peer, port));
        Seat {
            running: Arc::clone(self),
            request,
        }
    }

    /// Notes what a request is for, once that is known. Until [`Running::over`].
    pub(crate) fn is_for(&self, question: &Question) {
        let why = what_for(question);
        let client = question.client.name.clone();
        let purpose = Purpose { why, client };
        self.lock().purposes.insert(question.request, purpose);
    }

    /// The process that asks, as far as it can be seen now. Blocks for some milliseconds.
    pub(super) fn caller(&self, request: RequestId) -> Caller {
        let from = self.lock().peers.get(&request).copied();
        from.map_or_else(Caller::unknown, |(peer, port)| {
            crate::proxy::caller_of(peer, port)
        })
    }

    /// What a request is for.
    pub(super) fn why(&self, request: RequestId) -> String {
        let inner = self.lock();
        let why = inner.purposes.get(&request).map(|one| one.why.clone());
        why.unwrap_or_else(|| "Sign a request".to_owned())
    }

    /// Does a part of a request whose questions are its client's.
    pub(super) async fn asking<T>(&self, request: RequestId, part: impl Future<Output = T>) -> T {
        let client = {
            let inner = self.lock();
            inner.purposes.get(&request).map(|one| one.client.clone())
        };
        match client {
            Some(client) => prompts::on_behalf_of(Asker::Client(client), part).await,
            None => part.await,
        }
    }

    /// Keeps a secret that a passphrase has just opened as the consent to one request, for that request's signature alone.
    pub(super) fn keep_secret(&self, request: RequestId, item: ItemId, secret: ApiSecret) {
        self.lock().secrets.insert(request, (item, secret));
    }

    /// Takes what was opened for this request, once.
    pub(super) fn take_secret(&self, request: RequestId, item: ItemId) -> Option<ApiSecret> {
        let (of, secret) = self.lock().secrets.remove(&request)?;
        (of == item).then_some(secret)
    }

    /// Wipes every secret that waits for its signature.
    pub(crate) fn forget_secrets(&self) {
        self.lock().secrets.clear();
    }

    /// A request is over: nothing is kept of it.
    pub(crate) fn over(&self, request: RequestId) {
        let mut inner = self.lock();
        inner.purposes.remove(&request);
        inner.secrets.remove(&request);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.running.lock().peers.remove(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (Running, RequestId, ItemId) {
        let (running, request, item) = (Running::default(), RequestId::random(), ItemId::random());
        running.keep_secret(request, item, ApiSecret::new("canary".into()));
        (running, request, item)
    }

    #[test]
    fn a_secret_that_was_opened_for_one_request_is_no_others() {
        let (running, request, item) = kept();
        assert!(running.take_secret(RequestId::random(), item).is_none());
        assert!(running.take_secret(request, item).is_some());
        assert!(running.take_secret(request, item).is_none(), "used once");
    }

    #[test]
    fn it_is_gone_with_its_request_and_with_a_lock() {
        let (running, request, item) = kept();
        running.over(request);
        assert!(running.take_secret(request, item).is_none());
        let (running, request, item) = kept();
        running.forget_secrets();
        assert!(running.take_secret(request, item).is_none());
    }
}
