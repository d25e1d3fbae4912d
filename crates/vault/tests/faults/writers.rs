//! V-07: older copies, forks and other vaults in the place. V-08: many processes that write at once.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
};

use touchkeep_core::{ApiSecret, Id, ItemId};
use touchkeep_device::{Auth, RecoveryKit};
use touchkeep_vault::{AuditHead, Locked, NewDevice, ReadOnly, Unlocked, VaultError, merge_into};

use crate::{
    common::{NOW, item, unlock},
    operation::{Paths, govern, make, put, save},
    tally::{Draw, Tally, amount},
};

const FOLDER: &str = "TOUCHKEEP_FAULT_WRITER_FOLDER";
const WRITER: &str = "TOUCHKEEP_FAULT_WRITER";
const SAVES: &str = "TOUCHKEEP_FAULT_WRITER_SAVES";
const SHARED: u8 = 77;

fn is_governor(writer: usize) -> bool {
    writer >= 8
}

/// Eight processes put items and replace one secret that they all share; two more enrol devices and retire them. Each says what was
/// acknowledged to it.
#[test]
fn what_was_acknowledged_to_any_of_ten_writers_is_there() {
    if let Ok(folder) = env::var(FOLDER) {
        let number = |name| env::var(name).unwrap().parse().unwrap();
        return write_as_told(
            &Paths::of(Path::new(&folder)),
            number(WRITER),
            number(SAVES),
        );
    }
    let mut tally = Tally::new(
        "V-08",
        "eight processes write, two enrol and retire, all at once",
    );
    let mut draw = Draw::new("writers");
    for _ in 0..amount(1, 20) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::of(folder.path());
        let mut vault = make(&paths.vault, &paths.pins).unwrap();
        put(&mut vault, SHARED, "at first").unwrap();
        save(&mut vault).unwrap();
        drop(vault);
        let seed = draw.below(1 << 30);
        let running: Vec<Child> = (0..10)
            .map(|writer| start(folder.path(), writer, seed))
            .collect();
        let said: Vec<String> = running.into_iter().map(ended).collect();
        check(&paths, &said, &mut tally);
    }
}

fn start(folder: &Path, writer: usize, seed: usize) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "writers::what_was_acknowledged_to_any_of_ten_writers_is_there",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(WRITER, writer.to_string())
        .env(SAVES, if is_governor(writer) { "2" } else { "5" })
        .env("PROPTEST_RNG_SEED", (seed + writer).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ended(mut child: Child) -> String {
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    said
}

fn check(paths: &Paths, said: &[String], tally: &mut Tally) {
    let vault = paths.open().unwrap();
    let names: BTreeSet<_> = vault.items().iter().map(|item| item.name.clone()).collect();
    let devices: BTreeSet<_> = vault
        .devices()
        .iter()
        .map(|it| (it.id.to_string(), it.retired))
        .collect();
    let mut secrets = BTreeSet::from(["at first".to_owned()]);
    let acknowledged = said
        .iter()
        .flat_map(|said| said.lines())
        .filter_map(|line| line.strip_prefix("ACK "));
    for line in acknowledged {
        let (what, which) = line.split_once(' ').unwrap();
        let is_there = match what {
            "item" => names.contains(which),
            "secret" => {
                secrets.insert(which.to_owned());
                true
            }
            "enrolled" => devices.iter().any(|(id, _)| id == which),
            _ => devices.contains(&(which.to_owned(), true)),
        };
        tally.tried(
            || line.to_owned(),
            is_there.then_some(()).ok_or_else(|| "is lost".into()),
        );
    }
    let id = ItemId(Id::from_bytes([SHARED; 16]));
    let shared = vault.secret(id).unwrap();
    let shared = shared.expose().rsplit(' ').next().unwrap().to_owned();
    let is_of_somebody = secrets.iter().any(|secret| secret.ends_with(&shared));
    let held = is_of_somebody
        .then_some(())
        .ok_or_else(|| format!("{shared} was acknowledged to nobody"));
    tally.tried(|| "the shared secret".into(), held);
    let heads = vault.as_locked().container().heads().len();
    let ends = vault.as_locked().container().chain().ends().len();
    let one = (heads, ends) == (1, 1);
    tally.tried(
        || "heads".into(),
        one.then_some(())
            .ok_or_else(|| format!("{heads} heads, {ends} ends")),
    );
    let left = fs::read_dir(paths.vault.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left = left
        .into_iter()
        .any(|name| name.to_string_lossy().ends_with(".tmp"));
    tally.tried(
        || "left over".into(),
        (!left)
            .then_some(())
            .ok_or_else(|| "a temporary file".into()),
    );
}

fn write_as_told(paths: &Paths, writer: usize, saves: usize) {
    let mut draw = Draw::new("a writer");
    let mut vault = open(paths);
    for number in 0..saves {
        let choice = draw.below(3);
        // Some keep their session and are behind by then, some look again first.
        if draw.below(2) == 0 {
            vault = open(paths);
        }
        let mut tries = 0;
        loop {
            let done = if is_governor(writer) {
                govern_once(&mut vault)
            } else {
                write_once(&mut vault, writer, number, choice)
            };
            match done {
                Ok(acknowledged) => {
                    for line in acknowledged {
                        println!("\nACK {line}");
                    }
                    break;
                }
                // Somebody changed the membership, or the keys, in the meantime. It was not acknowledged; look, and try again.
                Err(error) => {
                    tries += 1;
                    assert!(tries < 200, "{error}");
                    vault = open(paths);
                }
            }
        }
    }
}

fn open(paths: &Paths) -> Unlocked {
    unlock(Locked::open(&paths.vault).unwrap())
}

fn write_once(
    vault: &mut Unlocked,
    writer: usize,
    number: usize,
    choice: usize,
) -> Result<Vec<String>, VaultError> {
    let name = format!("writer {writer} item {number}");
    let mut new = item(vault.environment(), &name);
    let [writer_byte, number_byte] = [writer, number].map(|value| u8::try_from(value).unwrap());
    new.id = ItemId(Id::from_bytes([
        1,
        writer_byte,
        number_byte,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]));
    vault.put(new)?;
    let mut acknowledged = vec![format!("item {name}")];
    if choice == 0 {
        let secret = format!("secret-of-{writer}-{number}");
        vault.set_secret(
            ItemId(Id::from_bytes([SHARED; 16])),
            ApiSecret::new(secret.clone()),
        )?;
        acknowledged.push(format!("secret {secret}"));
    }
    save(vault)?;
    Ok(acknowledged)
}

// Enrols a recovery kit of its own, and retires it again.
fn govern_once(vault: &mut Unlocked) -> Result<Vec<String>, VaultError> {
    let mut kit = RecoveryKit::generate()?.device()?;
    let new = NewDevice::Hardware(&mut kit, Auth::Nothing);
    let id = govern(vault, |vault, hand| {
        vault.enroll(new, hand, NOW, AuditHead::empty())
    })?;
    let mut acknowledged = vec![format!("enrolled {id}")];
    // It stays enrolled where somebody else comes between.
    if govern(vault, |vault, hand| {
        vault.retire(id, hand, NOW, AuditHead::empty())
    })
    .is_ok()
    {
        acknowledged.push(format!("retired {id}"));
    }
    Ok(acknowledged)
}

#[test]
fn an_older_copy_a_fork_and_another_vault_are_known_for_what_they_are() {
    let mut tally = Tally::new(
        "V-07",
        "an older copy, a fork or another vault put in the place",
    );
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::of(folder.path());
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    let mut versions = vec![fs::read(&paths.vault).unwrap()];
    for number in 0..u8::try_from(amount(8, 30).min(100)).unwrap() {
        put(&mut vault, number, "stored").unwrap();
        save(&mut vault).unwrap();
        versions.push(fs::read(&paths.vault).unwrap());
    }
    drop(vault);
    // Every older version, after every newer one was the last that was seen.
    for newer in 1..versions.len() {
        let pins = folder.path().join(format!("pins-{newer}"));
        fs::write(&paths.vault, &versions[newer]).unwrap();
        Locked::open_pinned(&paths.vault, &pins).unwrap();
        for (older, version) in versions[..newer].iter().enumerate() {
            fs::write(&paths.vault, version).unwrap();
            let held = read_only(&paths.vault, &pins, ReadOnly::Behind);
            tally.tried(|| format!("{older} for {newer}"), held);
        }
        fs::write(&paths.vault, &versions[newer]).unwrap();
        assert_eq!(
            Locked::open_pinned(&paths.vault, &pins)
                .unwrap()
                .read_only(),
            None
        );
    }
    let last = versions.last().unwrap();
    // A fork: continued from each older version by somebody who did not know the newer ones.
    for older in &versions[..versions.len() - 1] {
        let away = tempfile::tempdir().unwrap();
        let there = Paths::of(away.path());
        fs::write(&there.vault, older).unwrap();
        let mut fork = there.open().unwrap();
        fork.set_setting("size", "fork").unwrap();
        save(&mut fork).unwrap();
        fs::copy(&there.vault, &paths.vault).unwrap();
        tally.tried(
            || "a fork".into(),
            read_only(&paths.vault, &paths.pins, ReadOnly::Behind),
        );
        // Taken in beside what was seen, it is welcome.
        fs::write(&paths.vault, last).unwrap();
        merge_into(&paths.vault, &there.vault).unwrap();
        let mut joined = paths.open().unwrap();
        let seen = joined.setting("size") == Some("fork") && joined.read_only().is_none();
        tally.tried(
            || "a fork taken in".into(),
            seen.then_some(()).ok_or_else(|| "is not there".into()),
        );
        joined.set_setting("size", "").unwrap();
        save(&mut joined).unwrap();
        fs::remove_file(&paths.pins).unwrap();
        fs::write(&paths.vault, last).unwrap();
        Locked::open_pinned(&paths.vault, &paths.pins).unwrap();
    }
    let away = tempfile::tempdir().unwrap();
    let other = Paths::of(away.path());
    drop(make(&other.vault, &other.pins).unwrap());
    fs::copy(&other.vault, &paths.vault).unwrap();
    tally.tried(
        || "another vault".into(),
        read_only(&paths.vault, &paths.pins, ReadOnly::OtherVault),
    );
}

// It can be read, says why it is not to be written, and is not.
fn read_only(vault: &Path, pins: &Path, why: ReadOnly) -> Result<(), String> {
    let before = fs::read(vault).unwrap();
    let locked = Locked::open_pinned(vault, pins).map_err(|error| error.to_string())?;
    if locked.read_only() != Some(why) {
        return Err(format!("{:?}", locked.read_only()));
    }
    let mut vault_open = unlock(locked);
    vault_open.set_setting("size", "intruder").unwrap();
    match save(&mut vault_open) {
        Err(VaultError::ReadOnly) if fs::read(vault).unwrap() == before => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
