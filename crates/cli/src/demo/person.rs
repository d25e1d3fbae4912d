//! Who answers the agent's questions in the demo: the person at the terminal, or with `--auto` the demo itself, which says
//! every time what it presses in the person's place.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::mpsc,
    task::JoinHandle,
};
use touchkeep_client::{Connection, Event, FrontEnd};
use touchkeep_core::{PromptId, text::visible};
use touchkeep_wire::{Answer, Approval, Prompt, Question, SecretText};

use crate::{
    front_end,
    output::{Output, Style},
    terminal::{Echo, Line, Terminal},
};

/// The practice card's new PIN and PUK in `--auto`. Not secrets: they open a folder that is removed at the end.
const AUTO_PIN: &str = "294173";
const AUTO_PUK: &str = "58203917";

/// What is to be said to the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mind {
    Approve,
    Refuse,
}

/// Who answers.
pub(super) struct Person {
    mind: Arc<Mutex<Mind>>,
    // Questions that have the terminal still.
    asked: Arc<AtomicUsize>,
    shown: mpsc::UnboundedReceiver<Approval>,
    task: JoinHandle<()>,
}

impl Drop for Person {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Person {
    pub(super) fn appear(front: FrontEnd, card: PathBuf, auto: bool, output: Output) -> Self {
        let mind = Arc::new(Mutex::new(Mind::Refuse));
        let (seen, shown) = mpsc::unbounded_channel();
        let (answers, mut events) = front.split();
        let (answers, of_task) = (Arc::new(answers), Arc::clone(&mind));
        let asked = Arc::<AtomicUsize>::default();
        let open_now = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            // One flag a question: set when it is closed, by whomever.
            let mut open: HashMap<PromptId, Arc<AtomicBool>> = HashMap::new();
            while let Some(event) = events.next().await {
                match event {
                    Event::Open(prompt) => {
                        let closed = Arc::new(AtomicBool::new(false));
                        open.insert(prompt.id, Arc::clone(&closed));
                        if let Question::Approval(approval) = &prompt.question {
                            let _nobody_asks = seen.send(approval.clone());
                        }
                        let mind = of_task.lock().map_or(Mind::Refuse, |mind| *mind);
                        let (answers, card) = (Arc::clone(&answers), card.clone());
                        let open_now = Arc::clone(&open_now);
                        open_now.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(async move {
                            if auto {
                                by_itself(&answers, &card, prompt, mind, &closed, output).await;
                            } else {
                                by_hand(&answers, &card, prompt, closed, output).await;
                            }
                            open_now.fetch_sub(1, Ordering::Relaxed);
                        });
                    }
                    Event::Close(prompt) => {
                        if let Some(closed) = open.remove(&prompt.prompt) {
                            closed.store(true, Ordering::Relaxed);
                        }
                    }
                    _ => {} // something that this front end does not show
                }
            }
        });
        Self {
            mind,
            asked,
            shown,
            task,
        }
    }

    /// Makes up the mind for what comes. Only `--auto` listens; a person has one already.
    pub(super) fn will(&self, mind: Mind) {
        if let Ok(mut place) = self.mind.lock() {
            *place = mind;
        }
    }

    /// Waits for the last question to leave the terminal, so that what follows has a line of its own.
    pub(super) async fn is_done(&self) {
        let mut patience = 100;
        while self.asked.load(Ordering::Relaxed) > 0 && patience > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            patience -= 1;
        }
    }

    /// The requests that were shown since the last time.
    pub(super) fn was_shown(&mut self) -> Vec<Approval> {
        std::iter::from_fn(|| self.shown.try_recv().ok()).collect()
    }
}

async fn by_itself(
    answers: &Connection,
    card: &Path,
    prompt: Box<Prompt>,
    mind: Mind,
    closed: &AtomicBool,
    output: Output,
) {
    let (what, answer) = match prompt.question {
        Question::Approval(approval) => {
            let shown = front_end::describe(&approval, None, output);
            output.say(&format!("{}\n", shown.replace('\r', "").trim_end()));
            // As long as a person may not have answered yet.
            tokio::time::sleep(Duration::from_millis(700)).await;
            match mind {
                Mind::Approve => (
                    "types approve",
                    Answer::Approve {
                        digest: approval.digest,
                    },
                ),
                Mind::Refuse => ("presses Esc", Answer::Refuse {}),
            }
        }
        Question::Touch { why, .. } => {
            // The lines after it are the details of a change, which the story need not tell.
            let why = visible(why.lines().next().unwrap_or_default());
            let what = format!("touches the key whenever it blinks ({why})");
            output.say(&pressed(output, &what));
            // Several keys may be made or used under one question: it is over when the agent says so.
            while !closed.load(Ordering::Relaxed) {
                touch(card, output).await;
            }
            return;
        }
        // The demo's bot never sees a value, so nobody asks for one.
        Question::Use(_) => ("presses Esc", Answer::Refuse {}),
        Question::Pin { .. } => ("types the PIN", secret(AUTO_PIN)),
        Question::NewPin { which, .. } if which == "PUK" => ("chooses a PUK", secret(AUTO_PUK)),
        Question::NewPin { .. } => ("chooses a PIN", secret(AUTO_PIN)),
        Question::Puk { .. } => ("types the PUK", secret(AUTO_PUK)),
        Question::Passphrase { .. } | Question::NewPassphrase { .. } | Question::Words { .. } => {
            return;
        }
    };
    output.say(&pressed(output, what));
    if let Err(error) = answers.answer(prompt.id, answer).await {
        output.say(&error.failure().what);
    }
}

async fn by_hand(
    answers: &Connection,
    card: &Path,
    prompt: Box<Prompt>,
    closed: Arc<AtomicBool>,
    output: Output,
) {
    if let Question::Touch { why, .. } = &prompt.question {
        output.say(&format!(
            "  Touch the practice key: {}",
            front_end::in_full(why)
        ));
        while blinks(card, &closed).await {
            let stop = Arc::clone(&closed);
            let asked = tokio::task::spawn_blocking(move || {
                let terminal = Terminal::open().ok()?;
                let question = "  It blinks: press Enter to touch it. ";
                terminal
                    .read_line(question, Echo::Shown, &stop, None, |_, _| {})
                    .ok()
            });
            match asked.await {
                Ok(Some(Line::Typed(_))) => touch(card, output).await,
                Ok(Some(Line::Cancelled)) => {
                    let _closed = answers.answer(prompt.id, Answer::Refuse {}).await;
                    return;
                }
                _ => return,
            }
        }
        return;
    }
    let id = prompt.id;
    let alone = front_end::Around::default();
    let asked = move || front_end::ask(&prompt, &closed, &alone, output);
    let answer = match tokio::task::spawn_blocking(asked).await {
        Ok(front_end::Said::Answer(answer)) => answer,
        // Nothing comes after it, so that later is no.
        Ok(front_end::Said::Later) => Answer::Refuse {},
        Ok(front_end::Said::Nothing) | Err(_) => return,
    };
    if let Err(error) = answers.answer(id, answer).await {
        output.say(&error.failure().what);
    }
}

fn pressed(output: Output, what: &str) -> String {
    format!("  {} {what}", output.err(Style::Warn, "you │"))
}

fn secret(text: &str) -> Answer {
    Answer::Secret {
        value: SecretText::new(text.to_owned()),
    }
}

/// Waits for the practice card to blink. Not any more, where the question is over.
async fn blinks(card: &Path, closed: &AtomicBool) -> bool {
    while !closed.load(Ordering::Relaxed) {
        match ask(card, r#"{"do":"state"}"#).await {
            Ok(state) if state.get("waiting") == Some(&true.into()) => return true,
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(_) => return false,
        }
    }
    false
}

/// A finger on the practice card, as soon as it blinks within half a second.
async fn touch(card: &Path, output: Output) {
    if let Err(error) = ask(card, r#"{"do":"touch","wait_ms":500}"#).await {
        output.say(&format!("  the practice card cannot be touched: {error}"));
    }
}

/// One question to the practice card's control socket.
async fn ask(card: &Path, question: &str) -> io::Result<serde_json::Value> {
    let (read, mut write) = UnixStream::connect(card).await?.into_split();
    write.write_all(format!("{question}\n").as_bytes()).await?;
    let answer = BufReader::new(read).lines().next_line().await?;
    Ok(serde_json::from_str(&answer.unwrap_or_default())?)
}
