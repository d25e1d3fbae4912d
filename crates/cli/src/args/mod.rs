//! What can be typed. A file per verb that takes more than a few words.

mod add;
mod agent;
mod audit;
mod backup;
mod demo;
mod device;
mod import;
mod init;
mod policy;
mod proxy;
mod recover;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use add::Add;
pub(crate) use agent::{Agent, AgentVerb};
pub(crate) use audit::Audit;
pub(crate) use backup::Backup;
pub(crate) use demo::Demo;
pub(crate) use device::Device;
pub(crate) use import::{Duplicates, Export, Import};
pub(crate) use init::{Init, WayBack};
pub(crate) use policy::Policy;
pub(crate) use proxy::Proxy;
pub(crate) use recover::Recover;

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
    /// Take over what another program keeps: a file, or the folder of a password store.
    #[command(
        after_help = "Reads .env, ccxt keys.json, freqtrade config.json, 1PUX, Bitwarden JSON, KeePassXC CSV and KeePass XML, AWS credentials,\npass and passage stores, and its own exports. Shows what would happen first; never a value.\n\nExamples:\n  touchkeep import .env --dry-run\n  touchkeep import .env --replace-with-references\n  touchkeep import export.1pux --delete-source\n  touchkeep import keys.json --map '*.class=read' --map 'gate.name=gate main'\n  touchkeep import ~/.passage/store -i ~/.passage/identities"
    )]
    Import(Import),
    /// Write the items into a file, encrypted with age unless --plaintext says otherwise.
    #[command(
        after_help = "Asks for the device's touch (or the passphrase) each time. Secrets that are sealed, or that are on a device, are not in it;\nthey are named.\n\nExamples:\n  touchkeep export items.age                        asks for a passphrase\n  touchkeep export items.age -r age1… -r age1…\n  touchkeep export keys.json --plaintext --format ccxt"
    )]
    Export(Export),
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
