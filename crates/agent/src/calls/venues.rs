//! Venues that requests are signed for.

use serde::Serialize;
use touchkeep_venue::{SocketInfo, VenueInfo, stream::sockets, venues};
use touchkeep_wire::{SocketSummary, VenueSummary};

pub(crate) fn list() -> Vec<VenueSummary> {
    venues().iter().map(summary).collect()
}

fn summary(info: &VenueInfo) -> VenueSummary {
    VenueSummary {
        id: info.id.to_owned(),
        name: info.name.to_owned(),
        keys: info.schemes.iter().map(|s| word(&s.algorithm)).collect(),
        transports: info.transports.iter().map(word).collect(),
        sockets: sockets(info.id).iter().map(socket).collect(),
        key_classes: info.key_classes.iter().map(word).collect(),
        passphrase: info.passphrase,
        counter: word(&info.counter),
        time_window_ms: info.time_window_ms,
        endpoints: u32::try_from(info.endpoints).unwrap_or(u32::MAX),
        data_date: info.data_date.to_owned(),
        source: info.source.to_owned(),
        key_rules: info.key_rules.to_vec(),
    }
}

fn socket(info: &SocketInfo) -> SocketSummary {
    SocketSummary {
        path: info.path.to_owned(),
        server: info.server.to_owned(),
        login: info.login,
    }
}

// The word that stands for a variant in files and on the wire.
fn word(of: &impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
