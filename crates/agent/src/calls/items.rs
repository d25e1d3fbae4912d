//! Items: listed without their secrets, added, named, removed.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{ApiSecret, Clock, DeviceId, ItemId, SystemClock, text::visible};
use touchkeep_device::{Algorithm, DeviceKind, KeyInfo, TouchPolicy};
use touchkeep_vault::{AuthMethod, Item, SecretPlace, Unlocked};
use touchkeep_venue::KeyClass;
use touchkeep_wire::{AddItem, Done, Failure, ItemSummary, NewSecret, PublicKeyPem, SecretText};

use super::{change, open_vault};
use crate::{
    agent::Agent,
    devices::{Failed, Use},
    failure,
    ports::{open_enrolled, request_key, request_key_setting},
    vault::device_label,
};

/// Characters of the API key that are shown at each end.
const HINT: usize = 4;
/// Characters of a line in PEM (RFC 7468).
const PEM_LINE: usize = 64;

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<ItemSummary>, Failure> {
    let (_, open) = open_vault(agent)?;
    let vault = open.read();
    let mut items: Vec<_> = vault.items().into_iter().map(summary).collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

// Where the secret of a new item comes to be.
enum Kept {
    Stored(ApiSecret),
    Sealed(ApiSecret),
    OnDevice(DeviceId, KeyInfo),
}

pub(crate) async fn add(agent: &Arc<Agent>, call: AddItem) -> Result<ItemSummary, Failure> {
    let class = class_of(&call.class)?;
    if touchkeep_venue::dialect(&call.venue).is_none() {
        return Err(failure::not_found("venue", &call.venue, "Known: binance."));
    }
    if call.key_set.trim().is_empty() {
        return Err(failure::invalid(
            "An item needs a key set: the name of the venue account.",
            "",
        ));
    }
    {
        let (_, open) = open_vault(agent)?;
        if open.item(&call.name).is_ok() {
            return Err(Failure::new(
                touchkeep_core::Code::Ambiguous,
                format!("There is an item {:?} already.", visible(&call.name)),
                "Choose another name.",
            ));
        }
    }
    {
        let (_, open) = open_vault(agent)?;
        let vault = open.read();
        let items = vault.items();
        let same = items.into_iter().find(|item| {
            item.venue == call.venue && item.key_set == call.key_set && item.class == class
        });
        if let Some(other) = same {
            return Err(Failure::new(
                touchkeep_core::Code::Ambiguous,
                format!(
                    "The key set {:?} has a key of this class already: {:?}.",
                    visible(&call.key_set),
                    visible(&other.name)
                ),
                "Remove that one first, or use another key set.",
            ));
        }
    }
    let kept = match call.secret {
        NewSecret::Stored { value } => Kept::Stored(secret_of(value)),
        NewSecret::Sealed { value } => Kept::Sealed(secret_of(value)),
        NewSecret::OnDevice { device } => {
            let (device, key) = make_key(agent, device, &call.name).await?;
            Kept::OnDevice(device, key)
        }
    };
    if call.api_key.is_empty() && !matches!(kept, Kept::OnDevice(..)) {
        return Err(failure::invalid(
            "The API key is missing.",
            "Give the public half too.",
        ));
    }
    let environment = {
        let (_, open) = open_vault(agent)?;
        open.read().environment()
    };
    let item = Item {
        id: ItemId::random(),
        environment,
        name: call.name,
        venue: call.venue,
        key_set: call.key_set,
        class,
        auth: match kept {
            Kept::OnDevice(..) => AuthMethod::RsaSha256,
            Kept::Stored(_) | Kept::Sealed(_) => AuthMethod::HmacSha256,
        },
        api_key: call.api_key,
        secret: SecretPlace::Missing,
        base_url: call.base_url.map(|url| checked_url(&url)).transpose()?,
        created: call.created.unwrap_or_else(|| SystemClock.now()),
        rotate_after_days: call.rotate_after_days,
        note: String::new(),
        sealed_to: Vec::new(),
    };
    let added = change(agent, move |agent| {
        let (current, _) = open_vault(agent)?;
        if item.base_url.is_some() && !current.is_practice() {
            return Err(failure::vault(&touchkeep_vault::VaultError::PracticeOnly));
        }
        let event = Event::new(Kind::ItemAdded, Decision::Done)
            .text(format!(
                "Stored the key {} of {}, key set {}.",
                visible(&item.name),
                visible(&item.venue),
                visible(&item.key_set)
            ))
            .item(item.id, visible(&item.name));
        current.change(event, move |vault| put(vault, item, kept))
    })
    .await?;
    agent.prompts().changed("items");
    Ok(added)
}

fn put(vault: &mut Unlocked, mut item: Item, kept: Kept) -> Result<ItemSummary, Failure> {
    let id = item.id;
    let to_failure = |error| failure::vault(&error);
    match kept {
        Kept::Stored(secret) => {
            vault.put(item).map_err(to_failure)?;
            vault.set_secret(id, secret).map_err(to_failure)?;
        }
        Kept::Sealed(secret) => {
            vault.put(item).map_err(to_failure)?;
            vault.seal(id, secret).map_err(to_failure)?;
        }
        Kept::OnDevice(device, key) => {
            item.secret = SecretPlace::OnDevice {
                device,
                key: key.key.clone(),
            };
            let text = serde_json::to_string(&key)
                .map_err(|_| failure::invalid("The device's key cannot be written down.", ""))?;
            vault.put(item).map_err(to_failure)?;
            vault
                .set_setting(&request_key_setting(id), &text)
                .map_err(to_failure)?;
        }
    }
    vault
        .item(id)
        .map(summary)
        .ok_or_else(|| to_failure(touchkeep_vault::VaultError::NotFound))
}

// An RSA-2048 key that is made on the device, and asks for a touch at each signature where the device has such.
async fn make_key(
    agent: &Arc<Agent>,
    wanted: Option<DeviceId>,
    item: &str,
) -> Result<(DeviceId, KeyInfo), Failure> {
    let (current, open) = open_vault(agent)?;
    let wanted = wanted.unwrap_or(open.device);
    let devices = current.devices();
    let device = devices.iter().find(|device| device.id == wanted);
    let device = device.cloned().ok_or_else(|| {
        failure::not_found(
            "device",
            &wanted.to_string(),
            "Look at: touchkeep device list",
        )
    })?;
    if matches!(device.kind, DeviceKind::Software | DeviceKind::Kit) {
        return Err(failure::invalid(
            "The software device makes no keys for requests.",
            "Use a YubiKey or an HSM, or store the venue's secret sealed.",
        ));
    }
    let touch = match device.kind {
        DeviceKind::Piv => TouchPolicy::Always,
        _ => TouchPolicy::Never,
    };
    let label = device_label(&device);
    let what = Use {
        device: label.clone(),
        serial: device.serial.clone(),
        key: None,
        why: format!("Make a key for {}", visible(item)),
        touch: None,
        fresh: false,
    };
    let (opened, modules) = (device.clone(), agent.modules());
    let made = agent.devices().with(
        what,
        move || open_enrolled(&opened, &open, &modules),
        move |device, auth| {
            let provision = device
                .provision()
                .ok_or_else(|| Failed::Other(failure::invalid("This device makes no keys.", "")))?;
            Ok(provision.generate_request_key(Algorithm::Rsa2048, touch, auth)?)
        },
    );
    let key = made.await.map_err(|failed| failed.failure(&label))?;
    Ok((device.id, key))
}

pub(crate) async fn set_api_key(
    agent: &Arc<Agent>,
    name: String,
    api_key: String,
) -> Result<ItemSummary, Failure> {
    if api_key.is_empty() || !api_key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(failure::invalid(
            "That is no API key.",
            "Copy it from the venue's page.",
        ));
    }
    let changed = change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let mut item = open.item(&name)?;
        let event = Event::new(Kind::ItemChanged, Decision::Done)
            .text(format!(
                "Named the key {} as the venue does.",
                visible(&item.name)
            ))
            .item(item.id, visible(&item.name));
        current.change(event, move |vault| {
            let id = item.id;
            item.api_key = api_key;
            vault.put(item).map_err(|error| failure::vault(&error))?;
            let item = vault.item(id).map(summary);
            item.ok_or_else(|| failure::vault(&touchkeep_vault::VaultError::NotFound))
        })
    })
    .await?;
    agent.prompts().changed("items");
    Ok(changed)
}

pub(crate) async fn remove(agent: &Arc<Agent>, name: String) -> Result<Done, Failure> {
    change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let item = open.item(&name)?;
        let event = Event::new(Kind::ItemRemoved, Decision::Done)
            .text(format!("Removed the key {}.", visible(&item.name)))
            .item(item.id, visible(&item.name));
        current.change(event, |vault| {
            let setting = request_key_setting(item.id);
            if vault.setting(&setting).is_some() {
                vault
                    .set_setting(&setting, "")
                    .map_err(|error| failure::vault(&error))?;
            }
            vault
                .remove(item.id)
                .map_err(|error| failure::vault(&error))
        })
    })
    .await?;
    agent.prompts().changed("items");
    Ok(Done {})
}

pub(crate) fn public_key(agent: &Arc<Agent>, name: &str) -> Result<PublicKeyPem, Failure> {
    let (_, open) = open_vault(agent)?;
    let item = open.item(name)?;
    let SecretPlace::OnDevice { key, .. } = &item.secret else {
        return Err(failure::invalid(
            "This item's key is not on a device, so it has no public half of ours.",
            "",
        ));
    };
    let info = request_key(&open.read(), item.id, key).ok_or_else(|| {
        failure::not_found(
            "public key of",
            &item.name,
            "Remove the item and make a new key.",
        )
    })?;
    Ok(PublicKeyPem {
        pem: pem(&info.spki),
    })
}

fn pem(spki: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(spki);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in text.as_bytes().chunks(PEM_LINE) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

pub(crate) fn summary(item: &Item) -> ItemSummary {
    ItemSummary {
        id: item.id,
        name: item.name.clone(),
        venue: item.venue.clone(),
        key_set: item.key_set.clone(),
        class: class_word(item.class).to_owned(),
        secret: match item.secret {
            SecretPlace::Missing => "missing",
            SecretPlace::Stored => "stored",
            SecretPlace::Sealed => "sealed",
            SecretPlace::OnDevice { .. } => "on-device",
        }
        .to_owned(),
        api_key_hint: hint(&item.api_key),
        created: item.created,
        due: super::remind::age(item).due_at(),
    }
}

fn hint(api_key: &str) -> String {
    let count = api_key.chars().count();
    if count <= 2 * HINT {
        return "…".repeat(usize::from(count > 0));
    }
    let first: String = api_key.chars().take(HINT).collect();
    let last: String = api_key.chars().skip(count - HINT).collect();
    visible(&first) + "…" + &visible(&last)
}

const fn class_word(class: KeyClass) -> &'static str {
    match class {
        KeyClass::Read => "read",
        KeyClass::Trade => "trade",
        KeyClass::MoveMoney => "move-money",
        KeyClass::KeyAdmin => "key-admin",
    }
}

pub(super) fn class_of(word: &str) -> Result<KeyClass, Failure> {
    [
        KeyClass::Read,
        KeyClass::Trade,
        KeyClass::MoveMoney,
        KeyClass::KeyAdmin,
    ]
    .into_iter()
    .find(|class| class_word(*class) == word)
    .ok_or_else(|| {
        failure::not_found(
            "class of keys",
            word,
            "Choose read, trade, move-money or key-admin.",
        )
    })
}

// `http://host:port`, for practice: no path, no user, nothing that a second reader could read otherwise.
fn checked_url(url: &str) -> Result<String, Failure> {
    let parsed = url.parse::<hyper::Uri>().ok().filter(|uri| {
        let authority = uri.authority().map(|authority| authority.as_str());
        matches!(uri.scheme_str(), Some("http" | "https"))
            && authority.is_some_and(|authority| !authority.contains('@'))
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
    });
    match parsed {
        Some(_) => Ok(url.trim_end_matches('/').to_owned()),
        None => Err(failure::invalid(
            "That is no address of a venue.",
            "Write it as http://127.0.0.1:PORT.",
        )),
    }
}

fn secret_of(value: SecretText) -> ApiSecret {
    ApiSecret::new(value.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_never_most_of_a_key() {
        assert_eq!(hint(""), "");
        assert_eq!(hint("abcdefgh"), "…");
        assert_eq!(hint("abcdefghijklmnop"), "abcd…mnop");
    }

    #[test]
    fn an_address_has_no_second_reading() {
        assert_eq!(
            checked_url("http://127.0.0.1:8080/").unwrap(),
            "http://127.0.0.1:8080"
        );
        for bad in [
            "",
            "127.0.0.1:80",
            "ftp://a",
            "http://a@b",
            "http://a/b",
            "http://a/?b",
            "file:///etc",
        ] {
            assert!(checked_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pem_has_lines_of_64() {
        let text = pem(&[7; 100]);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert!(text.starts_with("-----BEGIN PUBLIC KEY-----\nBwcH"));
    }
}
