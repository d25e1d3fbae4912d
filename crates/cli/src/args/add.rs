//! `add`.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("place").args(["sealed", "on_device"]))]
pub(crate) struct Add {
    /// Its name.
    pub(crate) name: String,
    /// Whose key it is.
    #[arg(long)]
    pub(crate) venue: String,
    /// The venue account; the keys of one account form a key set.
    #[arg(long, default_value = "main")]
    pub(crate) key_set: String,
    /// What the key may do at the venue.
    #[arg(long, value_enum)]
    pub(crate) class: Class,
    /// The venue's name for the key (its public half).
    #[arg(long, default_value = "")]
    pub(crate) api_key: String,
    /// Seal the secret to the device: every use is touched.
    #[arg(long)]
    pub(crate) sealed: bool,
    /// Make an RSA-2048 key on the device instead; its secret never leaves it.
    #[arg(long)]
    pub(crate) on_device: bool,
    /// Read the secret from this file descriptor instead of asking.
    #[arg(long, value_name = "FD")]
    pub(crate) secret_fd: Option<i32>,
    /// The venue's address, for practice vaults.
    #[arg(long)]
    pub(crate) base_url: Option<String>,
    /// Remind to rotate it after this many days.
    #[arg(long, value_name = "DAYS")]
    pub(crate) rotate_after_days: Option<u32>,
    /// How many days ago the key was made at the venue.
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    pub(crate) age_days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Class {
    Read,
    Trade,
    MoveMoney,
    KeyAdmin,
}

impl Class {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Trade => "trade",
            Self::MoveMoney => "move-money",
            Self::KeyAdmin => "key-admin",
        }
    }
}
