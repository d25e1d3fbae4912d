//! Whether a card was taken away: that which unlocked the vault, and those whose PINs are kept. pcscd is asked, and a card only
//! once, so that nobody's use of it is disturbed; a pcscd that is gone is no card that is gone.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use touchkeep_device::DeviceKind;
use touchkeep_device_piv::Presence;

use crate::{
    devices::{Devices, blocking},
    vault::{Current, Open},
};

/// What is known of cards since the unlock.
#[derive(Default)]
pub(super) struct Removal {
    // Which unlock: a lock and an unlock with another card fit between two looks.
    of: Weak<Open>,
    // By serial number.
    cards: HashMap<u32, Watched>,
}

/// A card that is looked after.
#[derive(Default)]
struct Watched {
    // Where it was seen; none until it was.
    seen: Option<Presence>,
    // It was not there at the first look: the vault was opened, and the card pulled at once.
    looked: bool,
    // So many looks may find nothing, because pcscd has just come back and shows its readers one after another.
    patience: u8,
}

/// Looks, one a second, for what a new pcscd takes to show its readers.
const PATIENCE: u8 = 5;

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

    /// Looks whether a card was taken away since the last look.
    pub(super) async fn is_seen(&mut self, serial: u32) -> bool {
        self.cards.entry(serial).or_default().is_gone(serial).await
    }

    /// Forgets the PINs of cards that were taken away, and looks after no others than these and `seen`, which was looked at.
    pub(super) async fn forget_pins(
        &mut self,
        current: &Current,
        devices: &Devices,
        seen: Option<u32>,
    ) {
        let cards: Vec<u32> = {
            let known = current.devices();
            let is_card = |serial: &String| {
                let mut cards = known.iter().filter(|it| it.kind == DeviceKind::Piv);
                cards.any(|card| card.serial.as_ref() == Some(serial))
            };
            let kept = devices.with_pins().into_iter().filter(is_card);
            kept.filter_map(|serial| serial.parse().ok()).collect()
        };
        self.cards
            .retain(|serial, _| cards.contains(serial) || Some(*serial) == seen);
        for serial in cards.into_iter().filter(|serial| Some(*serial) != seen) {
            if self.is_seen(serial).await {
                tracing::info!(serial, "a card was taken away, so its PIN is forgotten");
                devices.forget_pin(&serial.to_string());
                self.cards.remove(&serial);
            }
        }
    }
}

impl Watched {
    async fn is_gone(&mut self, serial: u32) -> bool {
        if let Some(seen) = &self.seen {
            let seen = seen.clone();
            return match blocking(move || touchkeep_device_piv::is_still(&seen)).await {
                Ok(Ok(still)) => !still,
                // Another pcscd counts from the beginning: whether the card is there is looked for once it is.
                _ => {
                    *self = Self {
                        patience: PATIENCE,
                        ..Self::default()
                    };
                    false
                }
            };
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
            Ok(Ok(None)) if self.patience > 0 => {
                self.patience -= 1;
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
