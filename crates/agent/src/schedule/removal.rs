//! Whether a card or a token was taken away: that which unlocked the vault, and those whose PINs are kept. Of a card pcscd is asked,
//! and the card only once, so that nobody's use of it is disturbed; of a token its module. A pcscd that is gone is no card that is
//! gone, and a module that does not answer no token.

mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use touchkeep_core::DeviceId;
use touchkeep_device::DeviceKind;
use touchkeep_device_piv::{Presence, Service};
use touchkeep_vault::EnrolledDevice;

use self::token::WatchedToken;
use crate::{
    agent::Agent,
    devices::{Devices, Which, blocking},
    vault::{Armed, Because, Current, Open, disarm_because},
};

/// What is known of devices since the unlock.
#[derive(Default)]
pub(super) struct Removal {
    // Which unlock: a lock and an unlock with another device fit between two looks.
    of: Weak<Open>,
    cards: HashMap<u32, Watched>,
    tokens: HashMap<Which, WatchedToken>,
}

/// A device that can be taken away: a card by its number, which is what readers are searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    Card(u32),
    Token(Which),
}

/// A card that is looked after.
#[derive(Default)]
struct Watched {
    // Where it was seen, and by which pcscd; none until it was.
    seen: Option<Arc<(Presence, Service)>>,
    // It was not there at the first look: the vault was opened, and the card pulled at once.
    looked: bool,
    // So many looks may find nothing, because pcscd has just come back and shows its readers one after another.
    patience: u8,
}

/// Looks, one a second, for what a new pcscd takes to show its readers.
const PATIENCE: u8 = 5;

/// What unlocked the vault, where it can be taken away.
pub(super) fn opener_of(current: &Current, device: DeviceId) -> Option<Taken> {
    let devices = current.devices();
    taken(devices.iter().find(|known| known.id == device)?)
}

fn taken(device: &EnrolledDevice) -> Option<Taken> {
    let which = Which::of(device)?;
    match device.kind {
        DeviceKind::Piv => which.serial().parse().ok().map(Taken::Card),
        DeviceKind::Pkcs11 => Some(Taken::Token(which)),
        DeviceKind::Software | DeviceKind::Kit => None,
    }
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

    /// Looks whether a device was taken away since the last look.
    pub(super) async fn is_seen(&mut self, device: &Taken, devices: &Devices) -> bool {
        match device {
            Taken::Card(serial) => {
                let card = self.cards.entry(*serial).or_default();
                card.is_gone(*serial).await
            }
            Taken::Token(which) => {
                if !self.tokens.contains_key(which)
                    && let Some(watch) = devices.watch(which)
                {
                    let token = WatchedToken::new(watch);
                    self.tokens.insert(which.clone(), token);
                }
                let token = self.tokens.get_mut(which);
                token.is_some_and(|token| token.is_gone(devices.uses()))
            }
        }
    }

    /// Ends armed keys where the device that had unlocked the vault is taken away after the lock: who takes it along means the
    /// same as before the lock.
    pub(super) async fn ends(&mut self, agent: &Arc<Agent>, current: &Current, armed: &Armed) {
        let opener = opener_of(current, armed.opener()).filter(|_| agent.config().lock.removal);
        if let Some(opener) = opener
            && self.is_seen(&opener, agent.devices()).await
        {
            disarm_because(agent, Because::Removal.words()).await;
        }
    }

    /// Forgets the PINs of devices that were taken away, and looks after no others than these and `seen`, which was looked at.
    pub(super) async fn forget_pins(
        &mut self,
        current: &Current,
        devices: &Devices,
        seen: Option<&Taken>,
    ) {
        let with_pins: Vec<(Which, Taken)> = {
            let known = current.devices();
            let kept = devices.with_pins().into_iter();
            kept.filter_map(|which| {
                let is_it = |one: &&EnrolledDevice| Which::of(one).as_ref() == Some(&which);
                let taken = taken(known.iter().find(is_it)?)?;
                Some((which, taken))
            })
            .collect()
        };
        let is_watched =
            |one: &Taken| Some(one) == seen || with_pins.iter().any(|(_, taken)| taken == one);
        self.cards
            .retain(|serial, _| is_watched(&Taken::Card(*serial)));
        self.tokens
            .retain(|which, _| is_watched(&Taken::Token(which.clone())));
        for (which, taken) in &with_pins {
            if Some(taken) != seen && self.is_seen(taken, devices).await {
                let serial = which.serial();
                tracing::info!(serial, "a device was taken away, so its PIN is forgotten");
                devices.forget_pin(which);
                match taken {
                    Taken::Card(serial) => drop(self.cards.remove(serial)),
                    Taken::Token(which) => drop(self.tokens.remove(which)),
                }
            }
        }
    }

    /// Why it is not known whether a token is still there.
    pub(super) fn unseen(&self) -> Option<&str> {
        self.tokens.values().find_map(WatchedToken::unseen)
    }
}

impl Watched {
    async fn is_gone(&mut self, serial: u32) -> bool {
        if let Some(seen) = &self.seen {
            let seen = Arc::clone(seen);
            let look = move || {
                let (presence, service) = &*seen;
                let still = touchkeep_device_piv::is_still(presence);
                // Asked last: what another pcscd said in between is not of this one.
                still.ok().filter(|_| service.still_runs())
            };
            return match blocking(look).await {
                Ok(Some(still)) => !still,
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
        let look = move || {
            let service = Service::now();
            touchkeep_device_piv::presence(serial).map(|seen| (seen, service))
        };
        match blocking(look).await {
            Ok(Ok((Some(presence), Some(service)))) => {
                self.seen = Some(Arc::new((presence, service)));
                self.looked = true;
                false
            }
            Ok(Ok((None, _))) if self.patience > 0 => {
                self.patience -= 1;
                false
            }
            Ok(Ok((None, _))) => {
                self.looked = true;
                true
            }
            // Busy, or no pcscd: looked for again.
            _ => false,
        }
    }
}
