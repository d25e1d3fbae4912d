//! `device keys-for`: which request keys the vault's devices can have, and why not the others.

use std::process::ExitCode;

use touchkeep_core::text::surely_visible;
use touchkeep_wire::{DeviceKeys, KeysFor, PossibleKey, VenueKeys};

use super::{Context, Done};
use crate::output::{Output, Style};

pub(super) async fn keys_for(
    context: &Context<'_>,
    venue: Option<String>,
    device: Option<String>,
) -> Done {
    let one = venue.is_some();
    let devices = context.call(KeysFor { venue, device }).await?;
    let output = context.output;
    output.result(&devices, |devices| {
        if one {
            return in_full(devices, output);
        }
        let all = overview(devices, output);
        let hint = "Why not, and what to do at a venue: touchkeep device keys-for VENUE";
        format!("{all}\n\n{}", output.out(Style::Quiet, hint))
    });
    Ok(ExitCode::SUCCESS)
}

// One venue: each device, each kind of key.
fn in_full(devices: &[DeviceKeys], output: Output) -> String {
    let mut parts = Vec::new();
    for device in devices {
        for venue in &device.venues {
            let rows: Vec<_> = venue.keys.iter().map(row).collect();
            let head = format!("{} on {}", venue.name, surely_visible(&device.device.label));
            parts.push(format!(
                "{}\n{}",
                output.out(Style::Strong, &head),
                output.table(&["KEY", "ON IT", "WHY NOT"], &rows)
            ));
        }
    }
    let mut rows = devices.iter().flat_map(|device| &device.venues);
    if rows.clone().all(|venue| can(venue).is_none()) {
        parts.push("Have the secret sealed instead: touchkeep add NAME --sealed. Each use of it is touched, too.".into());
    } else if let Some(steps) = rows.find_map(|venue| venue.steps.as_deref()) {
        parts.push(format!("At the venue: {steps}"));
    }
    parts.join("\n\n")
}

fn row(key: &PossibleKey) -> Vec<String> {
    let way = match key.way.as_str() {
        "made" => "made on it",
        "put-in" => "put into it",
        _ => "no",
    };
    vec![
        key.name.clone(),
        way.to_owned(),
        key.why.clone().unwrap_or_default(),
    ]
}

// All venues: what can be, device by device.
fn overview(devices: &[DeviceKeys], output: Output) -> String {
    let mut parts = Vec::new();
    for device in devices {
        let able = device.venues.iter().filter(|venue| can(venue).is_some());
        let rows: Vec<_> = able
            .map(|venue| vec![venue.venue.clone(), can(venue).unwrap_or_default()])
            .collect();
        let label = surely_visible(&device.device.label);
        parts.push(match (rows.is_empty(), device.connected) {
            (false, _) => format!(
                "{label}\n{}\n{}",
                output.table(&["VENUE", "REQUEST KEYS"], &rows),
                others(&device.venues)
            ),
            (true, false) => format!("{label}: connect it, then it can be asked."),
            (true, true) => {
                format!("{label}: holds no request keys; secrets are stored or sealed.")
            }
        });
    }
    parts.join("\n\n")
}

// In one line: what is possible for a venue; none where nothing is.
fn can(venue: &VenueKeys) -> Option<String> {
    let of = |way: &str, words: &str| {
        let fitting = venue.keys.iter().filter(|key| key.way == way);
        let names: Vec<&str> = fitting.map(|key| key.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{words} {}", names.join(", ")))
    };
    let ways: Vec<String> = [of("made", "made on it:"), of("put-in", "put into it:")]
        .into_iter()
        .flatten()
        .collect();
    (!ways.is_empty()).then(|| ways.join("; "))
}

fn others(venues: &[VenueKeys]) -> String {
    let none = venues.iter().filter(|venue| can(venue).is_none());
    let names: Vec<&str> = none.map(|venue| venue.venue.as_str()).collect();
    match names[..] {
        [] => String::new(),
        _ => format!("None for: {}.", names.join(", ")),
    }
}

/// After an enrolment: for which venues a key can be made on the device, or put into it.
pub(super) fn in_short(device: &DeviceKeys) -> String {
    let with = |way: &str| {
        let has = |venue: &&VenueKeys| venue.keys.iter().any(|key| key.way == way);
        let names = device.venues.iter().filter(has);
        names.map(|venue| venue.venue.as_str()).collect::<Vec<_>>()
    };
    let (made, put_in) = (with("made"), with("put-in"));
    if made.is_empty() && put_in.is_empty() {
        return String::new();
    }
    let line = |words: &str, names: &[&str]| match names {
        [] => String::new(),
        _ => format!("\n  {words} {}", names.join(", ")),
    };
    format!(
        "\nIt can hold request keys (touchkeep device keys-for):{}{}",
        line("made on it for ", &made),
        line("put into it for", &put_in)
    )
}
