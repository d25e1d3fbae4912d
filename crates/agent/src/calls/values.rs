//! Values by reference: found, asked about, recorded, and only then read.
//!
//! All are found before anybody is asked, so that a person is not asked for what comes to nothing; a value that cannot be had
//! fails the call, and the failure names references and never a value.

use std::sync::Arc;

use touchkeep_core::{
    ApiSecret, Clock, Code, Reference, SystemClock,
    text::{quoted, visible},
};
use touchkeep_vault::{
    Item, ItemKind, MAX_FIELD_BYTES, SecretPlace, Unlocked, VaultError, one_time,
};
use touchkeep_wire::{
    Failure, MAX_ANSWER_BYTES, MAX_REFERENCES, ReadOut, ReadValue, ReadValues, SecretText,
};

use super::{items::meant, open_vault};
use crate::{
    agent::Agent,
    caller::Caller,
    failure,
    grants::{Gate, ItemUse},
    ports::unseal,
    vault::{Current, Open, worst_right},
};

// As many as may be asked for are one answer, each byte of which JSON may write as six: its size is known before anything is
// recorded.
const _: () = assert!(MAX_REFERENCES * (6 * MAX_FIELD_BYTES + 128) <= MAX_ANSWER_BYTES);

/// The field of the chief secret.
const SECRET: &str = "secret";
/// The field of the present one-time code.
const OTP: &str = "otp";

pub(crate) async fn read(
    agent: &Arc<Agent>,
    caller: &Caller,
    call: ReadValues,
) -> Result<ReadOut, Failure> {
    if call.references.len() > MAX_REFERENCES {
        return Err(failure::invalid(
            format!("More than {MAX_REFERENCES} references at a time."),
            "Ask in several calls.",
        ));
    }
    // The question and the log would say of a value that leaves that it does not, and the log of some nothing at all.
    if !call.purpose.is_reading() {
        return Err(failure::invalid(
            "No value is read out for that purpose.",
            "Say what it is for, as `touchkeep read`, `run`, `inject` and `credential` do.",
        ));
    }
    let (current, open) = open_vault(agent)?;
    let found = find_all(&current, &open, &call.references)?;
    if found.is_empty() {
        return Err(failure::invalid(
            "No reference was named.",
            "Name a value, as in: tk://prod/trade/secret",
        ));
    }
    let uses: Vec<_> = found.iter().map(Found::as_use).collect();
    let admitted = Gate::admit(agent, caller, &uses, call.purpose, !call.no_interaction).await?;
    let values = read_all(agent, (&current, &open), &found).await;
    if values.as_ref().is_err_and(is_mistyped) {
        admitted.mistyped(agent.gate(), caller, &uses, call.purpose);
    }
    let values = admitted.went(values)?;
    Ok(ReadOut {
        values,
        hints: agent.config().hints,
    })
}

fn is_mistyped(failure: &Failure) -> bool {
    matches!(failure.code, Code::WrongPin | Code::WrongPassphrase)
}

async fn read_all(
    agent: &Arc<Agent>,
    (current, open): (&Arc<Current>, &Arc<Open>),
    found: &[Found],
) -> Result<Vec<ReadValue>, Failure> {
    let mut values = Vec::with_capacity(found.len());
    for value in found {
        values.push(value.read(agent, current, open).await?);
    }
    // A lock that came in between has ended everything.
    if !current.peek().is_some_and(|now| Arc::ptr_eq(&now, open)) {
        return Err(failure::locked());
    }
    Ok(values)
}

/// A value that a reference names.
struct Found {
    reference: Reference,
    environment: String,
    item: Item,
    place: Place,
}

enum Place {
    Plain(String),
    Stored,
    Sealed,
    // The present one-time code of a seed.
    Code,
}

// All of them, or a failure that names each that is none, and why.
fn find_all(current: &Current, open: &Open, references: &[String]) -> Result<Vec<Found>, Failure> {
    let vault = open.read();
    let mut found = Vec::with_capacity(references.len());
    let mut missing = Vec::new();
    for text in references {
        let one = text
            .parse()
            .map_err(|error| format!("{error}"))
            .and_then(|reference| find(current, &vault, reference));
        match one {
            Ok(one) => found.push(one),
            Err(why) => missing.push(format!("{} ({why})", visible(text))),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    let what = match &missing[..] {
        [one] => format!("A reference names no value: {one}."),
        all => format!(
            "{} references name no value: {}.",
            all.len(),
            all.join(", ")
        ),
    };
    Err(Failure::new(
        Code::NotFound,
        what,
        "Look at the names of items, and at what one of them has: touchkeep list, touchkeep show ITEM",
    ))
}

fn find(current: &Current, vault: &Unlocked, reference: Reference) -> Result<Found, String> {
    if let Some(wanted) = &reference.vault {
        let name = current
            .path()
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        if name.as_deref() != Some(wanted.as_str()) && current.id().to_string() != *wanted {
            return Err(format!("the vault {} is not the open one", quoted(wanted)));
        }
    }
    let item = vault.resolve(&reference).map_err(|error| match error {
        VaultError::NoEnvironment => {
            format!("no environment {}", quoted(&reference.environment))
        }
        VaultError::NotFound => no_item(vault, &reference.item),
        VaultError::Ambiguous(ids) => ambiguous(&ids),
        VaultError::AmbiguousEnvironment(ids) => ambiguous(&ids),
        other => other.to_string(),
    })?;
    // By its id, that is.
    if item.trashed.is_some() {
        return Err("the item is in the trash".to_owned());
    }
    let place = place(vault, item, &reference)?;
    Ok(Found {
        environment: vault.environment_name(item.environment),
        item: Item {
            // Whose value leaves is asked about by all that the key may do.
            class: worst_right(vault, item),
            ..item.clone()
        },
        place,
        reference,
    })
}

fn no_item(vault: &Unlocked, name: &str) -> String {
    let meant = match meant(vault, name, false).join(" or ") {
        names if names.is_empty() => names,
        names => format!("; did you mean {names}?"),
    };
    format!("no item {}{meant}", quoted(name))
}

fn ambiguous(ids: &[impl ToString]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    format!(
        "the name is ambiguous; use one of the ids {}",
        ids.join(", ")
    )
}

fn place(vault: &Unlocked, item: &Item, reference: &Reference) -> Result<Place, String> {
    let Reference { field, version, .. } = reference;
    if field == OTP && item.kind == ItemKind::OtpSeed {
        return match item.place(SECRET) {
            Some(SecretPlace::Stored) if version.is_none() => Ok(Place::Code),
            _ => Err("its seed is not stored, or an earlier one is asked for".to_owned()),
        };
    }
    let gone = |error: VaultError| error.to_string();
    match (item.place(field), version) {
        (Some(SecretPlace::Stored), None) => Ok(Place::Stored),
        (Some(SecretPlace::Sealed), None) => Ok(Place::Sealed),
        (Some(SecretPlace::OnDevice { .. }), None) => {
            Err("the key is on a device and never leaves it".to_owned())
        }
        (Some(SecretPlace::Missing), None) => Err("it has no secret yet".to_owned()),
        (Some(_), Some(version)) => vault
            .secret_at(item.id, field, *version)
            .map(|_| Place::Stored)
            .map_err(gone),
        (None, None) => {
            let plain = item.plain_field(field);
            plain
                .map(Place::Plain)
                .ok_or_else(|| format!("no field {}", quoted(field)))
        }
        (None, Some(version)) => {
            let plain = vault.plain_at(item.id, field, *version).map_err(gone)?;
            plain
                .map(Place::Plain)
                .ok_or_else(|| "it was empty then".to_owned())
        }
    }
}

impl Found {
    fn stored(&self, vault: &Unlocked) -> Result<ApiSecret, Failure> {
        let (id, field) = (self.item.id, self.field());
        let secret = match self.reference.version {
            Some(version) => vault.secret_at(id, field, version),
            None => vault.field_secret(id, field),
        };
        secret.map_err(|error| failure::vault(&error))
    }

    fn field(&self) -> &str {
        match self.place {
            Place::Code => SECRET,
            _ => &self.reference.field,
        }
    }

    fn as_use(&self) -> ItemUse {
        let name = format!("{}/{}", self.environment, self.item.name);
        // A code is as good as the seed that it is made of; what the person sees is what was asked for.
        ItemUse {
            field: self.reference.field.clone(),
            ..ItemUse::of(&self.item, name, self.field())
        }
    }

    async fn read(
        &self,
        agent: &Arc<Agent>,
        current: &Arc<Current>,
        open: &Arc<Open>,
    ) -> Result<ReadValue, Failure> {
        let value = match &self.place {
            Place::Plain(text) => SecretText::new(text.clone()),
            // It is decrypted for this use; what that leaves on the stack is wiped.
            Place::Stored => shown(&self.stored(&open.read())?),
            Place::Code => {
                let seed = self.stored(&open.read())?;
                // EXPOSE: to the code that is made of it.
                let code = one_time::code(&self.item, seed.expose(), SystemClock.now());
                let code = code.map_err(|error| {
                    let name = visible(&self.item.name);
                    failure::invalid(
                        format!("The seed of {name} makes no codes: {error}."),
                        "Set what is wrong: touchkeep edit ITEM --secret, or --set digits, period, algorithm.",
                    )
                })?;
                SecretText::new(code.code.to_string())
            }
            Place::Sealed => {
                let why = format!("Open the sealed value of {}", visible(&self.item.name));
                shown(
                    &unseal(
                        agent,
                        current,
                        open,
                        (self.item.id, self.field().to_owned()),
                        why,
                    )
                    .await?,
                )
            }
        };
        Ok(ReadValue {
            value,
            is_secret: !matches!(self.place, Place::Plain(_)),
            signs: self.reference.field == SECRET && self.item.is_signing_key(),
        })
    }
}

fn shown(secret: &ApiSecret) -> SecretText {
    // EXPOSE: over the private socket, to the program that was let through.
    SecretText::new(secret.expose().to_owned())
}
