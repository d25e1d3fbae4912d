//! PINs of this session: in locked memory, under the device's serial number, until the vault is locked, the device refuses
//! one or is used by a failed operation. Never sent twice after a refusal.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use touchkeep_core::Pin;

use crate::locked::LockedBytes;

#[derive(Default)]
pub(super) struct Pins(Mutex<HashMap<String, LockedBytes>>);

impl Pins {
    /// A copy for one use.
    pub(super) fn of(&self, serial: &str) -> Option<Pin> {
        let pins = self.lock();
        let kept = pins.get(serial)?.expose();
        String::from_utf8(kept.to_vec()).ok().map(Pin::new)
    }

    /// Keeps a PIN that the device has just accepted. Where memory cannot be locked it is not kept, and asked for again.
    pub(super) fn keep(&self, serial: &str, pin: &Pin) {
        // EXPOSE: to the locked copy.
        match LockedBytes::copy_of(pin.expose().as_bytes()) {
            Ok(locked) => drop(self.lock().insert(serial.to_owned(), locked)),
            Err(error) => {
                tracing::warn!(%error, "memory cannot be locked, so the PIN is asked for each time")
            }
        }
    }

    pub(super) fn forget(&self, serial: &str) {
        self.lock().remove(serial);
    }

    pub(super) fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, LockedBytes>> {
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
        pins.keep("1", &Pin::new("246810".into()));
        assert_eq!(pins.of("1").unwrap().expose(), "246810");
        assert!(pins.of("2").is_none());
        pins.forget("1");
        assert!(pins.of("1").is_none());
    }
}
