//! Makes the frozen vault of `crates/container/tests/vectors`: `make_vector FOLDER`. Run once for each format version; what
//! it made stays as it is, so that every later version is held to read it.

use std::{env, error::Error, fs, path::Path};

use touchkeep_core::{ApiSecret, ItemId, Passphrase, UnixMillis};
use touchkeep_vault::{AuditHead, AuthMethod, Item, NewDevice, NewVault, SecretPlace, create};
use touchkeep_venue::KeyClass;

const PASSPHRASE: &str = "correct horse battery staple";
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("make_vector FOLDER")?;
    let path = Path::new(&folder).join("vault-1.tar");
    let passphrase = Passphrase::new(PASSPHRASE.into());
    let device = NewDevice::Software {
        passphrase: &passphrase,
        work_factor: 4,
    };
    let new = NewVault {
        user_name: "Ada".into(),
        environment_name: "prod".into(),
        practice: true,
        device,
        now: NOW,
    };
    let mut vault = create(&path, new)?;
    let [stored, sealed] = ["trade", "money"].map(item);
    vault.put(stored.clone())?;
    vault.put(sealed.clone())?;
    vault.set_secret(stored.id, ApiSecret::new("a stored secret".into()))?;
    vault.set_setting("policy", "default = \"deny\"\n")?;
    vault.save(NOW.plus_ms(1), AuditHead::empty())?;
    vault.seal(sealed.id, ApiSecret::new("a sealed secret".into()))?;
    vault.save(NOW.plus_ms(2), AuditHead::empty())?;
    let heads: Vec<_> = vault.as_locked().container().heads();
    let expected = serde_json::json!({
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
    fs::write(
        Path::new(&folder).join("vault-1.json"),
        format!("{expected:#}\n"),
    )?;
    for left in ["vault-1.tar.1", "vault-1.tar.2", "vault-1.tar.lock"] {
        fs::remove_file(Path::new(&folder).join(left))?;
    }
    Ok(())
}

fn item(name: &str) -> Item {
    Item {
        id: ItemId::random(),
        name: name.into(),
        venue: "binance".into(),
        key_set: "main".into(),
        class: KeyClass::Trade,
        auth: AuthMethod::HmacSha256,
        api_key: "api-key".into(),
        secret: SecretPlace::Missing,
        base_url: Some("http://127.0.0.1:8080".into()),
        created: NOW,
        rotate_after_days: Some(90),
        note: "two\nlines".into(),
    }
}
