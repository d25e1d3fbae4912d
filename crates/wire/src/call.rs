//! What a client may call on `agent.sock`, and a front end on `ui.sock` too. One type per call: its parameters, with the
//! method's name and the result's type beside them.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use touchkeep_core::{ClientId, DeviceId, ItemId, UnixMillis, VaultId};

use crate::SecretText;

/// Parameters of a call.
pub trait Call: Serialize + DeserializeOwned + Send + 'static {
    /// The method's name.
    const METHOD: &'static str;
    /// What comes back.
    type Result: Serialize + DeserializeOwned + Send + 'static;
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $method:literal -> $result:ty { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$fdoc])* pub $field: $ty),* }
            impl Call for $name { const METHOD: &'static str = $method; type Result = $result; }
        )+
        /// Every method, for help, completeness tests and the allow-lists of channels.
        pub const METHODS: &[&str] = &[$($method),+];
    };
}

mod grant;

pub use grant::*;

calls! {
    /// First on every connection.
    Hello = "hello" -> Welcome {
        /// [`crate::PROTOCOL`] of the caller.
        protocol: u32,
        /// Who it is: `touchkeep 0.1.0`. Shown, never trusted.
        name: String,
    }
    /// How things are.
    GetStatus = "status" -> Status {}
    /// Ends the agent, after locking.
    StopAgent = "agent.stop" -> Done {}
    /// Makes a vault. Asks for what the device needs through prompts.
    CreateVault = "vault.create" -> VaultSummary {
        /// Absolute path of the new file.
        path: String,
        /// The founder's display name.
        user: String,
        /// The first environment's display name.
        environment: String,
        /// A vault for practice: opens to practice devices and addresses, says so everywhere.
        practice: bool,
        /// The first device.
        device: NewDevice,
    }
    /// Opens the vault with the first enrolled device that is connected. Asks through prompts.
    UnlockVault = "vault.unlock" -> VaultSummary {
        /// Absolute path; the configured vault where absent.
        path: Option<String>,
        /// Which device, where several could: its id, its serial number, or `passphrase`.
        device: Option<String>,
    }
    /// Forgets every key.
    LockVault = "vault.lock" -> Done {}
    /// Connected devices, enrolled or not.
    ListDevices = "device.list" -> Vec<ConnectedDevice> {}
    /// Enrols another device of whoever unlocked the vault. A touch of the one that did, or its passphrase; and what the new
    /// device needs, through prompts.
    EnrollDevice = "device.enroll" -> Enrolled {
        /// Which.
        device: NewDevice,
    }
    /// Everything about a card that is worth knowing before it is trusted. Asks for nothing.
    InspectDevice = "device.inspect" -> CardReport {
        /// The card's serial number.
        serial: String,
    }
    /// What the makers of connected devices say of our keys on them.
    AttestDevice = "device.attest" -> Vec<KeyAttestation> {
        /// The card's serial number.
        serial: String,
    }
    /// Changes a card's PIN or PUK. Asks for both through prompts.
    ChangePin = "device.pin" -> Done {
        /// The card's serial number.
        serial: String,
        /// Whether it is the PUK.
        puk: bool,
        /// Spend the last try, should it be the last.
        danger_last_try: bool,
    }
    /// Sets a new PIN with the PUK. Asks for both through prompts.
    UnblockPin = "device.unblock" -> Done {
        /// The card's serial number.
        serial: String,
        /// Spend the last try of the PUK, should it be the last.
        danger_last_try: bool,
    }
    /// Retires a device that is lost or put away, and says what follows.
    RetireDevice = "device.retire" -> RetireReport {
        /// Its id in the vault, or its serial number.
        device: String,
        /// Only say what would follow.
        dry_run: bool,
    }
    /// Joins a membership that was changed in two places: the longer story holds. A touch, or the passphrase.
    JoinMembership = "device.join" -> Done {}
    /// Takes a PKCS#11 module that was updated as the one that is meant from now on. A touch, or the passphrase.
    AcceptModule = "device.accept-module" -> Done {
        /// Its absolute path.
        path: String,
    }
    /// Seals again what an enrolled device cannot open yet. A touch for each.
    ResealItems = "item.reseal" -> Vec<ItemSummary> {
        /// Names or ids; all that are behind where empty.
        items: Vec<String>,
    }
    /// Makes a recovery kit and enrols it. The words are said this once. Only on `ui.sock`.
    MakeKit = "recover.kit" -> Kit {}
    /// Opens the vault file with the words of a kit, from nothing, and remembers that. Only on `ui.sock`.
    ProveKit = "recover.prove" -> Rehearsal {
        /// The words.
        words: SecretText,
    }
    /// Opens the vault file with another device than the one that unlocked, from nothing, and remembers that.
    ProveDevice = "recover.prove-device" -> Rehearsal {
        /// Its id in the vault, or its serial number.
        device: String,
    }
    /// Which ways back there are, and when each was last tried.
    ListRecovery = "recover.list" -> Vec<WayBack> {}
    /// Opens the vault with the words of a kit, to look after it when every other device is lost. Only on `ui.sock`.
    UnlockWithKit = "recover.unlock" -> VaultSummary {
        /// Absolute path; the configured vault where absent.
        path: Option<String>,
        /// The words.
        words: SecretText,
    }
    /// Older copies beside the vault.
    ListBackups = "backup.list" -> Vec<BackupSummary> {}
    /// Makes an older copy the vault again. A touch, or the passphrase.
    RestoreBackup = "backup.restore" -> Done {
        /// From 1, the newest.
        number: u32,
    }
    /// Takes another copy of the vault in.
    MergeCopy = "vault.merge" -> Merged {
        /// Absolute path of the other copy.
        path: String,
    }
    /// Changes a card's factory PIN, PUK and management key in place. Asks for both through prompts.
    SetDevicePin = "device.set-pin" -> Done {
        /// The card's serial number.
        serial: String,
    }
    /// All items, without secrets.
    ListItems = "item.list" -> Vec<ItemSummary> {}
    /// Stores a credential.
    AddItem = "item.add" -> ItemSummary {
        /// Display name, unique.
        name: String,
        /// Venue: `binance`.
        venue: String,
        /// The venue account that the key belongs to; the keys of one account form a key set.
        key_set: String,
        /// `read`, `trade`, `move-money` or `key-admin`.
        class: String,
        /// What the venue calls the API key: the public half. Empty for a device key whose public half is uploaded later.
        api_key: String,
        /// Where the secret half is kept.
        secret: NewSecret,
        /// The venue's address, for practice vaults.
        base_url: Option<String>,
        /// Days after which it is due for rotation.
        rotate_after_days: Option<u32>,
        /// When the key was made at the venue; now where absent.
        created: Option<UnixMillis>,
    }
    /// Sets what the venue calls a key, once the venue has given it a name.
    SetApiKey = "item.set-api-key" -> ItemSummary {
        /// Name or id.
        item: String,
        /// The venue's name for it.
        api_key: String,
    }
    /// Removes an item. The file keeps older versions in its backups.
    RemoveItem = "item.remove" -> Done {
        /// Name or id.
        item: String,
    }
    /// The public key of a device-held key, as the venue wants it uploaded (PEM).
    ExportPublicKey = "item.public-key" -> PublicKeyPem {
        /// Name or id.
        item: String,
    }
    /// Lets a program use a key set through the proxy.
    AddClient = "client.add" -> NewClient {
        /// Display name: `grid-bot`.
        name: String,
        /// The key set that it may use.
        key_set: String,
    }
    /// Programs that may use the proxy.
    ListClients = "client.list" -> Vec<ClientSummary> {}
    /// Ends a program's access at once.
    RevokeClient = "client.revoke" -> Done {
        /// Name or id.
        client: String,
    }
    /// The policy as text.
    GetPolicy = "policy.get" -> PolicyText {}
    /// Replaces the policy. A touch of the device, or the passphrase.
    SetPolicy = "policy.set" -> Done {
        /// TOML.
        text: String,
    }
    /// A page of the audit log, newest first.
    ListAudit = "audit.list" -> AuditPage {
        /// Rows below this sequence number.
        before: Option<u64>,
        /// At most this many (1 to 500).
        limit: u32,
        /// Only these kinds; all where empty.
        kinds: Vec<String>,
    }
    /// Checks the audit log against its tree, its checkpoints and the vault.
    VerifyAudit = "audit.verify" -> AuditVerdict {
        /// Absolute path of a copy of the log to check instead of the agent's own.
        file: Option<String>,
    }
    /// Keys and when they are due.
    ListReminders = "remind.list" -> Vec<KeyAge> {}
    /// Raises what is due now as desktop notifications, and says what was raised.
    CheckReminders = "remind.check" -> Vec<KeyAge> {}
    /// Looks at everything that Touchkeep stands on. Asks nobody, spends no PIN try, changes nothing.
    Diagnose = "doctor" -> Diagnosis {}
    /// Requests that wait for a person.
    ListPrompts = "prompt.list" -> Vec<crate::Prompt> {}
    /// Answers a prompt. The first answer wins. Only on `ui.sock`.
    AnswerPrompt = "prompt.answer" -> Done {
        /// Which one.
        prompt: touchkeep_core::PromptId,
        /// The answer.
        answer: crate::Answer,
    }
}

/// Nothing more to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// Answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The agent's [`crate::PROTOCOL`].
    pub protocol: u32,
    /// The agent's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
}

/// The first device of a new vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum NewDevice {
    /// Keys in the vault file under a passphrase.
    Software {
        /// log2 of scrypt's N (18 to 22; less only in a practice vault).
        work_factor: u8,
    },
    /// A YubiKey's PIV applet.
    Piv {
        /// Its serial number.
        serial: String,
        /// The slot of a key of `age-plugin-yubikey` that is to be the unlock key, instead of one that is made.
        adopt: Option<String>,
    },
    /// A token behind a PKCS#11 module.
    Pkcs11 {
        /// Absolute path of the module.
        module: String,
        /// The token's label.
        token: String,
    },
}

/// A device that was enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// It.
    pub device: EnrolledDevice,
    /// Names of sealed items that it cannot open until they are sealed again.
    pub to_reseal: Vec<String>,
}

/// What follows when a device is retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetireReport {
    /// It.
    pub device: EnrolledDevice,
    /// Whether it was done, or only looked at.
    pub done: bool,
    /// Keys that whoever has the device, its PIN and an older copy of the file can read: rotate them.
    pub readable: Vec<String>,
    /// Keys whose sealed secrets he can open too, with the PIN and a touch each: rotate them first.
    pub sealed: Vec<String>,
    /// Devices that are left.
    pub left: Vec<EnrolledDevice>,
}

/// A card, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardReport {
    /// The number that is printed on it.
    pub serial: String,
    /// Its firmware.
    pub firmware: String,
    /// Its shape, where its maker says so.
    pub form_factor: Option<String>,
    /// Whether it is of the FIPS series, where its maker says so.
    pub fips: Option<bool>,
    /// What it cannot do, or should not be trusted with.
    pub limits: Vec<String>,
    /// How PIN, PUK and management key stand, where the firmware can say.
    pub pin: Option<PinReport>,
    /// Slots that hold something.
    pub slots: Vec<SlotReport>,
}

/// How a card's secrets stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinReport {
    /// Tries of the PIN that are left, and of how many.
    pub pin_tries: (u8, u8),
    /// Tries of the PUK that are left, and of how many.
    pub puk_tries: (u8, u8),
    /// Whether the PIN is the factory's.
    pub factory_pin: bool,
    /// Whether the PUK is the factory's.
    pub factory_puk: bool,
    /// `factory`, `protected`, `elsewhere`.
    pub management_key: String,
}

/// A slot that holds something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotReport {
    /// In hex: `82`.
    pub slot: String,
    /// Whose: `touchkeep unlock`, `age-plugin-yubikey`, `other`, `key without certificate`, `certificate without key`.
    pub holds: String,
    /// The name in its certificate.
    pub name: Option<String>,
    /// Its kind: `P-256`.
    pub algorithm: Option<String>,
    /// `never`, `once`, `always`.
    pub pin: Option<String>,
    /// `never`, `cached`, `always`.
    pub touch: Option<String>,
    /// `generated`, `imported`.
    pub origin: Option<String>,
    /// Whose signature says that it was made in a YubiKey.
    pub attested: Option<String>,
    /// Why it is not used or could not be adopted.
    pub flaw: Option<String>,
}

/// What a maker says of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAttestation {
    /// In hex: `83`.
    pub slot: String,
    /// `unlock`, `seal`, `sign-vault`, `request`.
    pub purpose: String,
    /// Whose signature it is; none where it is not believed.
    pub chain: Option<String>,
    /// `never`, `cached`, `always`, as the maker says it.
    pub touch: Option<String>,
    /// Why it is not believed.
    pub problem: Option<String>,
    /// The certificates, in PEM.
    pub pem: String,
}

/// A new recovery kit.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kit {
    /// Its id in the vault.
    pub device: DeviceId,
    /// Its 24 words.
    pub words: SecretText,
    /// What stock age takes to open the vault.
    pub unlock_line: SecretText,
    /// What stock age takes to open sealed values.
    pub seal_line: SecretText,
    /// When it was made.
    pub made: UnixMillis,
    /// Which vault it is of.
    pub vault: VaultId,
    /// Names of sealed items that it cannot open until they are sealed again.
    pub to_reseal: Vec<String>,
}

/// A way back that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// With which device.
    pub device: EnrolledDevice,
    /// When.
    pub at: UnixMillis,
    /// How many items it opened.
    pub items: u32,
}

/// A way back into the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct WayBack {
    /// The device.
    pub device: EnrolledDevice,
    /// When it was last shown to open the vault.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub tried: Option<UnixMillis>,
}

/// An older copy of the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    /// From 1, the newest.
    pub number: u32,
    /// Where it is.
    pub path: String,
    /// When it stopped being the vault.
    pub replaced: Option<UnixMillis>,
    /// The time of its newest commit.
    pub newest: Option<UnixMillis>,
    /// Commits of it that the vault does not have.
    pub missing: u32,
    /// Whether its items could be opened with the keys at hand; none said while the vault is locked.
    pub items: Option<u32>,
    /// Why it is of no use.
    pub problem: Option<String>,
}

/// A merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Whether anything was new.
    pub changed: bool,
    /// Items whose secret was given twice by writers that did not know of each other; none said while locked.
    pub conflicts: Vec<String>,
    /// Whether the vault was locked for it, because it could only be read until then.
    pub locked: bool,
}

/// Where the secret half of a new item is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum NewSecret {
    /// In the vault: usable for the whole session.
    Stored {
        /// The secret.
        value: SecretText,
    },
    /// Sealed to touch-requiring devices: opened for one use at a time.
    Sealed {
        /// The secret.
        value: SecretText,
    },
    /// An RSA-2048 key, made on the device and never leaving it; a touch per signature.
    OnDevice {
        /// Which enrolled device; the one that unlocked where absent.
        device: Option<DeviceId>,
    },
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Status {
    /// The open or configured vault.
    pub vault: Option<VaultSummary>,
    /// Where that file is, or would be.
    pub path: String,
    /// Whether it is open.
    pub unlocked: bool,
    /// The proxy's base address, while it listens.
    pub proxy: Option<String>,
    /// Prompts that wait for a person.
    pub waiting: u32,
    /// The agent's version.
    pub version: String,
}

/// A vault, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct VaultSummary {
    /// Its id.
    #[cfg_attr(test, ts(type = "string"))]
    pub id: VaultId,
    /// Its file.
    pub path: String,
    /// Made for practice.
    pub practice: bool,
    /// Enrolled devices.
    pub devices: Vec<EnrolledDevice>,
    /// How many items; none said while locked.
    pub items: Option<u32>,
    /// Why it can be read but not changed, in a sentence.
    pub read_only: Option<String>,
    /// Whether a second device, or a recovery kit, was shown to open it; none said while locked.
    pub rehearsed: Option<bool>,
}

/// A device that the vault knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EnrolledDevice {
    /// Its id in the vault.
    #[cfg_attr(test, ts(type = "string"))]
    pub id: DeviceId,
    /// `software`, `piv`, `pkcs11`.
    pub kind: String,
    /// What to call it.
    pub label: String,
    /// Its serial number.
    pub serial: Option<String>,
    /// What opening a sealed value with it costs: `touch`, `kit`, `session`; none where nothing is sealed to it.
    pub seals: Option<String>,
    /// Lost or put away.
    pub retired: bool,
}

/// A device that is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectedDevice {
    /// `piv`, `pkcs11`.
    pub kind: String,
    /// What to call it.
    pub label: String,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its firmware.
    pub firmware: Option<String>,
    /// PIN tries left, where it says so.
    pub tries_left: Option<u8>,
    /// PIN still the factory's, where it is known without spending a try.
    pub factory_pin: Option<bool>,
    /// Its id in the open vault.
    pub enrolled: Option<DeviceId>,
}

/// An item, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ItemSummary {
    /// Its id.
    #[cfg_attr(test, ts(type = "string"))]
    pub id: ItemId,
    /// Its name.
    pub name: String,
    /// Its venue.
    pub venue: String,
    /// The venue account.
    pub key_set: String,
    /// `read`, `trade`, `move-money`, `key-admin`.
    pub class: String,
    /// `stored`, `sealed`, `on-device`, `missing`.
    pub secret: String,
    /// The first and last characters of the API key.
    pub api_key_hint: String,
    /// When the key was made at the venue.
    #[cfg_attr(test, ts(type = "number"))]
    pub created: UnixMillis,
    /// When it is due.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub due: Option<UnixMillis>,
}

/// A public key in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeyPem {
    /// SubjectPublicKeyInfo (RFC 5280) in PEM (RFC 7468).
    pub pem: String,
}

/// A new client of the proxy. The token is shown this once.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// What it shows with every request: as the dummy API key, or in `X-Touchkeep-Token`.
    pub token: SecretText,
    /// The proxy's base address for its venue.
    pub base_url: String,
}

/// A client of the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSummary {
    /// Its id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// The key set that it may use.
    pub key_set: String,
    /// When it was let in.
    pub created: UnixMillis,
    /// When it last asked.
    pub last_seen: Option<UnixMillis>,
}

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// TOML.
    pub text: String,
    /// Whether it could be read; where not, everything is asked by hand.
    pub readable: bool,
}

/// A page of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuditPage {
    /// Newest first.
    pub rows: Vec<AuditRow>,
    /// Rows in the log.
    #[cfg_attr(test, ts(type = "number"))]
    pub size: u64,
    /// Rows up to here are under a signed checkpoint.
    #[cfg_attr(test, ts(type = "number"))]
    pub signed: u64,
}

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuditRow {
    /// Its number, from 1.
    #[cfg_attr(test, ts(type = "number"))]
    pub seq: u64,
    /// When.
    #[cfg_attr(test, ts(type = "number"))]
    pub time: UnixMillis,
    /// What kind of event.
    pub kind: String,
    /// `allowed`, `approved`, `touched`, `denied`, `refused`, `failed`, `info`.
    pub decision: String,
    /// What happened, in a sentence; absent while locked.
    pub what: Option<String>,
    /// Who asked; absent while locked.
    pub client: Option<String>,
    /// Which item; absent while locked.
    pub item: Option<String>,
    /// For an outcome: the row of its intent.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub of: Option<u64>,
    /// Further facts, as name and value.
    pub details: Vec<(String, String)>,
    /// The row's leaf hash, in hex.
    pub leaf: String,
}

/// What the verifier found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuditVerdict {
    /// Whether everything fits.
    pub sound: bool,
    /// Rows in the log.
    #[cfg_attr(test, ts(type = "number"))]
    pub size: u64,
    /// Rows under a signed checkpoint.
    #[cfg_attr(test, ts(type = "number"))]
    pub signed: u64,
    /// The tree's root, in hex.
    pub root: String,
    /// The first bad row.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub first_bad: Option<u64>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// A key and its age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct KeyAge {
    /// The item.
    #[cfg_attr(test, ts(type = "string"))]
    pub item: ItemId,
    /// Its name.
    pub name: String,
    /// Its venue.
    pub venue: String,
    /// When it was made.
    #[cfg_attr(test, ts(type = "number"))]
    pub created: UnixMillis,
    /// When it is due; none where it has no rule.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub due: Option<UnixMillis>,
    /// Days until then, a begun one counted; 0 or less once it is due.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub days_left: Option<i64>,
}

/// What the doctor found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// By subject; what is in order is said as well.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, subject first: `pcscd.socket`. `docs/doctor.md` explains each. It may come several times, for several cards.
    pub id: String,
    /// How bad it is.
    pub level: Level,
    /// What was found, in a sentence.
    pub what: String,
    /// What to do; empty where there is nothing to do.
    pub fix: String,
    /// What it was seen by, as name and value. Never a secret.
    pub facts: Vec<(String, String)>,
}

/// How bad a finding is, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// In order.
    Ok,
    /// Good to know; nothing has to be done.
    Note,
    /// It works, or will, but is weaker or will bite.
    Warning,
    /// Something does not work, or must not stay so.
    Problem,
}

impl Finding {
    /// The finding with one more fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.facts.push((name.to_owned(), value.to_string()));
        self
    }
}
