//! `add` and `edit`.

use clap::{Args, ValueEnum};

use super::number;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("place").args(["sealed", "on_device", "into_device"]))]
pub(crate) struct Add {
    /// Its name.
    pub(crate) name: String,
    /// What it is.
    #[arg(long, value_enum, default_value_t = Kind::ExchangeKey)]
    pub(crate) kind: Kind,
    /// The environment that it comes into: a name or an id. The first one where absent.
    #[arg(long, short = 'e', value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// A word to find it by; may be repeated.
    #[arg(long, value_name = "WORD")]
    pub(crate) tag: Vec<String>,
    /// A text that everybody who can unlock may read.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// A plain field, as in owner=ada or expires=2027-01-31; may be repeated. Never a secret.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) field: Vec<(String, String)>,
    /// Whose key it is (exchange keys).
    #[arg(long)]
    pub(crate) venue: Option<String>,
    /// The venue account; the keys of one account form a key set (exchange keys).
    #[arg(long)]
    pub(crate) key_set: Option<String>,
    /// What the key may do at the venue (exchange keys).
    #[arg(long, value_enum)]
    pub(crate) class: Option<Class>,
    /// The venue's or service's name for the key: its public half.
    #[arg(long)]
    pub(crate) api_key: Option<String>,
    /// Seal its secrets to the device: every use is touched.
    #[arg(long)]
    pub(crate) sealed: bool,
    /// Make a key on the device instead; its secret never leaves it (exchange keys). See: touchkeep device keys-for
    #[arg(long)]
    pub(crate) on_device: bool,
    /// Put the secret that the venue handed out into the device; no copy stays in the vault (exchange keys).
    #[arg(long)]
    pub(crate) into_device: bool,
    /// Which device of the vault: its serial number or id. The one that unlocked where absent.
    #[arg(
        long,
        value_name = "DEVICE",
        requires = "place",
        conflicts_with = "sealed"
    )]
    pub(crate) device: Option<String>,
    /// Which kind of key to make. The best that the venue takes and the device can where absent.
    #[arg(long, value_enum, requires = "on_device")]
    pub(crate) algorithm: Option<KeyKind>,
    /// Whether the key waits for a touch. Keys that move money always do; others never where absent.
    #[arg(long, value_enum, requires = "place", conflicts_with = "sealed")]
    pub(crate) touch: Option<Touch>,
    #[command(flatten)]
    pub(crate) secrets: Secrets,
    /// The venue's address, for practice vaults.
    #[arg(long)]
    pub(crate) base_url: Option<String>,
    /// Remind to rotate it after this many days.
    #[arg(long, value_name = "DAYS", value_parser = number::whole::<u32>)]
    pub(crate) rotate_after_days: Option<u32>,
    /// How many days ago the key was made at the venue.
    #[arg(long, value_name = "DAYS", default_value_t = 0, value_parser = number::whole::<u32>)]
    pub(crate) age_days: u32,
    /// It was in plaintext somewhere: mark it as to be rotated.
    #[arg(long)]
    pub(crate) plaintext_seen: bool,
}

/// Where secrets are read from; never from arguments, which other programs can see.
#[derive(Debug, Args)]
pub(crate) struct Secrets {
    /// Read the secret from this file descriptor instead of asking.
    #[arg(long, value_name = "FD")]
    pub(crate) secret_fd: Option<i32>,
    /// Ask for a further secret, such as passphrase; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) secret_field: Vec<String>,
    /// Read a further secret from a file descriptor, as in passphrase=4; may be repeated.
    #[arg(long, value_name = "NAME=FD", value_parser = descriptor)]
    pub(crate) field_fd: Vec<(String, i32)>,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// Name, id or tk://environment/item.
    pub(crate) item: String,
    /// Another name. References by the old one end.
    #[arg(long, value_name = "NEW")]
    pub(crate) name: Option<String>,
    /// Set a plain field, as in owner=ada or expires=2027-01-31; may be repeated. Never a secret.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Empty a field, plain or secret; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) unset: Vec<String>,
    /// Add a tag; may be repeated.
    #[arg(long, value_name = "WORD")]
    pub(crate) tag: Vec<String>,
    /// Take a tag off; may be repeated.
    #[arg(long, value_name = "WORD")]
    pub(crate) untag: Vec<String>,
    /// Another note.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Remind to rotate it after this many days.
    #[arg(long, value_name = "DAYS", value_parser = number::whole::<u32>)]
    pub(crate) rotate_after_days: Option<u32>,
    /// How many days ago the key was made at the venue. A new secret begins at 0 where nothing is said.
    #[arg(long, value_name = "DAYS", value_parser = number::whole::<u32>)]
    pub(crate) age_days: Option<u32>,
    /// Ask for a new secret.
    #[arg(long, conflicts_with = "secret_fd")]
    pub(crate) secret: bool,
    #[command(flatten)]
    pub(crate) secrets: Secrets,
    /// Seal the new secrets to the device: every use is touched.
    #[arg(long)]
    pub(crate) sealed: bool,
    /// Take what is kept of earlier versions out of the vault.
    #[arg(long)]
    pub(crate) forget_old: bool,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A key that requests to a venue are signed with
    ExchangeKey,
    /// A key that a program shows to a service
    ApiKey,
    /// An OAuth client and its tokens
    OauthClient,
    /// The seed of one-time codes (RFC 6238)
    OtpSeed,
    /// An SSH key, or another key in PEM
    SshKey,
    /// A text
    Note,
    /// A name and a password
    Login,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ExchangeKey => "exchange-key",
            Self::ApiKey => "api-key",
            Self::OauthClient => "oauth-client",
            Self::OtpSeed => "otp-seed",
            Self::SshKey => "ssh-key",
            Self::Note => "note",
            Self::Login => "login",
        }
    }

    /// What its chief secret is called when somebody is asked for it.
    pub(crate) const fn secret_name(self) -> &'static str {
        match self {
            Self::ExchangeKey => "Secret",
            Self::ApiKey => "Key",
            Self::OauthClient => "Client secret",
            Self::OtpSeed => "Seed",
            Self::SshKey => "Private key",
            Self::Note => "Text",
            Self::Login => "Password",
        }
    }
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

/// Kinds of keys that are made on devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyKind {
    Ed25519,
    P256,
    Rsa2048,
    Secp256k1,
}

impl KeyKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
            Self::Secp256k1 => "secp256k1",
        }
    }
}

/// Forms of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyForm {
    /// SubjectPublicKeyInfo in PEM
    Pem,
    /// The bytes of the key itself, in base64
    Base64,
    /// The same in hexadecimal
    Hex,
    /// The address of a secp256k1 key
    Address,
}

impl KeyForm {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Address => "address",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Touch {
    /// No touch: rules alone decide
    Never,
    /// One touch is good for 15 seconds
    Cached,
    /// A touch for each signature
    Always,
}

impl Touch {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Cached => "cached",
            Self::Always => "always",
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn descriptor(text: &str) -> Result<(String, i32), String> {
    let (name, fd) = pair(text).map_err(|_| "write it as NAME=FD".to_owned())?;
    let fd = fd.parse().map_err(|_| "write it as NAME=FD".to_owned())?;
    Ok((name, fd))
}
