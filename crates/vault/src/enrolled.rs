//! Devices as the membership chain states them, and as the device drivers speak of them.

use touchkeep_container::{
    membership,
    statement::DeviceKey,
    words::{self, Purpose as Stated},
};
use touchkeep_core::{DeviceId, UserId};
use touchkeep_device::{Algorithm, DeviceInfo, DeviceKind, KeyInfo, KeyRef, Purpose, TouchPolicy};

/// A device that the membership chain names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledDevice {
    /// Its id.
    pub id: DeviceId,
    /// Whose it is.
    pub user: UserId,
    /// Its kind.
    pub kind: DeviceKind,
    /// Its keys; all public.
    pub keys: Vec<KeyInfo>,
    /// The number printed on it.
    pub serial: Option<String>,
    /// Whether its keys are in the vault file under a passphrase.
    pub marked_software: bool,
}

impl EnrolledDevice {
    pub(crate) fn of(id: DeviceId, stated: &membership::EnrolledDevice) -> Self {
        Self {
            id,
            user: stated.user,
            kind: kind(stated.kind),
            keys: stated.keys.iter().map(key).collect(),
            serial: stated.serial.clone(),
            marked_software: stated.kind == words::DeviceKind::Software,
        }
    }

    /// Its key for a purpose.
    #[must_use]
    pub fn key(&self, purpose: Purpose) -> Option<&KeyInfo> {
        self.keys.iter().find(|key| key.purpose == purpose)
    }

    /// Where a connected device has this device's key for a purpose. Known by the public half, wherever it lies now.
    #[must_use]
    pub fn key_on(&self, connected: &DeviceInfo, purpose: Purpose) -> Option<KeyRef> {
        let enrolled = self.key(purpose)?;
        let found = connected.keys.iter().find(|key| key.spki == enrolled.spki);
        found.map(|key| key.key.clone())
    }

    pub(crate) fn info(&self, label: &str) -> DeviceInfo {
        DeviceInfo {
            kind: self.kind,
            label: label.into(),
            serial: self.serial.clone(),
            firmware: None,
            keys: self.keys.clone(),
        }
    }
}

pub(crate) fn stated_kind(kind: DeviceKind) -> words::DeviceKind {
    match kind {
        DeviceKind::Software => words::DeviceKind::Software,
        DeviceKind::Piv => words::DeviceKind::Piv,
        DeviceKind::Pkcs11 => words::DeviceKind::Pkcs11,
    }
}

/// A key as the chain states it; `None` for keys that are not a vault's.
pub(crate) fn stated_key(key: &KeyInfo) -> Option<DeviceKey> {
    Some(DeviceKey {
        purpose: match key.purpose {
            Purpose::Unlock => Stated::Unlock,
            Purpose::Seal => Stated::Seal,
            Purpose::SignVault => Stated::SignVault,
            Purpose::Request => return None,
        },
        algorithm: match key.algorithm {
            Algorithm::P256 => words::Algorithm::P256,
            Algorithm::Rsa2048 => words::Algorithm::Rsa2048,
            Algorithm::Rsa3072 => words::Algorithm::Rsa3072,
            Algorithm::Rsa4096 => words::Algorithm::Rsa4096,
            Algorithm::Ed25519 => words::Algorithm::Ed25519,
            Algorithm::X25519 => words::Algorithm::X25519,
        },
        touch: match key.touch {
            TouchPolicy::Never => words::Touch::Never,
            TouchPolicy::Cached => words::Touch::Cached,
            TouchPolicy::Always => words::Touch::Always,
        },
        key_ref: key.key.0.clone(),
        spki: key.spki.clone(),
        recipient: key.recipient.clone(),
        identity: key.identity.clone(),
    })
}

fn kind(stated: words::DeviceKind) -> DeviceKind {
    match stated {
        words::DeviceKind::Software => DeviceKind::Software,
        words::DeviceKind::Piv => DeviceKind::Piv,
        words::DeviceKind::Pkcs11 => DeviceKind::Pkcs11,
    }
}

fn key(stated: &DeviceKey) -> KeyInfo {
    KeyInfo {
        key: KeyRef(stated.key_ref.clone()),
        purpose: match stated.purpose {
            Stated::Unlock => Purpose::Unlock,
            Stated::Seal => Purpose::Seal,
            Stated::SignVault => Purpose::SignVault,
        },
        algorithm: match stated.algorithm {
            words::Algorithm::P256 => Algorithm::P256,
            words::Algorithm::Rsa2048 => Algorithm::Rsa2048,
            words::Algorithm::Rsa3072 => Algorithm::Rsa3072,
            words::Algorithm::Rsa4096 => Algorithm::Rsa4096,
            words::Algorithm::Ed25519 => Algorithm::Ed25519,
            words::Algorithm::X25519 => Algorithm::X25519,
        },
        spki: stated.spki.clone(),
        touch: match stated.touch {
            words::Touch::Never => TouchPolicy::Never,
            words::Touch::Cached => TouchPolicy::Cached,
            words::Touch::Always => TouchPolicy::Always,
        },
        recipient: stated.recipient.clone(),
        identity: stated.identity.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_after_it_was_stated() {
        for (purpose, algorithm, touch) in [
            (Purpose::Unlock, Algorithm::X25519, TouchPolicy::Never),
            (Purpose::Seal, Algorithm::P256, TouchPolicy::Always),
            (Purpose::SignVault, Algorithm::Ed25519, TouchPolicy::Cached),
            (Purpose::Seal, Algorithm::Rsa2048, TouchPolicy::Never),
        ] {
            let info = KeyInfo {
                key: KeyRef("82".into()),
                purpose,
                algorithm,
                spki: vec![1, 2, 3],
                touch,
                recipient: Some("age1".into()),
                identity: None,
            };
            assert_eq!(key(&stated_key(&info).unwrap()), info);
        }
    }
}
