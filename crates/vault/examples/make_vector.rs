//! Makes the frozen vaults of `crates/container/tests/vectors`: `make_vector FOLDER`. Run once for each format version; what
//! it made stays as it is, so that every later version is held to read it.
//!
//! `vault-1`: one member, one environment. `team-1`: three members with different rights, two environments, a recovery kit, a
//! retired device, a chain that went on in two ways and was joined, folded history, and two heads.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use touchkeep_container::words::Role;
use touchkeep_core::{ApiSecret, EnvironmentId, Passphrase, UnixMillis};
use touchkeep_device::{Auth, DeviceKind, RecoveryKit, SoftwareDevice};
use touchkeep_vault::{
    AuditHead, Hand, Item, ItemKind, Locked, NewDevice, NewVault, Newcomer, Unlocked, create,
    merge_into,
};
use touchkeep_venue::KeyClass;

const PASSPHRASE: &str = "correct horse battery staple";
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const WORK_FACTOR: u8 = 4;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result {
    let folder = PathBuf::from(env::args().nth(1).ok_or("make_vector FOLDER")?);
    single(&folder)?;
    team(&folder)
}

fn single(folder: &Path) -> Result {
    let path = folder.join("vault-1.tar");
    let mut vault = founded(&path)?;
    let environment = vault.environment();
    let [stored, sealed] = ["trade", "money"].map(|name| item(environment, name));
    vault.put(stored.clone())?;
    vault.put(sealed.clone())?;
    vault.set_secret(stored.id, ApiSecret::new("a stored secret".into()))?;
    vault.set_setting("policy", "default = \"deny\"\n")?;
    vault.save(NOW.plus_ms(1), AuditHead::empty())?;
    vault.seal(sealed.id, ApiSecret::new("a sealed secret".into()))?;
    vault.save(NOW.plus_ms(2), AuditHead::empty())?;
    let heads: Vec<_> = vault.as_locked().container().heads();
    let expected = json!({
        "passphrase": PASSPHRASE,
        "vault": vault.id(),
        "user": vault.user(),
        "environment": vault.environment(),
        "device": vault.devices().first().map(|device| device.id),
        "head": heads.first().map(ToString::to_string),
        "items": [{"id": stored.id, "name": "trade", "stored": "a stored secret"},
                  {"id": sealed.id, "name": "money", "sealed": "a sealed secret"}],
        "settings": {"policy": "default = \"deny\"\n"},
    });
    finish(folder, "vault-1", &expected)
}

fn team(folder: &Path) -> Result {
    let path = folder.join("team-1.tar");
    let mut admin = founded(&path)?;
    let prod = admin.environment();
    let kit = RecoveryKit::generate()?;
    let words = kit.words()?.to_string();
    let mut kit = kit.device()?;
    by_founder(&mut admin, |admin, hand| {
        let new = NewDevice::Hardware(&mut kit, Auth::Nothing);
        Ok(admin.enroll(new, hand, NOW, AuditHead::empty())?)
    })?;
    let lost = software_of(&mut admin)?;
    let test = by_founder(&mut admin, |admin, hand| {
        Ok(admin.add_environment("testnet", hand, NOW, AuditHead::empty())?)
    })?;
    let mut members = Vec::new();
    for (name, role, environments) in [
        ("writer", Role::Writer, &[prod, test][..]),
        ("reader", Role::Reader, &[test]),
    ] {
        members.push(member(&mut admin, name, role, environments)?);
    }
    by_founder(&mut admin, |admin, hand| {
        Ok(admin.retire(lost, hand, NOW, AuditHead::empty())?)
    })?;
    put(&mut admin, prod, "prod", "in prod")?;
    put(&mut admin, test, "test", "in test")?;
    for count in 0..130 {
        admin.set_setting("count", &count.to_string())?;
        admin.save(NOW.plus_ms(count), AuditHead::empty())?;
    }
    joined(folder, &path, &mut admin)?;
    two_heads(folder, &path, prod, test)?;

    let vault = Locked::open(&path)?;
    let heads: Vec<_> = vault.container().heads();
    let expected = json!({
        "passphrase": PASSPHRASE,
        "kit": words,
        "vault": vault.id(),
        "environments": {"prod": prod, "testnet": test},
        "members": members,
        "retired": lost,
        "heads": heads.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "head_of_members": vault.container().membership().head.to_string(),
        "items": {"prod": "in prod", "test": "in test", "here": "h", "there": "t"},
        "settings": {"count": "129"},
    });
    finish(folder, "team-1", &expected)
}

// A member whose device is a kit: its words are in the vector's text.
fn member(
    admin: &mut Unlocked,
    name: &str,
    role: Role,
    environments: &[EnvironmentId],
) -> Result<serde_json::Value> {
    let kit = RecoveryKit::generate()?;
    let words = kit.words()?.to_string();
    let mut device = kit.device()?;
    let newcomer = Newcomer::new(name.into(), &mut device, true)?;
    by_founder(admin, |admin, own| {
        let theirs = Hand {
            device: &mut device,
            auth: Auth::Nothing,
        };
        let when = (NOW, AuditHead::empty());
        Ok(admin.admit(&newcomer, (role, environments), own, theirs, when)?)
    })?;
    Ok(json!({"name": name, "role": role.to_string(), "kit": words, "user": newcomer.user()}))
}

// Both copies change the membership; an admin joins them.
fn joined(folder: &Path, path: &Path, admin: &mut Unlocked) -> Result {
    let other = folder.join("other.tar");
    fs::copy(path, &other)?;
    let mut there = opened(&other)?;
    software_of(admin)?;
    software_of(&mut there)?;
    merge_into(path, &other)?;
    let mut both = opened(path)?;
    by_founder(&mut both, |both, hand| {
        Ok(both.join(hand, NOW, AuditHead::empty())?)
    })?;
    remove(folder, "other.tar")
}

fn two_heads(folder: &Path, path: &Path, prod: EnvironmentId, test: EnvironmentId) -> Result {
    let other = folder.join("other.tar");
    fs::copy(path, &other)?;
    put(&mut opened(path)?, prod, "here", "h")?;
    put(&mut opened(&other)?, test, "there", "t")?;
    merge_into(path, &other)?;
    remove(folder, "other.tar")
}

fn founded(path: &Path) -> Result<Unlocked> {
    let passphrase = Passphrase::new(PASSPHRASE.into());
    let device = NewDevice::Software {
        passphrase: &passphrase,
        work_factor: WORK_FACTOR,
    };
    let new = NewVault {
        user_name: "Ada".into(),
        environment_name: "prod".into(),
        practice: true,
        device,
        now: NOW,
    };
    Ok(create(path, new)?)
}

fn founder(locked: &Locked) -> Result<SoftwareDevice> {
    let mut devices = locked.devices().iter();
    let own = devices.find(|device| device.kind == DeviceKind::Software);
    Ok(locked.software_device(own.ok_or("no passphrase")?.id)?)
}

fn opened(path: &Path) -> Result<Unlocked> {
    let locked = Locked::open(path)?;
    let passphrase = Passphrase::new(PASSPHRASE.into());
    let mut last = Err("nothing opens it".into());
    for device in locked.devices().to_vec() {
        if device.kind != DeviceKind::Software || device.retired {
            continue;
        }
        let mut own = locked.software_device(device.id)?;
        match Locked::open(path)?.unlock(&mut own, Auth::Passphrase(&passphrase)) {
            Ok(vault) => return Ok(vault),
            Err(error) => last = Err(error.into()),
        }
    }
    last
}

fn by_founder<T>(
    vault: &mut Unlocked,
    work: impl FnOnce(&mut Unlocked, Hand<'_, '_>) -> Result<T>,
) -> Result<T> {
    let passphrase = Passphrase::new(PASSPHRASE.into());
    let mut device = founder(vault.as_locked())?;
    let hand = Hand {
        device: &mut device,
        auth: Auth::Passphrase(&passphrase),
    };
    work(vault, hand)
}

fn software_of(vault: &mut Unlocked) -> Result<touchkeep_core::DeviceId> {
    let passphrase = Passphrase::new(PASSPHRASE.into());
    by_founder(vault, |vault, hand| {
        let new = NewDevice::Software {
            passphrase: &passphrase,
            work_factor: WORK_FACTOR,
        };
        Ok(vault.enroll(new, hand, NOW, AuditHead::empty())?)
    })
}

fn put(vault: &mut Unlocked, environment: EnvironmentId, name: &str, secret: &str) -> Result {
    let item = item(environment, name);
    let id = item.id;
    vault.put(item)?;
    vault.set_secret(id, ApiSecret::new(secret.into()))?;
    Ok(vault.save(NOW, AuditHead::empty())?)
}

fn item(environment: EnvironmentId, name: &str) -> Item {
    Item {
        venue: "binance".into(),
        key_set: "main".into(),
        class: KeyClass::Trade,
        api_key: "api-key".into(),
        base_url: Some("http://127.0.0.1:8080".into()),
        created: NOW,
        rotate_after_days: Some(90),
        note: "two\nlines".into(),
        ..Item::new(environment, ItemKind::ExchangeKey, name.into())
    }
}

fn finish(folder: &Path, name: &str, expected: &serde_json::Value) -> Result {
    fs::write(
        folder.join(format!("{name}.json")),
        format!("{expected:#}\n"),
    )?;
    remove_beside(folder, &format!("{name}.tar"))
}

fn remove(folder: &Path, name: &str) -> Result {
    fs::remove_file(folder.join(name))?;
    remove_beside(folder, name)
}

fn remove_beside(folder: &Path, name: &str) -> Result {
    for suffix in ["1", "2", "3", "lock"] {
        let path = folder.join(format!("{name}.{suffix}"));
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
