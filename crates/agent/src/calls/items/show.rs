//! Items as they are shown: without their secrets.

use touchkeep_core::{DeviceId, Reference, text::visible};
use touchkeep_vault::{Item, ItemKind, SecretPlace, Unlocked};
use touchkeep_wire::{DeviceKey, ItemDetail, ItemSummary, PlainField, SecretField};

use super::RequestKey;
use crate::{
    calls::remind,
    ports::request_key,
    possible::name,
    vault::{device_label, same_key},
};

/// Characters of the API key that are shown at each end.
const HINT: usize = 4;

pub(crate) fn summary(vault: &Unlocked, item: &Item) -> ItemSummary {
    let is_exchange = item.kind == ItemKind::ExchangeKey;
    ItemSummary {
        id: item.id,
        name: item.name.clone(),
        kind: item.kind.word().to_owned(),
        environment: vault.environment_name(item.environment),
        tags: item.tags.iter().cloned().collect(),
        trashed: item.trashed,
        plaintext_seen: item.plaintext_seen,
        venue: item.venue.clone(),
        key_set: item.key_set.clone(),
        class: if is_exchange {
            item.class.to_string()
        } else {
            String::new()
        },
        secret: place_word(&item.secret).to_owned(),
        api_key_hint: hint(&item.api_key),
        created: item.created,
        due: remind::age(item).due_at(),
        expires: item.expires(),
        same_key: Vec::new(),
    }
}

/// The same of one item, with what else has its API key.
pub(crate) fn summary_of_one(vault: &Unlocked, item: &Item) -> ItemSummary {
    let same = same_key(vault, item);
    ItemSummary {
        same_key: same.iter().map(|other| other.name.clone()).collect(),
        ..summary(vault, item)
    }
}

/// Everything but its secrets.
pub(crate) fn detail(vault: &Unlocked, item: &Item) -> ItemDetail {
    let fields = item.plain().into_iter().map(|(name, value)| PlainField {
        name: name.to_owned(),
        value,
    });
    let secrets = item.places().map(|(name, place)| SecretField {
        name: name.to_owned(),
        place: place_word(place).to_owned(),
        devices: devices(vault, item, name, place),
    });
    let device_key = match &item.secret {
        SecretPlace::OnDevice { key, .. } => request_key(vault, item.id, key),
        _ => None,
    };
    let versions = vault.versions(item.id).unwrap_or_default();
    ItemDetail {
        summary: summary_of_one(vault, item),
        reference: reference(vault, item),
        fields: fields.collect(),
        secrets: secrets.collect(),
        device_key: device_key.map(device_key_facts),
        version: versions.first().map_or(1, |version| version.number),
        conflicts: vault.conflicts_of(item.id),
    }
}

fn device_key_facts(key: RequestKey) -> DeviceKey {
    let word = |value: serde_json::Result<serde_json::Value>| {
        let value = value.unwrap_or_default();
        value.as_str().unwrap_or_default().to_owned()
    };
    DeviceKey {
        key: key.info.key.0.clone(),
        algorithm: name(key.info.algorithm).to_owned(),
        touch: word(serde_json::to_value(key.info.touch)),
        imported: key.info.imported,
        attested: key.attested,
    }
}

// Without the field: what is shown has room for any.
fn reference(vault: &Unlocked, item: &Item) -> String {
    let reference = Reference {
        environment: vault.environment_name(item.environment),
        item: item.name.clone(),
        field: "x".to_owned(),
        version: None,
        vault: None,
    };
    let text = reference.to_string();
    text.strip_suffix("/x").map_or(text.clone(), str::to_owned)
}

fn devices(vault: &Unlocked, item: &Item, field: &str, place: &SecretPlace) -> Vec<String> {
    let label = |id: DeviceId| match vault.device(id) {
        Some(device) => device_label(device),
        None => id.to_string(),
    };
    match place {
        SecretPlace::OnDevice { device, .. } => vec![label(*device)],
        _ => item.sealed_to(field).iter().copied().map(label).collect(),
    }
}

pub(super) const fn place_word(place: &SecretPlace) -> &'static str {
    match place {
        SecretPlace::Missing => "missing",
        SecretPlace::Stored => "stored",
        SecretPlace::Sealed => "sealed",
        SecretPlace::OnDevice { .. } => "on-device",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_never_most_of_a_key() {
        assert_eq!(hint(""), "");
        assert_eq!(hint("abcdefgh"), "…");
        assert_eq!(hint("abcdefghijklmnop"), "abcd…mnop");
    }
}
