//! Tokens that stay logged in from one signature to the next, until the vault is locked or their PIN is forgotten. To start the
//! module, to find the token and to prove the PIN takes a hundred times as long as to sign.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use touchkeep_core::DeviceId;
use touchkeep_device_pkcs11::Pkcs11Device;

use super::{
    modules::Module,
    pins::{Pins, Session},
    which::Which,
};

/// What a token is kept for: the same device by the same modules.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) device: DeviceId,
    pub(crate) modules: Vec<Module>,
}

#[derive(Default)]
pub(super) struct KeptTokens(Mutex<HashMap<DeviceId, One>>);

struct One {
    session: Session,
    modules: Vec<Module>,
    token: Box<Pkcs11Device>,
}

impl KeptTokens {
    /// The token that was kept, if it is still the one that is meant, and its PIN is known.
    pub(super) fn take(
        &self,
        place: &Place,
        (pins, which, session): (&Pins, &Which, Session),
    ) -> Option<Box<Pkcs11Device>> {
        let one = self.lock().remove(&place.device)?;
        let same = one.session == session && one.modules == place.modules;
        (same && pins.knows(which)).then_some(one.token)
    }

    /// Keeps a token for as long as its PIN is known anyway.
    pub(super) fn put(
        &self,
        place: &Place,
        token: Box<Pkcs11Device>,
        (pins, which, session): (&Pins, &Which, Session),
    ) {
        let mut kept = self.lock();
        // A lock ends the session first and comes here then, so that one of the two sees the other.
        if pins.session() == session && pins.knows(which) {
            let one = One {
                session,
                modules: place.modules.clone(),
                token,
            };
            let _former = kept.insert(place.device, one);
        }
    }

    /// Logs all of them out. Waits for the end of their processes, half a second each at most.
    pub(super) fn forget(&self) {
        let gone = std::mem::take(&mut *self.lock());
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
