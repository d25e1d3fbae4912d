//! What others write to the file of a vault that is open: seen without a save, and without writing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::fs;

use common::{
    Card, NO_AUDIT, NOW, Place, enrolled, item, names, pin, put_main, save, unlock, unlock_with,
    with_founder,
};
use touchkeep_container::words::Role;
use touchkeep_device::Auth;
use touchkeep_vault::{Hand, Locked, Newcomer, ReadOnly, TakenIn, Unlocked, VaultError};

fn taken(vault: &mut Unlocked) -> TakenIn {
    vault.take_in().unwrap()
}

fn is_nothing(vault: &mut Unlocked) -> bool {
    matches!(taken(vault), TakenIn::Nothing)
}

#[test]
fn what_another_session_has_saved_is_here_and_the_file_stays_as_it_is() {
    let place = Place::new();
    let mut here = place.create(false);
    let mut there = place.unlock();
    assert!(is_nothing(&mut here), "its own save");
    put_main(&mut there, "theirs", "a");
    there.set_setting("policy", "theirs").unwrap();
    save(&mut there);
    let file = fs::read(&place.path).unwrap();
    let beside = place.names();
    assert!(matches!(taken(&mut here), TakenIn::Something));
    assert_eq!(
        (names(&here), here.setting("policy")),
        (vec!["theirs".into()], Some("theirs"))
    );
    assert!(is_nothing(&mut here));
    assert_eq!(
        (fs::read(&place.path).unwrap(), place.names()),
        (file, beside)
    );

    // Both branches of two copies are there, and the next save joins them.
    let elsewhere = Place::new();
    fs::copy(&place.path, &elsewhere.path).unwrap();
    let mut third = elsewhere.unlock();
    put_main(&mut here, "ours", "b");
    put_main(&mut third, "third", "c");
    fs::copy(&elsewhere.path, &place.path).unwrap();
    assert!(matches!(taken(&mut here), TakenIn::Something));
    assert_eq!(names(&here), ["ours", "theirs", "third"]);
    put_main(&mut here, "after", "d");
    let now = place.unlock();
    assert_eq!(names(&now), ["after", "ours", "theirs", "third"]);
    assert_eq!(now.as_locked().container().heads().len(), 1);
}

#[test]
fn a_change_that_is_not_saved_stays_and_what_others_wrote_comes_with_its_save() {
    let place = Place::new();
    let mut here = place.create(false);
    let mut there = place.unlock();
    put_main(&mut there, "theirs", "a");
    here.put(item(here.environment(), "ours")).unwrap();
    assert!(is_nothing(&mut here));
    save(&mut here);
    assert_eq!(names(&here), ["ours", "theirs"]);
}

#[test]
fn what_does_not_read_is_another_vault_or_older_changes_nothing_here() {
    let place = Place::new();
    let mut here = place.create(false);
    let older = fs::read(&place.path).unwrap();
    put_main(&mut here, "ours", "a");
    let newest = fs::read(&place.path).unwrap();
    let other = Place::new();
    drop(other.create(false));
    for broken in [
        Vec::new(),
        newest[..newest.len() / 2].to_vec(),
        fs::read(&other.path).unwrap(),
    ] {
        fs::write(&place.path, broken).unwrap();
        assert!(here.take_in().is_err());
        assert_eq!(names(&here), ["ours"]);
    }
    fs::remove_file(&place.path).unwrap();
    assert!(matches!(here.take_in(), Err(VaultError::NoVault(_))));
    fs::write(&place.path, &older).unwrap();
    assert!(is_nothing(&mut here));
    assert_eq!(names(&here), ["ours"]);
    put_main(&mut here, "after", "b");
    assert_eq!(names(&place.unlock()), ["after", "ours"]);
}

// An open session with the keys of before would read nothing of what was written since, and take that for all there is.
#[test]
fn a_session_whose_keys_another_copy_has_replaced_is_told_so() {
    let place = Place::new();
    let mut here = place.create(false);
    let lost = enrolled(&mut here, &mut Card::new());
    let [mut looking, mut saving] = [(); 2].map(|()| place.unlock());
    with_founder(&mut here, |here, hand| {
        here.retire(lost, hand, NOW, NO_AUDIT())
    })
    .unwrap();
    put_main(&mut here, "after", "a");
    assert!(matches!(
        taken(&mut looking),
        TakenIn::NotOpened(VaultError::Lapsed)
    ));
    assert_eq!(names(&looking).len(), 0);
    // Nor by a save that has nothing of its own to write.
    let saved = saving.save(NOW, NO_AUDIT());
    assert!(matches!(saved, Err(VaultError::Lapsed)), "{saved:?}");
    assert_eq!(names(&place.unlock()), ["after"]);
}

#[test]
fn who_is_gone_is_told_so() {
    let place = Place::new();
    let mut admin = place.create(false);
    let mut card = Card::new();
    let newcomer = Newcomer::new("other".into(), &mut card, false).unwrap();
    let main = admin.environment();
    with_founder(&mut admin, |admin, own| {
        let auth = Auth::Pin(&pin());
        let device = &mut card;
        let his = Hand { device, auth };
        admin.admit(
            &newcomer,
            (Role::Writer, &[main]),
            own,
            his,
            (NOW, NO_AUDIT()),
        )
    })
    .unwrap();
    let mut his = unlock_with(&place, &mut card).unwrap();
    with_founder(&mut admin, |admin, hand| {
        admin.set_role(newcomer.user(), Role::Gone, hand, (NOW, NO_AUDIT()))
    })
    .unwrap();
    assert!(matches!(
        taken(&mut his),
        TakenIn::NotOpened(VaultError::Lapsed)
    ));
}

#[test]
fn a_copy_that_may_be_anothers_decides_nothing() {
    let place = Place::new();
    let pins = place.folder.path().join("heads");
    let mut here = place.create(false);
    let older = fs::read(&place.path).unwrap();
    put_main(&mut here, "newer", "a");
    let newest = fs::read(&place.path).unwrap();
    drop(unlock(Locked::open_pinned(&place.path, &pins).unwrap()));
    fs::write(&place.path, older).unwrap();
    let mut behind = unlock(Locked::open_pinned(&place.path, &pins).unwrap());
    assert_eq!(behind.read_only(), Some(ReadOnly::Behind));
    fs::write(&place.path, newest).unwrap();
    assert!(is_nothing(&mut behind));
    assert_eq!(behind.read_only(), Some(ReadOnly::Behind));
}
