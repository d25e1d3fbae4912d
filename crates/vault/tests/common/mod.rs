//! What the tests of this crate share: a folder of their own, a vault in it, and a card with P-256 keys in memory.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, and not each uses all"
)]

use std::path::PathBuf;

use age_core::format::{FileKey, Stanza};
use aws_lc_rs::{
    agreement::{self, ECDH_P256},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use touchkeep_container::{
    HybridClock, MemberName, NewCommit, Part,
    op::{Edit, Writer, Written},
};
use touchkeep_core::{ApiSecret, DeviceId, EnvironmentId, Id, Passphrase, Pin, UnixMillis};
use touchkeep_device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyInfo, KeyRef, Purpose,
    SecretDemand, SignatureScheme, SoftwareDevice, TouchPolicy, public::P256Point, stanza,
};
use touchkeep_vault::{
    AuditHead, Hand, Item, ItemKind, Locked, NewDevice, NewVault, Unlocked, VaultError, create,
};
use touchkeep_venue::KeyClass;

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";
pub(crate) const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
// As cheap as scrypt gets: what is tested here is not its cost.
pub(crate) const WORK_FACTOR: u8 = 4;

pub(crate) fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE.into())
}

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("team.vault");
        Self { folder, path }
    }

    pub(crate) fn create(&self, practice: bool) -> Unlocked {
        let passphrase = passphrase();
        let device = NewDevice::Software {
            passphrase: &passphrase,
            work_factor: WORK_FACTOR,
        };
        create(&self.path, new_vault(device, practice)).unwrap()
    }

    pub(crate) fn create_on(&self, card: &mut Card) -> Result<Unlocked, VaultError> {
        let pin = Pin::new("654321".into());
        let device = NewDevice::Hardware(card, Auth::Pin(&pin));
        create(&self.path, new_vault(device, false))
    }

    pub(crate) fn unlock(&self) -> Unlocked {
        unlock(Locked::open(&self.path).unwrap())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn new_vault(device: NewDevice<'_>, practice: bool) -> NewVault<'_> {
    NewVault {
        user_name: "Ada".into(),
        environment_name: "prod".into(),
        practice,
        device,
        now: NOW,
    }
}

pub(crate) fn unlock(locked: Locked) -> Unlocked {
    let mut devices = locked.devices().iter();
    let own = devices
        .find(|device| device.kind == DeviceKind::Software)
        .unwrap();
    let mut device = locked.software_device(own.id).unwrap();
    let passphrase = passphrase();
    locked
        .unlock(&mut device, Auth::Passphrase(&passphrase))
        .unwrap()
}

pub(crate) fn save(vault: &mut Unlocked) {
    vault.save(NOW, AuditHead::empty()).unwrap();
}

pub(crate) fn item(environment: EnvironmentId, name: &str) -> Item {
    Item {
        venue: "binance".into(),
        key_set: "main".into(),
        class: KeyClass::Trade,
        api_key: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A".into(),
        created: NOW,
        rotate_after_days: Some(90),
        note: "two\nlines \"quoted\" \\ é".into(),
        ..Item::new(environment, ItemKind::ExchangeKey, name.into())
    }
}

pub(crate) const NO_AUDIT: fn() -> AuditHead = AuditHead::empty;

pub(crate) fn pin() -> Pin {
    Pin::new("654321".into())
}

pub(crate) fn secret(text: &str) -> ApiSecret {
    ApiSecret::new(text.into())
}

pub(crate) fn founder_id(vault: &Unlocked) -> DeviceId {
    let mut devices = vault.own_devices();
    let device = devices.find(|device| device.kind == DeviceKind::Software);
    device.unwrap().id
}

pub(crate) fn founder(vault: &Unlocked) -> SoftwareDevice {
    let id = founder_id(vault);
    vault.as_locked().software_device(id).unwrap()
}

// What the founder's passphrase device does for the vault.
pub(crate) fn with_founder<T>(
    vault: &mut Unlocked,
    work: impl FnOnce(&mut Unlocked, Hand<'_, '_>) -> T,
) -> T {
    let (mut device, passphrase) = (founder(vault), passphrase());
    let hand = Hand {
        device: &mut device,
        auth: Auth::Passphrase(&passphrase),
    };
    work(vault, hand)
}

pub(crate) fn enrolled(vault: &mut Unlocked, new: &mut dyn Device) -> DeviceId {
    let id = with_founder(vault, |vault, hand| {
        vault.enroll(
            NewDevice::Hardware(new, Auth::Nothing),
            hand,
            NOW,
            NO_AUDIT(),
        )
    });
    id.unwrap()
}

pub(crate) fn environment(vault: &mut Unlocked, name: &str) -> EnvironmentId {
    let made = with_founder(vault, |vault, hand| {
        vault.add_environment(name, hand, NOW, NO_AUDIT())
    });
    made.unwrap()
}

pub(crate) fn unlock_with(place: &Place, device: &mut dyn Device) -> Result<Unlocked, VaultError> {
    let pin = pin();
    Locked::open(&place.path)
        .unwrap()
        .unlock(device, Auth::Pin(&pin))
}

pub(crate) fn put(vault: &mut Unlocked, environment: EnvironmentId, name: &str, text: &str) {
    let new = item(environment, name);
    let id = new.id;
    vault.put(new).unwrap();
    vault.set_secret(id, secret(text)).unwrap();
    save(vault);
}

pub(crate) fn put_main(vault: &mut Unlocked, name: &str, text: &str) {
    put(vault, vault.environment(), name, text);
}

pub(crate) fn names(vault: &Unlocked) -> Vec<String> {
    let mut names: Vec<_> = vault.items().iter().map(|item| item.name.clone()).collect();
    names.sort();
    names
}

/// An operation at a reading of its own, as a member's program may write that does not keep our rules.
pub(crate) fn write_by_another_program(
    place: &Place,
    vault: &Unlocked,
    at: HybridClock,
    edit: &Edit<'_, Written<'_>>,
) {
    let to: age::x25519::Recipient = vault.audit_recipient().parse().unwrap();
    let part = Part {
        environment: vault.environment(),
        number: 99,
        random: Id::random(),
    };
    let mut writer = Writer::default();
    writer.op(at, edit);
    let mut new = NewCommit::new(vault.user(), AuditHead::empty(), NOW);
    new.add = vec![(
        MemberName::Segment(part),
        age::encrypt(&to, writer.finish().as_bytes()).unwrap(),
    )];
    let container = vault.as_locked().container();
    let container = container
        .commit(new, |text| vault.author_sign(text))
        .unwrap();
    std::fs::write(&place.path, container.to_bytes().unwrap()).unwrap();
}

/// A token with three P-256 keys and a PIN, in memory. It counts what it was asked to do.
pub(crate) struct Card {
    info: DeviceInfo,
    agreement: [agreement::PrivateKey; 2],
    signing: EcdsaKeyPair,
    pub(crate) uses: usize,
}

impl Card {
    pub(crate) fn new() -> Self {
        let agreement = [(); 2].map(|()| agreement::PrivateKey::generate(&ECDH_P256).unwrap());
        let signing = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let point = |bytes: &[u8]| P256Point::from_uncompressed(bytes).unwrap();
        let [unlock, seal] =
            [0, 1].map(|n| point(agreement[n].compute_public_key().unwrap().as_ref()));
        let signs = point(signing.public_key().as_ref());
        let key = |slot: &str, purpose, point: &P256Point, touch| KeyInfo {
            key: KeyRef(slot.into()),
            purpose,
            algorithm: Algorithm::P256,
            spki: point.to_spki(),
            touch,
            recipient: (purpose != Purpose::SignVault).then(|| stanza::tag_recipient(point)),
            identity: None,
            imported: false,
        };
        let info = DeviceInfo {
            kind: DeviceKind::Pkcs11,
            label: "a token (12345678)".into(),
            serial: Some("12345678".into()),
            firmware: None,
            keys: vec![
                key("82", Purpose::Unlock, &unlock, TouchPolicy::Never),
                key("83", Purpose::Seal, &seal, TouchPolicy::Never),
                key("84", Purpose::SignVault, &signs, TouchPolicy::Cached),
            ],
        };
        Self {
            info,
            agreement,
            signing,
            uses: 0,
        }
    }

    pub(crate) fn spki(&self, purpose: Purpose) -> Vec<u8> {
        self.info.key(purpose).unwrap().spki.clone()
    }

    /// The same card after its keys moved to other slots.
    pub(crate) fn rearranged(mut self) -> Self {
        for (key, slot) in self.info.keys.iter_mut().zip(["90", "91", "92"]) {
            key.key = KeyRef(slot.into());
        }
        self
    }

    fn known(&self, key: &KeyRef) -> Result<&KeyInfo, DeviceError> {
        let mut keys = self.info.keys.iter();
        keys.find(|known| known.key == *key)
            .ok_or_else(|| DeviceError::NoKey(key.clone()))
    }
}

fn check(auth: Auth<'_>) -> Result<(), DeviceError> {
    match auth {
        Auth::Pin(pin) if pin.expose() == "654321" => Ok(()),
        Auth::Pin(_) => Err(DeviceError::WrongPin { tries_left: 2 }),
        _ => Err(DeviceError::NeedsSecret),
    }
}

impl Device for Card {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        let touch = self.known(key)?.touch;
        Ok(Demand {
            secret: SecretDemand::Pin {
                tries_left: Some(3),
            },
            touch,
        })
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        let known = self.known(key)?;
        let addressed = stanza::addressed(known, stanzas)?;
        check(auth)?;
        let own = match known.purpose {
            Purpose::Unlock => &self.agreement[0],
            _ => &self.agreement[1],
        };
        let share = addressed.share().uncompressed();
        let share = agreement::UnparsedPublicKey::new(&ECDH_P256, share);
        let failed = || DeviceError::NotForThisKey;
        let opened = agreement::agree(own, share, failed(), |x| addressed.open(x));
        self.uses += 1;
        opened
    }

    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        assert_eq!(self.known(key)?.purpose, Purpose::SignVault);
        assert_eq!(scheme, SignatureScheme::EcdsaP256Sha256);
        check(auth)?;
        self.uses += 1;
        let signature = self.signing.sign(&SystemRandom::new(), message).unwrap();
        Ok(signature.as_ref().to_vec())
    }
}
