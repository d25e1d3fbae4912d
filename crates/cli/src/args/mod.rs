//! What can be typed. A file per verb that takes more than a few words.

mod add;
mod agent;
mod audit;
mod backup;
mod demo;
mod device;
mod env;
mod git;
mod grant;
mod help;
mod import;
mod init;
mod list;
mod number;
mod policy;
mod proxy;
mod recover;
mod venue;
mod webhook;

use std::{
    ffi::OsString,
    io::{stderr, stdout},
    path::PathBuf,
};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

pub(crate) use add::{Add, Edit, KeyForm, Kind, Secrets};
pub(crate) use agent::{Agent, AgentVerb};
pub(crate) use audit::{Audit, Filter, Format};
pub(crate) use backup::Backup;
pub(crate) use demo::Demo;
pub(crate) use device::Device;
pub(crate) use env::Env;
pub(crate) use git::GitVerb;
pub(crate) use grant::Grant;
pub(crate) use import::{Duplicates, Export, Import};
pub(crate) use init::{Init, WayBack};
pub(crate) use list::List;
pub(crate) use policy::{Explain, Policy};
pub(crate) use proxy::{Bounds, Exec, Proxy};
pub(crate) use recover::Recover;
pub(crate) use touchkeep_values::args::{Global, Values};
pub(crate) use venue::Venue;
pub(crate) use webhook::{Verify, Webhook};

use crate::layout;

/// Where clap breaks lines on a wide terminal.
const WIDEST_HELP: usize = 100;

const HELP: &str = "\
First steps:
  touchkeep demo                      the whole story in two minutes, with a practice card and a practice exchange
  touchkeep init --device piv         make a vault that opens with the connected YubiKey
  touchkeep add trade --venue binance --key-set main --class trade --api-key KEY
  touchkeep proxy add grid-bot --key-set main

Exit codes: 0 done, 1 refused or findings, 2 usage, 3 locked or no device, 4 damaged or not authentic, 130 Ctrl-C.";

/// Keeps exchange and API keys behind a YubiKey or an HSM, and signs what your bots send.
#[derive(Debug, Parser)]
#[command(name = "touchkeep", version, after_help = HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    /// The vault that is meant, else TOUCHKEEP_VAULT. Where the agent has another, nothing is done with that.
    #[arg(long, global = true, value_name = "FILE", display_order = 901)]
    pub(crate) vault: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

impl Cli {
    /// What was typed; or what is wrong with it, or help that fits the terminal.
    pub(crate) fn read(typed: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from(typed).map_err(|error| {
            let is_help = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            let width = layout::width(stdout()).or_else(|| layout::width(stderr()));
            let width = width.unwrap_or(WIDEST_HELP).min(WIDEST_HELP);
            is_help
                .then(|| {
                    let tree = help::grouped(help::laid_out(Self::command(), width), width);
                    tree.term_width(width).try_get_matches_from(typed).err()
                })
                .flatten()
                .unwrap_or(error)
        })
    }
}

/// The tree, with its examples in so many columns.
pub(crate) fn in_columns(tree: clap::Command, width: usize) -> clap::Command {
    help::laid_out(tree, width)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a vault.
    #[command(
        after_help = "It ends when a way back has been tried: a recovery kit (24 words on paper), or a second device.\n\nExamples:\n  touchkeep init                      a passphrase (software device; weaker than hardware)\n  touchkeep init --device piv         the one connected YubiKey\n  touchkeep init --device piv:12345678\n  touchkeep init --device pkcs11:/usr/lib/softhsm/libsofthsm2.so:my-token\n  touchkeep init --device piv --recovery device                    a second YubiKey as the way back\n  touchkeep init --device piv --page /dev/shm/kit.html             the kit as a page to be printed, too"
    )]
    Init(Init),
    /// Open the vault.
    #[command(
        after_help = "Examples:\n  touchkeep unlock                        with the first of its devices that is connected, hardware first\n  touchkeep unlock --device 12345678\n  touchkeep unlock --device passphrase    while a key is connected, too\n  touchkeep unlock --arm 8h               and trade keys stay usable through idle and screen lock"
    )]
    Unlock {
        /// The vault file; the one used last where absent.
        path: Option<PathBuf>,
        /// Which of its devices: a serial number, an id, a token's label, or `passphrase`.
        #[arg(long)]
        device: Option<String>,
        /// Then keep trade keys usable through idle and screen lock for this long, as `arm` does.
        #[arg(long, value_name = "TIME", value_parser = grant::seconds)]
        arm: Option<u64>,
    },
    /// Keep trade keys usable through idle and screen lock, so that bots go on. A touch, or the passphrase.
    #[command(
        after_help = "Sleep, a user switch, a device that is taken away and `lock --all` end it as well.\n\nExamples:\n  touchkeep arm 8h\n  touchkeep arm off"
    )]
    Arm {
        /// For how long: 30m, 8h, 3d at most; `off` ends it.
        #[arg(value_name = "TIME", value_parser = arm_time)]
        time: u64,
    },
    /// Forget every key. Those that are armed stay usable until their end.
    #[command(
        after_help = "Examples:\n  touchkeep lock\n  touchkeep lock --all        armed keys, too"
    )]
    Lock {
        /// Armed keys as well.
        #[arg(long)]
        all: bool,
    },
    /// How things are.
    #[command(after_help = "Examples:\n  touchkeep status\n  touchkeep status --json")]
    Status,
    /// Find out what does not work, and what to do about it.
    #[command(
        after_help = "Looks at the agent, the vault file, pcscd, polkit, YubiKeys, PKCS#11 modules, memory, clock and desktop. Asks for no PIN, spends no try, and changes nothing. Ends with 1 when there is a problem.\n\nExamples:\n  touchkeep doctor\n  touchkeep doctor --all\n  touchkeep doctor --json"
    )]
    Doctor {
        /// Show what is in order in full, too.
        #[arg(long)]
        all: bool,
    },
    /// Be the agent, in the foreground (or `stop` the one that runs).
    #[command(
        after_help = "It is started by itself when a verb needs it.\n\nExamples:\n  touchkeep agent\n  touchkeep agent stop"
    )]
    Agent(Agent),
    /// Store an item: a key, a seed, a note. Its secrets are asked on the terminal, or read from file descriptors.
    #[command(
        after_help = "Examples:\n  touchkeep add trade --venue binance --key-set main --class trade --api-key KEY\n  touchkeep add money --venue binance --key-set main --class move-money --api-key KEY --sealed\n  touchkeep add money --venue binance --key-set main --class move-money --on-device\n  touchkeep add openai --kind api-key --tag ai --field owner=ada\n  touchkeep add drive --kind oauth-client --field client-id=ID --secret-field refresh-token\n  touchkeep add binance-login --kind otp-seed\n  touchkeep add deploy --kind ssh-key --secret-fd 3 3<~/.ssh/id_ed25519\n  touchkeep add okx --kind api-key --secret-fd 3 --field-fd passphrase=4 3<secret.txt 4<passphrase.txt"
    )]
    Add(Add),
    /// List the items; with letters of what is looked for, the best first.
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  touchkeep list\n  touchkeep list bnctrd              finds \"binance trade\"\n  touchkeep list --kind api-key --tag ai\n  touchkeep list --venue binance -e testnet --json"
    )]
    List(List),
    /// Show an item: everything but its secrets.
    #[command(
        after_help = "Secrets are masked; `touchkeep read` prints one.\n\nExamples:\n  touchkeep show trade\n  touchkeep show tk://testnet/trade\n  touchkeep show trade --json"
    )]
    Show {
        /// Name, id or tk://environment/item.
        item: String,
    },
    /// Change an item, as one new version.
    #[command(
        after_help = "What is replaced is kept as an earlier version (20 of them): see `touchkeep history`.\n\nExamples:\n  touchkeep edit openai --set owner=grace --untag ai --tag research\n  touchkeep edit openai --secret                    asks for the new key\n  touchkeep edit okx --field-fd passphrase=3 3<passphrase.txt\n  touchkeep edit trade --name trade-2026 --rotate-after-days 90\n  touchkeep edit openai --unset owner\n  touchkeep edit openai --forget-old                earlier versions leave the vault"
    )]
    Edit(Edit),
    /// Say what a venue calls a key, once its public half was uploaded there.
    #[command(
        after_help = "Examples:\n  touchkeep set-api-key money vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv"
    )]
    SetApiKey {
        /// Name or id.
        item: String,
        /// The venue's name for it.
        api_key: String,
    },
    /// Print the public key of a key on the device, as the venue wants it.
    #[command(
        after_help = "Examples:\n  touchkeep public-key money                  in the form that the venue takes, and what to do with it there\n  touchkeep public-key money > money.pem\n  touchkeep public-key money --form base64"
    )]
    PublicKey {
        /// Name or id.
        item: String,
        /// In which form; the one that the venue takes where absent.
        #[arg(long, value_enum)]
        form: Option<KeyForm>,
    },
    /// Put an item into the trash, or remove it for good.
    #[command(
        after_help = "What is in the trash is not used any more, and can be taken back with `touchkeep restore`.\n\nExamples:\n  touchkeep rm trade\n  touchkeep rm trade --forever --yes"
    )]
    Rm {
        /// Name, id or tk://environment/item.
        item: String,
        /// With all its earlier versions, and not into the trash.
        #[arg(long)]
        forever: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// What is in the trash.
    #[command(
        after_help = "Examples:\n  touchkeep trash\n  touchkeep restore trade\n  touchkeep rm trade --forever"
    )]
    Trash,
    /// Take an item out of the trash.
    #[command(
        after_help = "Examples:\n  touchkeep restore trade\n  touchkeep restore trade --as 'old trade'      where another item is called so by now"
    )]
    Restore {
        /// Name or id.
        item: String,
        /// Give it another name.
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// Who changed an item, when and what; and back to an earlier version. Never shows values.
    #[command(
        after_help = "Examples:\n  touchkeep history trade\n  touchkeep history trade --restore 3      version 3 again, as a new version"
    )]
    History {
        /// Name, id or tk://environment/item.
        item: String,
        /// Make it what it was in this version, as a new version.
        #[arg(long, value_name = "VERSION", value_parser = number::whole::<u32>)]
        restore: Option<u32>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Environments: groups of items with keys of their own, such as prod and testnet.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep env list\n  touchkeep env add testnet\n  touchkeep env rename testnet sandbox"
    )]
    Env(Env),
    #[command(flatten)]
    Values(Values),
    /// A vault in a git repository: merged without a key, compared without a value.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep git install                     once in each clone\n  git diff HEAD~1 -- team.touchkeep         items and fields, never values"
    )]
    Git(GitVerb),
    /// Programs that may use the local proxy.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep proxy add grid-bot --key-set main      prints its token, once\n  touchkeep proxy add report --kind read            may look, and nothing else\n  touchkeep proxy add shop --webhooks               hands over deliveries, and has no keys\n  touchkeep proxy list\n  touchkeep proxy revoke grid-bot\n  touchkeep proxy exec -- python3 bot.py            no token to keep: it ends with the program"
    )]
    Proxy(Proxy),
    /// Programs that may have values without a person being asked again.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep grant list\n  touchkeep grant ask openai trade          one question at the start of a script\n  touchkeep grant add ./backup.sh openai --for 30d\n  touchkeep grant revoke GRANT"
    )]
    Grant(Grant),
    /// What is signed by rule, what is asked, what is refused.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep policy show > policy.toml\n  touchkeep policy check policy.toml\n  touchkeep policy replay policy.toml --since 30d\n  touchkeep policy set policy.toml\n  touchkeep policy start trader"
    )]
    Policy(Policy),
    /// Venues that requests are signed for.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep venue list\n  touchkeep venue show kraken"
    )]
    Venue(Venue),
    /// Answer requests and programs that wait for a person, in this terminal.
    #[command(
        after_help = "Stays until Ctrl-C. Each request is shown in plain words, the oldest first; type `approve` to go on, `next` to look at the next one first, anything else refuses. Where a rule asks for a click alone, `approve 15` covers requests like it of that process for 15 min as well: see `touchkeep grant list`. For a program that asks for a value, type how much it may: once, process or terminal. A client whose questions went unanswered may ask again from now on.\n\nExamples:\n  touchkeep approve\n  touchkeep approve --once"
    )]
    Approve {
        /// End once it is known how the first request went: 0 done, 1 not, 3 no device.
        #[arg(long)]
        once: bool,
    },
    /// What happened, and the proof that nobody changed the story.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep audit list -n 50\n  touchkeep audit list --kind item-changed\n  touchkeep audit verify"
    )]
    Audit(Audit),
    /// Keys, when they are due for rotation, and when they end.
    #[command(after_help = "Examples:\n  touchkeep remind\n  touchkeep remind --now")]
    Remind {
        /// Raise what is due now as desktop notifications.
        #[arg(long)]
        now: bool,
    },
    /// Keys to touch: what is connected, and what opens the vault.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep device list\n  touchkeep device inspect 12345678\n  touchkeep device enroll piv\n  touchkeep device retire 12345678 --dry-run"
    )]
    Device(Device),
    /// The way back when a device is lost: made, tried, used.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep recover kit\n  touchkeep recover drill\n  touchkeep recover list\n  touchkeep recover unlock"
    )]
    Recover(Recover),
    /// Older copies of the vault.
    #[command(
        subcommand,
        after_help = "Examples:\n  touchkeep backup list\n  touchkeep backup restore 1"
    )]
    Backup(Backup),
    /// Take over what another program keeps: a file, or the folder of a password store.
    #[command(
        after_help = "Reads .env, ccxt keys.json, freqtrade config.json, 1PUX, Bitwarden JSON, KeePassXC CSV and KeePass XML, AWS credentials, pass and passage stores, and its own exports. Shows what would happen first; never a value.\n\nExamples:\n  touchkeep import .env --dry-run\n  touchkeep import .env --replace-with-references\n  touchkeep import export.1pux --delete-source\n  touchkeep import keys.json --map '*.class=read' --map 'gate.name=gate main'\n  touchkeep import ~/.passage/store -i ~/.passage/identities"
    )]
    Import(Import),
    /// Write the items into a file, encrypted with age unless --plaintext says otherwise.
    #[command(
        after_help = "Asks for the device's touch (or the passphrase) each time. Secrets that are sealed, or that are on a device, are not in it; they are named.\n\nExamples:\n  touchkeep export items.age                        asks for a passphrase\n  touchkeep export items.age -r age1… -r age1…\n  touchkeep export keys.json --plaintext --format ccxt"
    )]
    Export(Export),
    /// Take another copy of the vault in, whichever was newer. Needs no key.
    #[command(
        after_help = "Of a field that both copies changed the later text holds, and the earlier one is kept as a version of its item; of a secret both are kept, and it is asked which. Of two policies, and of two lists of clients, the later one holds. What came of it is said, as far as the vault is open.\n\nExamples:\n  touchkeep merge ~/Dropbox/'vault (conflicted copy).touchkeep'\n  touchkeep merge vault.touchkeep.1"
    )]
    Merge {
        /// The other copy.
        path: PathBuf,
    },
    /// Whether a webhook's delivery is what its sender signed, in time, and new.
    #[command(
        subcommand,
        after_help = "Schemes: stripe, github, coinbase-commerce, standard (standardwebhooks.com).\n\nExamples:\n  touchkeep add stripe-hook --kind api-key                     asks for the secret, whsec_…\n  touchkeep webhook verify stripe-hook --scheme stripe --header \"Stripe-Signature: $SIGNATURE\" < body"
    )]
    Webhook(Webhook),
    /// The whole story in two minutes, with a practice card and a practice exchange.
    #[command(
        after_help = "Everything lives in a private folder that is removed at the end (--keep leaves it). Nothing of yours is touched: no reader, no vault, no agent but those that the demo makes itself. Where no Python has ccxt, one is made in ~/.cache/touchkeep-demo-python, which stays and may be deleted.\n\nExamples:\n  touchkeep demo\n  touchkeep demo --auto"
    )]
    Demo(Demo),
    /// Print shell completions. They know the names of items while the vault is unlocked.
    #[command(
        after_help = "Examples:\n  touchkeep completions bash > ~/.local/share/bash-completion/completions/touchkeep\n  touchkeep completions zsh > ~/.zfunc/_touchkeep\n  touchkeep completions fish > ~/.config/fish/completions/touchkeep.fish"
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder.
    #[command(
        after_help = "Examples:\n  touchkeep man ~/.local/share/man/man1 && man touchkeep-add"
    )]
    Man {
        /// The folder.
        folder: PathBuf,
    },
    /// The names of items, for completions.
    #[command(hide = true)]
    ItemsForCompletion,
    /// Answer on the terminal what the parent's call brings up.
    #[command(hide = true, name = touchkeep_values::ask::ANSWER)]
    AnswerForParent,
}

fn arm_time(text: &str) -> Result<u64, String> {
    if text == "off" {
        return Ok(0);
    }
    grant::seconds(text)
}

#[cfg(test)]
mod tests;
