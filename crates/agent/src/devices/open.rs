//! Finding and opening devices that are connected.

use touchkeep_core::{Code, text::visible};
use touchkeep_device::{
    Device, DeviceError, DeviceKind, KeyRef, PaperKit, Provision, Purpose, SecretDemand,
    SoftwareDevice,
    attestation::{AttestationError, Trust},
};
use touchkeep_device_piv::{Judged, NotAttested, PivDevice};
use touchkeep_device_pkcs11::{Launch, Pkcs11Device, TokenChoice};
use touchkeep_vault::{EnrolledDevice, VaultError};
use touchkeep_wire::Failure;

use super::{device_failure, modules::Module, which::Which};
use crate::{failure, possible::Able};

/// An open device, of whichever kind.
pub(crate) enum Opened {
    Software(SoftwareDevice),
    Piv(PivDevice),
    Pkcs11(Box<Pkcs11Device>),
    /// On its paper: each use asks for the words.
    Kit(PaperKit),
}

/// A device that is connected, before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Connected {
    /// A YubiKey.
    Piv { serial: u32, firmware: String },
    /// A token behind a module.
    Pkcs11 {
        module: Box<Module>,
        choice: TokenChoice,
        model: String,
        firmware: String,
    },
}

/// How a PIN stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PinState {
    pub(crate) tries_left: Option<u8>,
    pub(crate) factory: Option<bool>,
}

impl Opened {
    pub(crate) fn device(&mut self) -> &mut dyn Device {
        match self {
            Self::Software(device) => device,
            Self::Piv(device) => device,
            Self::Pkcs11(device) => device.as_mut(),
            Self::Kit(device) => device,
        }
    }

    /// What makes keys; none for the software device, whose keys are made with its file.
    pub(crate) fn provision(&mut self) -> Option<&mut dyn Provision> {
        match self {
            Self::Software(_) | Self::Kit(_) => None,
            Self::Piv(device) => Some(device),
            Self::Pkcs11(device) => Some(device.as_mut()),
        }
    }

    /// Takes the key of `age-plugin-yubikey` in this slot for unlocking, where one is named.
    ///
    /// # Errors
    /// There is no such key, it is not fit for that, or this is no YubiKey.
    pub(crate) fn adopt(&mut self, slot: Option<&str>) -> Result<(), DeviceError> {
        match (slot, self) {
            (None, _) => Ok(()),
            (Some(slot), Self::Piv(device)) => {
                let slot = slot_of(slot);
                match device.adopt_for_unlock(&KeyRef(slot.clone())) {
                    Ok(_) => Ok(()),
                    Err(DeviceError::NoKey(_)) => Err(DeviceError::Unsupported(format!(
                        "taking over slot {slot}, where there is no key of age-plugin-yubikey"
                    ))),
                    Err(error) => Err(error),
                }
            }
            (Some(_), _) => Err(DeviceError::Unsupported("taking over a key".into())),
        }
    }

    /// Has it stay logged in after its next use with this key, where it may. Whether it does.
    pub(crate) fn keep(&mut self, key: &KeyRef) -> bool {
        match self {
            Self::Pkcs11(token) if token.may_stay(key) => {
                token.keep_session();
                true
            }
            _ => false,
        }
    }

    /// What it asks for, before a key of it is known.
    pub(crate) fn first_demand(&mut self) -> Result<SecretDemand, DeviceError> {
        let any = self
            .device()
            .info()
            .keys
            .first()
            .map(|info| info.key.clone());
        match (any, &*self) {
            (Some(key), _) => Ok(self.device().demand(&key)?.secret),
            (None, Self::Software(_)) => Ok(SecretDemand::Passphrase),
            (None, Self::Piv(_)) => Ok(SecretDemand::Pin {
                tries_left: self.tries_left()?,
            }),
            // Its PIN is typed at the token, and nowhere else.
            (None, Self::Pkcs11(token)) if token.has_pin_pad() => Ok(SecretDemand::PinPad),
            (None, Self::Pkcs11(_)) => Ok(SecretDemand::Pin { tries_left: None }),
            (None, Self::Kit(_)) => Ok(SecretDemand::Words),
        }
    }
}

impl Opened {
    /// Which request keys it can hold.
    ///
    /// # Errors
    /// A token cannot be asked.
    pub(crate) fn able(&mut self) -> Result<Able, DeviceError> {
        match self {
            Self::Software(_) | Self::Kit(_) => Ok(Able::Nothing),
            Self::Piv(card) => Ok(Able::Piv(card.firmware())),
            Self::Pkcs11(token) => token.kinds().map(Able::Token),
        }
    }

    /// Has keys of these devices of a vault left where they are when keys are made: it does not take them a second time.
    pub(crate) fn avoid(&mut self, known: &[EnrolledDevice]) {
        if let Self::Piv(card) = self {
            let keys = known.iter().flat_map(|device| &device.keys);
            card.avoid(keys.map(|key| key.spki.clone()).collect());
        }
    }

    /// What its maker says of a key, and what that is worth beside what it says itself; nothing of a device that is no YubiKey.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(crate) fn statements(&mut self, key: &KeyRef, trust: Trust) -> Result<Judged, DeviceError> {
        match self {
            Self::Piv(card) => card.statements(key, trust),
            _ => Ok((Vec::new(), Err(AttestationError::None))),
        }
    }

    /// Refuses a YubiKey for which nobody vouches who is believed. No other device has to show anybody.
    ///
    /// # Errors
    /// That.
    fn is_vouched_for(&mut self, trust: Trust) -> Result<(), NotAttested> {
        match self {
            Self::Piv(card) => card.vouched_for(trust).map(drop),
            Self::Software(_) | Self::Pkcs11(_) | Self::Kit(_) => Ok(()),
        }
    }

    /// Refuses a device whose attestations are of other keys than it says: no YubiKey gives such.
    ///
    /// # Errors
    /// That.
    pub(crate) fn is_as_attested(&mut self) -> Result<(), DeviceError> {
        // Whether anybody is believed who vouches for it is another question, which the vault asks.
        let trust = Trust::YubicoAndPractice;
        let mut keys = self.device().info().keys.clone();
        keys.retain(|key| key.purpose != Purpose::Request);
        for key in keys {
            if let (_, Err(error @ AttestationError::Differs(_))) =
                self.statements(&key.key, trust)?
            {
                let text = format!("something that is not so: {error} (slot {})", key.key.0);
                return Err(DeviceError::Unexpected(text));
            }
        }
        Ok(())
    }

    fn pin_stands(&mut self) -> PinState {
        match self {
            Self::Piv(card) => card.pin_state().map_or_else(
                |_| PinState::default(),
                |state| PinState {
                    tries_left: Some(state.pin.left),
                    factory: Some(state.pin_is_factory),
                },
            ),
            other => match other.first_demand() {
                Ok(SecretDemand::Pin { tries_left }) => PinState {
                    tries_left,
                    factory: None,
                },
                _ => PinState::default(),
            },
        }
    }

    fn tries_left(&mut self) -> Result<Option<u8>, DeviceError> {
        match self {
            Self::Piv(card) => Ok(Some(card.pin_state()?.pin.left)),
            Self::Software(_) | Self::Pkcs11(_) | Self::Kit(_) => Ok(None),
        }
    }
}

// As the card has it: 82 to 95. The plugin itself counts them from 1 to 20.
fn slot_of(text: &str) -> String {
    match text.parse() {
        Ok(counted @ 1_u8..=20) => format!("{:02x}", 0x81 + counted),
        _ => text.to_ascii_lowercase(),
    }
}

impl Connected {
    /// What speaks against enrolling it in a vault that has these devices, before anybody types a PIN that could not be used and
    /// before anything is made on it: that nobody vouches for it, secrets of the factory, keys that the vault knows already, a key
    /// that cannot be taken over.
    ///
    /// # Errors
    /// That.
    pub(crate) fn may_be_enrolled(
        &self,
        adopt: Option<&str>,
        known: &[EnrolledDevice],
        trust: Trust,
    ) -> Result<(), Failure> {
        let label = self.label();
        let failed = |error: DeviceError| device_failure(&error, &label);
        let mut opened = self.open().map_err(failed)?;
        opened.is_vouched_for(trust).map_err(|why| match why {
            NotAttested::Device(error) => failed(error),
            other => failure::vault(&VaultError::NotAttested(other.to_string())),
        })?;
        // Before a PIN is typed for nothing.
        if let Opened::Piv(card) = &mut opened {
            let stands = card.pin_state().map_err(failed)?;
            stands.has_left_the_factory().map_err(failed)?;
        }
        if let Some(is) = which_of(known, opened.device()) {
            return Err(self.known_already(is));
        }
        opened.adopt(adopt).map_err(failed)
    }

    // A vault never takes the same key twice, so that what is retired stays so.
    fn known_already(&self, known: &EnrolledDevice) -> Failure {
        let label = self.label();
        if !known.retired {
            return Failure::new(
                Code::Invalid,
                format!("{label} is enrolled already."),
                "Nothing was done. Look at: touchkeep device list",
            );
        }
        let keys = known.keys.iter().map(|key| &key.key.0);
        let again = "enroll it again, which makes new keys";
        Failure::new(
            Code::Invalid,
            format!("{label} was retired, and the keys on it stay so."),
            match self {
                Self::Piv { serial, .. } => {
                    let each = keys.map(|slot| format!("ykman piv certificates delete {slot}"));
                    let each = each.collect::<Vec<_>>().join("; ");
                    format!(
                        "If nobody else had it meanwhile, take the names off its old keys ({each}), and {again}: touchkeep device enroll piv:{serial}"
                    )
                }
                Self::Pkcs11 { .. } => {
                    let each = keys.cloned().collect::<Vec<_>>().join(", ");
                    format!(
                        "If nobody else had it meanwhile, delete its old keys, public and private, by their CKA_ID ({each}; pkcs11-tool --delete-object), and {again}."
                    )
                }
            },
        )
    }

    pub(crate) fn open(&self) -> Result<Opened, DeviceError> {
        match self {
            Self::Piv { serial, .. } => {
                PivDevice::open(*serial, touchkeep_device_piv::Options::default()).map(Opened::Piv)
            }
            Self::Pkcs11 { module, choice, .. } => Pkcs11Device::spawn(
                launch()?,
                module.file.clone(),
                choice.clone(),
                module.options(&choice.label),
            )
            .map(|device| Opened::Pkcs11(Box::new(device))),
        }
    }

    /// As the device that a vault knows: a key that the vault took over is used again.
    ///
    /// # Errors
    /// It cannot be opened, or is another of the same number: its owner's PIN is not for that one.
    pub(crate) fn open_as(&self, known: &EnrolledDevice) -> Result<Opened, DeviceError> {
        let mut opened = self.open()?;
        let unlock = known.key(Purpose::Unlock).map(|key| &key.key);
        if let (Opened::Piv(card), Some(unlock)) = (&mut opened, unlock)
            && !card.info().keys.iter().any(|key| key.key == *unlock)
        {
            // Where it is not there, whoever asks for the key says so.
            let _not_there = card.adopt_for_unlock(unlock);
        }
        match unlock {
            Some(unlock) if !has_a_key(known, opened.device()) => {
                Err(DeviceError::NoKey(unlock.clone()))
            }
            _ => Ok(opened),
        }
    }

    /// What it is seen through; none for a YubiKey.
    pub(crate) fn module(&self) -> Option<&Module> {
        match self {
            Self::Piv { .. } => None,
            Self::Pkcs11 { module, .. } => Some(module),
        }
    }

    /// What it is before a vault knows it.
    pub(crate) fn newcomer(&self) -> Which {
        Which::Newcomer {
            module: self.module().map(|module| module.file.path.clone()),
            serial: self.serial(),
            label: self.label(),
        }
    }

    /// How its PIN stands, as far as that is known without spending a try, and which of these devices of a vault it is.
    pub(crate) fn looked_at<'a>(
        &self,
        known: &'a [EnrolledDevice],
    ) -> (PinState, Option<&'a EnrolledDevice>) {
        match self.open() {
            Ok(mut opened) => {
                let is = which_of(known, opened.device());
                (opened.pin_stands(), is)
            }
            Err(error) => {
                tracing::debug!(%error, "a device could not be looked at");
                (PinState::default(), None)
            }
        }
    }

    pub(crate) const fn kind(&self) -> DeviceKind {
        match self {
            Self::Piv { .. } => DeviceKind::Piv,
            Self::Pkcs11 { .. } => DeviceKind::Pkcs11,
        }
    }

    pub(crate) fn serial(&self) -> String {
        match self {
            Self::Piv { serial, .. } => serial.to_string(),
            Self::Pkcs11 { choice, .. } => choice.serial.clone(),
        }
    }

    /// Whether it is a token that calls itself so.
    pub(crate) fn is_labelled(&self, label: &str) -> bool {
        matches!(self, Self::Pkcs11 { choice, .. } if choice.label == label)
    }

    pub(crate) fn label(&self) -> String {
        match self {
            Self::Piv { serial, firmware } => format!("YubiKey {firmware} ({serial})"),
            Self::Pkcs11 { choice, .. } => {
                format!("{} ({})", visible(&choice.label), visible(&choice.serial))
            }
        }
    }

    pub(crate) fn firmware(&self) -> String {
        match self {
            Self::Piv { firmware, .. } | Self::Pkcs11 { firmware, .. } => firmware.clone(),
        }
    }
}

// The devices of a vault have no key in common; one that is in use goes before one that was retired.
fn which_of<'a>(known: &'a [EnrolledDevice], opened: &dyn Device) -> Option<&'a EnrolledDevice> {
    let mut same: Vec<_> = known.iter().filter(|one| has_a_key(one, opened)).collect();
    same.sort_by_key(|one| one.retired);
    same.first().copied()
}

fn has_a_key(known: &EnrolledDevice, opened: &dyn Device) -> bool {
    let mut there = opened.info().keys.iter();
    there.any(|key| known.keys.iter().any(|known| known.spki == key.spki))
}

/// What is connected. A driver that cannot look says so in the log and finds nothing; the others still do.
pub(crate) fn connected(modules: &[Module]) -> Vec<Connected> {
    let mut found: Vec<_> = yubikeys().unwrap_or_default();
    for module in modules {
        match tokens(module) {
            Ok(tokens) => found.extend(tokens),
            Err(error) => {
                tracing::warn!(%error, module = %module.file.path.display(), "no tokens from a module")
            }
        }
    }
    found
}

/// The connected device that a vault knows. Of tokens with one serial number, as NSS has them, it is the one that has the key.
pub(crate) fn known(found: &[Connected], device: &EnrolledDevice) -> Option<Connected> {
    let is_same =
        |one: &&Connected| one.kind() == device.kind && Some(one.serial()) == device.serial;
    let same: Vec<_> = found.iter().filter(is_same).collect();
    let has_the_key = |one: &&&Connected| {
        let opened = one.open();
        opened.is_ok_and(|mut it| device.key_on(it.device().info(), Purpose::Unlock).is_some())
    };
    let one = match same[..] {
        [] | [_] => same.first(),
        _ => same.iter().find(has_the_key).or(same.first()),
    };
    one.map(|one| (*one).clone())
}

/// The YubiKeys.
pub(crate) fn yubikeys() -> Result<Vec<Connected>, DeviceError> {
    let found = touchkeep_device_piv::list().inspect_err(|error| {
        tracing::info!(%error, "no YubiKeys");
    })?;
    let one = |found: touchkeep_device_piv::Found| Connected::Piv {
        serial: found.serial,
        firmware: found.firmware,
    };
    Ok(found.into_iter().map(one).collect())
}

/// The tokens behind a module.
pub(crate) fn tokens(module: &Module) -> Result<Vec<Connected>, DeviceError> {
    let tokens = touchkeep_device_pkcs11::tokens(&launch()?, module.file.clone())?;
    let one = |token: touchkeep_device_pkcs11::Token| Connected::Pkcs11 {
        module: Box::new(module.clone()),
        choice: token.choice,
        model: token.model,
        firmware: token.firmware,
    };
    Ok(tokens.into_iter().map(one).collect())
}

// The child is this program again, as `agent pkcs11-host --module PATH`.
fn launch() -> Result<Launch, DeviceError> {
    let program = std::env::current_exe().map_err(|error| {
        DeviceError::Middleware(format!("our own program is not found: {error}"))
    })?;
    Ok(Launch {
        program,
        args: vec!["agent".into(), "pkcs11-host".into()],
        env: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_named_as_the_card_does_or_as_the_plugin_does() {
        for (text, slot) in [
            ("1", "82"),
            ("20", "95"),
            ("82", "82"),
            ("8A", "8a"),
            ("21", "21"),
        ] {
            assert_eq!(slot_of(text), slot);
        }
    }
}
