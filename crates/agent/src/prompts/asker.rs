//! Whose questions are counted together: how many wait, and how many went unanswered.

use std::sync::Arc;

use touchkeep_core::text::visible;
use touchkeep_wire::Question;

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

/// Who asks a question, where it is not a person at a front end.
pub(super) fn asker_of(question: &Question) -> Option<String> {
    if let Question::Approval(asked) = question {
        return Some(client(&asked.client));
    }
    let asker = ASKER.try_with(Clone::clone).ok()?;
    Some(match asker {
        Asker::Client(name) => client(&visible(&name)),
        Asker::Program(caller) => format!("program {}", caller.counted_as()),
    })
}

fn client(name: &str) -> String {
    format!("client {name}")
}
