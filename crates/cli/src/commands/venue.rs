//! `venue list | show`.

use std::process::ExitCode;

use touchkeep_core::{Code, text::quoted};
use touchkeep_wire::{Failure, ListVenues, SocketSummary, VenueSummary};

use super::{Context, Done};
use crate::{args::Venue, output::Output};

pub(super) async fn venue(context: &Context<'_>, verb: Venue) -> Done {
    let output = context.output;
    let venues = context.call(ListVenues {}).await?;
    match verb {
        Venue::List => output.result(&venues, |venues| {
            let rows: Vec<_> = venues.iter().map(row).collect();
            output.table(&["VENUE", "OVER", "REPLAY", "ENDPOINTS", "KEYS"], &rows)
        }),
        Venue::Show { venue } => {
            let mut all = venues.iter();
            let found = all.find(|known| known.id == venue).ok_or_else(|| {
                Failure::new(
                    Code::NotFound,
                    format!("There is no venue {}.", quoted(&venue)),
                    "Look at: touchkeep venue list",
                )
            })?;
            output.result(found, |found| page(found, output));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(venue: &VenueSummary) -> Vec<String> {
    vec![
        venue.id.clone(),
        over(venue),
        venue.counter.clone(),
        venue.endpoints.to_string(),
        keys(venue),
    ]
}

fn over(venue: &VenueSummary) -> String {
    let short = |word: &String| match word.as_str() {
        "web-socket-login" => "ws".to_owned(),
        "fix-logon" => "fix".to_owned(),
        other => other.to_owned(),
    };
    let words: Vec<String> = venue.transports.iter().map(short).collect();
    words.join(" ")
}

fn keys(venue: &VenueSummary) -> String {
    let more = if venue.passphrase {
        " + passphrase"
    } else {
        ""
    };
    format!("{}{more}", venue.keys.join(", "))
}

fn page(venue: &VenueSummary, output: Output) -> String {
    let window = venue
        .time_window_ms
        .map_or_else(|| "not known".to_owned(), |ms| format!("{} s", ms / 1000));
    let guard = match venue.counter.as_str() {
        "nonce" => "each request of a key has a higher number than the one before",
        "unique" => "each request carries a random value beside its time",
        _ => "the time alone",
    };
    let facts = [
        ("Name", format!("{} ({})", venue.name, venue.id)),
        ("Keys", keys(venue)),
        ("Key classes", venue.key_classes.join(", ")),
        ("Over", venue.transports.join(", ")),
        ("Against replay", guard.to_owned()),
        ("Time window", window),
        ("Endpoints", venue.endpoints.to_string()),
        ("Read", format!("{}, {}", venue.data_date, venue.source)),
    ];
    let facts = facts.map(|(name, value)| format!("{name:<16}{value}"));
    let rules = venue.key_rules.iter().map(|rule| format!("- {rule}"));
    let rules: Vec<String> = rules.collect();
    let parts = [facts.join("\n"), sockets(venue, output), rules.join("\n")];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n\n")
}

fn sockets(venue: &VenueSummary, output: Output) -> String {
    if venue.sockets.is_empty() {
        return String::new();
    }
    let row = |socket: &SocketSummary| {
        let what = if socket.login {
            "login, then reading"
        } else {
            "public data"
        };
        vec![socket.path.clone(), what.into(), socket.server.clone()]
    };
    let rows: Vec<_> = venue.sockets.iter().map(row).collect();
    let table = output.table(&["SOCKET", "FOR", "SERVER"], &rows);
    if !venue.sockets.iter().any(|socket| socket.login) {
        return table;
    }
    format!("{table}\n\n{PROVED}")
}

const PROVED: &str = "Logins were tried with ccxt.pro through the proxy, against a venue of the tests that checks them by \
    itself and takes ccxt's own; never against the venue's own servers.";
