//! How a request went, once the venue has answered: written down from the answer's body where somebody reads that, and from
//! its status where nobody does.

use std::{fmt, sync::Arc};

use touchkeep_audit::{Decision, Event, Log, Seq};
use touchkeep_core::text::visible;
use touchkeep_venue::{Answered, Counter, Meaning, answered};

use crate::{
    KeyHandle, Keys, Went,
    pipeline::{Fate, was_written},
};

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
    pub(crate) fate: Fate,
    /// What is to be done where the venue says that the time was not its own.
    pub(crate) clock_refused: Box<dyn Fn() + Send + Sync>,
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
        let mut said = answered(&self.venue, self.status, body.as_deref());
        // Only what counts says anything of what others send: a random value is refused for another reason.
        said.nonce = said.nonce && counts(&self.venue);
        if said.nonce {
            self.keys.nonce_refused(&self.key, &self.venue);
        }
        if said.clock {
            (self.clock_refused)();
        }
        let mut event = said_of(self.event, &said);
        self.fate.is(Went::Answered {
            decision: event.decision,
            text: event.text.clone(),
        });
        event.venue_status = Some(self.status);
        let intent = self.intent;
        let told = move |written| was_written(intent, written);
        self.log.record_outcome_later(intent, &event, told);
    }
}

fn counts(venue: &str) -> bool {
    let venue = touchkeep_venue::venue(venue);
    venue.is_some_and(|venue| venue.info().counter == Counter::Nonce)
}

fn said_of(mut event: Event, said: &Answered) -> Event {
    let (decision, words) = match said.meaning {
        Meaning::Done => (Decision::Done, None),
        Meaning::Part { refused, of } => {
            let words = format!("Done in part, the venue refused {refused} of {of}");
            (Decision::Done, Some(words))
        }
        Meaning::Refused => (Decision::Failed, Some("The venue refused it".to_owned())),
        Meaning::Unknown => {
            let words = "The venue does not say whether it was done";
            (Decision::Unknown, Some(words.to_owned()))
        }
    };
    event.decision = decision;
    if let Some(words) = words {
        event = event.text(match &said.reason {
            Some(reason) => format!("{words}: {}", visible(reason)),
            None => format!("{words}."),
        });
    }
    if said.nonce {
        event = event.detail("nonce", "not above the last one that the venue has seen");
    }
    event
}

#[cfg(test)]
mod tests {
    use touchkeep_audit::Kind;

    use super::*;

    #[test]
    fn what_was_not_done_is_said_with_a_reason_or_without() {
        let said = |meaning, reason: Option<&str>| {
            let answered = Answered {
                meaning,
                reason: reason.map(str::to_owned),
                nonce: false,
                clock: false,
            };
            let event = said_of(Event::new(Kind::Outcome, Decision::Done), &answered);
            (event.decision, event.text)
        };
        let part = Meaning::Part { refused: 1, of: 3 };
        let cases = [
            (Meaning::Done, None, Decision::Done, ""),
            (
                part,
                None,
                Decision::Done,
                "Done in part, the venue refused 1 of 3.",
            ),
            (
                part,
                Some("low\u{1b}"),
                Decision::Done,
                "Done in part, the venue refused 1 of 3: low\\u{1b}",
            ),
            (
                Meaning::Refused,
                None,
                Decision::Failed,
                "The venue refused it.",
            ),
            (
                Meaning::Unknown,
                None,
                Decision::Unknown,
                "The venue does not say whether it was done.",
            ),
        ];
        for (meaning, reason, decision, words) in cases {
            assert_eq!(said(meaning, reason), (decision, words.to_owned()));
        }
    }
}
