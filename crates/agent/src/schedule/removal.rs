//! Whether the card that unlocked the vault was taken away. pcscd is asked, and never the card, so that nobody's use of it is
//! disturbed; a pcscd that is gone is no card that is gone.

use std::sync::{Arc, Weak};

use touchkeep_device::DeviceKind;
use touchkeep_device_piv::Presence;

use crate::{
    devices::blocking,
    vault::{Current, Open},
};

/// What is known of the card since the unlock.
#[derive(Default)]
pub(super) struct Removal {
    // Which unlock: a lock and an unlock with another card fit between two looks.
    of: Weak<Open>,
    // Where it was seen; none until it was.
    seen: Option<Presence>,
    // It was not there at the first look: the vault was opened, and the card pulled at once.
    looked: bool,
}

/// The serial number of the card that unlocked the vault; none where it was no card.
pub(super) fn card_of(current: &Current, open: &Open) -> Option<u32> {
    let devices = current.devices();
    let device = devices.iter().find(|device| device.id == open.device)?;
    (device.kind == DeviceKind::Piv)
        .then(|| device.serial.as_deref()?.parse().ok())
        .flatten()
}

impl Removal {
    /// Forgets what it saw since another unlock.
    pub(super) fn is_of(&mut self, open: &Arc<Open>) {
        let of = Arc::downgrade(open);
        if !Weak::ptr_eq(&self.of, &of) {
            *self = Self {
                of,
                ..Self::default()
            };
        }
    }

    /// Looks whether it was taken away since the last look.
    pub(super) async fn is_seen(&mut self, serial: u32) -> bool {
        if let Some(seen) = &self.seen {
            let seen = seen.clone();
            let still = blocking(move || touchkeep_device_piv::is_still(&seen)).await;
            return matches!(still, Ok(Ok(false)));
        }
        if self.looked {
            return false;
        }
        match blocking(move || touchkeep_device_piv::presence(serial)).await {
            Ok(Ok(Some(presence))) => {
                self.seen = Some(presence);
                self.looked = true;
                false
            }
            Ok(Ok(None)) => {
                self.looked = true;
                true
            }
            // Busy, or no pcscd: looked for again.
            _ => false,
        }
    }
}
