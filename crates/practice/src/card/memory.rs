//! What survives a power cut: PIN, PUK, management key, keys and objects. Kept in a file if the card was given one.

use super::{
    Firmware, attest,
    key::{Algorithm, Origin, Private, SlotKey},
    management::{Kind, ManagementKey},
    policy::{Policies, TouchPolicy},
    secret::{FACTORY_TRIES, Secret},
    slot::Slot,
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// PIN of a factory key.
pub(crate) const FACTORY_PIN: &str = "123456";
/// PUK of a factory key.
pub(crate) const FACTORY_PUK: &str = "12345678";

/// Everything that the card remembers.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) serial: u32,
    pub(crate) firmware: Firmware,
    pub(crate) pin: Secret,
    pub(crate) puk: Secret,
    pub(crate) management: ManagementKey,
    pub(crate) keys: BTreeMap<Slot, SlotKey>,
    pub(crate) objects: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Was slot F9 filled, as the factory fills it?
    pub(crate) attestation_made: bool,
}

impl Memory {
    /// An empty card; `None` if PIN or PUK do not have six to eight bytes.
    pub(crate) fn new(serial: u32, firmware: Firmware, pin: &str, puk: &str) -> Option<Self> {
        Some(Self {
            serial,
            firmware,
            pin: Secret::new(pin.as_bytes(), FACTORY_TRIES)?,
            puk: Secret::new(puk.as_bytes(), FACTORY_TRIES)?,
            management: ManagementKey::factory(firmware),
            keys: BTreeMap::new(),
            objects: BTreeMap::new(),
            attestation_made: false,
        })
    }

    /// Forgets everything but serial, firmware and slot F9, as RESET does.
    pub(crate) fn wipe(&mut self) -> Option<()> {
        let fresh = Self::new(self.serial, self.firmware, FACTORY_PIN, FACTORY_PUK)?;
        let old = std::mem::replace(self, fresh);
        self.attestation_made = old.attestation_made;
        let key = |(slot, _): &(Slot, SlotKey)| *slot == Slot::ATTESTATION;
        self.keys.extend(old.keys.into_iter().filter(key));
        let certificate = |(id, _): &(Vec<u8>, Vec<u8>)| *id == attest::CERTIFICATE;
        self.objects
            .extend(old.objects.into_iter().filter(certificate));
        Some(())
    }
}

/// Why a state file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StateError {
    /// Reading or writing failed.
    #[error("the card's state file {path} could not be read or written")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not a state of a practice card.
    #[error("{path} is not the state of a practice card: {why}")]
    NotAState {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The file that a card writes its memory to.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    written: String,
}

impl StateFile {
    /// Opens the state at `path`, or starts one with `fresh` if there is none.
    pub(crate) fn open(path: &Path, fresh: Memory) -> Result<(Self, Memory), StateError> {
        let memory = match fs::read_to_string(path) {
            Ok(text) => read(&text).map_err(|why| StateError::NotAState {
                path: path.to_owned(),
                why,
            })?,
            Err(source) if source.kind() == io::ErrorKind::NotFound => fresh,
            Err(source) => {
                return Err(StateError::Io {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let mut file = Self {
            path: path.to_owned(),
            written: String::new(),
        };
        file.save(&memory).map_err(|source| StateError::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok((file, memory))
    }

    /// Writes the memory if it changed: temporary file (0600) in the same folder, sync, rename.
    pub(crate) fn save(&mut self, memory: &Memory) -> io::Result<()> {
        let text = serde_json::to_string_pretty(&Stored::from(memory))?;
        if text == self.written {
            return Ok(());
        }
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        self.written = text;
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    practice_card: u32,
    serial: u32,
    firmware: Firmware,
    pin: Secret,
    puk: Secret,
    management_kind: Kind,
    management_key: String,
    management_touch: TouchPolicy,
    keys: Vec<StoredKey>,
    objects: BTreeMap<String, String>,
    #[serde(default)]
    attestation_made: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    slot: u8,
    algorithm: Algorithm,
    policies: Policies,
    origin: Origin,
    secrets: Vec<String>,
}

const STATE_VERSION: u32 = 1;

impl From<&Memory> for Stored {
    fn from(memory: &Memory) -> Self {
        let keys = memory.keys.iter().map(|(slot, key)| StoredKey {
            slot: slot.reference(),
            algorithm: key.private.algorithm(),
            policies: key.policies,
            origin: key.origin,
            secrets: key
                .private
                .secrets()
                .iter()
                .map(|secret| HEXLOWER.encode(secret))
                .collect(),
        });
        Self {
            practice_card: STATE_VERSION,
            serial: memory.serial,
            firmware: memory.firmware,
            pin: memory.pin.clone(),
            puk: memory.puk.clone(),
            management_kind: memory.management.kind,
            management_key: HEXLOWER.encode(&memory.management.bytes),
            management_touch: memory.management.touch,
            keys: keys.collect(),
            objects: memory
                .objects
                .iter()
                .map(|(id, data)| (HEXLOWER.encode(id), HEXLOWER.encode(data)))
                .collect(),
            attestation_made: memory.attestation_made,
        }
    }
}

fn read(text: &str) -> Result<Memory, String> {
    let stored: Stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if stored.practice_card != STATE_VERSION {
        return Err(format!(
            "version {} instead of {STATE_VERSION}",
            stored.practice_card
        ));
    }
    let mut keys = BTreeMap::new();
    for key in &stored.keys {
        let slot = Slot::new(key.slot).map_err(|_| format!("no slot {:02x}", key.slot))?;
        let secrets = key
            .secrets
            .iter()
            .map(|secret| unhex(secret))
            .collect::<Result<Vec<_>, _>>()?;
        let private = Private::from_secrets(key.algorithm, &secrets)
            .map_err(|_| format!("bad key in slot {:02x}", key.slot))?;
        keys.insert(
            slot,
            SlotKey {
                private,
                policies: key.policies,
                origin: key.origin,
            },
        );
    }
    let mut objects = BTreeMap::new();
    for (id, data) in &stored.objects {
        objects.insert(unhex(id)?, unhex(data)?);
    }
    let management = ManagementKey::new(
        stored.management_kind,
        &unhex(&stored.management_key)?,
        stored.management_touch,
    )
    .map_err(|_| "bad management key".to_owned())?;
    Ok(Memory {
        serial: stored.serial,
        firmware: stored.firmware,
        pin: stored.pin,
        puk: stored.puk,
        management,
        keys,
        objects,
        attestation_made: stored.attestation_made,
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    HEXLOWER
        .decode(text.as_bytes())
        .map_err(|error| error.to_string())
}
