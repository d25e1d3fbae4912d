//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const HELP: &str = "\
First steps:
  touchkeep demo                      the whole story in two minutes, with a practice card and a practice exchange
  touchkeep init --device piv         make a vault that opens with the connected YubiKey
  touchkeep add trade --venue binance --key-set main --class trade --api-key KEY
  touchkeep proxy add grid-bot --key-set main

Exit codes: 0 done, 1 refused or findings, 2 usage, 3 locked or no device, 4 damaged or not authentic.";

/// Keeps exchange and API keys behind a YubiKey or an HSM, and signs what your bots send.
#[derive(Debug, Parser)]
#[command(name = "touchkeep", version, after_help = HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// For every verb.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Global {
    /// Print JSON on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Never ask anything: fail instead.
    #[arg(long, global = true)]
    pub(crate) no_interaction: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a vault.
    #[command(
        after_help = "It ends when a way back has been tried: a recovery kit (24 words on paper), or a second device.\n\nExamples:\n  touchkeep init                      a passphrase (software device; weaker than hardware)\n  touchkeep init --device piv         the one connected YubiKey\n  touchkeep init --device piv:12345678\n  touchkeep init --device pkcs11:/usr/lib/softhsm/libsofthsm2.so:my-token"
    )]
    Init(Init),
    /// Open the vault.
    #[command(
        after_help = "Examples:\n  touchkeep unlock                        with the first of its devices that is connected, hardware first\n  touchkeep unlock --device 12345678\n  touchkeep unlock --device passphrase    while a key is connected, too"
    )]
    Unlock {
        /// The vault file; the one used last where absent.
        path: Option<PathBuf>,
        /// Which of its devices: a serial number, an id, or `passphrase`.
        #[arg(long)]
        device: Option<String>,
    },
    /// Forget every key.
    Lock,
    /// How things are.
    Status,
    /// Find out what does not work, and what to do about it.
    #[command(
        after_help = "Looks at the agent, the vault file, pcscd, polkit, YubiKeys, PKCS#11 modules, memory, clock and desktop. Asks for no PIN,\nspends no try, and changes nothing. Ends with 1 when there is a problem."
    )]
    Doctor {
        /// Show what is in order in full, too.
        #[arg(long)]
        all: bool,
    },
    /// Be the agent, in the foreground (or `stop` the one that runs).
    Agent(Agent),
    /// Store a credential. The secret is asked on the terminal, or read from --secret-fd.
    #[command(
        after_help = "Examples:\n  touchkeep add trade --venue binance --key-set main --class trade --api-key KEY\n  touchkeep add money --venue binance --key-set main --class move-money --api-key KEY --sealed\n  touchkeep add money --venue binance --key-set main --class move-money --on-device\n  touchkeep add trade … --secret-fd 3 3<secret.txt"
    )]
    Add(Add),
    /// List the items.
    #[command(visible_alias = "ls")]
    List,
    /// Say what a venue calls a key, once its public half was uploaded there.
    SetApiKey {
        /// Name or id.
        item: String,
        /// The venue's name for it.
        api_key: String,
    },
    /// Print the public key of a key on the device, as the venue wants it.
    PublicKey {
        /// Name or id.
        item: String,
    },
    /// Remove an item.
    Rm {
        /// Name or id.
        item: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Programs that may use the local proxy.
    #[command(subcommand)]
    Proxy(Proxy),
    /// What is signed by rule, what is asked, what is refused.
    #[command(subcommand)]
    Policy(Policy),
    /// Answer requests that wait for a person, in this terminal.
    #[command(
        after_help = "Stays until Ctrl-C. Each request is shown in plain words; type `approve` to go on, anything else refuses."
    )]
    Approve {
        /// End after the first answer.
        #[arg(long)]
        once: bool,
    },
    /// What happened, and the proof that nobody changed the story.
    #[command(subcommand)]
    Audit(Audit),
    /// Keys and when they are due for rotation.
    Remind {
        /// Raise what is due now as desktop notifications.
        #[arg(long)]
        now: bool,
    },
    /// Keys to touch: what is connected, and what opens the vault.
    #[command(subcommand)]
    Device(Device),
    /// The way back when a device is lost: made, tried, used.
    #[command(subcommand)]
    Recover(Recover),
    /// Older copies of the vault.
    #[command(subcommand)]
    Backup(Backup),
    /// Take another copy of the vault in: nothing is lost, whichever was newer. Needs no key.
    #[command(
        after_help = "Examples:\n  touchkeep merge ~/Dropbox/'vault (conflicted copy).touchkeep'\n  touchkeep merge vault.touchkeep.1"
    )]
    Merge {
        /// The other copy.
        path: PathBuf,
    },
    /// The whole story in two minutes, with a practice card and a practice exchange.
    #[command(
        after_help = "Everything lives in a private folder that is removed at the end (--keep leaves it). Nothing of yours is touched:\nno reader, no vault, no agent but those that the demo makes itself."
    )]
    Demo(Demo),
    /// Print shell completions.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

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
    /// log2 of scrypt's N, for a software device. Less than 18 only for practice.
    #[arg(long, default_value_t = 18)]
    pub(crate) work_factor: u8,
    /// Unlock with the key that age-plugin-yubikey has in this slot (82 to 95), instead of a new one. It stays the plugin's, too.
    #[arg(long, value_name = "SLOT")]
    pub(crate) adopt: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WayBack {
    /// 24 words on paper.
    Kit,
    /// A second device: connected when it is asked for.
    Device,
    /// Not now.
    Later,
}

#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// Started on demand by another program.
    #[arg(long, hide = true)]
    pub(crate) background: bool,
    #[command(subcommand)]
    pub(crate) verb: Option<AgentVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentVerb {
    /// End the agent that runs, after locking.
    Stop,
    /// Serve one PKCS#11 module to the agent over stdin and stdout.
    #[command(hide = true)]
    Pkcs11Host {
        /// Absolute path of the module.
        #[arg(long)]
        module: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Class {
    Read,
    Trade,
    MoveMoney,
    KeyAdmin,
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum Proxy {
    /// Let a program use a key set; prints its token once.
    Add {
        /// Its name.
        name: String,
        /// What it may use.
        #[arg(long, default_value = "main")]
        key_set: String,
    },
    /// Programs that may use it.
    List,
    /// End a program's access at once.
    Revoke {
        /// Name or id.
        client: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Print the policy.
    Show,
    /// Replace the policy: a touch, or the passphrase.
    Set {
        /// A TOML file; `-` for stdin.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// The newest rows.
    List {
        /// How many.
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: u32,
        /// Rows below this number.
        #[arg(long)]
        before: Option<u64>,
        /// Only this kind; may be repeated.
        #[arg(long)]
        kind: Vec<String>,
    },
    /// Check every row, the tree, the checkpoints and the vault's witness.
    Verify {
        /// A copy of the log instead of the agent's own.
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Connected devices, and those that open the vault.
    List,
    /// Let another device open the vault.
    #[command(
        after_help = "Examples:\n  touchkeep device enroll piv                 the one connected YubiKey that is not in the vault yet\n  touchkeep device enroll piv:12345678\n  touchkeep device enroll pkcs11:/usr/lib/softhsm/libsofthsm2.so:my-token\n  touchkeep device enroll software            another passphrase\n\nThe device that unlocked the vault signs. Values that are sealed already stay closed to the new one until\n`touchkeep device reseal`."
    )]
    Enroll {
        /// `piv`, `piv:SERIAL`, `pkcs11:MODULE:TOKEN`, `software`.
        device: String,
        /// log2 of scrypt's N, for a passphrase. Less than 18 only for practice.
        #[arg(long, default_value_t = 18)]
        work_factor: u8,
        /// Unlock with the key that age-plugin-yubikey has in this slot (82 to 95), instead of a new one. It stays the plugin's, too.
        #[arg(long, value_name = "SLOT")]
        adopt: Option<String>,
    },
    /// Everything about a card that is worth knowing before it is trusted. Asks for nothing and changes nothing.
    Inspect {
        /// The number printed on the key.
        serial: String,
    },
    /// What the card's maker says about our keys on it.
    Attest {
        /// The number printed on the key.
        serial: String,
        /// Print the certificates too.
        #[arg(long)]
        pem: bool,
    },
    /// Join a membership that was changed in two places: the longer story holds, what only the other said is given up.
    Join,
    /// Change the PIN (or the PUK).
    Pin {
        /// The number printed on the key.
        serial: String,
        /// The PUK instead.
        #[arg(long)]
        puk: bool,
        /// Spend the last try, should it be the last.
        #[arg(long)]
        last_try: bool,
    },
    /// Set a new PIN with the PUK, when the PIN is blocked or forgotten.
    Unblock {
        /// The number printed on the key.
        serial: String,
        /// Spend the last try of the PUK, should it be the last.
        #[arg(long)]
        last_try: bool,
    },
    /// Lost or put away: it opens nothing that is written from now on. Says what follows before anything is done.
    #[command(
        after_help = "Examples:\n  touchkeep device retire 12345678 --dry-run    what would follow\n  touchkeep device retire 12345678\n  touchkeep device retire kit                   a recovery kit that somebody may have seen"
    )]
    Retire {
        /// Its serial number, its id, `kit` or `passphrase`.
        device: String,
        /// Only say what would follow.
        #[arg(long)]
        dry_run: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Seal values again, so that devices which came later open them too. A touch for each.
    Reseal {
        /// Names or ids; all that are behind where absent.
        items: Vec<String>,
    },
    /// Take a PKCS#11 module that you updated as the one that is meant from now on.
    AcceptModule {
        /// Its absolute path.
        path: PathBuf,
    },
    /// Change the factory PIN, PUK and management key in place.
    SetPin {
        /// The number printed on the key.
        serial: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Recover {
    /// Make a recovery kit: 24 words that open the vault. Ends when they have opened it.
    #[command(
        after_help = "Examples:\n  touchkeep recover kit\n  touchkeep recover kit --page /dev/shm/kit.html    a page to be printed; remove it afterwards"
    )]
    Kit {
        /// Also write a page to be printed. The file holds the words: keep it off disks, and remove it.
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
    },
    /// Try the way back: open the vault from nothing, with the words of a kit or with another device.
    #[command(
        after_help = "Examples:\n  touchkeep recover drill                      the words of a kit\n  touchkeep recover drill --device 12345678    another device\n  touchkeep recover drill --words-fd 3 3<words.txt"
    )]
    Drill {
        /// Another device, by its serial number or id.
        #[arg(long)]
        device: Option<String>,
        /// Read the words from this file descriptor instead of asking.
        #[arg(long, value_name = "FD", conflicts_with = "device")]
        words_fd: Option<i32>,
    },
    /// The ways back there are, and when each was last tried.
    List,
    /// Open the vault with the words of a kit, to let a new device in when all others are lost.
    Unlock {
        /// The vault file; the one used last where absent.
        path: Option<PathBuf>,
        /// Read the words from this file descriptor instead of asking.
        #[arg(long, value_name = "FD")]
        words_fd: Option<i32>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// The copies that are there. While the vault is open, each is opened, too.
    List,
    /// Make an older copy the vault again: a touch, or the passphrase. What is the vault now becomes the newest copy.
    Restore {
        /// Its number: see `touchkeep backup list`.
        number: u32,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Ask nothing: press the keys that a person would press, and say so.
    #[arg(long)]
    pub(crate) auto: bool,
    /// Leave the demo's folder in place.
    #[arg(long)]
    pub(crate) keep: bool,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
