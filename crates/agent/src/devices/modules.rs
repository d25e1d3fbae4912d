//! PKCS#11 modules as they are used here: the file that was enrolled, and what the configuration says of it and its tokens.

use std::path::PathBuf;

use serde::Deserialize;
use touchkeep_core::{Code, text::visible};
use touchkeep_device::{KeyRef, Purpose};
use touchkeep_device_pkcs11::{
    ModuleFile,
    device::{NamedKey, Options},
    module::{ModuleHash, hash_of},
};
use touchkeep_wire::Failure;

use super::tokens;

/// A module of the configuration: its path alone, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum ModuleEntry {
    /// Nothing is special about it.
    Path(PathBuf),
    /// What is special about it.
    Table(ModuleTable),
}

/// What is special about a module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModuleTable {
    /// Its absolute path.
    path: PathBuf,
    /// What it wants to be initialised with: NSS takes its folder so.
    init: Option<String>,
    /// Make keys although the token does not say that it keeps them. They are worth what its file is.
    #[serde(default)]
    keys_may_leave: bool,
    /// Have enrolment make a seal key that asks for the PIN at each use (RSA, CKA_ALWAYS_AUTHENTICATE).
    #[serde(default)]
    seal_asks_each_time: bool,
    /// Keys that somebody else made; of a token that has some here no others are used, and none is made.
    #[serde(default)]
    keys: Vec<KeyEntry>,
}

/// A key that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    /// The token's label.
    token: String,
    /// Its CKA_ID, in hex.
    id: String,
    purpose: KeyPurpose,
    /// Whether it asks for the PIN at each use (CKA_ALWAYS_AUTHENTICATE).
    #[serde(default)]
    asks_each_time: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeyPurpose {
    Unlock,
    Seal,
    SignVault,
}

impl ModuleEntry {
    pub(crate) const fn path(&self) -> &PathBuf {
        match self {
            Self::Path(path) => path,
            Self::Table(table) => &table.path,
        }
    }
}

/// A module that tokens are looked for in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// The file, and what it was when a token of it was enrolled.
    pub(crate) file: ModuleFile,
    table: Option<ModuleTable>,
}

impl Module {
    /// A module, with what the configuration says of it.
    pub(crate) fn new(mut file: ModuleFile, configured: &[ModuleEntry]) -> Self {
        let table = configured.iter().find_map(|entry| match entry {
            ModuleEntry::Table(table) if table.path == file.path => Some(table.clone()),
            _ => None,
        });
        if let Some(init) = table.as_ref().and_then(|table| table.init.clone()) {
            file.init = Some(init);
        }
        Self { file, table }
    }

    /// How one of its tokens is to be used.
    pub(crate) fn options(&self, token: &str) -> Options {
        let Some(table) = &self.table else {
            return Options::default();
        };
        let named = table.keys.iter().filter(|key| key.token == token);
        Options {
            danger_keys_may_leave: table.keys_may_leave,
            seal_asks_each_time: table.seal_asks_each_time,
            named: named.map(KeyEntry::named).collect(),
            ..Options::default()
        }
    }

    /// What it is now and what it was, where that is not the same.
    pub(crate) fn change(&self) -> Option<(ModuleHash, ModuleHash)> {
        let was = self.file.sha256?;
        let now = hash_of(&self.file.path).ok()?;
        (was != now).then_some((was, now))
    }

    /// What to say where it is another file than when a token of it was enrolled. Nothing of it is loaded.
    pub(crate) fn refused_as_changed(&self) -> Option<Failure> {
        let _changed = self.change()?;
        let path = visible(&self.file.path.display().to_string());
        let error = tokens(self).err()?;
        Some(Failure::new(
            Code::DeviceFailed,
            format!("The token is not used: {error}."),
            format!(
                "If you updated it, open the vault with another of its devices or with the recovery kit, and then: touchkeep device accept-module {path}. If nobody did, put the former one back from a source that you trust."
            ),
        ))
    }

    // Why nothing is seen behind it, for a person who misses a token.
    fn refusal(&self) -> Option<Failure> {
        if self.change().is_some() {
            return self.refused_as_changed();
        }
        let path = visible(&self.file.path.display().to_string());
        let error = tokens(self).err()?;
        Some(Failure::new(
            Code::DeviceFailed,
            format!("The module {path} shows no token: {error}."),
            "Look at: touchkeep doctor",
        ))
    }
}

impl KeyEntry {
    fn named(&self) -> NamedKey {
        NamedKey {
            key: KeyRef(self.id.to_ascii_lowercase()),
            purpose: match self.purpose {
                KeyPurpose::Unlock => Purpose::Unlock,
                KeyPurpose::Seal => Purpose::Seal,
                KeyPurpose::SignVault => Purpose::SignVault,
            },
            asks_each_time: self.asks_each_time,
        }
    }
}

/// Why a token is missed: the first module that could not be used.
pub(crate) fn why_missed(modules: &[Module]) -> Option<Failure> {
    modules.iter().find_map(Module::refusal)
}
