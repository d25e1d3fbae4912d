//! Devices that are connected: what they are, what their makers say of them, their PIN and PUK.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    Code, Pin,
    text::{quoted, visible},
};
use touchkeep_device::{DeviceKind, Purpose, attestation::Trust};
use touchkeep_device_piv::{
    Holds, Inspection, Keeping, PinState, PivDevice, SlotReport as CardSlot,
};
use touchkeep_locked::on_small_wiped_stack;
use touchkeep_wire::{
    CardReport, ChangePin, ConnectedDevice, Done, Failure, KeyAttestation, PinReport, Question,
    SlotReport, UnblockPin,
};

use crate::{
    agent::Agent,
    devices::{Connected, Opened, blocking, connected, device_failure},
    failure,
    vault::{find_device, kind_word},
};

pub(crate) async fn list(agent: &Arc<Agent>) -> Result<Vec<ConnectedDevice>, Failure> {
    // A device that is in use is not to be disturbed by looking at it.
    let quiet = agent.devices().quiet().await;
    let agent = Arc::clone(agent);
    blocking(move || {
        let found = connected(&agent.modules());
        let listed = found
            .iter()
            .map(|device| described(&agent, device))
            .collect();
        drop(quiet);
        listed
    })
    .await
}

fn described(agent: &Agent, device: &Connected) -> ConnectedDevice {
    let known = agent.vault().map(|current| current.devices());
    let known = known.as_deref().unwrap_or_default();
    let (state, is) = device.looked_at(known);
    ConnectedDevice {
        kind: kind_word(device.kind()).to_owned(),
        label: visible(&device.label()),
        serial: Some(device.serial()),
        firmware: Some(device.firmware()),
        tries_left: state.tries_left,
        factory_pin: state.factory,
        enrolled: is.map(|known| known.id),
    }
}

/// Replaces what is still the factory's of a card's PIN, PUK and management key. Asks for what it needs: new ones in the place
/// of the factory's, the present PIN where that is somebody's own.
pub(crate) async fn set_pin(agent: &Arc<Agent>, serial: String) -> Result<Done, Failure> {
    let number = card_number(&serial)?;
    let (label, state) = pin_state(agent, &serial).await?;
    if !state.has_factory_secret() {
        return Err(failure::invalid(
            format!("PIN, PUK and management key of {label} are not the factory's any more."),
            format!(
                "To change the PIN: touchkeep device pin {serial}; the PUK: touchkeep device pin {serial} --puk"
            ),
        ));
    }
    let pin = if state.pin_is_factory {
        new_secret(agent, &label, "PIN").await?
    } else {
        spendable(state.pin.left, false, &label, &serial, "PIN")?;
        let question = Question::Pin {
            device: label.clone(),
            why: "Replace what is still the factory's".to_owned(),
            tries_left: Some(state.pin.left),
        };
        Pin::new(agent.devices().ask_new(question).await?)
    };
    let puk = match state.puk_is_factory {
        true => Some(new_secret(agent, &label, "PUK").await?),
        false => None,
    };
    on_card(agent, number, &label, false, move |card| {
        card.change_factory_secrets(&pin, puk.as_ref())
    })
    .await?;
    recorded(
        agent,
        &serial,
        format!("Replaced what was the factory's of PIN, PUK and management key of {label}."),
    )
    .await
}

/// Everything about a card that is worth knowing before it is trusted.
pub(crate) async fn inspect(agent: &Arc<Agent>, serial: String) -> Result<CardReport, Failure> {
    let number = card_number(&serial)?;
    let trust = trust(agent);
    let quiet = agent.devices().quiet().await;
    let found = blocking(move || {
        let found = touchkeep_device_piv::inspect(number, trust);
        drop(quiet);
        found
    });
    let found = found
        .await?
        .map_err(|error| device_failure(&error, &format!("YubiKey {serial}")))?;
    Ok(report(&found))
}

// What a practice vault believes, and nobody else: not even where there is no vault yet.
pub(crate) fn trust(agent: &Agent) -> Trust {
    Trust::of(agent.vault().is_some_and(|current| current.is_practice()))
}

fn card_number(serial: &str) -> Result<u32, Failure> {
    serial.parse().map_err(|_| {
        failure::invalid(
            format!("{} is no serial number of a YubiKey.", quoted(serial)),
            "Look at: touchkeep device list",
        )
    })
}

fn report(found: &Inspection) -> CardReport {
    CardReport {
        serial: found.serial.to_string(),
        firmware: found.firmware.to_string(),
        form_factor: found.form_factor.map(|form| form.to_string()),
        fips: found.fips,
        limits: found.limits.clone(),
        pin: found.pin.map(|pin| PinReport {
            pin_tries: (pin.pin.left, pin.pin.of),
            puk_tries: (pin.puk.left, pin.puk.of),
            factory_pin: pin.pin_is_factory,
            factory_puk: pin.puk_is_factory,
            management_key: match pin.management_key {
                Keeping::Factory => "factory",
                Keeping::Protected => "protected",
                Keeping::Elsewhere => "elsewhere",
            }
            .to_owned(),
        }),
        slots: found.slots.iter().map(slot).collect(),
    }
}

fn slot(found: &CardSlot) -> SlotReport {
    let word = |word: serde_json::Value| word.as_str().map(str::to_owned);
    let of = |value: Option<serde_json::Value>| value.and_then(word);
    SlotReport {
        slot: format!("{:02x}", found.slot),
        holds: match found.holds {
            Holds::Ours(purpose) => format!("touchkeep {}", purpose_word(purpose)),
            Holds::AgePlugin => "age-plugin-yubikey".to_owned(),
            Holds::Other => "other".to_owned(),
            Holds::Bare => "key without certificate".to_owned(),
            Holds::CertificateAlone => "certificate without key".to_owned(),
        },
        name: found.name.clone(),
        algorithm: found.algorithm.map(str::to_owned),
        pin: found.pin.map(|pin| format!("{pin:?}").to_lowercase()),
        touch: of(found
            .touch
            .and_then(|touch| serde_json::to_value(touch).ok())),
        origin: found
            .origin
            .map(|origin| format!("{origin:?}").to_lowercase()),
        attested: found.attested.ok().map(|root| root.name().to_owned()),
        flaw: found.flaw.clone(),
    }
}

const fn purpose_word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Unlock => "unlock",
        Purpose::Seal => "seal",
        Purpose::SignVault => "sign-vault",
        Purpose::Request => "request",
    }
}

/// What the maker says of our keys on a card.
pub(crate) async fn attest(
    agent: &Arc<Agent>,
    serial: String,
) -> Result<Vec<KeyAttestation>, Failure> {
    let device = find_device(agent, DeviceKind::Piv, &serial).await?;
    let label = device.label();
    let trust = trust(agent);
    let quiet = agent.devices().quiet().await;
    let read = blocking(move || {
        let read = device.open().and_then(|mut opened| {
            let keys = opened.device().info().keys.clone();
            keys.into_iter()
                .map(|key| Ok((opened.statements(&key.key, trust)?, key)))
                .collect::<Result<Vec<_>, touchkeep_device::DeviceError>>()
        });
        drop(quiet);
        read
    });
    let keys = read
        .await?
        .map_err(|error| device_failure(&error, &label))?;
    Ok(keys
        .into_iter()
        .map(|((certificates, verdict), key)| {
            let verdict = verdict.map_err(|error| error.to_string());
            KeyAttestation {
                slot: key.key.0.clone(),
                purpose: purpose_word(key.purpose).to_owned(),
                chain: verdict.as_ref().ok().map(|a| a.chain.name().to_owned()),
                touch: verdict.as_ref().ok().and_then(|attested| {
                    let word = serde_json::to_value(attested.touch).ok()?;
                    word.as_str().map(str::to_owned)
                }),
                problem: verdict.err(),
                pem: certificates.iter().map(|der| pem(der)).collect(),
            }
        })
        .collect())
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// Changes a card's PIN or PUK.
pub(crate) async fn change_pin(agent: &Arc<Agent>, wanted: ChangePin) -> Result<Done, Failure> {
    let (number, which) = (
        card_number(&wanted.serial)?,
        if wanted.puk { "PUK" } else { "PIN" },
    );
    let (label, state) = pin_state(agent, &wanted.serial).await?;
    let tries = if wanted.puk {
        state.puk.left
    } else {
        state.pin.left
    };
    spendable(tries, wanted.danger_last_try, &label, &wanted.serial, which)?;
    let why = format!("Change the {which}");
    let question = if wanted.puk {
        Question::Puk {
            device: label.clone(),
            why,
            tries_left: Some(tries),
        }
    } else {
        Question::Pin {
            device: label.clone(),
            why,
            tries_left: Some(tries),
        }
    };
    let old = Pin::new(agent.devices().ask_new(question).await?);
    let new = new_secret(agent, &label, which).await?;
    let allow = wanted.danger_last_try;
    on_card(agent, number, &label, allow, move |card| match which {
        "PUK" => card.change_puk(&old, &new),
        _ => card.change_pin(&old, &new),
    })
    .await?;
    recorded(
        agent,
        &wanted.serial,
        format!("Changed the {which} of {label}."),
    )
    .await
}

/// Sets a new PIN with the PUK.
pub(crate) async fn unblock(agent: &Arc<Agent>, wanted: UnblockPin) -> Result<Done, Failure> {
    let number = card_number(&wanted.serial)?;
    let (label, state) = pin_state(agent, &wanted.serial).await?;
    spendable(
        state.puk.left,
        wanted.danger_last_try,
        &label,
        &wanted.serial,
        "PUK",
    )?;
    let question = Question::Puk {
        device: label.clone(),
        why: "Set a new PIN".to_owned(),
        tries_left: Some(state.puk.left),
    };
    let puk = Pin::new(agent.devices().ask_new(question).await?);
    let new = new_secret(agent, &label, "PIN").await?;
    on_card(agent, number, &label, wanted.danger_last_try, move |card| {
        card.unblock(&puk, &new)
    })
    .await?;
    recorded(
        agent,
        &wanted.serial,
        format!("Unblocked the PIN of {label} with the PUK."),
    )
    .await
}

async fn pin_state(agent: &Arc<Agent>, serial: &str) -> Result<(String, PinState), Failure> {
    let device = find_device(agent, DeviceKind::Piv, serial).await?;
    let label = device.label();
    let quiet = agent.devices().quiet().await;
    let state = blocking(move || {
        let state = match device.open() {
            Ok(Opened::Piv(mut card)) => card.pin_state(),
            Ok(_) => Err(touchkeep_device::DeviceError::Removed),
            Err(error) => Err(error),
        };
        drop(quiet);
        state
    });
    let state = state
        .await?
        .map_err(|error| device_failure(&error, &label))?;
    Ok((label, state))
}

// Said before anybody types what could not be sent.
fn spendable(
    tries: u8,
    allow: bool,
    label: &str,
    serial: &str,
    which: &str,
) -> Result<(), Failure> {
    match tries {
        0 if which == "PUK" => Err(Failure::new(
            Code::PinBlocked,
            format!("The PUK of {label} is blocked."),
            "Only a reset helps, which deletes all PIV keys of the card: ykman piv reset. Open the vault with another device first.",
        )),
        0 => Err(Failure::new(
            Code::PinBlocked,
            format!("The PIN of {label} is blocked."),
            format!("Set a new one with the PUK: touchkeep device unblock {serial}"),
        )),
        1 if !allow => Err(Failure::new(
            Code::PinBlocked,
            format!("One try of the {which} of {label} is left. Nothing was sent."),
            "Find the right one first; to spend the last try all the same, add --last-try.",
        )),
        _ => Ok(()),
    }
}

async fn new_secret(agent: &Arc<Agent>, label: &str, which: &str) -> Result<Pin, Failure> {
    let question = Question::NewPin {
        device: label.to_owned(),
        which: which.to_owned(),
    };
    let new = Pin::new(agent.devices().ask_new(question).await?);
    // To compare it leaves it on the stack, eight bytes at a time.
    let allowed = on_small_wiped_stack(|| touchkeep_device_piv::may_become(which == "PUK", &new));
    match allowed {
        Ok(()) => Ok(new),
        Err(touchkeep_device::DeviceError::FactoryPin) => Err(failure::invalid(
            format!("That is the {which} of the factory, which everybody knows."),
            "Choose another.",
        )),
        Err(_) => Err(failure::invalid(
            format!("A {which} has 6 to 8 letters, digits and signs, none of them accented."),
            "Choose another.",
        )),
    }
}

async fn on_card(
    agent: &Arc<Agent>,
    serial: u32,
    label: &str,
    danger_allow_last_try: bool,
    work: impl FnOnce(&mut PivDevice) -> Result<(), touchkeep_device::DeviceError> + Send + 'static,
) -> Result<(), Failure> {
    let quiet = agent.devices().quiet().await;
    let done = blocking(move || {
        let options = touchkeep_device_piv::Options {
            danger_allow_last_try,
        };
        let done = PivDevice::open(serial, options).and_then(|mut card| work(&mut card));
        drop(quiet);
        done
    });
    done.await?.map_err(|error| device_failure(&error, label))
}

// The PIN that is remembered is another one's by now; and it is told, where there is a log to tell it in.
async fn recorded(agent: &Arc<Agent>, serial: &str, text: String) -> Result<Done, Failure> {
    agent.devices().forget_pins_of(serial);
    let agent = Arc::clone(agent);
    blocking(move || {
        if let Some(current) = agent.vault().filter(|current| current.log().is_some()) {
            current.record(&Event::new(Kind::PinChanged, Decision::Done).text(text))?;
        }
        Ok(Done {})
    })
    .await?
}
