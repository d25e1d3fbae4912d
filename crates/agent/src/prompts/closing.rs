//! How a question ends for those who were shown it: closed with what came of it, however that came about.

use tokio::sync::oneshot;
use touchkeep_core::PromptId;
use touchkeep_wire::{Answer, PROMPT_CLOSE, PromptClosed, Resting};

use super::{
    Prompts,
    asker::Counts,
    patience::{Ended, Worth},
};

/// Closes its question when it is dropped, however that comes about.
pub(super) struct Closing {
    pub(super) prompts: Prompts,
    pub(super) id: PromptId,
    pub(super) outcome: &'static str,
    /// Whose it is, where it counts as unanswered without an answer.
    pub(super) asker: Option<Counts>,
    pub(super) rests: Option<Resting>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        // It is counted by now, one that was given up as well.
        let unanswered = matches!(self.outcome, "timed-out" | "failed");
        let asker = self.asker.as_ref().filter(|_| unanswered);
        let begun = asker.and_then(|asker| self.prompts.0.patience.has_begun_to_rest(asker));
        let mut open = self.prompts.lock();
        open.retain(|open| open.prompt.id != self.id);
        self.prompts.tell(
            PROMPT_CLOSE,
            &PromptClosed {
                prompt: self.id,
                outcome: self.outcome.to_owned(),
                rests: self.rests.take().or(begun),
            },
        );
    }
}

/// A question without an answer, shown while the device waits; closed when this is dropped.
pub(crate) struct Shown {
    pub(super) open: Closing,
    pub(super) asker: Option<Counts>,
    pub(super) refused: oneshot::Receiver<Answer>,
}

impl Shown {
    /// Returns when a person does not want to wait any longer.
    pub(crate) async fn refused(&mut self) {
        if (&mut self.refused).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.open.outcome = "refused";
        let counted = self.open.prompts.0.patience.counts(self.asker.take());
        let rests = counted.ended(Ended::Refused(Worth::More));
        self.open.rests = rests;
    }

    /// Says that it came to nothing.
    pub(crate) fn failed(mut self) {
        self.open.outcome = "failed";
    }
}
