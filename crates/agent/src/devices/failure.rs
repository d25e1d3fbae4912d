//! A use of a device that failed, and what that means to a person.

use touchkeep_device::DeviceError;
use touchkeep_pipeline::Unasked;
use touchkeep_wire::Failure;

use crate::prompts;

/// A failed use: the device's own failure where it was one, because that decides about the PIN.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The device did not.
    Device(DeviceError),
    /// It is there and the right one, and cannot do what was wanted. Nothing was asked of it.
    Unable(Failure),
    /// Nobody was asked for what it wants.
    Unasked(Unasked),
    /// Something above it did not.
    Other(Failure),
}

impl Failed {
    /// What it means to a person.
    pub(crate) fn failure(&self, device: &str) -> Failure {
        match self {
            Self::Device(error) => device_failure(error, device),
            Self::Unasked(why) => prompts::unasked(*why),
            Self::Unable(failure) | Self::Other(failure) => failure.clone(),
        }
    }

    /// Failures that come after the PIN was accepted, or before it was sent.
    pub(super) const fn leaves_pin_good(&self) -> bool {
        matches!(
            self,
            Self::Unable(_)
                | Self::Device(
                    DeviceError::NoTouch
                        | DeviceError::Busy { .. }
                        | DeviceError::Reset
                        | DeviceError::NoKey(_)
                        | DeviceError::Unsupported(_)
                )
        )
    }
}

impl From<DeviceError> for Failed {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl From<Unasked> for Failed {
    fn from(why: Unasked) -> Self {
        Self::Unasked(why)
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// What happened, and what to do about it. `device` is its label.
pub(crate) fn device_failure(error: &DeviceError, device: &str) -> Failure {
    let fix = match error {
        DeviceError::Removed => "Plug it in and try again.".into(),
        DeviceError::Busy { holders } => touchkeep_device_piv::holders::what_to_do(holders),
        DeviceError::Reset => touchkeep_device_piv::holders::what_to_do(&[]),
        DeviceError::NeedsSecret => "Try again and type what is asked for.".into(),
        DeviceError::WrongPin { .. } | DeviceError::WrongPinUncounted => {
            "Try again with the right PIN; it was not sent twice.".into()
        }
        DeviceError::WrongPassphrase => "Try again with the right passphrase.".into(),
        DeviceError::WrongWords(_) => "Nothing was done. Compare them with the paper, one by one.".into(),
        DeviceError::PinBlocked => blocked(device),
        DeviceError::LastTry => last_try(device),
        DeviceError::WrongPuk { .. } => "Try again with the right PUK; it was not sent twice.".into(),
        DeviceError::LastPukTry => {
            "Nothing was sent. Find the PUK first; without it only a reset is left, which destroys the keys on the device.".into()
        }
        DeviceError::PukBlocked => {
            "Enroll another device, then reset this one, which destroys its keys: ykman piv reset".into()
        }
        DeviceError::FactoryPin | DeviceError::FactorySecret(_) => {
            format!("Change it first: touchkeep device set-pin {}", card(device).unwrap_or("SERIAL"))
        }
        DeviceError::NoTouch => "Try again and touch the device while it blinks.".into(),
        DeviceError::NoKey(_) | DeviceError::NotForThisKey => {
            "Use a device that is enrolled in this vault: touchkeep device list".into()
        }
        DeviceError::Closed => "What to do about it says: touchkeep doctor".into(),
        DeviceError::Middleware(_) => "Check that pcscd runs (systemctl status pcscd), or the path of the PKCS#11 module.".into(),
        DeviceError::Unsupported(_) => {
            "Use another device, or ask for something else. What each can have: touchkeep device keys-for".into()
        }
        DeviceError::Unexpected(_) => {
            "Nothing that it said was used. Take it out and put it in again; if it stays so: touchkeep doctor".into()
        }
        _ => "Look at: touchkeep doctor".into(),
    };
    Failure::new(error.code(), format!("{device}: {error}."), fix)
}

/// The serial number in a YubiKey's label; none of other devices, whose PINs are not ours to set.
fn card(label: &str) -> Option<&str> {
    let mut numbers = label.strip_prefix("YubiKey")?.rsplit(['(', ')', ' ']);
    numbers.find(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
}

fn blocked(device: &str) -> String {
    card(device).map_or_else(
        || "Who administers the token sets a new PIN. Until then open the vault with another of its devices: touchkeep unlock --device NAME".into(),
        |serial| {
            format!("Set a new one with the PUK: touchkeep device unblock {serial}. Or open the vault with another of its devices: touchkeep unlock --device NAME")
        },
    )
}

fn last_try(device: &str) -> String {
    card(device).map_or_else(
        || "Nothing was sent. Find the PIN first: after another wrong one, who administers the token has to set a new one.".into(),
        |serial| {
            format!("Nothing was sent. Set a new PIN with the PUK: touchkeep device unblock {serial}. If you are sure of it: touchkeep device pin {serial} --last-try. Another device opens the vault as well: touchkeep unlock --device NAME")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_names_the_card_and_tells_a_token_from_it() {
        for label in [
            "YubiKey 5.4.3 (4000000001)",
            "YubiKey (4000000001)",
            "YubiKey 4000000001",
        ] {
            for error in [DeviceError::PinBlocked, DeviceError::LastTry] {
                let fix = device_failure(&error, label).fix;
                assert!(fix.contains("device unblock 4000000001"), "{label}: {fix}");
            }
            let fix = device_failure(&DeviceError::FactoryPin, label).fix;
            assert!(fix.ends_with("device set-pin 4000000001"), "{label}: {fix}");
        }
        for label in ["HSM token (1234)", "my token (1234)", "The device"] {
            for error in [DeviceError::PinBlocked, DeviceError::LastTry] {
                let fix = device_failure(&error, label).fix;
                assert!(!fix.contains("unblock"), "{label}: {fix}");
            }
        }
    }
}
