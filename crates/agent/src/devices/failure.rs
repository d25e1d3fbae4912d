//! What a device's failure means to a person.

use touchkeep_device::DeviceError;
use touchkeep_wire::Failure;

/// What happened, and what to do about it.
pub(crate) fn device_failure(error: &DeviceError, device: &str) -> Failure {
    let fix = match error {
        DeviceError::Removed => "Plug it in and try again.".into(),
        DeviceError::Busy { holders } => touchkeep_device_piv::holders::what_to_do(holders),
        DeviceError::NeedsSecret => "Try again and type what is asked for.".into(),
        DeviceError::WrongPin { .. } => "Try again with the right PIN; it was not sent twice.".into(),
        DeviceError::WrongPassphrase => "Try again with the right passphrase.".into(),
        DeviceError::PinBlocked => "Unblock it with the PUK: touchkeep device unblock SERIAL".into(),
        DeviceError::LastTry => {
            "Nothing was sent. Find the PIN first, or set a new one with the PUK: touchkeep device unblock SERIAL".into()
        }
        DeviceError::WrongPuk { .. } => "Try again with the right PUK; it was not sent twice.".into(),
        DeviceError::LastPukTry => {
            "Nothing was sent. Find the PUK first; without it only a reset is left, which destroys the keys on the device.".into()
        }
        DeviceError::PukBlocked => {
            "Enroll another device, then reset this one, which destroys its keys: ykman piv reset".into()
        }
        DeviceError::FactoryPin => "Change it first: touchkeep device set-pin SERIAL".into(),
        DeviceError::NoTouch => "Try again and touch the device while it blinks.".into(),
        DeviceError::NoKey(_) | DeviceError::NotForThisKey => {
            "Use a device that is enrolled in this vault: touchkeep device list".into()
        }
        DeviceError::Middleware(_) => "Check that pcscd runs (systemctl status pcscd), or the path of the PKCS#11 module.".into(),
        _ => String::new(),
    };
    Failure::new(error.code(), format!("{device}: {error}."), fix)
}
