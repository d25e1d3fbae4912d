//! Requests that wait for a person.

use serde::{Deserialize, Serialize};
use touchkeep_core::PromptId;

use crate::{Answer, Done, Prompt};

calls! {
    /// Requests that wait for a person.
    ListPrompts = "prompt.list" -> Vec<Prompt> {}
    /// Answers a prompt. The first answer wins. Only on `ui.sock`.
    AnswerPrompt = "prompt.answer" -> Done {
        /// Which one.
        prompt: PromptId,
        /// The answer.
        answer: Answer,
    }
    /// A person is there again: whoever rests after questions that went unanswered or were refused may ask at once. Only on `ui.sock`. Answers who did.
    EndRests = "prompt.end-rests" -> Vec<Resting> {}
}

/// Whose questions went unanswered, or were refused, so that it asks nobody for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Resting {
    /// `client grid-bot`, or `program /usr/bin/python3`.
    pub asker: String,
    /// For how many seconds more.
    #[cfg_attr(test, ts(type = "number"))]
    pub seconds_left: u64,
    /// Because a person refused them, and not because nobody answered.
    #[serde(default)]
    pub refused: bool,
}
