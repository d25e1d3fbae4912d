//! The frozen vault of format 1 opens, and every value in it is what it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use touchkeep_core::Passphrase;
use touchkeep_device::Auth;
use touchkeep_vault::{AuditHead, Locked};

#[test]
fn the_frozen_vault_opens_and_can_be_continued() {
    let expected: serde_json::Value =
        serde_json::from_str(include_str!("../../container/tests/vectors/vault-1.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frozen");
    std::fs::write(
        &path,
        include_bytes!("../../container/tests/vectors/vault-1.tar"),
    )
    .unwrap();
    let locked = Locked::open(&path).unwrap();
    let passphrase = Passphrase::new(expected["passphrase"].as_str().unwrap().into());
    let mut device = locked.software_device(locked.devices()[0].id).unwrap();
    let mut vault = locked
        .unlock(&mut device, Auth::Passphrase(&passphrase))
        .unwrap();
    let [stored, sealed] = ["trade", "money"].map(|name| vault.find(name).unwrap().clone());
    assert_eq!(stored.id.to_string(), expected["items"][0]["id"]);
    assert_eq!(vault.secret(stored.id).unwrap().expose(), "a stored secret");
    let opened = vault.open_sealed(sealed.id, &mut device, Auth::Passphrase(&passphrase));
    assert_eq!(opened.unwrap().expose(), "a sealed secret");
    assert_eq!(
        vault.setting("policy"),
        expected["settings"]["policy"].as_str()
    );
    assert_eq!(
        (vault.user_name(), vault.environment_name()),
        ("Ada", "prod")
    );
    assert_eq!(stored.note, "two\nlines");
    assert_eq!(stored.rotate_after_days, Some(90));

    vault.remove(stored.id).unwrap();
    vault
        .save(touchkeep_core::UnixMillis(0), AuditHead::empty())
        .unwrap();
    assert_eq!(
        Locked::open(&path)
            .unwrap()
            .container()
            .history()
            .commits()
            .len(),
        4
    );
}
