//! Whose questions are counted together: how many wait, how many went unanswered, and how many were refused.

use std::sync::Arc;

use touchkeep_core::text::visible;
use touchkeep_wire::{PromptAsker, Question};

use crate::caller::Caller;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// A client of the proxy, by its name.
    Client(String),
    /// A program at the agent's socket.
    Program(Arc<Caller>),
}

tokio::task_local! {
    static ASKER: Asker;
}

/// Does work whose questions are this one's.
pub(crate) async fn on_behalf_of<T>(asker: Asker, work: impl Future<Output = T>) -> T {
    ASKER.scope(asker, work).await
}

/// Under what a question is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counts {
    /// Whose it is: `client grid-bot`, `program /usr/bin/python3`.
    pub(super) name: String,
    /// What somebody at a terminal types or touches for what he does there. Refusals neither come of it nor keep him from it:
    /// a program that is started there and asks for values shares his name.
    pub(super) is_at_terminal: bool,
}

impl Counts {
    #[cfg(test)]
    pub(super) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_at_terminal: false,
        }
    }
}

/// A client, by its name as it is shown.
pub(super) fn client(name: &str) -> Counts {
    Counts {
        name: format!("client {name}"),
        is_at_terminal: false,
    }
}

/// Who brings a question up, for whoever shows it.
pub(super) fn told_of(question: &Question) -> Option<PromptAsker> {
    let asker = asker_of(question)?;
    let pid = ASKER.try_with(|asker| match asker {
        Asker::Program(caller) => caller.pid(),
        Asker::Client(_) => None,
    });
    Some(PromptAsker {
        name: asker.name,
        pid: pid.ok().flatten().map(i32::unsigned_abs),
    })
}

/// Who asks a question, where it is not a person at a front end.
pub(super) fn asker_of(question: &Question) -> Option<Counts> {
    if let Question::Approval(asked) = question {
        return Some(client(&asked.client));
    }
    let asker = ASKER.try_with(Clone::clone).ok()?;
    Some(match asker {
        Asker::Client(name) => client(&visible(&name)),
        Asker::Program(caller) => Counts {
            name: format!("program {}", caller.counted_as()),
            is_at_terminal: !matches!(question, Question::Use(_)) && caller.terminal().is_some(),
        },
    })
}
