//! A device as an age identity, so that the `age` crate can open a whole file with it.

use std::{cell::RefCell, io};

use age::DecryptError;
use age_core::format::{FileKey, Stanza};

use crate::device::{Auth, Device, DeviceError, KeyRef};

/// One key of a connected device, lent to the `age` crate for one file.
///
/// The crate's errors cannot carry ours, so the reason is kept here: ask [`DeviceIdentity::failure`] when decryption fails.
pub struct DeviceIdentity<'a> {
    device: RefCell<&'a mut dyn Device>,
    key: KeyRef,
    auth: Auth<'a>,
    failure: RefCell<Option<DeviceError>>,
}

impl<'a> DeviceIdentity<'a> {
    /// Lends `key` of `device`, with what a person gave for one use.
    #[must_use]
    pub fn new(device: &'a mut dyn Device, key: KeyRef, auth: Auth<'a>) -> Self {
        Self {
            device: RefCell::new(device),
            key,
            auth,
            failure: RefCell::new(None),
        }
    }

    /// Why the device did not open the file; `None` when it did, or was never asked. Takes the reason out.
    #[must_use]
    pub fn failure(&self) -> Option<DeviceError> {
        self.failure.borrow_mut().take()
    }
}

impl age::Identity for DeviceIdentity<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    /// The device sees all stanzas at once and picks one: asked for each, it would ask for a touch each.
    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let mut device = self.device.borrow_mut();
        let error = match device.unwrap_file_key(&self.key, stanzas, self.auth) {
            Ok(file_key) => return Some(Ok(file_key)),
            Err(error) => error,
        };
        let for_age = match error {
            DeviceError::NotForThisKey => None,
            _ => Some(Err(io::Error::other(error.to_string()).into())),
        };
        self.failure.replace(Some(error));
        for_age
    }
}
