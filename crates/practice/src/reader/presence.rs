//! What pcscd says about the card, asked as any other program would ask.

use pcsc::{Context, ReaderState, Scope, State};
use std::{
    thread,
    time::{Duration, Instant},
};

/// pcscd offers nothing to wait for before it listens, so it is asked this often.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(10);

/// What pcscd knows about its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    /// Is there a card that answers in any of them?
    present: bool,
    events: Events,
}

/// How often pcscd itself has seen a card come or go.
///
/// # Why the state is not enough
/// After a failed reset pcscd says "empty" before it has looked (it looks every 0.4 s). A card that is back by then
/// never went away for pcscd, and is never powered on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Events(u32);

/// How often a card has come or gone so far; `None` if pcscd does not answer.
pub(super) fn events() -> Option<Events> {
    report().ok().map(|report| report.events)
}

/// Waits until pcscd reports that a card is in (or out of) the reader, and has seen one come or go since `before`.
/// `false` if it did not in time.
pub(super) fn wait_for(present: bool, before: Option<Events>, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        if report().is_ok_and(|report| report.present == present && Some(report.events) != before) {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(BETWEEN_QUESTIONS);
    }
}

fn report() -> Result<Report, pcsc::Error> {
    let context = Context::establish(Scope::User)?;
    let mut states: Vec<_> = context
        .list_readers_owned()?
        .into_iter()
        .map(|name| ReaderState::new(name, State::UNAWARE))
        .collect();
    if states.is_empty() {
        return Err(pcsc::Error::NoReadersAvailable);
    }
    // The state that we claim to know is "unaware", so this returns at once with what pcscd knows.
    context.get_status_change(None, &mut states)?;
    Ok(Report {
        present: states
            .iter()
            .any(|state| state.event_state().contains(State::PRESENT) && !state.atr().is_empty()),
        events: Events(states.iter().map(ReaderState::event_count).sum()),
    })
}
