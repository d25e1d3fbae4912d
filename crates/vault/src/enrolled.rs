//! Devices as the membership chain states them, and as the device drivers speak of them.

use std::collections::BTreeMap;

use touchkeep_container::{
    Container, Membership, membership,
    statement::DeviceKey,
    words::{self, Purpose as Stated},
};
use touchkeep_core::{DeviceId, UserId};
use touchkeep_device::{
    Algorithm, DeviceInfo, DeviceKind, KeyInfo, KeyRef, Purpose, TouchPolicy,
    attestation::{self, Trust},
};

use crate::error::VaultError;

/// The devices that a vault's chain names.
pub(crate) fn all(container: &Container) -> Vec<EnrolledDevice> {
    let devices = of_members(container.membership(), container.is_practice());
    devices.into_values().collect()
}

/// The devices that a chain names up to one of its links.
pub(crate) fn of_members(
    members: &Membership,
    is_practice: bool,
) -> BTreeMap<DeviceId, EnrolledDevice> {
    let trust = Trust::of(is_practice);
    let devices = members.devices.iter();
    devices
        .map(|(id, stated)| (*id, EnrolledDevice::of(*id, stated, trust)))
        .collect()
}

/// What a sealed value costs to open with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealClass {
    /// A touch each time, and the device's maker vouches for that.
    Touch,
    /// The words of the recovery kit.
    Kit,
    /// The passphrase each time, or the PIN of a token that asks for nothing per use.
    Session,
}

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
    /// Lost or put away: it opens nothing that is written from then on.
    pub retired: bool,
    /// What its maker says of its keys, as DER.
    pub attestations: BTreeMap<Purpose, Vec<Vec<u8>>>,
    /// What opening a sealed value with it costs; or why nothing is sealed to it.
    pub seals: Result<SealClass, String>,
}

impl EnrolledDevice {
    pub(crate) fn of(id: DeviceId, stated: &membership::EnrolledDevice, trust: Trust) -> Self {
        let mut device = Self {
            id,
            user: stated.user,
            kind: kind(stated.kind),
            keys: stated.keys.iter().map(key).collect(),
            serial: stated.serial.clone(),
            marked_software: stated.kind == words::DeviceKind::Software,
            retired: stated.retired,
            attestations: stated
                .attestations
                .iter()
                .map(|(stated, der)| (purpose(*stated), der.clone()))
                .collect(),
            seals: Err(VaultError::NoKey(Purpose::Seal).to_string()),
        };
        device.seals = device.judged(trust);
        device
    }

    // A key that says of itself that it waits for a touch is believed when the device's maker says so too.
    fn judged(&self, trust: Trust) -> Result<SealClass, String> {
        let key = self.key(Purpose::Seal);
        let key = key.ok_or_else(|| VaultError::NoKey(Purpose::Seal).to_string())?;
        match self.kind {
            DeviceKind::Kit => Ok(SealClass::Kit),
            DeviceKind::Software | DeviceKind::Pkcs11 => Ok(SealClass::Session),
            DeviceKind::Piv => {
                let certificates = self.attestations.get(&Purpose::Seal);
                let certificates = certificates.map_or(&[][..], Vec::as_slice);
                attested_touch(key, certificates, trust).map(|()| SealClass::Touch)
            }
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

/// Whether the maker says that this key waits for a touch each time.
pub(crate) fn attested_touch(
    key: &KeyInfo,
    certificates: &[Vec<u8>],
    trust: Trust,
) -> Result<(), String> {
    let attested = attestation::verify(certificates, trust).map_err(|error| error.to_string())?;
    if attested.spki != key.spki {
        return Err("the attestation is of another key".into());
    }
    if attested.touch != TouchPolicy::Always || key.touch != TouchPolicy::Always {
        return Err("the key does not wait for a touch each time".into());
    }
    Ok(())
}

pub(crate) fn stated_kind(kind: DeviceKind) -> words::DeviceKind {
    match kind {
        DeviceKind::Software => words::DeviceKind::Software,
        DeviceKind::Piv => words::DeviceKind::Piv,
        DeviceKind::Pkcs11 => words::DeviceKind::Pkcs11,
        DeviceKind::Kit => words::DeviceKind::Kit,
    }
}

/// A key as the chain states it; `None` for keys that are not a vault's.
pub(crate) fn stated_key(key: &KeyInfo) -> Option<DeviceKey> {
    Some(DeviceKey {
        purpose: stated_purpose(key.purpose)?,
        algorithm: match key.algorithm {
            Algorithm::P256 => words::Algorithm::P256,
            Algorithm::Rsa2048 => words::Algorithm::Rsa2048,
            Algorithm::Rsa3072 => words::Algorithm::Rsa3072,
            Algorithm::Rsa4096 => words::Algorithm::Rsa4096,
            Algorithm::Ed25519 => words::Algorithm::Ed25519,
            Algorithm::X25519 => words::Algorithm::X25519,
            Algorithm::Secp256k1
            | Algorithm::HmacSha256
            | Algorithm::HmacSha384
            | Algorithm::HmacSha512 => return None,
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

pub(crate) const fn stated_purpose(purpose: Purpose) -> Option<Stated> {
    match purpose {
        Purpose::Unlock => Some(Stated::Unlock),
        Purpose::Seal => Some(Stated::Seal),
        Purpose::SignVault => Some(Stated::SignVault),
        Purpose::Request => None,
    }
}

const fn purpose(stated: Stated) -> Purpose {
    match stated {
        Stated::Unlock => Purpose::Unlock,
        Stated::Seal => Purpose::Seal,
        Stated::SignVault => Purpose::SignVault,
    }
}

fn kind(stated: words::DeviceKind) -> DeviceKind {
    match stated {
        words::DeviceKind::Software => DeviceKind::Software,
        words::DeviceKind::Piv => DeviceKind::Piv,
        words::DeviceKind::Pkcs11 => DeviceKind::Pkcs11,
        words::DeviceKind::Kit => DeviceKind::Kit,
    }
}

fn key(stated: &DeviceKey) -> KeyInfo {
    KeyInfo {
        key: KeyRef(stated.key_ref.clone()),
        purpose: purpose(stated.purpose),
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
        imported: false,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};

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
                imported: false,
            };
            assert_eq!(key(&stated_key(&info).unwrap()), info);
        }
    }

    /// What owners of real keys published of theirs: the key's own certificate, and that of slot f9.
    fn published(name: &str) -> Vec<Vec<u8>> {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../device/tests/vectors/attestation"
        );
        let der = |which| {
            let pem = std::fs::read_to_string(format!("{folder}/{name}.{which}.pem")).unwrap();
            let lines = pem.lines().filter(|line| !line.starts_with("--"));
            BASE64_STANDARD.decode(lines.collect::<String>()).unwrap()
        };
        vec![der("leaf"), der("f9")]
    }

    fn of(kind: DeviceKind, spki: &[u8], touch: TouchPolicy) -> EnrolledDevice {
        EnrolledDevice {
            id: DeviceId::random(),
            user: UserId::random(),
            kind,
            keys: vec![KeyInfo {
                key: KeyRef("83".into()),
                purpose: Purpose::Seal,
                algorithm: Algorithm::P256,
                spki: spki.to_vec(),
                touch,
                recipient: None,
                identity: None,
                imported: false,
            }],
            serial: None,
            marked_software: false,
            retired: false,
            attestations: BTreeMap::new(),
            seals: Err(String::new()),
        }
    }

    #[test]
    fn nothing_is_sealed_to_a_key_that_no_maker_says_waits_for_a_touch() {
        let [always, cached] = ["5.4.3-fips", "5.4.3-touch-cached"].map(|name| {
            let certificates = published(name);
            let attested = attestation::verify(&certificates, Trust::Yubico).unwrap();
            (certificates, attested.spki)
        });
        let judged = |spki: &[u8], touch, certificates: &[Vec<u8>]| {
            let mut device = of(DeviceKind::Piv, spki, touch);
            let stated = (Purpose::Seal, certificates.to_vec());
            device.attestations.extend([stated]);
            device.judged(Trust::Yubico)
        };
        let waits = TouchPolicy::Always;
        assert_eq!(judged(&always.1, waits, &always.0), Ok(SealClass::Touch));
        for (what, spki, touch, certificates) in [
            ("nobody's word", &always.1, waits, &[][..]),
            ("half of it", &always.1, waits, &always.0[..1]),
            ("of another key", &cached.1, waits, &always.0[..]),
            ("of a cached touch", &cached.1, waits, &cached.0[..]),
            (
                "says less of itself",
                &always.1,
                TouchPolicy::Cached,
                &always.0[..],
            ),
        ] {
            assert!(judged(spki, touch, certificates).is_err(), "{what}");
        }
        // A word of its own maker makes no token one that waits for a finger.
        let token = of(DeviceKind::Pkcs11, &always.1, waits);
        assert_eq!(token.judged(Trust::Yubico), Ok(SealClass::Session));
    }
}
