//! `init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::number;

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The new file.
    #[arg(long)]
    pub(crate) path: Option<PathBuf>,
    /// What opens it: `software`, `piv`, `piv:SERIAL`, `pkcs11:MODULE:TOKEN`.
    #[arg(long, default_value = "software")]
    pub(crate) device: String,
    /// Your display name.
    #[arg(long, default_value = "me")]
    pub(crate) user: String,
    /// The first environment's display name.
    #[arg(long, default_value = "prod")]
    pub(crate) environment: String,
    /// A vault for practice, which accepts practice addresses and says so everywhere.
    #[arg(long)]
    pub(crate) practice: bool,
    /// The way back in case the device is lost. It has to open the vault before `init` ends. `later` leaves that for another
    /// time; so it is in practice vaults where nothing is said.
    #[arg(long, value_enum)]
    pub(crate) recovery: Option<WayBack>,
    /// The second device of `--recovery device`: `piv` (the one that is not in the vault yet), `piv:SERIAL`,
    /// `pkcs11:MODULE:TOKEN`, `software`.
    #[arg(long, value_name = "DEVICE", default_value = "piv")]
    pub(crate) second: String,
    /// Also write the kit as a page to be printed. The file holds the words: keep it off disks, and remove it.
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
    /// log2 of scrypt's N, for a software device. Less than 18 only for practice.
    #[arg(long, default_value_t = 18, value_parser = number::whole::<u8>)]
    pub(crate) work_factor: u8,
    /// Unlock with the key that age-plugin-yubikey has in this slot (82 to 95, or as it counts them, 1 to 20), instead of a new one.
    /// It stays the plugin's, too.
    #[arg(long, value_name = "SLOT")]
    pub(crate) adopt: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WayBack {
    /// 24 words on paper.
    Kit,
    /// A second device (`--second`): connected when it is asked for.
    Device,
    /// Not now.
    Later,
}
