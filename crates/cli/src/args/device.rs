//! `device`.

use std::path::PathBuf;

use clap::Subcommand;

use super::number;

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Connected devices, and those that open the vault.
    #[command(after_help = "Examples:\n  touchkeep device list")]
    List,
    /// Let another device open the vault.
    #[command(
        after_help = "Examples:\n  touchkeep device enroll piv                 the one connected YubiKey that is not in the vault yet\n  touchkeep device enroll piv:12345678\n  touchkeep device enroll pkcs11:/usr/lib/softhsm/libsofthsm2.so:my-token\n  touchkeep device enroll software            another passphrase\n\nThe device that unlocked the vault signs. Values that are sealed already stay closed to the new one until `touchkeep device reseal`."
    )]
    Enroll {
        /// `piv`, `piv:SERIAL`, `pkcs11:MODULE:TOKEN`, `software`.
        device: String,
        /// log2 of scrypt's N, for a passphrase. Less than 18 only for practice.
        #[arg(long, default_value_t = 18, value_parser = number::whole::<u8>)]
        work_factor: u8,
        /// Unlock with the key that age-plugin-yubikey has in this slot (82 to 95, or as it counts them, 1 to 20), instead of a new one.
        /// It stays the plugin's, too.
        #[arg(long, value_name = "SLOT")]
        adopt: Option<String>,
    },
    /// Everything about a card that is worth knowing before it is trusted. Asks for nothing and changes nothing.
    #[command(after_help = "Examples:\n  touchkeep device inspect 12345678")]
    Inspect {
        /// The number printed on the key.
        serial: String,
    },
    /// Which request keys the vault's devices can have for a venue, and why not the others.
    #[command(
        after_help = "A key that is made on a device has no copy anywhere. One that is put into it was seen by whoever handed it out. HMAC secrets are made by the venue; no YubiKey takes them, tokens (PKCS#11) do.\n\nExamples:\n  touchkeep device keys-for                   every venue\n  touchkeep device keys-for binance\n  touchkeep device keys-for kraken --device 12345678\n  touchkeep add trade --venue binance --class trade --on-device"
    )]
    KeysFor {
        /// The venue; all of them where absent.
        venue: Option<String>,
        /// Only this device: its serial number or id.
        #[arg(long, value_name = "DEVICE")]
        device: Option<String>,
    },
    /// What the card's maker says about our keys on it.
    #[command(
        after_help = "Examples:\n  touchkeep device attest 12345678\n  touchkeep device attest 12345678 --pem > keys.pem"
    )]
    Attest {
        /// The number printed on the key.
        serial: String,
        /// Print the certificates too.
        #[arg(long)]
        pem: bool,
    },
    /// Join a membership that was changed in two places. Shows first who did what in each, which holds, and what is undone.
    #[command(
        after_help = "The longer branch holds. What only the other one did is given up, and is told before anything is done.\n\nExamples:\n  touchkeep device join --dry-run             only look\n  touchkeep device join                       look, and be asked"
    )]
    Join {
        /// Only show the branches.
        #[arg(long)]
        dry_run: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Change the PIN (or the PUK).
    #[command(
        after_help = "Examples:\n  touchkeep device pin 12345678\n  touchkeep device pin 12345678 --puk"
    )]
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
    #[command(after_help = "Examples:\n  touchkeep device unblock 12345678")]
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
    /// Seal values again, so that devices which came later open them too. A touch for each. Where a device waits for a touch, only
    /// such ones and recovery kits open sealed values: a passphrase and a PKCS#11 token do not.
    #[command(after_help = "Examples:\n  touchkeep device reseal\n  touchkeep device reseal money")]
    Reseal {
        /// Names or ids; all that are behind where absent.
        items: Vec<String>,
    },
    /// Take a PKCS#11 module that you updated as the one that is meant from now on.
    #[command(
        after_help = "Examples:\n  touchkeep device accept-module /usr/lib/softhsm/libsofthsm2.so"
    )]
    AcceptModule {
        /// Its absolute path.
        path: PathBuf,
    },
    /// Change the factory PIN, PUK and management key in place.
    #[command(after_help = "Examples:\n  touchkeep device set-pin 12345678")]
    SetPin {
        /// The number printed on the key.
        serial: String,
    },
}
