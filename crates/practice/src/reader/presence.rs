//! What pcscd says about the card, asked as any other program would ask.

use pcsc::{Context, ReaderState, Scope, State};
use std::{
    thread,
    time::{Duration, Instant},
};

/// pcscd offers nothing to wait for before it listens, so it is asked this often.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(10);

/// One of the two readers of the virtual device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Second,
}

/// What pcscd knows about a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    /// Is there a card in it that answers?
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
pub(super) fn events(place: Place) -> Option<Events> {
    report(place).ok().map(|report| report.events)
}

/// Waits until pcscd reports that a card is in (or out of) the reader, and has seen one come or go since `before`.
/// `false` if it did not in time.
pub(super) fn wait_for(
    place: Place,
    present: bool,
    before: Option<Events>,
    patience: Duration,
) -> bool {
    let end = Instant::now() + patience;
    loop {
        if report(place)
            .is_ok_and(|report| report.present == present && Some(report.events) != before)
        {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(BETWEEN_QUESTIONS);
    }
}

fn report(place: Place) -> Result<Report, pcsc::Error> {
    let context = Context::establish(Scope::User)?;
    let reader = context
        .list_readers_owned()?
        .into_iter()
        .find(|name| name.to_bytes().ends_with(place.suffix()))
        .ok_or(pcsc::Error::NoReadersAvailable)?;
    let mut states = [ReaderState::new(reader, State::UNAWARE)];
    // The state that we claim to know is "unaware", so this returns at once with what pcscd knows.
    context.get_status_change(None, &mut states)?;
    let [state] = &states;
    Ok(Report {
        present: state.event_state().contains(State::PRESENT) && !state.atr().is_empty(),
        events: Events(state.event_count()),
    })
}

impl Place {
    /// How pcscd ends the reader's name: number of the device, number of the slot.
    fn suffix(self) -> &'static [u8] {
        match self {
            Self::First => b" 00 00",
            Self::Second => b" 00 01",
        }
    }
}
