//! What a person is shown of a program that asks for values.

use touchkeep_core::text::{has_lookalikes, visible};
use touchkeep_wire::{Purpose, Scope, UseRequest};

use super::ItemUse;
use crate::{agent::Agent, caller::Caller, vault::Current};

/// A value, by name.
pub(super) fn value(one: &ItemUse) -> String {
    format!("{}: {}", visible(&one.name), visible(&one.field))
}

/// The question about a use.
pub(super) fn about(
    caller: &Caller,
    uses: &[ItemUse],
    purpose: Purpose,
    agent: &Agent,
    current: &Current,
) -> UseRequest {
    let client = caller.client();
    let name = client.map_or_else(|| "A program".to_owned(), |client| client.name.clone());
    let sentence = match uses {
        [one] => format!("{name} asks for {}", value(one)),
        _ => format!("{name} asks for {} values", uses.len()),
    };
    let terminal = caller.terminal();
    let mut scopes = vec![Scope::Once];
    if purpose != Purpose::Export && !uses.iter().any(|one| one.each_time) && client.is_some() {
        scopes.extend((!caller.starts_others()).then_some(Scope::Process));
        scopes.extend(terminal.map(|_| Scope::Terminal));
    }
    UseRequest {
        sentence,
        values: uses.iter().map(value).collect(),
        purpose: purpose.words().to_owned(),
        client: name,
        executable: client
            .and_then(|client| client.executable.as_ref())
            .map(|executable| executable.shown())
            .unwrap_or_default(),
        process: caller.lines(),
        place: caller.place(),
        unusual: unusual(caller, uses),
        scopes,
        minutes: u32::try_from(agent.config().grant().as_secs().div_ceil(60)).unwrap_or(u32::MAX),
        pid: caller
            .pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or(0),
        practice: current.is_practice(),
    }
}

/// What is unusual about whoever asks.
pub(crate) fn unusual_of(caller: &Caller) -> Vec<String> {
    let mut unusual = Vec::new();
    match caller.client().map(|client| &client.executable) {
        None if caller.is_shared() => unusual.push(
            "several programs share its connection, and nobody can say which of them asks"
                .to_owned(),
        ),
        None => unusual.push("the system does not say which program asks".to_owned()),
        Some(None) => unusual.push("what it runs cannot be looked at".to_owned()),
        Some(Some(executable)) => {
            if executable.is_deleted() {
                unusual.push("its program was removed or replaced since it was started".to_owned());
            }
            if executable.is_elsewhere() {
                unusual.push("it runs in a container, so its path says little".to_owned());
            }
        }
    }
    unusual
}

fn unusual(caller: &Caller, uses: &[ItemUse]) -> Vec<String> {
    let mut unusual = unusual_of(caller);
    if uses.iter().any(|one| one.each_time) {
        unusual.push("sealed, or of a key that may move money: asked for each time".to_owned());
    }
    if caller.starts_others() {
        unusual.push(
            "what started it starts the units of everybody here: a yes for that process would be one for all of them, so it can only be for once"
                .to_owned(),
        );
    }
    if caller
        .client()
        .is_some_and(|client| has_lookalikes(&client.name))
    {
        unusual.push("its name holds letters that look like others".to_owned());
    }
    unusual
}
