//! To whom a value is sealed.

use touchkeep_core::DeviceId;
use touchkeep_device::{Purpose, stanza};

use crate::{
    crypt::{self, Sealed},
    enrolled::{EnrolledDevice, SealClass},
    error::VaultError,
};

/// The devices that a value is sealed to: where one of them waits for a touch, and its maker vouches for that, only such ones
/// and the recovery kits; else those that ask for a passphrase or a PIN.
pub(crate) struct Sealing {
    recipients: Vec<Sealed>,
    devices: Vec<DeviceId>,
}

impl Sealing {
    pub(crate) fn to<'a>(
        devices: impl Iterator<Item = &'a EnrolledDevice>,
    ) -> Result<Self, VaultError> {
        let devices: Vec<_> = devices.filter(|device| !device.retired).collect();
        let class = |device: &EnrolledDevice| device.seals.as_ref().ok().copied();
        let touched = devices.iter().any(|d| class(d) == Some(SealClass::Touch));
        let mut sealing = Self {
            recipients: Vec::new(),
            devices: Vec::new(),
        };
        let mut opens = false;
        for device in &devices {
            let (Some(class), Some(key)) = (class(device), device.key(Purpose::Seal)) else {
                continue;
            };
            if class == SealClass::Session && touched {
                continue;
            }
            opens |= class != SealClass::Kit;
            sealing.recipients.push(Sealed(stanza::recipient(key)?));
            sealing.devices.push(device.id);
        }
        if !opens {
            let mut why = devices
                .iter()
                .filter_map(|device| device.seals.as_ref().err());
            let why = why.next().cloned();
            return Err(why.map_or(VaultError::NoKey(Purpose::Seal), VaultError::NotAttested));
        }
        Ok(sealing)
    }

    pub(crate) fn seal(&self, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let recipients = self.recipients.iter();
        crypt::encrypt(recipients.map(|to| to as &dyn age::Recipient), plaintext)
    }

    pub(crate) fn devices(&self) -> Vec<DeviceId> {
        self.devices.clone()
    }

    /// As the field that remembers them.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.devices.iter().map(ToString::to_string).collect();
        names.join(" ")
    }
}
