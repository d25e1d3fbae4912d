//! The frozen vaults of format 1 open, and every value in them is what it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use serde_json::Value;
use touchkeep_core::{EnvironmentId, Passphrase, UnixMillis};
use touchkeep_device::{Auth, DeviceKind, RecoveryKit};
use touchkeep_vault::{
    AuditHead, Locked, Unlocked, VaultError, backups, danger_restore, merge_into,
};

struct Frozen {
    folder: tempfile::TempDir,
    expected: Value,
}

impl Frozen {
    fn new(archive: &[u8], expected: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("frozen"), archive).unwrap();
        Self {
            folder,
            expected: serde_json::from_str(expected).unwrap(),
        }
    }

    fn locked(&self) -> Locked {
        Locked::open(self.folder.path().join("frozen")).unwrap()
    }

    fn text(&self, pointer: &str) -> String {
        let value = self.expected.pointer(pointer).unwrap();
        value.as_str().unwrap().to_owned()
    }

    fn by_passphrase(&self) -> Unlocked {
        let locked = self.locked();
        let passphrase = Passphrase::new(self.text("/passphrase"));
        let mut devices = locked.devices().iter();
        let own = devices
            .find(|d| d.kind == DeviceKind::Software && !d.retired)
            .unwrap();
        let mut device = locked.software_device(own.id).unwrap();
        locked
            .unlock(&mut device, Auth::Passphrase(&passphrase))
            .unwrap()
    }

    fn by_words(&self, pointer: &str) -> Result<Unlocked, VaultError> {
        let kit = RecoveryKit::from_words(&self.text(pointer)).unwrap();
        self.locked()
            .unlock(&mut kit.device().unwrap(), Auth::Nothing)
    }
}

fn secret(vault: &Unlocked, name: &str) -> String {
    let id = vault.find(name).unwrap().id;
    vault.secret(id).unwrap().expose().clone()
}

#[test]
fn the_vault_of_one_member_opens_and_can_be_continued() {
    let frozen = Frozen::new(
        include_bytes!("../../container/tests/vectors/vault-1.tar"),
        include_str!("../../container/tests/vectors/vault-1.json"),
    );
    let mut vault = frozen.by_passphrase();
    let [stored, sealed] = ["trade", "money"].map(|name| vault.find(name).unwrap().clone());
    assert_eq!(stored.id.to_string(), frozen.text("/items/0/id"));
    assert_eq!(secret(&vault, "trade"), "a stored secret");
    let locked = vault.as_locked();
    let mut device = locked.software_device(locked.devices()[0].id).unwrap();
    let passphrase = Passphrase::new(frozen.text("/passphrase"));
    let opened = vault.open_sealed(sealed.id, &mut device, Auth::Passphrase(&passphrase));
    assert_eq!(opened.unwrap().expose(), "a sealed secret");
    assert_eq!(
        vault.setting("policy"),
        Some(frozen.text("/settings/policy").as_str())
    );
    assert_eq!(vault.user_name(), "Ada");
    assert_eq!(vault.environment_name(vault.environment()), "prod");
    assert_eq!(stored.note, "two\nlines");
    assert_eq!(stored.rotate_after_days, Some(90));

    vault.remove(stored.id).unwrap();
    vault.save(UnixMillis(0), AuditHead::empty()).unwrap();
    assert_eq!(frozen.locked().container().history().commits().len(), 4);
}

#[test]
fn the_vault_of_a_team_opens_to_each_member_as_far_as_he_may() {
    let frozen = Frozen::new(
        include_bytes!("../../container/tests/vectors/team-1.tar"),
        include_str!("../../container/tests/vectors/team-1.json"),
    );
    let environment = |name: &str| -> EnvironmentId {
        frozen
            .text(&format!("/environments/{name}"))
            .parse()
            .unwrap()
    };
    for vault in [
        frozen.by_passphrase(),
        frozen.by_words("/kit").unwrap(),
        frozen.by_words("/members/0/kit").unwrap(),
    ] {
        for name in ["prod", "test", "here", "there"] {
            assert_eq!(secret(&vault, name), frozen.text(&format!("/items/{name}")));
        }
        assert_eq!(
            vault.environments(),
            [environment("prod"), environment("testnet")]
        );
        assert_eq!(vault.setting("count"), Some("129"));
    }
    let reader = frozen.by_words("/members/1/kit").unwrap();
    assert_eq!(reader.environments(), [environment("testnet")]);
    assert_eq!(reader.items().len(), 2);
    assert_eq!(secret(&reader, "there"), "t");

    let mut writer = frozen.by_words("/members/0/kit").unwrap();
    writer.set_setting("count", "130").unwrap();
    writer.save(UnixMillis(0), AuditHead::empty()).unwrap();
    assert_eq!(frozen.locked().container().heads().len(), 1);
}

#[test]
fn a_frozen_vault_comes_back_byte_for_byte_from_a_backup_and_merges_with_what_became_of_it() {
    let frozen = [
        (
            &include_bytes!("../../container/tests/vectors/vault-1.tar")[..],
            include_str!("../../container/tests/vectors/vault-1.json"),
        ),
        (
            &include_bytes!("../../container/tests/vectors/team-1.tar")[..],
            include_str!("../../container/tests/vectors/team-1.json"),
        ),
    ];
    for (archive, expected) in frozen {
        let frozen = Frozen::new(archive, expected);
        let (path, pins) = (
            frozen.folder.path().join("frozen"),
            frozen.folder.path().join("pins"),
        );
        let mut vault = frozen.by_passphrase();
        let names: Vec<_> = vault.items().iter().map(|item| item.name.clone()).collect();
        vault.set_setting("size", "changed").unwrap();
        vault.save(UnixMillis(0), AuditHead::empty()).unwrap();
        let changed = std::fs::read(&path).unwrap();
        let again = frozen.by_passphrase();
        assert_eq!(again.setting("size"), Some("changed"));
        assert!(again.items().iter().map(|item| &item.name).eq(&names));

        assert!(backups(&path).unwrap()[0].newest.is_ok());
        danger_restore(&path, &pins, 1).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), archive);
        let newer = frozen.folder.path().join("newer");
        std::fs::write(&newer, &changed).unwrap();
        assert!(merge_into(&path, &newer).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), changed);
    }
}
