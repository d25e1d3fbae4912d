//! Requests that are on their way: who asked, and what a device that is used for one of them should say that it is for.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use touchkeep_core::{DeviceId, ItemId, RequestId};
use touchkeep_device::TouchPolicy;
use touchkeep_pipeline::{Question, Signer};

/// The requests.
#[derive(Default)]
pub(crate) struct Running(Mutex<HashMap<RequestId, One>>);

struct One {
    peer: SocketAddr,
    port: u16,
    purpose: Option<Purpose>,
}

struct Purpose {
    sentence: String,
    client: String,
    item: ItemId,
    device: Option<(DeviceId, TouchPolicy)>,
}

/// One request's place; it is over when this is dropped.
pub(crate) struct Seat {
    running: Arc<Running>,
    request: RequestId,
}

impl Running {
    pub(crate) fn begin(self: &Arc<Self>, request: RequestId, peer: SocketAddr, port: u16) -> Seat {
        let one = One {
            peer,
            port,
            purpose: None,
        };
        self.lock().insert(request, one);
        Seat {
            running: Arc::clone(self),
            request,
        }
    }

    /// Notes what a request is for, once that is known.
    pub(super) fn is_for(&self, question: &Question) {
        let device = match &question.key.signer {
            Signer::Device { device, key, .. } => Some((*device, key.touch)),
            Signer::HmacSha256 => None,
        };
        if let Some(one) = self.lock().get_mut(&question.request) {
            one.purpose = Some(Purpose {
                sentence: question.operation.sentence(),
                client: question.client.name.clone(),
                item: question.key.item,
                device,
            });
        }
    }

    /// The process that asks, as far as it can be seen. Blocks for some milliseconds.
    pub(super) fn process(&self, request: RequestId) -> Vec<String> {
        let from = self.lock().get(&request).map(|one| (one.peer, one.port));
        from.map(|(peer, port)| crate::proxy::process_of(peer, port))
            .unwrap_or_default()
    }

    /// What a use of an item's secret is for.
    pub(super) fn why_item(&self, item: ItemId) -> String {
        self.why(|purpose| purpose.item == item)
    }

    /// What a use of a device is for.
    pub(super) fn why_device(&self, device: DeviceId) -> String {
        self.why(|purpose| purpose.device.is_some_and(|(one, _)| one == device))
    }

    /// Whether some request waits for a key of this device that asks for a finger.
    pub(super) fn touches(&self, device: DeviceId) -> bool {
        let running = self.lock();
        let mut purposes = running.values().filter_map(|one| one.purpose.as_ref());
        purposes.any(|purpose| purpose.device == Some((device, TouchPolicy::Always)))
    }

    // Where several requests wait for the same key, all of them are named: nobody can say whose turn it is.
    fn why(&self, meant: impl Fn(&Purpose) -> bool) -> String {
        let running = self.lock();
        let purposes = running.values().filter_map(|one| one.purpose.as_ref());
        let sentences: Vec<_> = purposes
            .filter(|purpose| meant(purpose))
            .map(|purpose| format!("{}, asked by {}", purpose.sentence, purpose.client))
            .collect();
        match sentences.as_slice() {
            [] => "Sign a request".to_owned(),
            [one] => one.clone(),
            several => format!("One of {}: {}", several.len(), several.join("; ")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.running.lock().remove(&self.request);
    }
}
