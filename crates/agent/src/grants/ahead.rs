//! What a program was allowed ahead, before anybody could be asked: kept in the vault, so that a signature stands behind it,
//! and bound to this machine, so that a shared vault does not carry it to others.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use touchkeep_core::{Id, ItemId, UnixMillis, text::visible};
use touchkeep_vault::Unlocked;
use touchkeep_wire::GrantSummary;

use crate::caller::{Hashes, Process};

/// The setting of the vault that holds them.
pub(crate) const SETTING: &str = "grants";

/// A program that was allowed items ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ahead {
    /// Its id.
    pub(crate) id: Id,
    /// The machine that it holds on, by the id of the audit log that it keeps of this vault.
    pub(crate) machine: Id,
    /// The program's file, or a script's.
    pub(crate) path: PathBuf,
    /// For a script: what runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interpreter: Option<Interpreter>,
    /// SHA-256 of that file, in hex.
    pub(crate) sha256: String,
    /// Which items.
    pub(crate) items: Vec<ItemId>,
    /// When it was given.
    pub(crate) given: UnixMillis,
    /// When it ends.
    pub(crate) until: UnixMillis,
}

/// What runs a script, by its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interpreter {
    /// The program.
    pub(crate) path: PathBuf,
    /// What it is given before the script.
    pub(crate) options: Vec<String>,
}

impl Ahead {
    /// Whether it is for this client now: its file is at that path, is what it was, and is what runs. A clock that was set
    /// back to before it was given ends it, too.
    pub(super) fn is_for(&self, client: &Process, hashes: &Hashes, now: UnixMillis) -> bool {
        let Some(executable) = &client.executable else {
            return false;
        };
        if now < self.given
            || self.until <= now
            || executable.is_deleted()
            || executable.is_elsewhere()
        {
            return false;
        }
        let hash = match &self.interpreter {
            None if executable.path() == self.path => hashes.of(executable),
            Some(interpreter)
                if executable.path() == interpreter.path
                    && executable.runs_script(&self.path, &interpreter.options) =>
            {
                hashes.of_path(&self.path)
            }
            _ => return false,
        };
        hash.is_ok_and(|hash| HEXLOWER.encode(&hash) == self.sha256)
    }

    pub(super) fn covers(&self, item: ItemId) -> bool {
        self.items.contains(&item)
    }

    /// For a person.
    pub(crate) fn summary(&self, vault: &Unlocked) -> GrantSummary {
        let name = |item: &ItemId| {
            vault
                .item(*item)
                .map_or_else(|| format!("{item} (removed)"), |item| item.name.clone())
        };
        GrantSummary {
            id: self.id.to_string(),
            kind: "ahead".to_owned(),
            client: self
                .path
                .file_name()
                .map(|name| visible(&name.to_string_lossy()))
                .unwrap_or_default(),
            holder: visible(&self.path.to_string_lossy()),
            items: self.items.iter().map(name).collect(),
            given: self.given,
            seconds_left: None,
            until: Some(self.until),
            what: None,
            uses_left: None,
        }
    }

    /// Those that a vault holds, for every machine. Text that cannot be read allows nothing.
    pub(crate) fn read_all(vault: &Unlocked) -> Vec<Self> {
        // A copy that is not the one that was seen last may hold what somebody else wants.
        if vault.read_only().is_some() {
            return Vec::new();
        }
        let Some(text) = vault.setting(SETTING).filter(|text| !text.is_empty()) else {
            return Vec::new();
        };
        serde_json::from_str(text).unwrap_or_else(|error| {
            tracing::error!(%error, "what was allowed ahead cannot be read, so nothing is");
            Vec::new()
        })
    }

    /// As the vault keeps them.
    pub(crate) fn write_all(all: &[Self]) -> String {
        serde_json::to_string(all).unwrap_or_default()
    }
}
