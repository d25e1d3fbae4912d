//! Items that go elsewhere: the document of `docs/formats/export.md`, encrypted with age unless a person insists. It asks each
//! time and leaves no grant; what it is going to do is recorded before a value leaves.

use std::{collections::HashSet, io::Write, sync::Arc};

use age::secrecy::SecretString;
use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    Clock, Code, EnvironmentId, SystemClock,
    text::{quoted, visible},
};
use touchkeep_import::{Field, Kind as Word, Plain, Proposal, render, write};
use touchkeep_vault::{Item, SecretPlace, Unlocked};
use touchkeep_wire::{
    ExportForm, ExportItems, Exported, Failure, MAX_FRONT_END_FRAME_BYTES, SecretText, wiped,
};
use zeroize::Zeroizing;

use super::{import::environment_of, open_vault};
use crate::{agent::Agent, consent, devices::blocking, failure};

/// log2 of scrypt's N for a passphrase, as `age --passphrase` has it.
const WORK_FACTOR: u8 = 18;
/// Room in the answer for what is not the file.
const FRAME_SPARE: usize = 256 << 10;

/// How it leaves, read before anybody is asked.
enum Form {
    Recipients(Vec<age::x25519::Recipient>),
    Passphrase(SecretText),
    Plain(Plain, String),
}

pub(crate) async fn export(agent: &Arc<Agent>, call: ExportItems) -> Result<Exported, Failure> {
    let form = form_of(call.form)?;
    let (current, open) = open_vault(agent)?;
    let wanted = {
        let vault = open.read();
        let one = call
            .environment
            .as_deref()
            .map(|name| environment_of(&vault, Some(name)));
        one.transpose()?
    };
    let count = chosen(&open.read(), wanted).count();
    let how = match &form {
        Form::Plain(_, format) => format!("IN THE CLEAR, as {format}"),
        Form::Recipients(recipients) => format!("encrypted to {} age recipients", recipients.len()),
        Form::Passphrase(_) => "encrypted with a passphrase".to_owned(),
    };
    let what = format!("Export the secrets of {count} items, {how}");
    let event = |decision, text: String| Event::new(Kind::SecretRevealed, decision).text(text);
    consent::of_owner(agent, Kind::SecretRevealed, &what).await?;
    // A row for all of it, and one for each item, because a row is found by one item.
    let mut rows = vec![event(Decision::Touched, format!("{what}."))];
    let mut recorded = HashSet::new();
    for item in chosen(&open.read(), wanted) {
        let name = visible(&item.name);
        let row = event(Decision::Touched, format!("Exported {name}, {how}."));
        rows.push(row.item(item.id, name));
        recorded.insert(item.id);
    }
    current.record_all(rows).await?;
    let opened = Arc::clone(&open);
    let answer = blocking(move || {
        let items: Result<Vec<_>, Failure> = {
            let vault = open.read();
            chosen(&vault, wanted)
                .filter(|item| recorded.contains(&item.id))
                .map(|item| exported(&vault, item))
                .collect()
        };
        answer(&items?, &form)
    })
    .await??;
    // A lock that came in between has ended everything.
    if !current.peek().is_some_and(|now| Arc::ptr_eq(&now, &opened)) {
        return Err(failure::locked());
    }
    Ok(answer)
}

fn form_of(form: ExportForm) -> Result<Form, Failure> {
    Ok(match form {
        ExportForm::Passphrase { passphrase } => Form::Passphrase(passphrase),
        ExportForm::Plain { format } => {
            let plain = match format.as_str() {
                "json" => Plain::Json,
                "env" => Plain::Env,
                "ccxt" => Plain::Ccxt,
                "csv" => Plain::Csv,
                _ => {
                    return Err(failure::not_found(
                        "format",
                        &format,
                        "Known: json, env, ccxt, csv.",
                    ));
                }
            };
            Form::Plain(plain, format)
        }
        ExportForm::Recipients { recipients } if recipients.is_empty() => {
            return Err(failure::invalid(
                "An export has no recipient.",
                "Name one: -r age1…",
            ));
        }
        ExportForm::Recipients { recipients } => {
            let parsed = recipients.iter().map(|text| {
                text.parse().map_err(|_| {
                    failure::invalid(
                        format!(
                            "{} is no recipient that an export can be encrypted to.",
                            visible(text)
                        ),
                        "Give one that begins with age1, as age-keygen prints it.",
                    )
                })
            });
            Form::Recipients(parsed.collect::<Result<_, _>>()?)
        }
    })
}

fn chosen(vault: &Unlocked, environment: Option<EnvironmentId>) -> impl Iterator<Item = &Item> {
    let mut items = vault.items();
    items.retain(|item| {
        item.trashed.is_none() && environment.is_none_or(|wanted| item.environment == wanted)
    });
    items.sort_by(|a, b| a.name.cmp(&b.name));
    items.into_iter()
}

fn exported(vault: &Unlocked, item: &Item) -> Result<touchkeep_import::Exported, Failure> {
    let kind = Word::of(item.kind.word()).ok_or_else(|| {
        failure::invalid(
            format!(
                "{} is of a kind that has no place in an export.",
                quoted(&item.name)
            ),
            "Export by environment without it (-e), and read its values one by one: touchkeep read REFERENCE",
        )
    })?;
    let mut proposal = Proposal::new(&item.name, kind);
    proposal.tags = item.tags.iter().cloned().collect();
    proposal.created = Some(item.created.0);
    proposal.rotate_after_days = item.rotate_after_days;
    proposal.plaintext_seen = item.plaintext_seen.map(|time| time.0);
    proposal.note.clone_from(&item.note);
    // Those that the document has a place of their own for.
    let own = ["created", "rotate-after-days", "plaintext-seen", "note"];
    for (name, value) in item.plain() {
        if !own.contains(&name) {
            proposal
                .fields
                .push(field(name, false, Zeroizing::new(value)));
        }
    }
    let mut absent = Vec::new();
    for (name, place) in item.places() {
        let why = match place {
            SecretPlace::Stored => {
                let secret = vault
                    .field_secret(item.id, name)
                    .map_err(|error| failure::vault(&error))?;
                // EXPOSE: into the export that a person has agreed to.
                proposal.fields.push(field(
                    name,
                    true,
                    Zeroizing::new(secret.expose().to_owned()),
                ));
                continue;
            }
            SecretPlace::Sealed => "sealed",
            SecretPlace::OnDevice { .. } => "on-device",
            SecretPlace::Missing => continue,
        };
        absent.push((name.to_owned(), why.to_owned()));
    }
    Ok(touchkeep_import::Exported {
        id: item.id.to_string(),
        environment: vault.environment_name(item.environment),
        item: proposal,
        absent,
    })
}

fn field(name: &str, secret: bool, value: Zeroizing<String>) -> Field {
    Field {
        name: name.to_owned(),
        secret,
        value,
        span: None,
    }
}

fn answer(items: &[touchkeep_import::Exported], form: &Form) -> Result<Exported, Failure> {
    let now = SystemClock.now().0;
    let mut left = Vec::new();
    let file = match form {
        Form::Plain(plain, _) => {
            let (mut text, without) = render(items, now, *plain);
            left = without;
            SecretText::new(std::mem::take(&mut *text))
        }
        encrypted => {
            SecretText::new(BASE64_STANDARD.encode(encrypt(&write(items, now), encrypted)?))
        }
    };
    // As it is sent: a text's quotes and ends of lines take more there.
    let sent = wiped::to_json(&file).map_or(usize::MAX, |json| json.len());
    if sent.saturating_add(FRAME_SPARE) > MAX_FRONT_END_FRAME_BYTES {
        return Err(failure::invalid(
            "The items are more than one export holds (48 MiB); nothing was exported.",
            "Export one environment at a time: --environment",
        ));
    }
    let absent = items.iter().flat_map(|item| {
        item.absent
            .iter()
            .map(move |(field, why)| format!("{}: {field} ({why})", item.item.name))
    });
    Ok(Exported {
        file,
        items: u32::try_from(items.len()).unwrap_or(u32::MAX),
        left,
        absent: absent.collect(),
    })
}

fn encrypt(document: &str, form: &Form) -> Result<Vec<u8>, Failure> {
    let failed = || {
        Failure::new(
            Code::System,
            "The export cannot be encrypted.",
            "Try again.",
        )
    };
    let encryptor = match form {
        Form::Recipients(recipients) => {
            let recipients = recipients.iter().map(|recipient| {
                let recipient: &dyn age::Recipient = recipient;
                recipient
            });
            age::Encryptor::with_recipients(recipients).map_err(|_| failed())?
        }
        Form::Passphrase(passphrase) => {
            // EXPOSE: to age, which derives the file's key from it.
            let mut recipient =
                age::scrypt::Recipient::new(SecretString::from(passphrase.expose().to_owned()));
            recipient.set_work_factor(WORK_FACTOR);
            let recipient: &dyn age::Recipient = &recipient;
            age::Encryptor::with_recipients(std::iter::once(recipient)).map_err(|_| failed())?
        }
        Form::Plain(..) => return Err(failed()),
    };
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).map_err(|_| failed())?;
    writer
        .write_all(document.as_bytes())
        .map_err(|_| failed())?;
    writer.finish().map_err(|_| failed())?;
    Ok(file)
}
