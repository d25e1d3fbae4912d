//! What pcscd says about the card, asked as any other program would ask.

use pcsc::{Context, ReaderState, Scope, State};
use std::{
    thread,
    time::{Duration, Instant},
};

/// pcscd offers nothing to wait for before it listens, so it is asked this often.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(10);

/// Waits until pcscd reports that a card is in (or out of) the reader. `false` if it did not in time.
pub(super) fn wait_for(present: bool, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        if report(end).is_ok_and(|reported| reported == present) {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(BETWEEN_QUESTIONS);
    }
}

/// Is there a card in any of this pcscd's readers?
fn report(end: Instant) -> Result<bool, pcsc::Error> {
    let context = Context::establish(Scope::User)?;
    let mut states: Vec<_> = context
        .list_readers_owned()?
        .into_iter()
        .map(|name| ReaderState::new(name, State::UNAWARE))
        .collect();
    if states.is_empty() {
        return Err(pcsc::Error::NoReadersAvailable);
    }
    // The state that we know is "unaware", so this returns at once with what pcscd knows.
    context.get_status_change(
        Some(end.saturating_duration_since(Instant::now())),
        &mut states,
    )?;
    Ok(states
        .iter()
        .any(|state| state.event_state().contains(State::PRESENT) && !state.atr().is_empty()))
}
