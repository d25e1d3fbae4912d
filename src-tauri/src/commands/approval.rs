//! What the approval window may do: see the one question, approve or allow it, refuse it.

use std::time::Instant;

use tauri::State;
use touchkeep_core::{Code, PromptId};
use touchkeep_wire::{Answer, Scope};

use crate::{
    link::Link,
    questions::{CurrentPrompt, NotYet},
    trouble::Trouble,
};

#[tauri::command]
pub(crate) async fn current_prompt(
    link: State<'_, Link>,
) -> Result<Option<CurrentPrompt>, Trouble> {
    Ok(link.questions().look(Instant::now()))
}

#[tauri::command]
pub(crate) async fn approve(
    link: State<'_, Link>,
    prompt: PromptId,
    digest: String,
    minutes: Option<u32>,
) -> Result<(), Trouble> {
    let may = link.questions().may_approve(prompt, Instant::now());
    may.map_err(why_not)?;
    let answer = match minutes {
        None => Answer::Approve { digest },
        Some(minutes) => Answer::ApproveFor { digest, minutes },
    };
    link.answer(prompt, answer).await
}

#[tauri::command]
pub(crate) async fn allow(
    link: State<'_, Link>,
    prompt: PromptId,
    scope: Scope,
) -> Result<(), Trouble> {
    let may = link.questions().may_approve(prompt, Instant::now());
    may.map_err(why_not)?;
    link.answer(prompt, Answer::Allow { scope }).await
}

#[tauri::command]
pub(crate) async fn refuse(link: State<'_, Link>, prompt: PromptId) -> Result<(), Trouble> {
    link.answer(prompt, Answer::Refuse {}).await
}

fn why_not(not_yet: NotYet) -> Trouble {
    match not_yet {
        NotYet::NotShown => Trouble::ours(
            Code::NotFound,
            "This question is not shown any more.",
            "Nothing was answered. It closed by itself, or another one is in its place: read that.",
        ),
        NotYet::TooSoon => Trouble::ours(
            Code::NotPermitted,
            "That was too fast to have been read.",
            "Read it, then try again.",
        ),
    }
}
