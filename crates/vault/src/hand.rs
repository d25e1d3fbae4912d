//! A device at hand: what it states of itself, and its signature under the vault's membership.

use touchkeep_container::{Note, NoteSignature, Statement, VerifyKey};
use touchkeep_core::{DeviceId, UserId};
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceInfo, DeviceKind, KeyInfo, Purpose, SignatureScheme,
    attestation::Trust, stanza,
};

use crate::{enrolled, error::VaultError};

/// A device, and what its person gave for this one time.
pub struct Hand<'a, 'b> {
    /// The device.
    pub device: &'a mut dyn Device,
    /// Its PIN or passphrase.
    pub auth: Auth<'b>,
}

const PURPOSES: [Purpose; 3] = [Purpose::Unlock, Purpose::Seal, Purpose::SignVault];

impl Hand<'_, '_> {
    /// A note with this device's signature alone.
    pub(crate) fn sign_as(&mut self, id: DeviceId, text: String) -> Result<Vec<u8>, VaultError> {
        let signatures = vec![self.signature(id, &text)?];
        Ok(Note { text, signatures }.to_string().into_bytes())
    }

    /// Its line under a text.
    pub(crate) fn signature(
        &mut self,
        id: DeviceId,
        text: &str,
    ) -> Result<NoteSignature, VaultError> {
        let key = needed(self.device.info(), Purpose::SignVault)?.clone();
        let unusable = VaultError::NoKey(Purpose::SignVault);
        let scheme = match key.algorithm {
            Algorithm::P256 => SignatureScheme::EcdsaP256Sha256,
            Algorithm::Ed25519 => SignatureScheme::Ed25519,
            _ => return Err(unusable),
        };
        let verify = VerifyKey::from_spki(id.to_string(), &key.spki).map_err(|_| unusable)?;
        let signature = self
            .device
            .sign(&key.key, scheme, text.as_bytes(), self.auth)?;
        Ok(NoteSignature::new(&verify, signature))
    }
}

/// What a device states of itself when it is enrolled.
pub(crate) struct Stated {
    pub(crate) info: DeviceInfo,
    attestations: Vec<(Purpose, Vec<Vec<u8>>)>,
}

impl Stated {
    /// Asks the device. A YubiKey has to show that its maker vouches for the key that waits for a touch.
    pub(crate) fn of(
        hand: &mut Hand<'_, '_>,
        id: DeviceId,
        practice: bool,
    ) -> Result<Self, VaultError> {
        let info = hand.device.info().clone();
        let mut attestations = Vec::new();
        for purpose in PURPOSES {
            let key = needed(&info, purpose)?;
            if purpose != Purpose::SignVault {
                stanza::recipient(key)?;
            } else if VerifyKey::from_spki(id.to_string(), &key.spki).is_err() {
                return Err(VaultError::NoKey(purpose));
            }
            let certificates = hand.device.attest(&key.key)?;
            if info.kind == DeviceKind::Piv && purpose == Purpose::Seal {
                enrolled::attested_touch(key, &certificates, Trust::of(practice))
                    .map_err(VaultError::NotAttested)?;
            }
            if !certificates.is_empty() {
                attestations.push((purpose, certificates));
            }
        }
        Ok(Self { info, attestations })
    }

    /// As statements of the chain.
    pub(crate) fn statements(&self, id: DeviceId, user: UserId) -> Vec<Statement> {
        let mut statements = vec![Statement::Device {
            id,
            user,
            kind: enrolled::stated_kind(self.info.kind),
            serial: self.info.serial.clone(),
        }];
        // One key for each purpose, as `DeviceInfo::key` finds it.
        for purpose in PURPOSES {
            let key = self.info.key(purpose).and_then(enrolled::stated_key);
            statements.extend(key.map(|key| Statement::Key(id, key)));
        }
        for (purpose, certificates) in &self.attestations {
            let stated = enrolled::stated_purpose(*purpose);
            let certificates = certificates.clone();
            statements
                .extend(stated.map(|purpose| Statement::Attestation(id, purpose, certificates)));
        }
        statements
    }
}

/// A device's key for a purpose.
pub(crate) fn needed(info: &DeviceInfo, purpose: Purpose) -> Result<&KeyInfo, VaultError> {
    info.key(purpose).ok_or(VaultError::NoKey(purpose))
}
