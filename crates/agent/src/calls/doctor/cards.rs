//! The YubiKeys that pcscd gives. Nothing is sent that could cost a try or wait for a finger.

use std::{fs, io, time::Duration};

use touchkeep_core::text::visible;
use touchkeep_device::{
    DeviceError, Holder,
    attestation::{Firmware, Trust},
};
use touchkeep_device_piv::{
    Found, Inspection, Keeping, PinState,
    holders::{holders, what_to_do},
    inspect,
    inspect::Holds,
};
use touchkeep_wire::Finding;

use super::{bounded::Look, finding::Id, places::VaultView, usb::Plugged};

/// How long a card may take to say everything about itself: up to 24 slots, each attested.
const INSPECTING: Duration = Duration::from_secs(15);
/// What Touchkeep uses: cards that can say which slots hold keys.
const USABLE: Firmware = Firmware(5, 3, 0);

/// What is to be said of the cards that were found.
pub(super) fn look(found: &[Found], vault: &VaultView) -> Vec<Finding> {
    let trust = Trust::of(vault.practice);
    let looks: Vec<_> = found
        .iter()
        .map(|card| {
            let serial = card.serial;
            Look::start(INSPECTING, move || inspect(serial, trust))
        })
        .collect();
    let mut findings = Vec::new();
    for (card, look) in found.iter().zip(looks) {
        match look.wait() {
            Some(Ok(seen)) => findings.extend(said(&seen, vault.has_card(card.serial))),
            Some(Err(DeviceError::Busy { holders })) => findings.push(busy(&holders)),
            Some(Err(error)) => findings.push(
                Id::CardAnswers
                    .problem(
                        format!(
                            "The YubiKey {} does not answer as it should: {error}.",
                            card.serial
                        ),
                        "Pull it out, plug it in again, and look once more.",
                    )
                    .fact("reader", visible(&card.reader)),
            ),
            None => findings.push(kept()),
        }
    }
    findings.extend(shared(found.is_empty()));
    findings
}

/// Whether one is connected at all.
pub(super) fn connected(found: &[Found], plugged: &[Plugged]) -> Finding {
    let id = Id::CardConnected;
    let finding = match (found, plugged) {
        ([], []) => id.note("No YubiKey is connected.", "Plug one in, if you want to use one."),
        ([], plugged) if plugged.iter().all(|one| !one.card) => id.warning(
            "A YubiKey is plugged in whose smart card is switched off, or that has none.",
            "Switch it on, if it is no FIDO-only key: ykman config usb --enable PIV",
        ),
        ([], _) => id.problem(
            "A YubiKey is plugged in, but pcscd gives this user none.",
            "Close what may have taken it (gpgconf --kill scdaemon), see that the CCID driver is installed and that polkit allows `access_card`, and plug it in again.",
        ),
        ([one], _) => id.ok(format!("The YubiKey {} is connected.", one.serial)),
        (several, _) => id.ok(format!("{} YubiKeys are connected.", several.len())),
    };
    let finding = plugged
        .iter()
        .fold(finding, |finding, one| finding.fact("usb", &one.id));
    found.iter().fold(finding, |finding, one| {
        finding.fact("reader", visible(&one.reader))
    })
}

fn said(card: &Inspection, enrolled: bool) -> Vec<Finding> {
    let name = format!("YubiKey {}", card.serial);
    let mut findings = vec![firmware(card, &name, enrolled)];
    if let Some(pin) = card.pin {
        findings.extend(factory(&pin, &name, card.serial, enrolled));
        findings.push(pin_tries(&pin, &name, card.serial));
        findings.push(puk_tries(&pin, &name));
        findings.extend(management_key(&pin, &name));
    }
    findings.push(keys(card, &name));
    let serial = |finding: Finding| finding.fact("serial", card.serial);
    findings.into_iter().map(serial).collect()
}

fn firmware(card: &Inspection, name: &str, enrolled: bool) -> Finding {
    let id = Id::CardFirmware;
    let finding = if card.firmware < USABLE {
        let what = format!("The firmware of {name} is too old: Touchkeep needs 5.3 or later.");
        let fix = "Firmware cannot be updated: use a newer YubiKey.";
        if enrolled {
            id.problem(what, fix)
        } else {
            id.warning(what, fix)
        }
    } else if card.limits.is_empty() {
        id.ok(format!("The firmware of {name} can do everything."))
    } else {
        id.note(
            format!("{name} works, and there are things that its firmware cannot do."),
            "",
        )
    };
    let finding = finding.fact("firmware", card.firmware);
    card.limits
        .iter()
        .fold(finding, |finding, limit| finding.fact("limit", limit))
}

fn factory(pin: &PinState, name: &str, serial: u32, enrolled: bool) -> Option<Finding> {
    let parts = [
        ("PIN", pin.pin_is_factory),
        ("PUK", pin.puk_is_factory),
        ("management key", pin.management_key == Keeping::Factory),
    ];
    let known: Vec<&str> = parts
        .iter()
        .filter(|(_, factory)| *factory)
        .map(|(name, _)| *name)
        .collect();
    let list = match known.as_slice() {
        [] => {
            let what = format!("PIN, PUK and management key of {name} are not the factory's.");
            return Some(Id::CardFactory.ok(what));
        }
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    let verb = if known.len() == 1 { "is" } else { "are" };
    let what = format!("{list} of {name} {verb} still the factory's, which everybody knows.");
    let fix = format!("Change all of them in one go: touchkeep device set-pin {serial}");
    let finding = if enrolled {
        Id::CardFactory.problem(what, fix)
    } else {
        Id::CardFactory.warning(what, fix)
    };
    Some(
        known
            .iter()
            .fold(finding, |finding, part| finding.fact("factory", part)),
    )
}

fn pin_tries(pin: &PinState, name: &str, serial: u32) -> Finding {
    let id = Id::CardPin;
    let finding = match pin.pin.left {
        0 => id.problem(
            format!("The PIN of {name} is blocked."),
            format!("Set a new one with the PUK: touchkeep device unblock {serial}"),
        ),
        1 => id.warning(
            format!("One try is left for the PIN of {name}; Touchkeep does not spend it."),
            format!(
                "Find the PIN, or set a new one with the PUK: touchkeep device unblock {serial}"
            ),
        ),
        left if left < pin.pin.of => id.note(
            format!(
                "The PIN of {name} was mistyped: {left} of {} tries are left.",
                pin.pin.of
            ),
            "A right one brings all of them back.",
        ),
        _ => id.ok(format!("All tries for the PIN of {name} are left.")),
    };
    finding.fact("tries", format!("{} of {}", pin.pin.left, pin.pin.of))
}

fn puk_tries(pin: &PinState, name: &str) -> Finding {
    let id = Id::CardPuk;
    let finding = match pin.puk.left {
        0 => id.warning(
            format!("The PUK of {name} is blocked: a blocked PIN could not be helped, and its keys were lost."),
            "See that a second device or the recovery kit opens the vault. Only a reset, which deletes all keys, brings a PUK back.",
        ),
        left if left < pin.puk.of => id.note(
            format!("The PUK of {name} was mistyped: {left} of {} tries are left.", pin.puk.of),
            "A right one brings all of them back.",
        ),
        _ => id.ok(format!("All tries for the PUK of {name} are left.")),
    };
    finding.fact("tries", format!("{} of {}", pin.puk.left, pin.puk.of))
}

fn management_key(pin: &PinState, name: &str) -> Option<Finding> {
    let id = Id::CardManagementKey;
    match pin.management_key {
        Keeping::Protected => {
            Some(id.ok(format!("The management key of {name} is kept under its PIN.")))
        }
        // Said with the other factory secrets.
        Keeping::Factory => None,
        Keeping::Elsewhere => Some(id.note(
            format!(
                "The management key of {name} is kept elsewhere, so Touchkeep can use its keys and make no new ones."
            ),
            "To keep it under the PIN: ykman piv access change-management-key --generate --protect",
        )),
    }
}

fn keys(card: &Inspection, name: &str) -> Finding {
    let ours = card
        .slots
        .iter()
        .filter(|slot| matches!(slot.holds, Holds::Ours(_)));
    let flawed: Vec<String> = ours
        .clone()
        .filter_map(|slot| Some(format!("slot {:02x}: {}", slot.slot, slot.flaw.as_ref()?)))
        .collect();
    let finding = match (flawed.as_slice(), ours.count()) {
        ([], 0) => Id::CardKeys.ok(format!("{name} holds no keys of Touchkeep.")),
        ([], 1) => Id::CardKeys.ok(format!("{name} holds one key of Touchkeep, made as it should be.")),
        ([], count) => {
            Id::CardKeys.ok(format!("{name} holds {count} keys of Touchkeep, made as they should be."))
        }
        _ => Id::CardKeys.problem(
            format!("{name} holds a key under a name of Touchkeep's that is not as Touchkeep makes it: it is not used."),
            "If you do not know who put it there: ykman piv reset (all PIV keys of the card are lost). docs/devices/piv.md says more.",
        ),
    };
    flawed
        .iter()
        .fold(finding, |finding, flaw| finding.fact("key", visible(flaw)))
}

/// Another program keeps the card to itself.
pub(super) fn busy(holders: &[Holder]) -> Finding {
    let others = others(holders.to_vec());
    let what = match others.as_slice() {
        [] => {
            "Another program keeps a card to itself; which one cannot be seen from here.".to_owned()
        }
        [one] => format!(
            "Another program keeps a card to itself: {} (process {}).",
            one.name, one.pid
        ),
        _ => "Another program keeps a card to itself; it is one of these.".to_owned(),
    };
    named(Id::CardBusy.problem(what, what_to_do(&others)), &others)
}

/// A card did not come free, or did not answer, in time.
pub(super) fn kept() -> Finding {
    let others = others(holders());
    let what = "No answer came in time: another program is in the middle of something with a card, or the card or pcscd hangs.";
    named(Id::CardBusy.problem(what, what_to_do(&others)), &others)
}

/// Others that use the card service and share it. That is no fault; it explains one that comes and goes.
fn shared(no_card: bool) -> Option<Finding> {
    let others = others(holders());
    if no_card || others.is_empty() {
        return None;
    }
    let what = "Other programs use the card service as well; it works as long as none keeps a card to itself.";
    Some(named(Id::CardShared.note(what, ""), &others))
}

fn named(finding: Finding, others: &[Holder]) -> Finding {
    others.iter().fold(finding, |finding, other| {
        finding.fact("program", format!("{} (process {})", other.name, other.pid))
    })
}

// Our own command line and the hosts of our modules have the library, too, and keep no card; one that has ended meanwhile does
// not either. A newer program may have replaced the one of an older process on disk.
fn others(mut holders: Vec<Holder>) -> Vec<Holder> {
    let program = |pid: &str| {
        let path = fs::read_link(format!("/proc/{pid}/exe"))?;
        let text = path.to_string_lossy().into_owned();
        Ok::<_, io::Error>(text.trim_end_matches(" (deleted)").to_owned())
    };
    let own = program("self").ok();
    holders.retain(|holder| match program(&holder.pid.to_string()) {
        Ok(of) => Some(of) != own,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    });
    holders
}
