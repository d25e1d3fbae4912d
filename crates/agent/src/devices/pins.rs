//! PINs of this session: in locked memory, each under its device, until the vault is locked, the device is taken
//! away, refuses one or is used by a failed operation. Never sent twice after a refusal.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use touchkeep_core::Pin;
use touchkeep_locked::LockedBytes;

use super::which::Which;

#[derive(Default)]
pub(super) struct Pins(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    of: HashMap<Which, LockedBytes>,
    session: Session,
}

/// From one lock of the vault to the next. A PIN that was typed before a lock is not kept after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Session(u64);

impl Pins {
    /// A copy for one use.
    pub(super) fn of(&self, device: &Which) -> Option<Pin> {
        let pins = self.lock();
        let kept = pins.of.get(device)?.expose();
        String::from_utf8(kept.to_vec()).ok().map(Pin::new)
    }

    /// Whether the PIN of a device is known.
    pub(super) fn knows(&self, device: &Which) -> bool {
        self.lock().of.contains_key(device)
    }

    /// The session that runs.
    pub(super) fn session(&self) -> Session {
        self.lock().session
    }

    /// Keeps a PIN of this session. Where memory cannot be locked it is not kept, and asked for again.
    pub(super) fn keep(&self, device: &Which, pin: &Pin, session: Session) {
        let mut kept = self.lock();
        if kept.session != session {
            return;
        }
        // EXPOSE: to the locked copy.
        match LockedBytes::copy_of(pin.expose().as_bytes()) {
            Ok(locked) => drop(kept.of.insert(device.clone(), locked)),
            Err(error) => {
                tracing::warn!(%error, "memory cannot be locked, so the PIN is asked for each time");
            }
        }
    }

    /// Of which devices PINs are kept.
    pub(super) fn devices(&self) -> Vec<Which> {
        self.lock().of.keys().cloned().collect()
    }

    /// Keeps what was kept of one device as another's; forgets it where that is none.
    pub(super) fn hand_over(&self, from: &Which, to: Option<Which>) {
        let mut kept = self.lock();
        if let (Some(pin), Some(to)) = (kept.of.remove(from), to) {
            kept.of.insert(to, pin);
        }
    }

    pub(super) fn forget(&self, device: &Which) {
        self.lock().of.remove(device);
    }

    /// Forgets those of every device of that number.
    pub(super) fn forget_number(&self, serial: &str) {
        self.lock().of.retain(|device, _| device.serial() != serial);
    }

    pub(super) fn forget_all(&self) {
        let mut kept = self.lock();
        kept.of.clear();
        kept.session.0 += 1;
    }

    /// Ends this session as a lock does, but for the PIN of a device that goes on in the next, which is returned; none where
    /// another one runs by now.
    pub(super) fn go_on_with(&self, device: Option<&Which>, session: Session) -> Option<Session> {
        let mut kept = self.lock();
        (kept.session == session).then(|| {
            kept.of.retain(|of, _| Some(of) == device);
            kept.session.0 += 1;
            kept.session
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_core::DeviceId;

    use super::*;

    fn token(module: &str) -> Which {
        Which::Newcomer {
            module: Some(module.into()),
            serial: "0000000000000000".into(),
            label: "NSS Certificate DB".into(),
        }
    }

    fn pin() -> Pin {
        Pin::new("246810".into())
    }

    #[test]
    fn a_pin_is_kept_until_it_is_forgotten() {
        let pins = Pins::default();
        let (one, other) = (token("/a.so"), token("/b.so"));
        assert!(pins.of(&one).is_none());
        pins.keep(&one, &pin(), pins.session());
        assert_eq!(pins.of(&one).unwrap().expose(), "246810");
        assert!(pins.of(&other).is_none(), "the number alone is not enough");
        pins.forget(&one);
        assert!(pins.of(&one).is_none());
    }

    #[test]
    fn a_newcomer_hands_its_pin_to_the_device_that_it_becomes_or_nobody_has_it() {
        let pins = Pins::default();
        let newcomer = token("/a.so");
        let device = newcomer.enrolled_as(DeviceId::random());
        pins.keep(&newcomer, &pin(), pins.session());
        pins.hand_over(&newcomer, Some(device.clone()));
        assert!(pins.knows(&device) && !pins.knows(&newcomer));
        pins.keep(&newcomer, &pin(), pins.session());
        pins.hand_over(&newcomer, None);
        assert_eq!(pins.devices(), [device]);
        pins.forget_number("0000000000000000");
        assert_eq!(pins.devices(), []);
    }

    #[test]
    fn a_pin_that_was_typed_before_a_lock_is_not_kept_after_it() {
        let pins = Pins::default();
        let session = pins.session();
        pins.forget_all();
        pins.keep(&token("/a.so"), &pin(), session);
        assert!(pins.of(&token("/a.so")).is_none());
    }

    #[test]
    fn one_device_goes_on_in_the_next_session_unless_there_was_a_lock() {
        let pins = Pins::default();
        let (one, other) = (token("/a.so"), token("/b.so"));
        let before = pins.session();
        pins.keep(&one, &pin(), before);
        pins.keep(&other, &pin(), before);
        let next = pins.go_on_with(Some(&one), before).unwrap();
        assert_eq!(next, pins.session());
        assert_ne!(next, before);
        assert!(pins.knows(&one) && !pins.knows(&other));
        pins.forget_all();
        assert_eq!(pins.go_on_with(Some(&one), next), None);
        assert_eq!(pins.devices(), []);
    }
}
