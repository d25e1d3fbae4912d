//! Keys that live on a device: made there, or put there as a venue handed them out.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use touchkeep_core::{
    ApiSecret, Code, DeviceId,
    text::{quoted, visible},
};
use touchkeep_device::{Algorithm, DeviceKind, HandedKey, KeyInfo, NotAKey, TouchPolicy};
use touchkeep_locked::on_wiped_stack;
use touchkeep_vault::{EnrolledDevice, Item, SecretPlace, Unlocked};
use touchkeep_venue::SecretForm;
use touchkeep_wire::{Failure, NewKey};
use zeroize::Zeroizing;

use crate::{
    agent::Agent,
    calls::{devices::trust, enrol::enrolled_device, open_vault},
    devices::{Failed, Opened, Use, Which},
    failure, method,
    ports::{open_enrolled, request_key},
    possible::{self, Able},
    vault::{device_label, token_called},
};

/// What the vault keeps of a request key: what is public of it, and whose word there is that it was made in a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RequestKey {
    #[serde(flatten)]
    pub(crate) info: KeyInfo,
    /// The root of the attestation that was verified when it was made; none from a device that attests nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attested: Option<String>,
}

/// Makes a key on the device, of the kind that is wanted or the best that the venue takes and the device can.
pub(super) async fn make_key(
    agent: &Arc<Agent>,
    item: &Item,
    wanted: NewKey,
) -> Result<(DeviceId, RequestKey), Failure> {
    let venue = method::venue_of(&item.venue)?;
    let (algorithm, touch) = (word(wanted.algorithm)?, word::<TouchPolicy>(wanted.touch)?);
    let class = item.class;
    on_device(
        agent,
        item,
        wanted.device,
        "Make",
        {
            move |able: &Able| {
                let algorithm = possible::made(&venue, able, algorithm)?;
                Ok((algorithm, possible::touch_of(able, class, touch)?))
            }
        },
        |device, (algorithm, touch), auth| {
            let provision = device.provision().ok_or_else(no_keys)?;
            Ok(provision.generate_request_key(algorithm, touch, auth)?)
        },
    )
    .await
}

/// Puts a key that the venue handed out into the device, which from then on uses it and does not give it out.
pub(super) async fn put_key(
    agent: &Arc<Agent>,
    item: &Item,
    secret: &ApiSecret,
    wanted: NewKey,
) -> Result<(DeviceId, RequestKey), Failure> {
    let venue = method::venue_of(&item.venue)?;
    let handed = handed(item, secret)?;
    let (algorithm, touch) = (handed.algorithm(), word::<TouchPolicy>(wanted.touch)?);
    if let Some(said) = word::<Algorithm>(wanted.algorithm)?
        && said != algorithm
    {
        return Err(failure::invalid(
            format!("That is a key of kind {}.", possible::name(algorithm)),
            "Leave --algorithm out.",
        ));
    }
    let class = item.class;
    on_device(
        agent,
        item,
        wanted.device,
        "Put in",
        {
            move |able: &Able| {
                possible::put_in(&venue, able, algorithm)?;
                possible::touch_of(able, class, touch)
            }
        },
        move |device, touch, auth| {
            let provision = device.provision().ok_or_else(no_keys)?;
            Ok(provision.import_request_key(&handed, touch, auth)?)
        },
    )
    .await
}

// The key that a venue's text is, as the venue reads it.
fn handed(item: &Item, secret: &ApiSecret) -> Result<HandedKey, Failure> {
    let venue = method::venue_of(&item.venue)?;
    let auth = method::of_secret(&venue, secret)?;
    let scheme = method::scheme_of(&item.venue, auth).ok_or_else(|| not_a_key(NotAKey::Form))?;
    let algorithm = possible::kind_for(scheme.algorithm);
    // EXPOSE: to the device that is to keep it.
    let text = secret.expose().as_bytes();
    // What reading it leaves on the stack is wiped.
    let handed = on_wiped_stack(|| match scheme.secret {
        _ if !possible::is_mac(algorithm) => HandedKey::read(text),
        SecretForm::Base64 => {
            let trimmed = secret.expose().trim().as_bytes();
            let bytes = data_encoding::BASE64.decode(trimmed).map(Zeroizing::new);
            bytes
                .map_err(|_| NotAKey::Form)
                .and_then(|bytes| HandedKey::hmac(algorithm, &bytes))
        }
        SecretForm::Text | SecretForm::PrivateKey => HandedKey::hmac(algorithm, text),
    });
    let handed = handed.map_err(not_a_key)?;
    if handed.algorithm() == algorithm {
        Ok(handed)
    } else {
        Err(not_a_key(NotAKey::Form))
    }
}

fn not_a_key(why: NotAKey) -> Failure {
    let fix = match why {
        NotAKey::Encrypted => "Take the passphrase off it first: openssl pkey",
        NotAKey::Rsa => "Make an RSA key on the device instead: --on-device",
        _ => "Copy all of what the venue showed.",
    };
    failure::invalid(
        format!("The secret cannot be put into a device: {why}."),
        fix,
    )
}

fn no_keys() -> Failed {
    Failed::Other(failure::invalid(
        "This device makes no keys.",
        "Name one that does with --device, or leave --on-device out. Which can: touchkeep device keys-for",
    ))
}

// What kind of key is decided before anybody types a PIN; the key comes to be afterwards, and what its maker says of it is read.
async fn on_device<T: Send + 'static>(
    agent: &Arc<Agent>,
    item: &Item,
    wanted: Option<String>,
    verb: &str,
    decide: impl FnOnce(&Able) -> Result<T, Failure> + Send + 'static,
    work: impl FnOnce(&mut Opened, T, touchkeep_device::Auth<'_>) -> Result<KeyInfo, Failed>
    + Send
    + 'static,
) -> Result<(DeviceId, RequestKey), Failure> {
    let (_, open) = open_vault(agent)?;
    let device = chosen(agent, wanted.as_deref()).await?;
    let label = device_label(&device);
    let what = Use {
        device: label.clone(),
        which: Which::of(&device),
        key: None,
        why: format!("{verb} a key for {}", visible(&item.name)),
        touch: None,
        fresh: false,
    };
    let decided = Arc::new(Mutex::new(None));
    let (decided_there, trust) = (Arc::clone(&decided), trust(agent));
    let (opened, modules) = (device.clone(), agent.modules());
    let made = agent.devices().with(
        what,
        move || {
            let known = known_keys(&open.read(), opened.id);
            let mut opened = open_enrolled(&opened, &open, &modules)?;
            // So that none goes in twice.
            known.iter().for_each(|key| opened.device().recall(key));
            let choice = decide(&opened.able()?).map_err(Failed::Unable)?;
            *decided_there.lock().unwrap_or_else(PoisonError::into_inner) = Some(choice);
            Ok(opened)
        },
        move |device, auth| {
            let choice = decided
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let choice = choice.ok_or_else(no_keys)?;
            let info = work(device, choice, auth)?;
            let (_, verdict) = device.statements(&info.key, trust)?;
            let attested = verdict.ok().filter(|attested| {
                attested.spki == info.spki && attested.touch == info.touch && !info.imported
            });
            Ok(RequestKey {
                info,
                attested: attested.map(|attested| attested.chain.name().to_owned()),
            })
        },
    );
    let key = made.await.map_err(|failed| failed.failure(&label))?;
    Ok((device.id, key))
}

// The request keys that the vault has on a device.
fn known_keys(vault: &Unlocked, device: DeviceId) -> Vec<KeyInfo> {
    let items = vault.items().into_iter();
    let keys = items.filter_map(|item| match &item.secret {
        SecretPlace::OnDevice { device: on, key } if *on == device => {
            request_key(vault, item.id, key)
        }
        _ => None,
    });
    keys.map(|known| known.info).collect()
}

async fn chosen(agent: &Arc<Agent>, wanted: Option<&str>) -> Result<EnrolledDevice, Failure> {
    let (current, open) = open_vault(agent)?;
    let own = open.device.to_string();
    let name = wanted.unwrap_or(&own);
    let known = enrolled_device(&open.read(), name);
    let device = match known {
        // The vault keeps a token's number alone: what it calls itself is seen where it is connected.
        Err(failure) if failure.code == Code::NotFound => {
            let (found, _) = token_called(agent, &current, name).await?;
            enrolled_device(&open.read(), &found.id.to_string())?
        }
        known => known?,
    };
    if matches!(device.kind, DeviceKind::Software | DeviceKind::Kit) {
        return Err(failure::invalid(
            "The software device makes no keys for requests.",
            "Name a YubiKey or an HSM (--device), or store the venue's secret sealed.",
        ));
    }
    if device.retired {
        return Err(failure::invalid(
            format!("{} is retired.", device_label(&device)),
            "Name another device: --device",
        ));
    }
    Ok(device)
}

// A word of the wire, as the devices' crate has it.
fn word<T: serde::de::DeserializeOwned>(text: Option<String>) -> Result<Option<T>, Failure> {
    let read = |text: String| {
        serde_json::from_value(serde_json::Value::String(text.clone())).map_err(|_| {
            failure::invalid(
                format!("{} is no such word.", quoted(&text)),
                "See: touchkeep help add",
            )
        })
    };
    text.map(read).transpose()
}
