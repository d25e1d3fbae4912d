//! A front end's connection: questions come in, answers go out, and everything that a client may call can be called too.

use std::path::Path;

use tokio::sync::mpsc;
use touchkeep_core::PromptId;
use touchkeep_wire::{
    Answer, AnswerPrompt, CHANGED, Changed, MAX_FRONT_END_FRAME_BYTES, Notification, PROMPT_CLOSE,
    PROMPT_OPEN, PROMPT_WENT, Prompt, PromptClosed, PromptWent, SIGNED, Signed,
};

use crate::connection::{CallError, ConnectError, Connection};

/// What the agent tells front ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A question to a person.
    Open(Box<Prompt>),
    /// A question is closed, answered by whomever.
    Close(PromptClosed),
    /// How it went with what a question allowed.
    Went(PromptWent),
    /// Something was signed by a rule that tells a person.
    Signed(Signed),
    /// Something that is shown has changed.
    Changed(Changed),
}

/// A front end. The connection can be shared; the events have one reader.
#[derive(Debug)]
pub struct FrontEnd {
    connection: Connection,
    news: mpsc::Receiver<Notification>,
}

impl FrontEnd {
    /// Connects to `ui.sock`. Questions that wait already come first.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub async fn connect(ui_socket: &Path, name: &str) -> Result<Self, ConnectError> {
        Self::open(ui_socket, (name, false)).await
    }

    /// For what front ends alone may call, without answering questions: as [`Connection::connect_unattended`].
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub async fn connect_unattended(ui_socket: &Path, name: &str) -> Result<Self, ConnectError> {
        Self::open(ui_socket, (name, true)).await
    }

    async fn open(ui_socket: &Path, who: (&str, bool)) -> Result<Self, ConnectError> {
        let (connection, news) =
            Connection::open(ui_socket, who, MAX_FRONT_END_FRAME_BYTES).await?;
        Ok(Self { connection, news })
    }

    /// Splits into what calls and what listens.
    #[must_use]
    pub fn split(self) -> (Connection, Events) {
        (self.connection, Events { news: self.news })
    }
}

/// What the agent says, in order.
#[derive(Debug)]
pub struct Events {
    news: mpsc::Receiver<Notification>,
}

impl Events {
    /// The next event; none once the agent is gone. What this version does not know is skipped.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let notification = self.news.recv().await?;
            if let Some(event) = read(&notification) {
                return Some(event);
            }
        }
    }
}

impl Connection {
    /// Answers a question. Only on a front end's connection.
    ///
    /// # Errors
    /// When somebody else was first, or the question is closed.
    pub async fn answer(&self, prompt: PromptId, answer: Answer) -> Result<(), CallError> {
        self.call(AnswerPrompt { prompt, answer }).await.map(|_| ())
    }
}

fn read(notification: &Notification) -> Option<Event> {
    let params = notification.params.get();
    match notification.method.as_str() {
        PROMPT_OPEN => serde_json::from_str(params)
            .ok()
            .map(|prompt| Event::Open(Box::new(prompt))),
        PROMPT_CLOSE => serde_json::from_str(params).ok().map(Event::Close),
        PROMPT_WENT => serde_json::from_str(params).ok().map(Event::Went),
        SIGNED => serde_json::from_str(params).ok().map(Event::Signed),
        CHANGED => serde_json::from_str(params).ok().map(Event::Changed),
        _ => None,
    }
}
