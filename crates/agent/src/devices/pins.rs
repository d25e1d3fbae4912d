//! PINs of this session: in locked memory, under the device's serial number, until the vault is locked, the device is taken
//! away, refuses one or is used by a failed operation. Never sent twice after a refusal.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use touchkeep_core::Pin;
use touchkeep_locked::LockedBytes;

#[derive(Default)]
pub(super) struct Pins(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_serial: HashMap<String, LockedBytes>,
    session: Session,
}

/// From one lock of the vault to the next. A PIN that was typed before a lock is not kept after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Session(u64);

impl Pins {
    /// A copy for one use.
    pub(super) fn of(&self, serial: &str) -> Option<Pin> {
        let pins = self.lock();
        let kept = pins.by_serial.get(serial)?.expose();
        String::from_utf8(kept.to_vec()).ok().map(Pin::new)
    }

    /// Whether the PIN of a device is known.
    pub(super) fn knows(&self, serial: &str) -> bool {
        self.lock().by_serial.contains_key(serial)
    }

    /// The session that runs.
    pub(super) fn session(&self) -> Session {
        self.lock().session
    }

    /// Keeps a PIN of this session. Where memory cannot be locked it is not kept, and asked for again.
    pub(super) fn keep(&self, serial: &str, pin: &Pin, session: Session) {
        let mut kept = self.lock();
        if kept.session != session {
            return;
        }
        // EXPOSE: to the locked copy.
        match LockedBytes::copy_of(pin.expose().as_bytes()) {
            Ok(locked) => drop(kept.by_serial.insert(serial.to_owned(), locked)),
            Err(error) => {
                tracing::warn!(%error, "memory cannot be locked, so the PIN is asked for each time");
            }
        }
    }

    /// Of which devices PINs are kept.
    pub(super) fn serials(&self) -> Vec<String> {
        self.lock().by_serial.keys().cloned().collect()
    }

    pub(super) fn forget(&self, serial: &str) {
        self.lock().by_serial.remove(serial);
    }

    pub(super) fn forget_all(&self) {
        let mut kept = self.lock();
        kept.by_serial.clear();
        kept.session.0 += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_kept_until_it_is_forgotten() {
        let pins = Pins::default();
        assert!(pins.of("1").is_none());
        let session = pins.session();
        pins.keep("1", &Pin::new("246810".into()), session);
        assert_eq!(pins.of("1").unwrap().expose(), "246810");
        assert!(pins.of("2").is_none());
        pins.forget("1");
        assert!(pins.of("1").is_none());
    }

    #[test]
    fn a_pin_that_was_typed_before_a_lock_is_not_kept_after_it() {
        let pins = Pins::default();
        let session = pins.session();
        pins.forget_all();
        pins.keep("1", &Pin::new("246810".into()), session);
        assert!(pins.of("1").is_none());
    }
}
