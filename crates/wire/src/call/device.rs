//! Devices: connected and enrolled ones, their PINs, what their makers say of them.

use serde::{Deserialize, Serialize};
use touchkeep_core::{DeviceId, UnixMillis};

use crate::Done;

calls! {
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
    /// Which request keys the devices of the vault can have, per venue. Asks for nothing.
    KeysFor = "device.keys-for" -> Vec<DeviceKeys> {
        /// The venue's id; all of them where absent.
        venue: Option<String>,
        /// One device, by its id or serial number; all that are not retired where absent.
        device: Option<String>,
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
    /// Joins a membership that was changed in two places: the longer branch holds. A touch, or the passphrase.
    JoinMembership = "device.join" -> JoinReport {
        /// Only say what each branch did and what would be undone.
        dry_run: bool,
        /// The `end`s of the branches that a person has seen, as a dry run listed them: if they are other ones by now, nothing is joined.
        /// Empty: whatever they are.
        seen: Vec<String>,
    }
    /// Takes a PKCS#11 module that was updated as the one that is meant from now on. A touch, or the passphrase.
    AcceptModule = "device.accept-module" -> Done {
        /// Its absolute path.
        path: String,
    }
    /// Changes a card's factory PIN, PUK and management key in place. Asks for both through prompts.
    SetDevicePin = "device.set-pin" -> Done {
        /// The card's serial number.
        serial: String,
    }
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
    /// Names of sealed items that it cannot open then, either: they are for devices that wait for a touch.
    pub closed: Vec<String>,
}

/// Which request keys a device can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeys {
    /// It.
    pub device: EnrolledDevice,
    /// Whether it could be asked: of a device that is not connected nobody knows.
    pub connected: bool,
    /// Venue by venue.
    pub venues: Vec<VenueKeys>,
}

/// Which request keys a device can have for a venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueKeys {
    /// The venue's id: `kraken`.
    pub venue: String,
    /// Its name: `Kraken`.
    pub name: String,
    /// Every kind of key; those that can be in the order of preference.
    pub keys: Vec<PossibleKey>,
    /// In which form the venue takes a public key: `pem`, `base64`, `hex`, `address`; none where it makes all keys itself.
    pub public_key: Option<String>,
    /// What to do at the venue.
    pub steps: Option<String>,
}

/// A kind of request key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PossibleKey {
    /// `ed25519`, `p256`, `rsa2048`, `secp256k1`, `hmac-sha256`, `hmac-sha384`, `hmac-sha512`.
    pub algorithm: String,
    /// As people write it: `Ed25519`.
    pub name: String,
    /// `made` on it, `put-in` as the venue handed it out, `no`.
    pub way: String,
    /// Why not.
    pub why: Option<String>,
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
    /// Keys whose sealed secrets nothing opens any more without it: they go with it.
    pub closed: Vec<String>,
    /// Keys that are on it and go with it. Whoever has it and its PIN can sign with them: make new ones.
    pub on_device: Vec<String>,
    /// Earlier sealed versions that nothing opens any more without it, as `item: field (version N)`.
    pub lost: Vec<String>,
    /// Devices that are left.
    pub left: Vec<EnrolledDevice>,
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
    /// Its id in the open vault, also where it was retired there.
    pub enrolled: Option<DeviceId>,
}

/// A membership that was changed in two places, and what a join of the two does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReport {
    /// Whether it was done, or only looked at.
    pub done: bool,
    /// The branches; the one that holds first.
    pub branches: Vec<MemberBranch>,
}

/// One branch of a membership that was changed in two places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberBranch {
    /// The hash of its last link.
    pub end: String,
    /// Whether it is the one that holds.
    pub holds: bool,
    /// What was done in it and in no other, oldest first.
    pub changes: Vec<MemberChange>,
    /// What of it does not hold after the join: sentences.
    pub undone: Vec<String>,
}

/// One change of the membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// When, as its writer says.
    pub at: UnixMillis,
    /// Who signed it, and with what.
    pub by: Vec<String>,
    /// What was done.
    pub did: Vec<String>,
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
