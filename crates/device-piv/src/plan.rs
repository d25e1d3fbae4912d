//! What a key has to be, and what a key that is there is not.
//!
//! Whoever had the card while its management key was the factory's could have put keys there that he has copies of, or that
//! need no finger, with certificates that carry our names. So the card is asked, and a name is not enough.

use touchkeep_device::{Algorithm, DeviceError, PinPolicy, Purpose, TouchPolicy};

use crate::card::Metadata;

/// A key that is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) purpose: Purpose,
    pub(crate) algorithm: Algorithm,
    pub(crate) pin: PinPolicy,
    pub(crate) touch: TouchPolicy,
    pub(crate) preferred: u8,
}

impl Plan {
    /// The keys of a vault.
    pub(crate) const VAULT: [Self; 3] = [
        Self::vault(Purpose::Unlock, TouchPolicy::Cached, 0x82),
        Self::vault(Purpose::Seal, TouchPolicy::Always, 0x83),
        Self::vault(Purpose::SignVault, TouchPolicy::Cached, 0x84),
    ];

    const fn vault(purpose: Purpose, touch: TouchPolicy, preferred: u8) -> Self {
        Self {
            purpose,
            algorithm: Algorithm::P256,
            pin: PinPolicy::Once,
            touch,
            preferred,
        }
    }

    /// Algorithm, PIN policy and touch policy.
    pub(crate) const fn policy(self) -> (Algorithm, PinPolicy, TouchPolicy) {
        (self.algorithm, self.pin, self.touch)
    }

    /// What a key is not that it has to be.
    pub(crate) fn flaw(self, key: &Metadata) -> Option<Flaw> {
        let (algorithm, pin, touch) = self.policy();
        if !key.generated {
            Some(Flaw::NotMadeHere)
        } else if key.algorithm != algorithm {
            Some(Flaw::Algorithm(key.algorithm, algorithm))
        } else if key.pin != pin {
            Some(Flaw::Pin(key.pin, pin))
        } else if key.touch != touch {
            Some(Flaw::Touch(key.touch, touch))
        } else {
            None
        }
    }
}

/// What the key of a slot is not that a key for this purpose has to be. Keys for requests are as their owner chose.
pub(crate) fn flaw_for(purpose: Purpose, key: &Metadata) -> Option<Flaw> {
    let mut plans = Plan::VAULT.into_iter();
    plans.find(|plan| plan.purpose == purpose)?.flaw(key)
}

/// What a key of `age-plugin-yubikey` is not that it has to be to unlock a vault: its touch may also be asked for each time.
pub(crate) fn adoption_flaw(key: &Metadata) -> Option<Flaw> {
    let [unlock, ..] = Plan::VAULT;
    let touch = match key.touch {
        TouchPolicy::Always => TouchPolicy::Always,
        TouchPolicy::Never | TouchPolicy::Cached => unlock.touch,
    };
    Plan { touch, ..unlock }.flaw(key)
}

/// Why a key is not taken for one of ours. What is has the first place, what has to be the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    NotMadeHere,
    Algorithm(Algorithm, Algorithm),
    Pin(PinPolicy, PinPolicy),
    Touch(TouchPolicy, TouchPolicy),
}

impl Flaw {
    /// The error, where keys are made and where they are used: an agent asks what a key demands in both cases.
    pub(crate) fn refused(self, slot: &str) -> DeviceError {
        DeviceError::Unsupported(format!(
            "slot {slot} holds {self}; it is neither taken for a vault nor used. For a new vault: reset PIV (ykman piv reset, \
             which deletes all PIV keys), or, if you know who put it there, take its certificate away (ykman piv \
             certificates delete {slot}). For a vault that has it: use another device of it, and make a new vault"
        ))
    }

    /// The error when somebody wants a key of `age-plugin-yubikey` for unlocking.
    pub(crate) fn not_adopted(self, slot: &str) -> DeviceError {
        DeviceError::Unsupported(format!(
            "slot {slot} holds {self}; it stays with age-plugin-yubikey and unlocks no vault. Without adopting it, a key of its own is \
             made in another slot"
        ))
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotMadeHere => {
                f.write_str("a key that was not made on this card, so that others may have it")
            }
            Self::Algorithm(is, ought) => {
                write!(f, "a key of algorithm {is:?} where {ought:?} belongs")
            }
            Self::Pin(is, ought) => {
                write!(f, "a key with PIN policy {is:?} where {ought:?} belongs")
            }
            Self::Touch(is, ought) => {
                write!(f, "a key with touch policy {is:?} where {ought:?} belongs")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALGORITHMS: [Algorithm; 2] = [Algorithm::P256, Algorithm::Rsa2048];
    const PINS: [PinPolicy; 3] = [PinPolicy::Never, PinPolicy::Once, PinPolicy::Always];
    const TOUCHES: [TouchPolicy; 3] =
        [TouchPolicy::Never, TouchPolicy::Cached, TouchPolicy::Always];

    fn every_key() -> Vec<Metadata> {
        let mut keys = Vec::new();
        for algorithm in ALGORITHMS {
            for pin in PINS {
                for touch in TOUCHES {
                    keys.extend([true, false].map(|generated| Metadata {
                        algorithm,
                        pin,
                        touch,
                        generated,
                        spki: vec![],
                    }));
                }
            }
        }
        keys
    }

    #[test]
    fn of_all_keys_one_is_without_a_flaw_for_each_purpose_of_a_vault() {
        for (purpose, touch) in [
            (Purpose::Unlock, TouchPolicy::Cached),
            (Purpose::Seal, TouchPolicy::Always),
            (Purpose::SignVault, TouchPolicy::Cached),
        ] {
            let mut keys = every_key();
            keys.retain(|key| flaw_for(purpose, key).is_none());
            let only = Metadata {
                algorithm: Algorithm::P256,
                pin: PinPolicy::Once,
                touch,
                generated: true,
                spki: vec![],
            };
            assert_eq!(keys, [only], "{purpose:?}");
        }
    }

    #[test]
    fn a_key_to_adopt_was_made_here_wants_the_pin_once_and_a_touch() {
        let mut keys = every_key();
        keys.retain(|key| adoption_flaw(key).is_none());
        let touches: Vec<_> = keys.iter().map(|key| key.touch).collect();
        assert_eq!(touches, [TouchPolicy::Cached, TouchPolicy::Always]);
        assert!(keys.iter().all(|key| {
            key.generated && key.pin == PinPolicy::Once && key.algorithm == Algorithm::P256
        }));
    }

    #[test]
    fn request_keys_are_as_their_owner_chose() {
        assert!(
            every_key()
                .iter()
                .all(|key| flaw_for(Purpose::Request, key).is_none())
        );
    }
}
