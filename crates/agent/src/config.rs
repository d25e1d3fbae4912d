//! `config.toml`: what a person may set. Unknown names are refused, so that a misspelt limit is not a silent one.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::{devices::ModuleEntry, vault::Because};

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The vault that is meant where none is named.
    pub(crate) vault: Option<PathBuf>,
    /// The proxy's port; a free one, kept from then on, where absent.
    pub(crate) proxy_port: Option<u16>,
    /// Seconds without a request or a call until the vault is locked.
    pub(crate) idle_lock_seconds: u64,
    /// Seconds until an approval that nobody answers is a refusal.
    pub(crate) approval_seconds: u64,
    /// Seconds until a PIN or passphrase that nobody types is a refusal.
    pub(crate) secret_seconds: u64,
    /// Whether safer ways are pointed out where a program is given a key that the proxy could use instead of it.
    pub(crate) hints: bool,
    /// Seconds until a program that was let through is asked about again.
    pub(crate) grant_seconds: u64,
    /// What locks the vault.
    pub(crate) lock: LockConfig,
    /// Devices.
    pub(crate) device: DeviceConfig,
}

/// `[lock]`: what locks the vault beside the time of `idle_lock_seconds`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LockConfig {
    /// The machine goes to sleep.
    pub(crate) sleep: bool,
    /// The screen is locked.
    pub(crate) screen: bool,
    /// Another user takes the seat.
    pub(crate) user_switch: bool,
    /// The device that unlocked it is taken away.
    pub(crate) removal: bool,
}

/// `[device]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DeviceConfig {
    /// `[device.pkcs11]`.
    pub(crate) pkcs11: Pkcs11Config,
}

/// `[device.pkcs11]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pkcs11Config {
    /// The modules to look for tokens in, by their absolute paths.
    pub(crate) modules: Vec<ModuleEntry>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not as it should be.
    #[error("{}: {why}", .path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with the line.
        why: String,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vault: None,
            proxy_port: None,
            idle_lock_seconds: 15 * 60,
            approval_seconds: 60,
            secret_seconds: 120,
            hints: true,
            grant_seconds: 60 * 60,
            lock: LockConfig::default(),
            device: DeviceConfig::default(),
        }
    }
}

impl Default for LockConfig {
    fn default() -> Self {
        Self {
            sleep: true,
            screen: true,
            user_switch: true,
            removal: true,
        }
    }
}

impl LockConfig {
    /// Whether this locks.
    pub(crate) const fn is_wanted(&self, because: Because) -> bool {
        match because {
            Because::Sleep => self.sleep,
            Because::Screen => self.screen,
            Because::UserSwitch => self.user_switch,
            Because::Removal => self.removal,
            Because::Idle
            | Because::Asked
            | Because::AskedAll
            | Because::NewVault
            | Because::Elsewhere => true,
        }
    }
}

impl Config {
    /// Reads the file; the defaults where there is none.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|why| ConfigError::Invalid {
                path: path.to_owned(),
                why,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let relative = config
            .vault
            .iter()
            .chain(config.device.pkcs11.modules.iter().map(ModuleEntry::path))
            .find(|path| !path.is_absolute());
        match relative {
            Some(path) => Err(format!("{} is not an absolute path", path.display())),
            None if config.idle_lock_seconds == 0 || config.approval_seconds == 0 => {
                Err("a time of 0 would never let anything through".to_owned())
            }
            None => Ok(config),
        }
    }

    pub(crate) const fn idle_lock(&self) -> Duration {
        Duration::from_secs(self.idle_lock_seconds)
    }

    pub(crate) const fn grant(&self) -> Duration {
        Duration::from_secs(self.grant_seconds)
    }

    pub(crate) const fn secret(&self) -> Duration {
        Duration::from_secs(self.secret_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_a_default() {
        let config =
            Config::parse("approval_seconds = 5\n[device.pkcs11]\nmodules = [\"/a.so\"]").unwrap();
        assert_eq!(config.approval_seconds, 5);
        assert_eq!(config.idle_lock(), Duration::from_secs(900));
        let modules = &config.device.pkcs11.modules;
        assert_eq!(*modules, [ModuleEntry::Path(PathBuf::from("/a.so"))]);
        let more = "[[device.pkcs11.modules]]\npath = \"/b.so\"\ninit = \"configdir='x'\"\nkeys_may_leave = true\n\
            keys = [{ token = \"t\", id = \"0A\", purpose = \"sign-vault\" }]";
        let config = Config::parse(more).unwrap();
        assert_eq!(
            *config.device.pkcs11.modules[0].path(),
            PathBuf::from("/b.so")
        );
    }

    #[test]
    fn each_reason_to_lock_can_be_switched_off_and_the_others_stay() {
        let config = Config::parse("[lock]\nscreen = false").unwrap();
        assert!(!config.lock.is_wanted(Because::Screen));
        for because in [
            Because::Sleep,
            Because::UserSwitch,
            Because::Removal,
            Because::Idle,
        ] {
            assert!(config.lock.is_wanted(because));
        }
    }

    #[test]
    fn misspelt_relative_and_endless_are_refused() {
        for bad in [
            "aproval_seconds = 5",
            "vault = \"here\"",
            "approval_seconds = 0",
            "[lock]\nscren = false",
            "[device.pkcs11]\nmodules = [\"libsofthsm2.so\"]",
            "[[device.pkcs11.modules]]\npath = \"b.so\"",
            "[[device.pkcs11.modules]]\npath = \"/b.so\"\ninitt = \"x\"",
            "[[device.pkcs11.modules]]\npath = \"/b.so\"\nkeys = [{ token = \"t\", id = \"0a\", purpose = \"request\" }]",
        ] {
            assert!(Config::parse(bad).is_err(), "{bad}");
        }
    }
}
