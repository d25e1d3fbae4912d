//! Requests that wait for a person.

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
}
