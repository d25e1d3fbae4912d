//! The link to the agent: made when it can be, kept while it holds, and the one place where the agent's news arrive.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;
use tauri::{AppHandle, Emitter, Manager};
use tokio::sync::Mutex as AsyncMutex;
use touchkeep_client::{
    Connection, Event, FrontEnd, Paths, front_end::Events, installed, start_on_demand,
};
use touchkeep_core::PromptId;
use touchkeep_wire::{Answer, Call, Prompt, PromptClosed, PromptWent};

use crate::{
    questions::{Questions, has_window},
    secret_dialog,
    trouble::Trouble,
    windows,
};

/// How often an agent is looked for while there is none. One that a person stopped is not started again by this.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// News come one by one, the pages load again at most this often.
const NEWS_EVERY: Duration = Duration::from_millis(200);
/// Our name, as the agent shows it.
const NAME: &str = concat!("touchkeep-desktop ", env!("CARGO_PKG_VERSION"));

/// The link, perhaps not there at the moment.
pub(crate) struct Link {
    app: AppHandle,
    paths: Option<Paths>,
    connection: AsyncMutex<Option<Arc<Connection>>>,
    questions: Mutex<Questions>,
    news_waits: AtomicBool,
}

/// What the main window is told.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum News {
    Changed,
    Agent { there: bool },
}

impl Link {
    /// No link yet.
    pub(crate) fn new(app: AppHandle) -> Self {
        Self {
            app,
            paths: Paths::from_environment().ok(),
            connection: AsyncMutex::new(None),
            questions: Mutex::new(Questions::default()),
            news_waits: AtomicBool::new(false),
        }
    }

    /// Calls the agent that is there.
    pub(crate) async fn call<C: Call>(&self, call: C) -> Result<C::Result, Trouble> {
        let connection = self.connect().await?;
        Ok(connection.call(call).await?)
    }

    /// Answers a question.
    pub(crate) async fn answer(&self, prompt: PromptId, answer: Answer) -> Result<(), Trouble> {
        let connection = self.connect().await?;
        Ok(connection.answer(prompt, answer).await?)
    }

    /// Starts the agent where none runs, and links to it. Calls wait meanwhile, so that no page says that it is missing
    /// while it is on its way.
    pub(crate) async fn start(&self) -> Result<(), Trouble> {
        let mut held = self.connection.lock().await;
        if held.is_none() {
            start_on_demand(&installed::agent_program()?, self.paths()?, NAME).await?;
            self.link(&mut held).await?;
        }
        Ok(())
    }

    /// The questions for the approval window.
    pub(crate) fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Arc<Connection>, Trouble> {
        let mut held = self.connection.lock().await;
        match held.as_ref() {
            Some(connection) => Ok(Arc::clone(connection)),
            None => self.link(&mut held).await,
        }
    }

    async fn link(&self, held: &mut Option<Arc<Connection>>) -> Result<Arc<Connection>, Trouble> {
        let socket = self.paths()?.ui_socket();
        let (connection, events) = FrontEnd::connect(&socket, NAME).await?.split();
        let connection = held.insert(Arc::new(connection));
        tauri::async_runtime::spawn(listen(self.app.clone(), events));
        self.tell(News::Agent { there: true });
        Ok(Arc::clone(connection))
    }

    fn paths(&self) -> Result<&Paths, Trouble> {
        self.paths.as_ref().ok_or_else(Trouble::no_home)
    }

    fn opened(&self, prompt: Prompt) {
        if has_window(&prompt.question) {
            self.questions().opened(prompt);
            windows::show_question(&self.app);
        } else {
            secret_dialog::open(&self.app, prompt);
        }
    }

    fn closed(&self, closed: &PromptClosed) {
        let now = Instant::now();
        let mut questions = self.questions();
        let mut stays = questions.closed(closed.prompt, &closed.outcome, now);
        // There is more to be read.
        if closed.rests.is_some() && stays.is_some_and(|stays| !stays.is_zero()) {
            stays = Some(questions.rests(now));
        }
        drop(questions);
        match stays {
            Some(stays) => windows::question_closed(&self.app, closed, stays),
            None => secret_dialog::close(&self.app, closed.prompt),
        }
    }

    fn went(&self, went: &PromptWent) {
        let is_done = went.code.is_none();
        let stays = self.questions().went(went.prompt, is_done, Instant::now());
        if let Some(stays) = stays {
            windows::question_went(&self.app, went, stays);
        }
    }

    // What was asked is refused by the agent's end; the pages say that it is gone.
    async fn lost(&self) {
        *self.connection.lock().await = None;
        let gone = self.questions().take_all(Instant::now());
        for prompt in gone {
            let closed = PromptClosed {
                prompt,
                outcome: "gone".to_owned(),
                rests: None,
            };
            windows::question_closed(&self.app, &closed, LOOK_EVERY);
        }
        secret_dialog::close_all(&self.app);
        self.tell(News::Agent { there: false });
    }

    fn changed(&self) {
        if self.news_waits.swap(true, Ordering::SeqCst) {
            return;
        }
        let app = self.app.clone();
        tauri::async_runtime::spawn(async move {
            tokio::time::sleep(NEWS_EVERY).await;
            let link = app.state::<Self>();
            link.news_waits.store(false, Ordering::SeqCst);
            link.tell(News::Changed);
        });
    }

    fn tell(&self, news: News) {
        // The main window may be closed.
        let _ = self.app.emit_to(windows::MAIN, "news", news);
    }
}

/// Starts the agent once, and looks for it again whenever it is not there.
pub(crate) fn keep(app: AppHandle) {
    tauri::async_runtime::spawn(async move {
        let link = app.state::<Link>();
        // Why it did not start is said by the page, which asks for the state itself.
        let _ = link.start().await;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let _ = link.connect().await;
        }
    });
}

async fn listen(app: AppHandle, mut events: Events) {
    let link = app.state::<Link>();
    while let Some(event) = events.next().await {
        match event {
            Event::Open(prompt) => link.opened(*prompt),
            Event::Close(closed) => link.closed(&closed),
            Event::Went(went) => link.went(&went),
            _ => {}
        }
        link.changed();
    }
    link.lost().await;
}
