//! How a request went, once the venue has answered: written down from the answer's body where somebody reads that, and from
//! its status where nobody does.

use std::{fmt, sync::Arc};

use touchkeep_audit::{Decision, Event, Log, Seq};
use touchkeep_core::text::visible;
use touchkeep_venue::{Answered, Meaning, answered};

use crate::{KeyHandle, Keys, pipeline::was_written};

/// The outcome of a request that the venue has answered, not written yet. [`Outcome::heard`] writes it with what the venue
/// says; dropped, it is written by the status alone.
#[must_use]
pub struct Outcome(Option<Left>);

// What is left to do.
pub(crate) struct Left {
    pub(crate) log: Log,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) key: KeyHandle,
    pub(crate) intent: Seq,
    /// Of whom, and of which request.
    pub(crate) event: Event,
    pub(crate) venue: String,
    pub(crate) status: u16,
}

impl Outcome {
    /// The body of the longest answer that is read; a longer one counts as none.
    pub const MAX_BODY_BYTES: usize = 64 * 1024;

    pub(crate) const fn of(left: Left) -> Self {
        Self(Some(left))
    }

    /// Has it written, with what the venue says. Whoever reads the log from now on sees it.
    pub fn heard(mut self, body: Vec<u8>) {
        if let Some(left) = self.0.take() {
            left.write(Some(body));
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if let Some(left) = self.0.take() {
            left.write(None);
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").finish_non_exhaustive()
    }
}

impl Left {
    // The bot has its answer before the row is written. If this ends in between, the log says that the outcome of the intent
    // is not known, which is true.
    fn write(self, body: Option<Vec<u8>>) {
        let said = answered(&self.venue, self.status, body.as_deref());
        if said.nonce {
            self.keys.nonce_refused(&self.key, &self.venue);
        }
        let mut event = said_of(self.event, &said);
        event.venue_status = Some(self.status);
        let intent = self.intent;
        let told = move |written| was_written(intent, written);
        self.log.record_outcome_later(intent, &event, told);
    }
}

// Where the venue gives no reason there is no text: the status says all.
fn said_of(mut event: Event, said: &Answered) -> Event {
    let (decision, words) = match said.meaning {
        Meaning::Done => (Decision::Done, "The venue says".to_owned()),
        Meaning::Part { refused, of } => (
            Decision::Done,
            format!("Done in part, the venue refused {refused} of {of}"),
        ),
        Meaning::Refused => (Decision::Failed, "The venue refused it".to_owned()),
        Meaning::Unknown => (
            Decision::Unknown,
            "The venue does not say whether it was done".to_owned(),
        ),
    };
    event.decision = decision;
    if let Some(reason) = &said.reason {
        event = event.text(format!("{words}: {}", visible(reason)));
    }
    if said.nonce {
        event = event.detail("nonce", "not above the last one that the venue has seen");
    }
    event
}
