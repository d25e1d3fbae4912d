//! A vault with what a bot wants, and a person who answers as a test says.

use touchkeep_client::Connection;
use touchkeep_wire::{Answer, Question, Scope, UseRequest};

use crate::common::{Agent, Person, asker::vault_with, yes};

/// An agent whose vault has one item of a bot's, a connection to it, and somebody who answers so within that time.
pub(crate) async fn desk(
    approval_seconds: u32,
    answers: impl Fn(&Question) -> Option<Answer> + Send + 'static,
) -> (Agent, Connection, Person) {
    let config = format!("approval_seconds = {approval_seconds}\n");
    let agent = Agent::start_with(&config, &[]).await;
    let client = agent.client().await;
    let person = Person::new(&agent, answers).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    (agent, client, person)
}

pub(crate) fn uses(person: &Person) -> Vec<UseRequest> {
    let seen = person.seen.lock().unwrap();
    seen.iter()
        .filter_map(|prompt| match &prompt.question {
            Question::Use(request) => Some(request.clone()),
            _ => None,
        })
        .collect()
}

pub(crate) fn allowing(scope: Scope) -> impl Fn(&Question) -> Option<Answer> {
    move |question| match question {
        Question::Use(_) => Some(Answer::Allow { scope }),
        other => yes(other),
    }
}
