//! `device`: what is connected, what opens the vault, and the life of a PIN.

use std::process::ExitCode;

use serde::Serialize;
use touchkeep_core::{
    Code,
    text::{surely_visible, visible},
};
use touchkeep_wire::{
    AcceptModule, AttestDevice, CardReport, ChangePin, ConnectedDevice, EnrollDevice, Enrolled,
    EnrolledDevice, Failure, GetStatus, InspectDevice, ItemSummary, KeyAttestation, KeysFor,
    ListDevices, PinReport, ResealItems, RetireDevice, RetireReport, SetDevicePin, SlotReport,
    UnblockPin,
};

use super::{
    Context, Done, keys_for,
    vault::{absolute, choose_device},
};
use crate::{
    args::Device,
    output::{Output, Style},
    terminal,
};

pub(super) async fn device(context: &Context<'_>, verb: Device) -> Done {
    match verb {
        Device::List => list(context).await,
        Device::Enroll {
            device,
            work_factor,
            adopt,
        } => enroll(context, &device, work_factor, adopt.as_deref()).await,
        Device::Inspect { serial } => {
            let report = context.call(InspectDevice { serial }).await?;
            context
                .output
                .result(&report, |report| card(report, context.output));
            Ok(ExitCode::SUCCESS)
        }
        Device::KeysFor { venue, device } => keys_for::keys_for(context, venue, device).await,
        Device::Attest { serial, pem } => attest(context, serial, pem).await,
        Device::Pin {
            serial,
            puk,
            last_try,
        } => {
            let call = ChangePin {
                serial,
                puk,
                danger_last_try: last_try,
            };
            context.call_asking(call).await?;
            let which = if puk { "PUK" } else { "PIN" };
            context
                .output
                .done(&format!("The {which} is the new one now."));
            Ok(ExitCode::SUCCESS)
        }
        Device::Unblock { serial, last_try } => {
            let call = UnblockPin {
                serial,
                danger_last_try: last_try,
            };
            context.call_asking(call).await?;
            context
                .output
                .done("The PIN is the new one now, with all its tries.");
            Ok(ExitCode::SUCCESS)
        }
        Device::Retire {
            device,
            dry_run,
            yes,
        } => retire(context, device, dry_run, yes).await,
        Device::Reseal { items } => {
            let done = context.call_asking(ResealItems { items }).await?;
            let aside = match done.is_empty() {
                true => not_sealed_to(&devices_of(context).await?),
                false => Vec::new(),
            };
            context.output.result(&done, |done| resealed(done, &aside));
            Ok(ExitCode::SUCCESS)
        }
        Device::Join { dry_run, yes } => super::join::join(context, dry_run, yes).await,
        Device::AcceptModule { path } => {
            let path = absolute(&path)?;
            context.call_asking(AcceptModule { path }).await?;
            context.output.done("The module is held to what it is now.");
            Ok(ExitCode::SUCCESS)
        }
        Device::SetPin { serial } => {
            context.call_asking(SetDevicePin { serial }).await?;
            context.output.done("Nothing on it is the factory's any more. Write the PUK down: it unblocks the PIN.\nThe management key, where it was the factory's, is random now and kept on the card under the PIN.");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A device as `device list` prints it: what is connected, and what else the open vault knows.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    device: ConnectedDevice,
    connected: bool,
    retired: bool,
}

impl Listed {
    fn connected(device: ConnectedDevice, of_vault: &[EnrolledDevice]) -> Self {
        let mut of_vault = of_vault.iter();
        let known = of_vault.find(|known| device.enrolled == Some(known.id));
        Self {
            retired: known.is_some_and(|known| known.retired),
            device,
            connected: true,
        }
    }

    fn away(device: &EnrolledDevice) -> Self {
        let known = ConnectedDevice {
            kind: device.kind.clone(),
            label: device.label.clone(),
            serial: device.serial.clone(),
            firmware: None,
            tries_left: None,
            factory_pin: None,
            enrolled: Some(device.id),
        };
        Self {
            device: known,
            connected: false,
            retired: device.retired,
        }
    }
}

async fn list(context: &Context<'_>) -> Done {
    let devices = context.call(ListDevices {}).await?;
    let status = context.call(GetStatus {}).await?;
    let of_vault = status.vault.map(|vault| vault.devices).unwrap_or_default();
    let output = context.output;
    let is_away = |known: &&EnrolledDevice| {
        devices
            .iter()
            .all(|device| device.enrolled != Some(known.id))
    };
    let away: Vec<&EnrolledDevice> = of_vault.iter().filter(is_away).collect();
    let listed = devices
        .iter()
        .map(|device| Listed::connected(device.clone(), &of_vault));
    let listed: Vec<_> = listed
        .chain(away.iter().map(|it| Listed::away(it)))
        .collect();
    context.output.result(&listed, |_| {
        let connected = if devices.is_empty() {
            "No device is seen. If one is connected: touchkeep doctor".to_owned()
        } else {
            output.table(
                &[
                    "KIND",
                    "DEVICE",
                    "SERIAL",
                    "FIRMWARE",
                    "IN THIS VAULT",
                    "PIN",
                ],
                &devices
                    .iter()
                    .map(|device| connected_row(device, &of_vault))
                    .collect::<Vec<_>>(),
            )
        };
        let away: Vec<_> = away.iter().map(|it| away_line(it)).collect();
        if away.is_empty() {
            return connected;
        }
        let head = output.out(Style::Quiet, "Also in this vault:");
        format!("{connected}\n\n{head}\n{}", away.join("\n"))
    });
    Ok(ExitCode::SUCCESS)
}

fn connected_row(device: &ConnectedDevice, of_vault: &[EnrolledDevice]) -> Vec<String> {
    let serial = device.serial.as_deref().map(visible).unwrap_or_default();
    let pin = match (device.factory_pin, device.tries_left) {
        (Some(true), _) => format!("factory: change it with `touchkeep device set-pin {serial}`"),
        (_, Some(0)) => format!("blocked: `touchkeep device unblock {serial}`"),
        (_, Some(1)) => "1 try left".into(),
        (_, Some(tries)) => format!("{tries} tries left"),
        _ => String::new(),
    };
    let mut known = of_vault.iter();
    let known = known.find(|known| device.enrolled == Some(known.id));
    let enrolled = match known.map(|known| known.seals.as_deref()) {
        _ if known.is_some_and(|known| known.retired) => "retired".to_owned(),
        Some(Some(class)) => format!("yes, {class}"),
        Some(None) => "yes".to_owned(),
        None if device.enrolled.is_some() => "yes".to_owned(),
        None => "no".to_owned(),
    };
    vec![
        device.kind.clone(),
        surely_visible(&device.label),
        serial,
        device.firmware.clone().unwrap_or_default(),
        enrolled,
        pin,
    ]
}

fn away_line(device: &EnrolledDevice) -> String {
    let how = match (device.kind.as_str(), device.retired) {
        (_, true) => "retired",
        ("piv" | "pkcs11", _) => "not connected",
        ("kit", _) => "on paper",
        _ => "in the vault file, under its passphrase",
    };
    format!("  {}, {how}", surely_visible(&device.label))
}

async fn enroll(context: &Context<'_>, device: &str, work_factor: u8, adopt: Option<&str>) -> Done {
    let device = choose_device(context, device, work_factor, adopt).await?;
    let enrolled = context.call_asking(EnrollDevice { device }).await?;
    let aside = not_sealed_to(&devices_of(context).await.unwrap_or_default());
    // What it is good for beside opening the vault; not worth a failure.
    let about = KeysFor {
        venue: None,
        device: Some(enrolled.device.id.to_string()),
    };
    let keys = context
        .call(about)
        .await
        .ok()
        .and_then(|keys| keys.into_iter().next());
    context.output.result(&enrolled, |enrolled: &Enrolled| {
        let mut text = format!(
            "{} opens the vault now.",
            surely_visible(&enrolled.device.label)
        );
        if !aside.contains(&surely_visible(&enrolled.device.label)) {
            text.push_str(class_hint(&enrolled.device));
        } else if enrolled.closed.is_empty() {
            text.push_str(
                "\nNothing will be sealed to it: that is for devices that wait for a touch, and recovery kits.",
            );
        }
        if !enrolled.to_reseal.is_empty() {
            text.push_str(&format!(
                "\nIt cannot open yet what was sealed before: {}.\nNext: touchkeep device reseal",
                names(&enrolled.to_reseal)
            ));
        }
        if !enrolled.closed.is_empty() {
            text.push_str(&format!(
                "\nIt will not open what is sealed: {}. That is for devices that wait for a touch, and recovery kits. Have more than one of them: touchkeep device enroll piv, touchkeep recover kit",
                names(&enrolled.closed)
            ));
        }
        if let Some(keys) = &keys {
            text.push_str(&keys_for::in_short(keys));
        }
        text.push_str("\nTry it once: touchkeep recover drill --device ");
        text.push_str(enrolled.device.serial.as_deref().unwrap_or("passphrase"));
        text
    });
    Ok(ExitCode::SUCCESS)
}

/// What is to be known of a token before something is sealed to it.
pub(super) fn class_hint(device: &EnrolledDevice) -> &'static str {
    match (device.kind.as_str(), device.seals.as_deref()) {
        ("pkcs11", Some("session")) => {
            "\nIt counts as \"session\": the token asks for no consent at each use, as a touch is. Touchkeep asks for its PIN each time that a sealed value is opened."
        }
        _ => "",
    }
}

async fn devices_of(context: &Context<'_>) -> Result<Vec<EnrolledDevice>, Failure> {
    let status = context.call(GetStatus {}).await?;
    Ok(status.vault.map(|vault| vault.devices).unwrap_or_default())
}

// Devices that nothing is sealed to because others wait for a touch.
fn not_sealed_to(devices: &[EnrolledDevice]) -> Vec<String> {
    let of_class = |class: &str| {
        let of = devices.iter().filter(|device| !device.retired);
        let of = of.filter(|device| device.seals.as_deref() == Some(class));
        of.map(|device| surely_visible(&device.label))
            .collect::<Vec<_>>()
    };
    match of_class("touch").is_empty() {
        true => Vec::new(),
        false => of_class("session"),
    }
}

fn resealed(items: &[ItemSummary], aside: &[String]) -> String {
    let sealed: Vec<_> = items.iter().map(|item| item.name.clone()).collect();
    match sealed[..] {
        [] if !aside.is_empty() => format!(
            "Nothing had to be sealed again. Where a device waits for a touch, values are sealed to such ones and to recovery kits alone, so these open none: {}.",
            aside.join(", ")
        ),
        [] => "Nothing had to be sealed again.".into(),
        _ => format!("Sealed again: {}.", names(&sealed)),
    }
}

// Names of items, in their order, as they are shown.
fn names(of: &[String]) -> String {
    let mut names: Vec<String> = of.iter().map(|name| visible(name)).collect();
    names.sort_by_cached_key(|name| name.to_lowercase());
    names.join(", ")
}

async fn retire(context: &Context<'_>, device: String, dry_run: bool, yes: bool) -> Done {
    let look = RetireDevice {
        device: device.clone(),
        dry_run: true,
    };
    let looked_at = context.call(look).await?;
    if !dry_run && !yes {
        context.output.say(&follows(&looked_at));
        terminal::confirm(
            &context.global,
            &match &looked_at.closed[..] {
                [] => format!("Retire {}?", surely_visible(&looked_at.device.label)),
                closed => format!(
                    "Retire {}, and give up {}?",
                    surely_visible(&looked_at.device.label),
                    names(closed)
                ),
            },
            "retire",
        )?;
    }
    let report = if dry_run {
        looked_at
    } else {
        let call = RetireDevice {
            device,
            dry_run: false,
        };
        context.call_asking(call).await?
    };
    context.output.result(&report, |report: &RetireReport| {
        if !report.done {
            return follows(report);
        }
        let mut text = format!("{} is retired.", surely_visible(&report.device.label));
        if !report.closed.is_empty() {
            text.push_str(&format!(
                "\nNothing opens these any more: {}. Put new ones in, from the venues: touchkeep edit NAME --secret",
                names(&report.closed)
            ));
        }
        if !report.on_device.is_empty() {
            text.push_str(&format!(
                "\nKeys that were on it, to be made anew: {}. Delete the old ones at the venues.",
                names(&report.on_device)
            ));
        }
        let mut all = report.sealed.clone();
        all.extend(report.readable.iter().cloned());
        if !all.is_empty() {
            text.push_str(&format!(
                "\nIf somebody may have {}, rotate these at the venues: {}.",
                match report.device.kind.as_str() {
                    "kit" => "it",
                    "software" => "the passphrase",
                    _ => "it with its PIN",
                },
                names(&all)
            ));
        }
        text
    });
    Ok(ExitCode::SUCCESS)
}

fn follows(report: &RetireReport) -> String {
    let left: Vec<_> = report
        .left
        .iter()
        .map(|device| surely_visible(&device.label))
        .collect();
    let keys = |of: &[String]| match of {
        [] => "none".to_owned(),
        of => names(of),
    };
    let found = match report.device.kind.as_str() {
        "kit" => "Who has it and a copy",
        "software" => "Who has the passphrase and a copy",
        _ => "Who has it, its PIN and a copy",
    };
    let mut text = format!(
        "{} will open nothing that is written from then on, and sign no change of the vault.\n\
         {found} of the vault from before can still read\n  \
         stored keys:  {}\n  sealed keys:  {}",
        surely_visible(&report.device.label),
        keys(&report.readable),
        keys(&report.sealed),
    );
    if !report.closed.is_empty() {
        text.push_str(&format!(
            "\nSealed keys that NOTHING opens any more after that: {}. To keep them, let another YubiKey or a recovery kit in first (touchkeep device enroll piv, touchkeep recover kit), then: touchkeep device reseal",
            names(&report.closed)
        ));
    }
    if !report.on_device.is_empty() {
        text.push_str(&format!(
            "\nKeys on it, which go with it, and which who has it and its PIN can sign with: {}.",
            names(&report.on_device)
        ));
    }
    if !report.lost.is_empty() {
        text.push_str(&format!(
            "\nEarlier versions that nothing else opens, and which go with it: {}.",
            names(&report.lost)
        ));
    }
    text.push_str(&format!(
        "\nThe vault opens with these then: {}.",
        left.join(", ")
    ));
    text
}

async fn attest(context: &Context<'_>, serial: String, pem: bool) -> Done {
    let keys = context.call(AttestDevice { serial }).await?;
    let sound = keys.iter().all(|key| key.problem.is_none());
    let output = context.output;
    context.output.result(&keys, |keys| {
        if keys.is_empty() {
            return "There is no key of ours on it.".into();
        }
        let line = |key: &KeyAttestation| {
            let verdict = match (&key.chain, &key.problem) {
                (Some(chain), _) => format!(
                    "{} by {chain}, touch {}",
                    output.out(Style::Good, "attested"),
                    key.touch.as_deref().unwrap_or("?")
                ),
                (None, Some(problem)) => {
                    format!("{} {problem}", output.out(Style::Bad, "not attested:"))
                }
                (None, None) => "unknown".into(),
            };
            let certificates = if pem {
                format!("\n{}", key.pem.trim_end())
            } else {
                String::new()
            };
            format!("{}  {:<10}  {verdict}{certificates}", key.slot, key.purpose)
        };
        keys.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Code::Damaged.exit_code())
    })
}

fn card(report: &CardReport, output: Output) -> String {
    let mut lines = vec![format!(
        "{} {}, firmware {}{}{}",
        output.out(Style::Strong, "YubiKey"),
        output.out(Style::Strong, &report.serial),
        report.firmware,
        report
            .form_factor
            .as_deref()
            .map(|form| format!(", {form}"))
            .unwrap_or_default(),
        if report.fips == Some(true) {
            ", FIPS"
        } else {
            ""
        },
    )];
    lines.push(report.pin.as_ref().map_or_else(
        || "PIN and PUK: this firmware does not say".into(),
        |pin| pins(pin, output),
    ));
    for limit in &report.limits {
        lines.push(format!("{} {limit}", output.out(Style::Warn, "limit:")));
    }
    if report.slots.is_empty() {
        lines.push("No slot holds anything.".into());
    } else {
        let head = [
            "SLOT",
            "HOLDS",
            "KEY",
            "PIN",
            "TOUCH",
            "MADE",
            "ATTESTED BY",
        ];
        let rows: Vec<_> = report.slots.iter().map(slot_row).collect();
        lines.push(String::new());
        lines.push(output.table(&head, &rows));
    }
    for slot in &report.slots {
        if let Some(flaw) = &slot.flaw {
            lines.push(format!("{} {flaw}", output.out(Style::Warn, "note:")));
        }
    }
    lines.join("\n")
}

fn pins(pin: &PinReport, output: Output) -> String {
    let standing = |name: &str, (left, of): (u8, u8), factory: bool| {
        let factory = if factory {
            format!(" ({})", output.out(Style::Bad, "factory"))
        } else {
            String::new()
        };
        format!("{name} {left} of {of} tries{factory}")
    };
    format!(
        "{}, {}, management key {}",
        standing("PIN", pin.pin_tries, pin.factory_pin),
        standing("PUK", pin.puk_tries, pin.factory_puk),
        match pin.management_key.as_str() {
            "protected" => "kept under the PIN".to_owned(),
            "factory" => output.out(Style::Bad, "factory"),
            _ => "kept elsewhere".to_owned(),
        }
    )
}

fn slot_row(slot: &SlotReport) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let holds = match &slot.name {
        Some(name) if slot.holds == "other" => format!("other: {name}"),
        _ => slot.holds.clone(),
    };
    vec![
        slot.slot.clone(),
        holds,
        text(&slot.algorithm),
        text(&slot.pin),
        text(&slot.touch),
        text(&slot.origin),
        text(&slot.attested),
    ]
}

/// What a person has to do where nobody can be asked.
pub(super) fn needs_a_person(fix: &str) -> Failure {
    Failure::new(Code::Invalid, "this needs a person at a terminal", fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_about_a_pin_is_a_command_that_can_be_typed() {
        let mut device = ConnectedDevice {
            kind: "piv".into(),
            label: "YubiKey \u{1b}[2K".into(),
            serial: Some("42".into()),
            firmware: None,
            tries_left: Some(3),
            factory_pin: Some(true),
            enrolled: None,
        };
        let row = connected_row(&device, &[]);
        assert!(
            row.iter()
                .any(|cell| cell.contains("touchkeep device set-pin 42")),
            "{row:?}"
        );
        assert!(row.iter().all(|cell| !cell.contains('\u{1b}')), "{row:?}");
        (device.factory_pin, device.tries_left) = (None, Some(0));
        let row = connected_row(&device, &[]);
        assert!(
            row.iter()
                .any(|cell| cell.contains("touchkeep device unblock 42")),
            "{row:?}"
        );
    }

    #[test]
    fn names_of_items_stand_in_their_order_and_nothing_of_them_acts() {
        let of = ["b", "a\u{202e}", "C"].map(str::to_owned);
        assert_eq!(names(&of), "a\\u{202e}, b, C");
    }
}
